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
Verdict = dict[str, Any]  # status, reason and the facts that were found

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
    return "".join(map(_line, _checked(sorted(rows, key=lambda row: row["id"]))))


def _line(row: Row) -> str:
    return _encoded(row) + "\n"


def _checked(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, each looked at: in order, none twice, a reason where there must be one."""
    before = ""
    for row in rows:
        if row["id"] <= before:
            raise AssertionError(f"row {row['id']} after {before}")
        if row["status"] not in STATUSES or (row["status"] == "kept") != (row["reason"] is None):
            raise AssertionError(f"row {row['id']}: status {row['status']!r} with reason {row['reason']!r}")
        before = row["id"]
        yield row


def read(folder: Path) -> list[Row]:
    """All rows of `folder/manifest.jsonl`, sorted by id.

    Raises:
        BadInput: no manifest there, or a line that is not a row.
    """
    path = folder / "manifest.jsonl"
    if not path.is_file():
        raise BadInput(f"{path}: no manifest; run the stage that makes {folder} first")
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
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


def stream_kept(folder: Path) -> Iterator[Row]:
    """`read_kept`, a row at a time: the file is never held as a whole.

    Raises:
        BadInput: no manifest there, a line that is not a row, or rows that are not sorted by id.
    """
    path, before = folder / "manifest.jsonl", ""
    if not path.is_file():
        raise BadInput(f"{path}: no manifest; run the stage that makes {folder} first")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            row = _parsed(line, f"{path}:{number}")
            if row["id"] <= before:
                raise BadInput(f"{path}:{number}: expected rows sorted by id, found {row['id']} after {before}")
            before = row["id"]
            if row["status"] == "kept":
                yield row


def _parsed(line: bytes, place: str) -> Row:
    try:
        row: Row = json.loads(line)
        row["id"], row["status"], row["reason"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{place}: expected a JSON row with id, status, reason: {error}") from error
    return row


def tally(rows: Iterable[Row]) -> dict[str, Any]:
    """Counts per status, and per reason for what was not kept."""
    counts = Counter((row["status"], row["reason"]) for row in rows)
    status = {name: sum(n for (one, _), n in counts.items() if one == name) for name in STATUSES}
    reasons = Counter({reason: 0 for _, reason in counts if reason is not None})
    for (_, reason), count in counts.items():
        if reason is not None:
            reasons[reason] += count
    return {**status, "reasons": dict(sorted(reasons.items()))}


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
    return write_sorted(folder, sorted(rows, key=lambda row: row["id"]), inputs=inputs, **extra)


def write_sorted(folder: Path, rows: Iterable[Row], *, inputs: Iterable[str], **extra: Any) -> dict[str, Any]:
    """`write` for rows that come sorted by id, one at a time: none is held in memory."""
    given = set(inputs)
    accounted: set[str | None] = set()

    def lines() -> Iterator[Row]:
        with atomic_file(folder / "manifest.jsonl") as file:
            for row in _checked(rows):
                accounted.add(row["id"] if row["id"] in given else row.get("parent"))
                file.write(_line(row).encode())
                yield row
            if accounted != given:
                raise AssertionError(f"{folder}: the books do not balance: {sorted(map(str, accounted ^ given))[:5]}")

    counts = tally(lines())
    stats = {"inputs": len(given), **counts, **extra}
    write_json(folder / "stats.json", stats)
    return stats


def write_streamed(
    folder: Path,
    groups: Iterable[tuple[str, Sequence[Row]]],
    counted: Mapping[str, Callable[[Row], bool]],
    binned: Mapping[str, Callable[[Row], str | None]],
) -> dict[str, Any]:
    """`write` for a stage that works through its inputs in order: no more than a few rows are held in memory.

    Args:
        folder: the stage's output folder.
        groups: each input, ascending, with its rows: one of the same id, or any number whose `parent` it is and whose
            ids begin with its own.
        counted: further facts for stats.json, each the number of rows that a predicate holds for.
        binned: likewise, each the numbers of rows by a label; rows without a label are left out.

    Raises:
        AssertionError: an input without a row, or with a row that is not its own (a bug of the stage).
    """
    inputs: Counter[str] = Counter()
    more: Counter[str] = Counter(dict.fromkeys(counted, 0))
    bins: dict[str, Counter[str]] = {name: Counter() for name in binned}

    def lines() -> Iterator[Row]:
        with atomic_file(folder / "manifest.jsonl") as file:
            for row in _checked(_in_order(groups, inputs)):
                file.write(_line(row).encode())
                more.update(name for name, holds in counted.items() if holds(row))
                for name, label_of in binned.items():
                    if (label := label_of(row)) is not None:
                        bins[name][label] += 1
                yield row

    counts = tally(lines())
    stats = {
        "inputs": inputs.total(),
        **counts,
        **more,
        **{name: dict(sorted(one.items())) for name, one in bins.items()},
    }
    write_json(folder / "stats.json", stats)
    return stats


def _in_order(groups: Iterable[tuple[str, Sequence[Row]]], inputs: Counter[str]) -> Iterator[Row]:
    """Rows by id; tiles wait until no input with a smaller id can come. Counts the `inputs`."""
    waiting: list[Row] = []
    for given, rows in groups:
        if not rows or any(given not in (row["id"], row.get("parent")) or row["id"] < given for row in rows):
            raise AssertionError(f"the books do not balance: {given} became {[row['id'] for row in rows]}")
        inputs["inputs"] += 1
        done = [row for row in waiting if row["id"] < given]
        yield from done
        waiting = sorted([*waiting[len(done) :], *rows], key=lambda row: row["id"])
    yield from waiting


def verdict(status: str, reason: str | None = None, **facts: Any) -> Verdict:
    """What a step says of one work, for `judged`."""
    return {"status": status, "reason": reason, **facts}


def judged(previous: Mapping[str, Any], said: Mapping[str, Any], carried: Iterable[str] = ()) -> Row:
    """A row from a verdict; `carried` are the keys that it takes from the `previous` row unless the work failed."""
    facts = {key: previous[key] for key in carried if key in previous and said["status"] != "failed"}
    return _row(previous, said["status"], said["reason"], {**facts, **said})


def write_json(path: Path, value: Any) -> None:
    """Sorted, indented JSON with a final newline, written atomically."""
    write_atomic(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
