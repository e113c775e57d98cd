"""Decode every work once and drop duplicates: exact ones by canonical pixels, lossy copies by sight.

Of duplicates the one kept is, in this order: stored losslessly, with the fewest colours (by powers of two), least
enlarged, with the largest canonical picture, with the smallest id. Edited versions, recolours and mirror images are
alternates: they stay, as one `family`; so do pictures that differ in nothing but their place on one canvas. What was
decided is written to decisions.jsonl, the closest decisions are drawn in closest.png, and what a person overrules
stands in the file of overrides.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline import duplicates, manifest, overrides, pair_sheet, pictures, pixels, similarity
from pipeline.duplicates import Decisions, Verdict, Work
from pipeline.errors import BadInput
from pipeline.executor import parallel_map
from pipeline.io import Pixels, output_dir, read_rgba, write_atomic, write_png
from pipeline.manifest import Row
from pipeline.params import Dedup, Executor

logger = logging.getLogger(__name__)

MIN_SIDE = 4  # canonical pictures with a shorter side are too simple to be compared by sight, ...
MIN_AREA, MIN_COLOURS = 16, 3  # ... with fewer pixels and fewer colours to be told from one another when enlarged
BATCH = 4000  # works whose looks are in transit at a time
REASONS = {"override": "duplicate", "exact": "duplicate", "near": "near_duplicate"}  # by tier
SHOWN = 48  # pairs on the sheet of the closest decisions

Facts = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What comparison needs of one picture; says nothing of the work or the file it came from."""

    key: str
    kin: str | None
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]
    area: int
    colour_bits: int
    blank: bool
    look: similarity.Look


@dataclass(frozen=True)
class Examined:
    """A file that could be decoded: its facts as a row tells them, and its picture as seen."""

    facts: Facts
    lossless: bool
    seen: Seen


@dataclass(frozen=True)
class Gallery:
    """All that was read: a work per picture worth comparing, rows for the others, facts by id."""

    sources: dict[str, Row]
    facts: dict[str, Facts]
    works: list[Work]
    looks: similarity.Looks
    rows: list[Row]


def run(srcs: Sequence[Path], dst: Path, params: Dedup, executor: Executor) -> dict[str, Any]:
    """Kept works of all raw folders -> one RGBA PNG per distinct work, manifest, stats, decisions and their sheet.

    Reasons: unreadable, blank, duplicate, near_duplicate.

    Raises:
        BadInput: one id in two folders, an image file that is gone, or an override that is none.
    """
    ruled = overrides.load(Path(params.overrides))
    sources = [(row, path) for src in srcs for row, path in _files_of(src)]
    _require_distinct_ids([str(row["id"]) for row, _ in sources])
    with output_dir(dst) as out:
        images = out / "images"
        images.mkdir()
        gallery = _gallery(sources, images, executor)
        decided = duplicates.decide(gallery.works, gallery.looks, ruled, images, params, executor)
        rows = [*gallery.rows, *_rows(gallery, decided)]
        _write_decisions(out, decided.verdicts)
        _remove_unkept(images, rows)
        unknown = duplicates.unknown(ruled, gallery.sources)
        if unknown:
            logger.warning("%s: %d ids are not there, first %s", params.overrides, len(unknown), unknown[0])
        families = len({row["family"] for row in rows if row.get("family")})
        counts = {"families": families, "overrides": len(ruled), "overrides_unknown": len(unknown)}
        return manifest.write(out, rows, inputs=gallery.sources, **counts)


def _files_of(src: Path) -> list[tuple[Row, Path]]:
    files = {path.stem: path for path in sorted((src / "images").glob("*"))}
    rows = manifest.read_kept(src)
    if missing := [row["id"] for row in rows if row["sha256"] not in files]:
        raise BadInput(f"{src}: no image file for {len(missing)} kept works, first {missing[0]}")
    return [(row, files[row["sha256"]]) for row in rows]


def _require_distinct_ids(ids: list[str]) -> None:
    if twice := [one for one, other in pairwise(sorted(ids)) if one == other]:
        raise BadInput(f"two works with id {twice[0]}: ids must differ between the raw folders")


def _gallery(sources: list[tuple[Row, Path]], images: Path, executor: Executor) -> Gallery:
    """Decode all; looks go straight into arrays, so that memory hardly grows with the number of works."""
    gallery = Gallery({str(row["id"]): row for row, _ in sources}, {}, [], similarity.Looks(len(sources)), [])
    work = partial(_examine, images=images)
    for start in range(0, len(sources), BATCH):
        batch = sources[start : start + BATCH]
        for number, ((row, _), found) in enumerate(zip(batch, parallel_map(work, batch, executor), strict=True), start):
            _enter(gallery, row, found, number)
    return gallery


def _enter(gallery: Gallery, row: Row, found: Examined | None, index: int) -> None:
    if found is None:
        gallery.rows.append(manifest.failed(row, "unreadable"))
    elif found.seen.blank:
        gallery.rows.append(manifest.dropped(row, "blank"))
    else:
        seen, id = found.seen, str(row["id"])
        gallery.facts[id] = found.facts
        gallery.looks[index] = seen.look
        gallery.works.append(_work(id, index, seen, found.lossless))


def _work(id: str, index: int, seen: Seen, lossless: bool) -> Work:
    shape = {"factor": seen.factor, "area": seen.area, "colour_bits": seen.colour_bits}
    return Work(id, index, seen.key, seen.kin, canvas=seen.canvas, place=seen.place, lossless=lossless, **shape)


def _examine(source: tuple[Row, Path], images: Path) -> Examined | None:
    """Decode a file and write its picture as images/<id>.png; None if it is unreadable."""
    row, path = source
    try:
        facts, rgba = pictures.describe(path), read_rgba(path)
    except BadInput:
        return None
    write_png(images / f"{row['id']}.png", rgba)
    told = {"frames": facts.frames, "frame": 0, "width": facts.width, "height": facts.height}
    return Examined(told, facts.lossless, see(rgba))


def see(rgba: Pixels) -> Seen:
    """What a picture is compared by: uint8 (H, W, 4), colours under alpha 0 zeroed."""
    placed = pixels.canonical_place(rgba)
    core = placed.core
    area, colours = core.shape[0] * core.shape[1], pixels.colour_count(core)
    return Seen(
        key=pixels.digest(core if area >= MIN_AREA or colours >= MIN_COLOURS else rgba),
        kin=pixels.kinship(core) if min(core.shape[:2]) >= MIN_SIDE else None,
        factor=placed.factor,
        canvas=placed.canvas,
        place=placed.place,
        area=area,
        colour_bits=colours.bit_length(),
        blank=core.shape[:2] == (1, 1),
        look=similarity.look(rgba),
    )


def _rows(gallery: Gallery, decided: Decisions) -> Iterator[Row]:
    for family in decided.families:
        name = min(work.id for work in family) if len(family) > 1 else None
        for work in family:
            yield manifest.kept(gallery.sources[work.id], **gallery.facts[work.id], family=name)
    for verdict in decided.verdicts:
        if verdict.dropped is not None:
            source, reason = gallery.sources[verdict.dropped], REASONS[verdict.tier]
            yield manifest.dropped(source, reason, in_favour_of=verdict.in_favour_of)


def _write_decisions(out: Path, verdicts: list[Verdict]) -> None:
    lines = sorted(json.dumps(vars(verdict), sort_keys=True) + "\n" for verdict in verdicts)
    write_atomic(out / "decisions.jsonl", "".join(lines).encode())
    if close := sorted((verdict for verdict in verdicts if verdict.tier in ("near", "alternate")), key=_closeness):
        shown = close[:SHOWN]
        title = f"The closest {len(shown)} of {len(close)} decisions by sight; overrule them in the file of overrides"
        pair_sheet.write(out / "closest.png", [_shown(out / "images", verdict) for verdict in shown], title)


def _closeness(verdict: Verdict) -> tuple[bool, float, str, str]:
    """Drops first, the least alike ahead; then works that both stayed, the most alike ahead."""
    distance = verdict.distance or 0.0
    drop = verdict.dropped is not None
    return not drop, -distance if drop else distance, verdict.in_favour_of, verdict.dropped or verdict.kept


def _shown(images: Path, verdict: Verdict) -> pair_sheet.Shown:
    other = verdict.dropped or verdict.kept
    said = "right one dropped" if verdict.dropped else "both kept"
    caption = f"{verdict.tier}  {verdict.distance}  {said}"
    return pair_sheet.Shown(images / f"{verdict.in_favour_of}.png", images / f"{other}.png", caption)


def _remove_unkept(images: Path, rows: list[Row]) -> None:
    kept = {f"{row['id']}.png" for row in rows if row["status"] == "kept"}
    for path in sorted(images.iterdir()):
        if path.name not in kept:
            path.unlink()
