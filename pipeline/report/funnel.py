"""What became of every input, read back from the manifests: counts, reasons, whether the books balance, examples."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.report.thumbnails import Thumbnail, thumbnail
from pipeline.runtime import manifest
from pipeline.runtime.manifest import Row
from pipeline.runtime.spacing import evenly_spaced

Inputs = dict[str, tuple[Path, Row]]  # id -> folder of the earlier stage, kept row

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
    reasons: Mapping[str, int]
    balanced: bool


def read(folder: Path) -> list[Row]:
    """All rows of a stage's manifest; none where the stage has not run."""
    return manifest.read(folder) if (folder / "manifest.jsonl").is_file() else []


def read_kept(folder: Path) -> list[Row]:
    """The kept rows of a stage's manifest; none where the stage has not run."""
    return [row for row in read(folder) if row["status"] == "kept"]


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
    inputs = {row["id"] for source in stage.sources for row in read_kept(source)}
    accounted = {row["id"] if row["id"] in inputs else row.get("parent") or row["id"] for row in rows}
    balanced = accounted == inputs if stage.sources else _recorded_inputs(stage) == len(accounted)
    return Counts(stage.name, len(inputs or accounted), balanced=balanced, **manifest.tally(rows))


def _recorded_inputs(stage: Stage) -> int:
    """Number of inputs that a stage without an earlier one has written down; -1 where it has not."""
    path = stage.folder / "stats.json"
    return int(json.loads(path.read_text(encoding="utf-8"))["inputs"]) if path.is_file() else -1


def changed_examples(stage: Stage) -> list[tuple[Thumbnail, Thumbnail]]:
    """Pictures before and after a stage, of those that it changed."""
    inputs = _inputs(stage)
    rows = evenly_spaced(manifest.read_kept(stage.folder), SEARCHED)
    pictures = ((source_picture(inputs, row), picture(stage.folder, row), row) for row in rows)
    changed = ((before, after, row) for before, after, row in pictures if before and after and _differ(before, after))
    return [
        (
            thumbnail(before, f"{row['id']} before {stage.name}"),
            thumbnail(after, f"{row['id']} after {stage.name}", f"{credit(row)}; {_size(before)} → {_size(after)}"),
        )
        for before, after, row in islice(changed, EXAMPLES)
    ]


def kept_examples(stage: Stage) -> list[Thumbnail]:
    """Pictures of a stage that has no earlier one."""
    rows = evenly_spaced(manifest.read_kept(stage.folder), EXAMPLES)
    pictures = [(picture(stage.folder, row), row) for row in rows]
    return [thumbnail(path, f"kept by {stage.name}", credit(row)) for path, row in pictures if path is not None]


def removed_examples(stage: Stage) -> list[tuple[Thumbnail, Thumbnail | None]]:
    """Readable pictures that a stage did not keep, captioned with the reason, spread over the reasons.

    Beside a duplicate stands the work that was kept in its favour.
    """
    by_reason: dict[str, list[Row]] = defaultdict(list)
    for row in manifest.read(stage.folder):
        if row["status"] != "kept":
            by_reason[row["reason"]].append(row)
    turns = zip_longest(*(by_reason[reason] for reason in sorted(by_reason)))
    return list(islice(_removed(stage, filter(None, chain.from_iterable(turns))), EXAMPLES))


def _removed(stage: Stage, rows: Iterable[Row]) -> Iterator[tuple[Thumbnail, Thumbnail | None]]:
    inputs = _inputs(stage)
    for row in rows:
        path = source_picture(inputs, row) or picture(stage.folder, row)
        if path is not None:
            with suppress(BadInput):  # a broken file has nothing to show; its reason is counted in the funnel
                yield thumbnail(path, f"{row['id']}: {row['reason']}", row["reason"]), _favoured(stage, row)


def _favoured(stage: Stage, row: Row) -> Thumbnail | None:
    favoured = row.get("in_favour_of")
    path = picture(stage.folder, {"id": favoured}) if favoured else None
    return thumbnail(path, f"{favoured}, kept in favour of {row['id']}") if path is not None else None


def _inputs(stage: Stage) -> Inputs:
    return {row["id"]: (folder, row) for folder in stage.sources for row in read_kept(folder)}


def source_picture(inputs: Inputs, row: Row) -> Path | None:
    """The file from which a stage made a row: the input with its id, else with its parent's."""
    for key in (row["id"], row.get("parent")):
        if key in inputs and (path := picture(*inputs[key])) is not None:
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
