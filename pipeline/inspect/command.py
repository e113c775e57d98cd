"""`facetopix inspect` describes pictures, and the manifests of their folders: as data and as text."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cells import detect
from pipeline.errors import BadInput, PipelineError
from pipeline.images import canonical, folders
from pipeline.images.colour import OPAQUE
from pipeline.images.formats import decode
from pipeline.runtime import manifest
from pipeline.runtime.manifest import Row
from pipeline.runtime.progress import Progress, silent

GROUND = (72, 76, 88)  # under transparency while cells are detected
MANY = 100  # pictures from which on progress is shown
LISTED = 24  # pictures; more are summed up only
FREQUENT = 5  # sizes that are listed
NAMED = 12  # licences and the like that are named on a line ...
TEXT = 60  # ... and characters of each
NOT_TOLD = "not told"
TABLES = ("manifest.jsonl", "journal.jsonl")  # of an output; of the state of a crawl
FAILURE = ("id", "source_id", "reason", "page_url", "image_url", "detail", "tries", "tried_at")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The manifest of a folder, or the journal of a crawl's state."""

    path: Path | None = None
    rows: list[Row] = field(default_factory=list)
    by_stem: dict[str, list[Row]] = field(default_factory=dict)  # file name without extension -> the rows it is of
    error: str | None = None  # of a manifest that is damaged or of another kind


def inspect(
    paths: Sequence[Path],
    *,
    max_cell: int | None = None,
    min_confidence: float = detect.MIN_CONFIDENCE,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Inspect files and folders, these recursively.

    `images`: one entry a file; `counts`, `pictures`, `manifests`: totals.

    An entry holds path, format, width, height, frames, has_alpha, colors (of the first frame), cell (1 = native,
    fractional where the enlargement was, null = unknown), native_width, native_height, confidence; or path and error.
    `off_grid` and `max_cell_needed` where there is something to tell, as in the stage grid. Where a manifest names the
    picture it also holds ids and artists of its rows.

    `counts`: files, native, enlarged, unknown, unreadable; with a manifest also kept, dropped, failed and reasons.
    `pictures`: formats, animated, frames, has_alpha, colors, size and native_size of the readable ones; minimum, median
    and maximum of width and of height are each their own. `manifests`: one entry a manifest, see `_summary`.
    `failures`: the rows that failed, with their addresses.

    Raises:
        BadInput: a path that does not exist, or is neither a file nor a folder.
    """
    files = files_of(paths)
    searched = [path for path in paths if path.is_dir()]
    tables = {
        path.parent: _table(path) for folder in searched for name in TABLES for path in sorted(folder.rglob(name))
    }
    images = []
    for done, path in enumerate(files, 1):
        images.append(_entry(path, max_cell or detect.MAX_CELL, min_confidence) | _provenance(path, tables))
        if len(files) > MANY:
            progress("inspect", done, len(files))
    manifests = [_summary(folder, table, files) for folder, table in tables.items()]
    return {
        "images": images,
        "counts": _counts(images) | _statuses(tables.values()),
        "pictures": _facts([image for image in images if "error" not in image]),
        "manifests": manifests,
        "failures": [failure for table in tables.values() for failure in _failures(table)],
    }


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the candidate images below the folders, in the order given."""
    if missing := [path for path in paths if not path.exists()]:
        raise BadInput(f"{missing[0]}: no such file or folder")
    if special := [path for path in paths if not (path.is_file() or path.is_dir())]:
        raise BadInput(f"{special[0]}: expected a file or a folder, found a device or pipe")
    return [file for path in paths for file in (folders.files_below(path) if path.is_dir() else [path])]


def _entry(path: Path, max_cell: int, min_confidence: float) -> Entry:
    try:
        decoded = decode(path.read_bytes(), str(path), frames="first", most=1)
    except (PipelineError, OSError) as error:
        return {"path": str(path), "error": str(error)}
    facts, rgba = decoded.facts, decoded.frames[0].rgba
    on_ground = np.where(rgba[..., 3:] >= OPAQUE, rgba[..., :3], np.array(GROUND, np.uint8))
    cell = detect.detect(on_ground, max_cell, min_confidence)
    return {
        "path": str(path),
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "frames": facts.frames,
        "has_alpha": facts.has_alpha,
        "colors": canonical.colour_count(rgba),
        "cell": _number(cell.size),
        "native_width": cell.native_width,
        "native_height": cell.native_height,
        "confidence": cell.confidence,
        **cell.remarks,
    }


def _number(size: float | None) -> float | int | None:
    """Whole sizes as integers: `1`, not `1.0`, in JSON."""
    return int(size) if size is not None and size.is_integer() else size if size is None else round(size, 4)


def _counts(images: Iterable[Entry]) -> dict[str, Any]:
    counts = Counter("unreadable" if "error" in image else _kind(image["cell"]) for image in images)
    return {"files": counts.total(), **{kind: counts[kind] for kind in ("native", "enlarged", "unknown", "unreadable")}}


def _kind(cell: float | None) -> str:
    return "unknown" if cell is None else "native" if cell == 1 else "enlarged"


def _facts(images: Sequence[Entry]) -> dict[str, Any]:
    native = [(image["native_width"], image["native_height"]) for image in images if image["cell"] is not None]
    return {
        "formats": _frequencies(image["format"] for image in images),
        "animated": sum(image["frames"] > 1 for image in images),
        "frames": sum(image["frames"] for image in images),
        "has_alpha": sum(image["has_alpha"] for image in images),
        "colors": _spread([image["colors"] for image in images]),
        "size": _sizes([(image["width"], image["height"]) for image in images]),
        "native_size": _sizes(native),
    }


def _sizes(sizes: Sequence[tuple[int, int]]) -> dict[str, Any] | None:
    if not sizes:
        return None
    frequent = sorted(Counter(sizes).items(), key=lambda item: (-item[1], item[0]))[:FREQUENT]
    return {
        "width": _spread([width for width, _ in sizes]),
        "height": _spread([height for _, height in sizes]),
        "frequent": [{"width": width, "height": height, "images": count} for (width, height), count in frequent],
    }


def _spread(values: Sequence[int]) -> dict[str, int] | None:
    if not values:
        return None
    return {"min": min(values), "median": statistics.median_low(values), "max": max(values)}


def _frequencies(values: Iterable[object]) -> dict[str, int]:
    """Counts of values, the most frequent first; None counts as NOT_TOLD."""
    counts = Counter(NOT_TOLD if value is None else str(value) for value in values)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _table(path: Path) -> Table:
    try:
        rows = _journal(path) if path.name == "journal.jsonl" else manifest.read(path.parent)
    except BadInput as error:
        return Table(path, error=str(error))
    by_stem: dict[str, list[Row]] = {}
    for row in rows:
        for stem in _stems(row):
            by_stem.setdefault(stem, []).append(row)
    return Table(path, rows, by_stem)


def _journal(path: Path) -> list[Row]:
    """The last row of each work; a line torn by a kill is passed over."""
    rows: dict[str, Row] = {}
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows[row["id"]] = {"status": row["status"], "reason": row["reason"]} | row
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines) or line.endswith(b"\n"):
                raise BadInput(f"{path}:{number}: expected a JSON row with id, status, reason: {error}") from error
    return [rows[id] for id in sorted(rows)]


def _stems(row: Row) -> set[str]:
    """The names, without extension, that the file of a row may have: its hash in a crawl, its id later on."""
    return {str(row.get("sha256")), row["id"]}


def _provenance(path: Path, tables: Mapping[Path, Table]) -> Entry:
    table = next((tables[folder] for folder in path.parents if folder in tables), Table())
    rows = table.by_stem.get(path.stem, [])
    artists = sorted({str(row["artist"]) for row in rows if row.get("artist")})
    return {"ids": [row["id"] for row in rows], "artists": artists} if rows else {}


def _summary(folder: Path, table: Table, files: Iterable[Path]) -> Entry:
    """The summary of a manifest: statuses and reasons of all rows, provenance of the kept ones.

    `missing`: ids of kept rows without a file; `unlisted`: how many files below the folder no kept row names.
    """
    path = str(table.path or folder)
    if table.error is not None:
        return {"path": path, "error": table.error}
    kept = [row for row in table.rows if row["status"] == "kept"]
    stems = {file.stem for file in files if file.is_relative_to(folder)}
    artists = [row.get("artist") for row in kept]
    return {
        "path": path,
        "rows": len(table.rows),
        **manifest.tally(table.rows),
        "sources": _frequencies(row.get("source") for row in kept),
        "origins": _frequencies(row.get("origin") for row in kept),
        "licences": _frequencies(row.get("licence") for row in kept),
        "artists": len({artist for artist in artists if artist}),
        "artist_not_told": sum(not artist for artist in artists),
        "ai_generated": _frequencies(row.get("ai_generated") for row in kept),
        "missing": [row["id"] for row in kept if stems.isdisjoint(_stems(row))],
        "unlisted": len(stems - {stem for row in kept for stem in _stems(row)}),
    }


def _failures(table: Table) -> Iterator[Entry]:
    """The rows that failed, with their addresses; in the state of a crawl also how often and when they were tried."""
    for row in table.rows:
        if row["status"] == "failed" or row["reason"] == "too_large":
            yield {name: row[name] for name in FAILURE if row.get(name) is not None}


def _statuses(tables: Iterable[Table]) -> dict[str, Any]:
    """Totals of all manifests; nothing where there is none."""
    sound = [table for table in tables if table.error is None]
    return manifest.tally(row for table in sound for row in table.rows) if sound else {}


def lines(report: Mapping[str, Any]) -> list[str]:
    """The result of `inspect` as lines for a person.

    Each picture where there are few, else the unreadable ones; then manifests and totals.
    """
    images = report["images"]
    listed = images if len(images) <= LISTED else [image for image in images if "error" in image]
    more = [f"... and {len(listed) - LISTED} more unreadable files"] if len(listed) > LISTED else []
    summaries = chain.from_iterable(_manifest_lines(summary) for summary in report["manifests"])
    failures, totals = _failure_lines(report["failures"]), _total_lines(report["counts"], report["pictures"])
    all_lines = [*map(_line, listed[:LISTED]), *more, *summaries, *failures, *totals]
    return [printable(line) for line in all_lines]


def printable(text: str) -> str:
    """Text of others without what would move a cursor or cannot be encoded."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _line(image: Entry) -> str:
    if "error" in image:
        return str(image["error"])
    native = f"native {image['native_width']}x{image['native_height']}" if image["cell"] else "native size unknown"
    frames = f", {image['frames']} frames" if image["frames"] > 1 else ""
    alpha = ", transparency" if image["has_alpha"] else ""
    needed = f" (--max-cell {image['max_cell_needed']} would do)" if "max_cell_needed" in image else ""
    off = f", {image['off_grid']:.0%} of the cells off the grid" if "off_grid" in image else ""
    return (
        f"{image['path']}: {image['format']} {image['width']}x{image['height']}{frames}{alpha}, "
        f"{image['colors']} colours, cell {image['cell'] or 'unknown'}{needed}, {native}, "
        f"confidence {image['confidence']}{off}"
    )


def _manifest_lines(summary: Entry) -> Iterator[str]:
    if "error" in summary:
        yield summary["error"]
        return
    reasons = f" ({_listed(summary['reasons'])})" if summary["reasons"] else ""
    statuses = ", ".join(f"{summary[status]} {status}" for status in manifest.STATUSES)
    yield f"{Path(summary['path']).parent}: {summary['rows']} rows: {statuses}{reasons}"
    unnamed = f", of {summary['artist_not_told']} works {NOT_TOLD}" if summary["artist_not_told"] else ""
    yield f"  artists: {summary['artists']}{unnamed}"
    for name in ("sources", "origins", "licences", "ai_generated"):
        yield f"  {name}: {_listed(summary[name])}"
    if summary["missing"]:
        yield f"  missing: {len(summary['missing'])} pictures of kept rows, first {summary['missing'][0]}"
    if summary["unlisted"]:
        yield f"  unlisted: {summary['unlisted']} pictures that no kept row names"


def _failure_lines(failures: Sequence[Entry]) -> Iterator[str]:
    for failure in failures[:LISTED]:
        address = failure.get("image_url") or failure.get("page_url") or failure["id"]
        tries = f" (tries {failure['tries']}, last {failure['tried_at']})" if "tried_at" in failure else ""
        yield f"{failure['reason']}: {address}{tries}"
    if len(failures) > LISTED:
        yield f"... and {len(failures) - LISTED} more failures; --json lists all"


def _total_lines(counts: Mapping[str, int], facts: Mapping[str, Any]) -> Iterator[str]:
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in ("native", "enlarged", "unknown", "unreadable"))
    yield f"{counts['files']} pictures: {kinds}"
    if facts["size"]:
        colours = facts["colors"]
        yield f"  formats: {_listed(facts['formats'])}; {facts['has_alpha']} with transparency"
        yield f"  frames: {facts['frames']}; {facts['animated']} pictures are animated"
        yield f"  colours: {colours['min']} to {colours['max']}, median {colours['median']}"
        yield f"  size: {_size_line(facts['size'])}"
    if facts["native_size"]:
        yield f"  native size: {_size_line(facts['native_size'])}"


def _size_line(sizes: Mapping[str, Any]) -> str:
    least, middle, most = (f"{sizes['width'][key]}x{sizes['height'][key]}" for key in ("min", "median", "max"))
    often = ", ".join(f"{size['width']}x{size['height']} ({size['images']})" for size in sizes["frequent"])
    return f"{least} to {most}, median {middle}; most frequent {often}"


def _listed(counts: Mapping[str, int]) -> str:
    named = [f"{name[:TEXT]} {count}" for name, count in list(counts.items())[:NAMED]]
    return ", ".join(named + ([f"{len(counts) - NAMED} more"] if len(counts) > NAMED else [])) or "none"
