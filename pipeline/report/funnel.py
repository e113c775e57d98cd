"""What became of every input, read back from the manifests: counts, reasons, whether the books balance, examples."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.report.thumbnails import Thumbnail, thumbnail
from pipeline.runtime import manifest
from pipeline.runtime.manifest import Row

Given = dict[Path, dict[str, Row]]  # folder -> id -> kept row

CURATED = ("dedup", "flatten", "grid", "resize")
UNFINISHED = (".partial", ".replaced")
EXAMPLES = 6  # a stage, of what was kept and of what was dropped
SEARCHED = 60  # kept rows looked at for a visible change


@dataclass(frozen=True)
class Stage:
    """A stage's output folder and the folders whose kept rows it was given."""

    name: str
    folder: Path
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Counts:
    """One line of the funnel. `balanced`: every row kept by the sources is accounted for here, and nothing else."""

    name: str
    inputs: int
    kept: int
    dropped: int
    failed: int
    reasons: tuple[tuple[str, int], ...]
    balanced: bool


def stages(data: Path) -> list[Stage]:
    """The stages that have run, in the order of the data."""
    raw = sorted(path for path in (data / "raw").glob("*") if path.suffix not in UNFINISHED)
    folders = [*raw, data / "import_art"]
    origins = tuple(folder for folder in folders if (folder / "manifest.jsonl").is_file())
    found = [Stage(_origin_name(path), path) for path in origins]
    previous = origins
    for name in CURATED:
        found.append(Stage(name, data / name, previous))
        previous = (data / name,)
    found.append(Stage("faces", data / "faces"))
    found.append(Stage("split", data / "split", (data / "resize", data / "faces")))
    return [stage for stage in found if (stage.folder / "manifest.jsonl").is_file()]


def _origin_name(folder: Path) -> str:
    return "import_art" if folder.name in ("inputs", "import_art") else f"scrape {folder.name}"


def count(stage: Stage) -> Counts:
    """Counts of a stage's manifest, checked against those of its sources."""
    rows = manifest.read(stage.folder)
    tally = manifest.tally(rows)
    given = {row["id"] for source in stage.sources if source.is_dir() for row in manifest.read_kept(source)}
    accounted = {row["id"] if row["id"] in given else row.get("parent") or row["id"] for row in rows}
    return Counts(
        stage.name, len(given or accounted), tally["kept"], tally["dropped"], tally["failed"],
        tuple(tally["reasons"].items()), accounted == given if stage.sources else _declared(stage) == len(accounted),
    )  # fmt: skip


def changed_examples(stage: Stage) -> list[tuple[Thumbnail, Thumbnail]]:
    """Pictures before and after a stage, of those that it changed."""
    rows = _spaced(manifest.read_kept(stage.folder), SEARCHED)
    given = _given(stage)
    found = [(source_picture(given, row), picture(stage.folder, row), row) for row in rows]
    pairs = [(before, after, row) for before, after, row in found if before is not None and after is not None]
    changed = (pair for pair in pairs if _differ(pair[0], pair[1]))
    return [_pair(stage, *pair) for pair in itertools.islice(changed, EXAMPLES)]


def kept_examples(stage: Stage) -> list[Thumbnail]:
    """Pictures of a stage that has no earlier one."""
    rows = _spaced(manifest.read_kept(stage.folder), EXAMPLES)
    found = [(picture(stage.folder, row), row) for row in rows]
    return [thumbnail(path, f"kept by {stage.name}", credit(row)) for path, row in found if path is not None]


def removed_examples(stage: Stage) -> list[tuple[Thumbnail, Thumbnail | None]]:
    """Readable pictures that a stage did not keep, captioned with the reason, spread over the reasons.

    Beside a duplicate stands the work that was kept in its favour.
    """
    rows = [row for row in manifest.read(stage.folder) if row["status"] != "kept"]
    return list(itertools.islice(_removed(stage, rows), EXAMPLES))


def source_picture(given: Given, row: Row) -> Path | None:
    """What a stage was given for a row: the picture with its id, else with its parent's."""
    for folder, rows in given.items():
        for key in (row["id"], row.get("parent")):
            if key in rows and (path := picture(folder, rows[key])) is not None:
                return path
    return None


def picture(folder: Path, row: Row) -> Path | None:
    """The file of a row in a stage's folder: by id, or by digest as it was served."""
    by_id = folder / "images" / f"{row['id']}.png"
    if by_id.is_file():
        return by_id
    served = sorted((folder / "images").glob(f"{row['sha256']}.*")) if row.get("sha256") else []
    return served[0] if served else None


def credit(row: Row) -> str:
    """Title, artist and licence, as far as known."""
    title = row.get("title") or row["id"]
    artist = f" by {row['artist']}" if row.get("artist") else ""
    licence = f" ({row['licence']})" if row.get("licence") else ""
    return f"{title}{artist}{licence}"


def _pair(stage: Stage, before: Path, after: Path, row: Row) -> tuple[Thumbnail, Thumbnail]:
    return (
        thumbnail(before, f"{row['id']} before {stage.name}"),
        thumbnail(after, f"{row['id']} after {stage.name}", f"{credit(row)}; {_size(before)} → {_size(after)}"),
    )


def _size(path: Path) -> str:
    height, width = files.read_rgba(path).shape[:2]
    return f"{width}x{height}"


def _removed(stage: Stage, rows: Sequence[Row]) -> Iterator[tuple[Thumbnail, Thumbnail | None]]:
    given = _given(stage)
    for row in _interleaved(rows):
        path = source_picture(given, row) or picture(stage.folder, row)
        if path is not None:
            with suppress(BadInput):  # a broken file has nothing to show; its reason is counted in the funnel
                yield thumbnail(path, f"{row['id']}: {row['reason']}", row["reason"]), _favoured(stage, row)


def _favoured(stage: Stage, row: Row) -> Thumbnail | None:
    other = row.get("in_favour_of")
    path = picture(stage.folder, {"id": other}) if other else None
    return thumbnail(path, f"{other}, kept in favour of {row['id']}") if path is not None else None


def _interleaved(rows: Sequence[Row]) -> list[Row]:
    """The first row of every reason, then the second of every reason, and so on."""
    seen: Counter[str] = Counter()
    ranked = []
    for row in rows:
        ranked.append((seen[row["reason"]], row["reason"], row["id"], row))
        seen[row["reason"]] += 1
    return [row for *_, row in sorted(ranked, key=lambda entry: entry[:3])]


def _spaced(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` rows, evenly spaced."""
    wanted = min(count, len(rows))
    return [rows[index * len(rows) // wanted] for index in range(wanted)]


def _differ(before: Path, after: Path) -> bool:
    first, second = files.read_rgba(before), files.read_rgba(after)
    return first.shape != second.shape or bool((first != second).any())


def _given(stage: Stage) -> Given:
    return {folder: {row["id"]: row for row in manifest.read_kept(folder)} for folder in stage.sources}


def _declared(stage: Stage) -> int:
    """Number of inputs that a stage without an earlier one says it was given."""
    path = stage.folder / "stats.json"
    return int(json.loads(path.read_text(encoding="utf-8"))["inputs"]) if path.is_file() else -1
