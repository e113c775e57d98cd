"""What the split tells of itself: works of each source and of named artists by split, and what will be missed there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = {"pixel": "artworks", "faces": "faces"}
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sides:
    """`rows`: (what, works or artists of it in each split); `largest`: (what, works, share, split) of large groups."""

    rows: list[tuple[str, ...]]
    largest: list[tuple[str, int, str, str]]
    warnings: list[str]


def read(data: Path) -> Sides:
    """From the split's stats.json; all empty where it has not run, or tells less."""
    path = data / "split" / "stats.json"
    stats: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    rows: list[tuple[str, ...]] = []
    for domain, by_split in stats.get("sources", {}).items():
        for source in sorted({source for counts in by_split.values() for source in counts}):
            rows.append((f"{NAMES[domain]} of {source}", *(str(by_split[name].get(source, 0)) for name in SPLITS)))
        rows.append((f"named artists of {NAMES[domain]}", *(str(stats["artists"][domain][name]) for name in SPLITS)))
    largest = [
        (NAMES[domain], group["works"], f"{group['share']:.1%}", group["split"])
        for domain, groups in stats.get("groups", {}).items()
        for group in groups[:1]
    ]
    return Sides(rows, largest, stats.get("warnings", []))
