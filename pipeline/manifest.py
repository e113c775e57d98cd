"""Manifests: JSON Lines sorted by id, one row per input, each kept, dropped or failed, with a reason when not kept.

A row is a flat JSON object. Every row has `id`, `status`, `reason`; rows of frames and tiles have `parent`.
Provenance keys are carried from stage to stage, so that each manifest can be read alone.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.io import write_atomic

Row = dict[str, Any]

STATUSES = ("kept", "dropped", "failed")
PROVENANCE = (
    "source", "source_id", "origin", "page_url", "image_url", "title", "artist", "posted", "tags", "licence",
    "ai_generated", "consent", "sha256", "parent", "identity", "family",
)  # fmt: skip


def kept(previous: Mapping[str, Any], **facts: Any) -> Row:
    """A kept row: id and provenance of the `previous` row, plus this stage's facts (which win)."""
    return _row(previous, "kept", None, facts)


def dropped(previous: Mapping[str, Any], reason: str, **facts: Any) -> Row:
    """A row for an input that a rule removed; `reason` is a word of the stage's closed list."""
    return _row(previous, "dropped", reason, facts)


def failed(previous: Mapping[str, Any], reason: str, **facts: Any) -> Row:
    """A row for an input that could not be processed."""
    return _row(previous, "failed", reason, facts)


def _row(previous: Mapping[str, Any], status: str, reason: str | None, facts: Mapping[str, Any]) -> Row:
    provenance = {key: previous[key] for key in PROVENANCE if key in previous}
    return {"id": previous["id"], **provenance, **facts, "status": status, "reason": reason}


def dump(rows: Iterable[Row]) -> str:
    """Rows as JSON Lines: sorted by id, keys sorted, so that equal rows are equal bytes."""
    ordered = sorted(rows, key=lambda row: row["id"])
    _check(ordered)
    return "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in ordered)


def _check(rows: list[Row]) -> None:
    for before, after in itertools.pairwise(rows):
        if before["id"] == after["id"]:
            raise AssertionError(f"two rows with id {after['id']}")
    for row in rows:
        if row["status"] not in STATUSES or (row["status"] == "kept") != (row["reason"] is None):
            raise AssertionError(f"row {row['id']}: status {row['status']!r} with reason {row['reason']!r}")


def read(folder: Path) -> list[Row]:
    """All rows of `folder/manifest.jsonl`, sorted by id.

    Raises:
        BadInput: no manifest there, or a line that is not a row.
    """
    path = folder / "manifest.jsonl"
    if not path.is_file():
        raise BadInput(f"{path}: no manifest; run the stage that makes {folder} first")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            row["id"], row["status"], row["reason"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}:{number}: expected a JSON row with id, status, reason: {error}") from error
        rows.append(row)
    return sorted(rows, key=lambda row: row["id"])


def read_kept(folder: Path) -> list[Row]:
    """The kept rows of a folder's manifest."""
    return [row for row in read(folder) if row["status"] == "kept"]


def tally(rows: Iterable[Row]) -> dict[str, Any]:
    """Counts per status, and per reason for what was not kept."""
    rows = list(rows)
    status = Counter(row["status"] for row in rows)
    reasons = Counter(row["reason"] for row in rows if row["reason"] is not None)
    return {**{name: status[name] for name in STATUSES}, "reasons": dict(sorted(reasons.items()))}


def write(folder: Path, rows: Iterable[Row], *, inputs: Iterable[str], **extra: Any) -> dict[str, Any]:
    """Write `manifest.jsonl` and `stats.json` into `folder`; returns the stats.

    Args:
        folder: the stage's output folder (usually still under construction).
        rows: one row per input; where an input became frames or tiles, rows whose `parent` it is.
        inputs: ids of the items that the stage was given.
        extra: further facts for stats.json.

    Raises:
        AssertionError: the books do not balance (a bug of the stage).
    """
    rows, given = list(rows), set(inputs)
    accounted = {row["id"] if row["id"] in given else row.get("parent") for row in rows}
    if accounted != given:
        raise AssertionError(f"{folder}: the books do not balance: {sorted(map(str, accounted ^ given))[:5]}")
    stats = {"inputs": len(given), **tally(rows), **extra}
    write_atomic(folder / "manifest.jsonl", dump(rows).encode())
    write_json(folder / "stats.json", stats)
    return stats


def write_json(path: Path, value: Any) -> None:
    """Sorted, indented JSON with a final newline, written atomically."""
    write_atomic(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
