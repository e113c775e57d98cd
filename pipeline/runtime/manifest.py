"""Manifests: JSON Lines sorted by id, one row per input, each kept, dropped or failed, with a reason when not kept.

A row is a flat JSON object. Every row has `id`, `status`, `reason`; rows of frames and tiles have `parent`.
Provenance keys are carried from stage to stage, so that each manifest can be read alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.runtime.files import atomic_file, write_atomic

_encoded = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode

Row = dict[str, Any]
Verdict = dict[str, Any]  # status, reason and the facts that a step found

NOTHING: Mapping[str, Any] = {}
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


def verdict(status: str, reason: str | None = None, **facts: Any) -> Verdict:
    """What a step decides about one work, for `row_of_verdict`."""
    return {"status": status, "reason": reason, **facts}


def row_of_verdict(previous: Mapping[str, Any], verdict: Mapping[str, Any], carried: Iterable[str] = ()) -> Row:
    """A row from a verdict; `carried` are the keys that it takes from the `previous` row unless the work failed."""
    facts = {key: previous[key] for key in carried if key in previous and verdict["status"] != "failed"}
    return _row(previous, verdict["status"], verdict["reason"], {**facts, **verdict})


def stream(folder: Path) -> Iterator[Row]:
    """The rows of `folder/manifest.jsonl` by ascending id, one at a time: the file is never held as a whole.

    Raises:
        BadInput: no manifest there, a line that is not a row, or rows that are not sorted by id.
    """
    path, previous = folder / "manifest.jsonl", ""
    if not path.is_file():
        raise BadInput(f"{path}: no manifest; run the stage that makes {folder} first")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                ascending = row["id"] > previous
                row["status"], row["reason"]
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}:{number}: expected a JSON row with id, status, reason: {error}") from error
            if not ascending:
                raise BadInput(f"{path}:{number}: expected rows sorted by id, found {row['id']} after {previous}")
            previous = row["id"]
            yield row


def stream_kept(folder: Path) -> Iterator[Row]:
    """The kept rows of a folder's manifest, one at a time; see `stream`."""
    return (row for row in stream(folder) if row["status"] == "kept")


def read(folder: Path) -> list[Row]:
    """All rows of a folder's manifest; see `stream`."""
    return list(stream(folder))


def read_kept(folder: Path) -> list[Row]:
    """The kept rows of a folder's manifest; see `stream`."""
    return list(stream_kept(folder))


def tally(rows: Iterable[Row]) -> dict[str, Any]:
    """Counts per status, and per reason for what was not kept."""
    statuses, reasons = Counter(dict.fromkeys(STATUSES, 0)), Counter[str]()
    for row in rows:
        statuses[row["status"]] += 1
        if row["reason"] is not None:
            reasons[row["reason"]] += 1
    return {**statuses, "reasons": dict(sorted(reasons.items()))}


def dump(rows: Iterable[Row]) -> str:
    """Rows as JSON Lines: sorted by id, keys sorted, so that equal rows are equal bytes."""
    return "".join(map(_line, _checked(sorted(rows, key=_id))))


def write(folder: Path, rows: Iterable[Row], *, inputs: Iterable[str], **facts: Any) -> dict[str, Any]:
    """`write_streamed` for rows in any order: one for each of the `inputs`, or any number whose `parent` it is."""
    groups: dict[str, list[Row]] = {id: [] for id in sorted(inputs)}
    for row in rows:
        owner = row["id"] if row["id"] in groups else row.get("parent")
        if owner not in groups:
            raise AssertionError(f"{folder}: the books do not balance: {row['id']} is of no input")
        groups[owner].append(row)
    return write_streamed(folder, groups.items(), **facts)


def write_streamed(
    folder: Path,
    groups: Iterable[tuple[str, Sequence[Row]]],
    counted: Mapping[str, Callable[[Row], bool]] = NOTHING,
    binned: Mapping[str, Callable[[Row], str | None]] = NOTHING,
    **facts: Any,
) -> dict[str, Any]:
    """Write `manifest.jsonl` and `stats.json` of a stage's output; no more than a few rows are held in memory.

    Args:
        folder: the stage's output folder (usually still under construction).
        groups: each input, ascending, with its rows: one of the same id, or any number whose `parent` it is and whose
            ids begin with its own.
        counted: further facts for stats.json, each the number of rows that a predicate holds for.
        binned: likewise, each the numbers of rows by a label; rows without a label are left out.
        facts: further facts for stats.json.

    Returns:
        The stats.

    Raises:
        AssertionError: an input without a row, or with a row of another input (a bug of the stage).
    """
    inputs: Counter[str] = Counter()
    counts: Counter[str] = Counter(dict.fromkeys(counted, 0))
    bins: dict[str, Counter[str]] = {name: Counter() for name in binned}

    def written() -> Iterator[Row]:
        with atomic_file(folder / "manifest.jsonl") as file:
            for row in _checked(_in_order(groups, inputs)):
                file.write(_line(row).encode())
                counts.update(name for name, holds in counted.items() if holds(row))
                for name, label_of in binned.items():
                    if (label := label_of(row)) is not None:
                        bins[name][label] += 1
                yield row

    statuses = tally(written())
    labels = {name: dict(sorted(labels.items())) for name, labels in bins.items()}
    stats = {"inputs": inputs.total(), **statuses, **counts, **labels, **facts}
    write_json(folder / "stats.json", stats)
    return stats


def _in_order(groups: Iterable[tuple[str, Sequence[Row]]], inputs: Counter[str]) -> Iterator[Row]:
    """Rows by id; tiles wait until no input with a smaller id can come. Counts the `inputs`."""
    waiting: list[Row] = []
    for id, rows in groups:
        if not rows or any(id not in (row["id"], row.get("parent")) or row["id"] < id for row in rows):
            raise AssertionError(f"the books do not balance: {id} became {[row['id'] for row in rows]}")
        inputs["inputs"] += 1
        ready = [row for row in waiting if row["id"] < id]
        yield from ready
        waiting = sorted([*waiting[len(ready) :], *rows], key=_id)
    yield from waiting


def _checked(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, each checked: ids ascend, and a reason stands where there must be one."""
    previous = ""
    for row in rows:
        if row["id"] <= previous:
            raise AssertionError(f"row {row['id']} after {previous}")
        if row["status"] not in STATUSES or (row["status"] == "kept") != (row["reason"] is None):
            raise AssertionError(f"row {row['id']}: status {row['status']!r} with reason {row['reason']!r}")
        previous = row["id"]
        yield row


def _id(row: Row) -> str:
    return str(row["id"])


def _line(row: Row) -> str:
    return _encoded(row) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Sorted, indented JSON with a final newline, written atomically."""
    write_atomic(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
