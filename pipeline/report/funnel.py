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

Inputs = dict[Path, dict[str, Row]]  # folder of an earlier stage -> id -> kept row

CURATED = ("dedup", "flatten", "grid", "resize")
UNFINISHED = (".partial", ".replaced")
EXAMPLES = 6  # a stage, of what was kept and of what was dropped
SEARCHED = 60  # kept rows searched for a visible change


@dataclass(frozen=True)
class Stage:
    """A stage's output folder and the folders whose kept rows are its inputs."""

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
    sources = tuple(folder for folder in raw if (folder / "manifest.jsonl").is_file())
    listed = [Stage("import_art" if path.name == "inputs" else f"scrape {path.name}", path) for path in sources]
    for name in CURATED:
        listed.append(Stage(name, data / name, sources))
        sources = (data / name,)
    listed.append(Stage("faces", data / "faces"))
    listed.append(Stage("split", data / "split", (data / "resize", data / "faces")))
    return [stage for stage in listed if (stage.folder / "manifest.jsonl").is_file()]


def count(stage: Stage) -> Counts:
    """Counts of a stage's manifest, checked against those of its sources."""
    rows = manifest.read(stage.folder)
    tally = manifest.tally(rows)
    inputs = {row["id"] for source in stage.sources if source.is_dir() for row in manifest.read_kept(source)}
    accounted = {row["id"] if row["id"] in inputs else row.get("parent") or row["id"] for row in rows}
    return Counts(
        stage.name, len(inputs or accounted), tally["kept"], tally["dropped"], tally["failed"],
        tuple(tally["reasons"].items()),
        accounted == inputs if stage.sources else _recorded_inputs(stage) == len(accounted),
    )  # fmt: skip


def _recorded_inputs(stage: Stage) -> int:
    """Number of inputs that a stage without an earlier one has written down; -1 where it has not."""
    path = stage.folder / "stats.json"
    return int(json.loads(path.read_text(encoding="utf-8"))["inputs"]) if path.is_file() else -1


def changed_examples(stage: Stage) -> list[tuple[Thumbnail, Thumbnail]]:
    """Pictures before and after a stage, of those that it changed."""
    inputs = _inputs(stage)
    rows = _evenly_spaced(manifest.read_kept(stage.folder), SEARCHED)
    pictures = ((source_picture(inputs, row), picture(stage.folder, row), row) for row in rows)
    changed = ((before, after, row) for before, after, row in pictures if before and after and _differ(before, after))
    return [
        (
            thumbnail(before, f"{row['id']} before {stage.name}"),
            thumbnail(after, f"{row['id']} after {stage.name}", f"{credit(row)}; {_size(before)} → {_size(after)}"),
        )
        for before, after, row in itertools.islice(changed, EXAMPLES)
    ]


def kept_examples(stage: Stage) -> list[Thumbnail]:
    """Pictures of a stage that has no earlier one."""
    rows = _evenly_spaced(manifest.read_kept(stage.folder), EXAMPLES)
    pictures = [(picture(stage.folder, row), row) for row in rows]
    return [thumbnail(path, f"kept by {stage.name}", credit(row)) for path, row in pictures if path is not None]


def removed_examples(stage: Stage) -> list[tuple[Thumbnail, Thumbnail | None]]:
    """Readable pictures that a stage did not keep, captioned with the reason, spread over the reasons.

    Beside a duplicate stands the work that was kept in its favour.
    """
    rows = [row for row in manifest.read(stage.folder) if row["status"] != "kept"]
    return list(itertools.islice(_removed(stage, rows), EXAMPLES))


def _removed(stage: Stage, rows: Sequence[Row]) -> Iterator[tuple[Thumbnail, Thumbnail | None]]:
    inputs = _inputs(stage)
    for row in _interleave(rows):
        path = source_picture(inputs, row) or picture(stage.folder, row)
        if path is not None:
            with suppress(BadInput):  # a broken file has nothing to show; its reason is counted in the funnel
                yield thumbnail(path, f"{row['id']}: {row['reason']}", row["reason"]), _favoured(stage, row)


def _favoured(stage: Stage, row: Row) -> Thumbnail | None:
    favoured = row.get("in_favour_of")
    path = picture(stage.folder, {"id": favoured}) if favoured else None
    return thumbnail(path, f"{favoured}, kept in favour of {row['id']}") if path is not None else None


def _interleave(rows: Sequence[Row]) -> list[Row]:
    """The first row of every reason, then the second of every reason, and so on."""
    ranks: Counter[str] = Counter()
    ranked = []
    for row in rows:
        ranked.append((ranks[row["reason"]], row["reason"], row["id"], row))
        ranks[row["reason"]] += 1
    return [row for *_, row in sorted(ranked, key=lambda entry: entry[:3])]


def _inputs(stage: Stage) -> Inputs:
    return {folder: {row["id"]: row for row in manifest.read_kept(folder)} for folder in stage.sources}


def source_picture(inputs: Inputs, row: Row) -> Path | None:
    """The file from which a stage made a row: the input with its id, else with its parent's."""
    for folder, rows in inputs.items():
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
    """Title, artist and licence of a work, as far as they are recorded."""
    title = row.get("title") or row["id"]
    artist = f" by {row['artist']}" if row.get("artist") else ""
    licence = f" ({row['licence']})" if row.get("licence") else ""
    return f"{title}{artist}{licence}"


def _size(path: Path) -> str:
    height, width = files.read_rgba(path).shape[:2]
    return f"{width}x{height}"


def _differ(before: Path, after: Path) -> bool:
    first, second = files.read_rgba(before), files.read_rgba(after)
    return first.shape != second.shape or bool((first != second).any())


def _evenly_spaced(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` of the rows, the first among them."""
    number = min(count, len(rows))
    return [rows[index * len(rows) // number] for index in range(number)]
