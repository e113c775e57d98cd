"""Where the data of a run came from: sources, artists, licences; digests that tell runs apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.report import funnel
from pipeline.runtime.files import folder_digest, sha256
from pipeline.runtime.manifest import Row


@dataclass(frozen=True)
class Origin:
    """One source's share of the works that reached the split."""

    source: str
    origin: str
    works: int
    artists: int
    licences: tuple[tuple[str, int], ...]
    ai_generated: int


def origins(rows: Iterable[Row]) -> list[Origin]:
    """Counts per source and origin; what a row does not tell is counted as `unknown`."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.get("source") or "unknown", row.get("origin") or "unknown"].append(row)
    return [
        Origin(
            source=source,
            origin=origin,
            works=len({row.get("parent") or row["id"] for row in group}),
            artists=len({row["artist"] for row in group if row.get("artist")}),
            licences=tuple(Counter(sorted(row.get("licence") or "unknown" for row in group)).most_common()),
            ai_generated=sum(bool(row.get("ai_generated")) for row in group),
        )
        for (source, origin), group in sorted(groups.items())
    ]


def kept_rows(data: Path) -> list[Row]:
    """Artworks and faces that were offered to the split: kept rows of `resize` and `faces`."""
    return [*funnel.read_kept(data / "resize"), *funnel.read_kept(data / "faces")]


def digests(root: Path) -> list[tuple[str, str]]:
    """sha256 of every manifest, and of the names and bytes of the files in each set and model folder."""
    manifests = [stage.folder / "manifest.jsonl" for stage in funnel.stages(root / "data")]
    folders = [*sorted((root / "data/split").glob("*/*")), *sorted((root / "artifacts/cyclegan").glob("*"))]
    return [
        *((path.relative_to(root).as_posix(), sha256(path)) for path in manifests),
        *((f"{path.relative_to(root).as_posix()}/", folder_digest(path)) for path in folders if path.is_dir()),
    ]
