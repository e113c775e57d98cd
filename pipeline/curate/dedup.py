"""Decode every work once and drop duplicates: exact ones by canonical pixels, lossy copies by sight.

Of duplicates the one kept is, in this order: stored losslessly, least enlarged, with the largest canonical picture,
with the smallest id. Edited versions, recolours and mirror images are alternates: they stay, as one `family`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import groups, manifest, pictures, pixels, similarity
from pipeline.errors import BadInput
from pipeline.executor import parallel_map
from pipeline.io import Pixels, output_dir, read_rgba, write_atomic, write_png
from pipeline.manifest import Row
from pipeline.params import Dedup, Executor

MIN_SIDE = 4  # canonical pictures with a shorter side are too simple to identify a work
MAX_EDITED = 2  # pixels in which two lossless versions of one size may differ and still be one work ...
MAX_SHIFT = 16  # ... or the most, of 255, that all their colours may be shifted
DETAIL_SIDE = 96  # pixels at which a lossy copy is compared with its original
MAX_DETAIL = 56  # of 255, luma: JPEG 75 leaves at most 46, another facial expression at least 67


@dataclass(frozen=True)
class Work:
    """A decoded work and what it is compared by."""

    row: Row
    key: str
    kin: str | None  # None: too simple to be compared with anything but its exact pixels
    factor: int
    area: int
    blank: bool
    lossless: bool
    look: similarity.Look

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def preference(self) -> tuple[bool, int, int, str]:
        return not self.lossless, self.factor, -self.area, self.id


@dataclass(frozen=True)
class Verdict:
    """One line of decisions.jsonl: `dropped` went in favour of `kept`, or (tier alternate) both were kept."""

    kept: str
    dropped: str | None
    in_favour_of: str
    tier: str
    distance: float


def run(srcs: Sequence[Path], dst: Path, params: Dedup, executor: Executor) -> dict[str, Any]:
    """Kept works of all raw folders -> one RGBA PNG per distinct work, manifest, stats and decisions.jsonl.

    Reasons: unreadable, blank, duplicate, near_duplicate.
    """
    sources = [(row, path) for src in srcs for row, path in _files_of(src)]
    _require_distinct_ids([str(row["id"]) for row, _ in sources])
    with output_dir(dst) as out:
        (out / "images").mkdir()
        decoded = parallel_map(partial(_decode, images=out / "images"), sources, executor)
        rows = [item for item in decoded if not isinstance(item, Work)]
        works = sorted((item for item in decoded if isinstance(item, Work)), key=lambda work: work.preference)
        rows += [manifest.dropped(work.row, "blank") for work in works if work.blank]
        kept, verdicts = _deduplicate([work for work in works if not work.blank], params, out / "images")
        rows += _rows(works, kept, verdicts)
        _remove_unkept(out / "images", rows)
        lines = sorted(json.dumps(vars(verdict), sort_keys=True) + "\n" for verdict in verdicts)
        write_atomic(out / "decisions.jsonl", "".join(lines).encode())
        families = len({row["family"] for row in rows if row.get("family")})
        return manifest.write(out, rows, inputs=[str(row["id"]) for row, _ in sources], families=families)


def _files_of(src: Path) -> list[tuple[Row, Path]]:
    files = {path.stem: path for path in sorted((src / "images").glob("*"))}
    rows = manifest.read_kept(src)
    if missing := [row["id"] for row in rows if row["sha256"] not in files]:
        raise BadInput(f"{src}: no image file for {len(missing)} kept works, first {missing[0]}")
    return [(row, files[row["sha256"]]) for row in rows]


def _require_distinct_ids(ids: list[str]) -> None:
    if twice := [one for one, other in pairwise(sorted(ids)) if one == other]:
        raise BadInput(f"two works with id {twice[0]}: ids must differ between the raw folders")


def _decode(source: tuple[Row, Path], images: Path) -> Work | Row:
    row, path = source
    try:
        facts, rgba = pictures.describe(path), read_rgba(path)
    except BadInput:
        return manifest.failed(row, "unreadable")
    write_png(images / f"{row['id']}.png", rgba)
    core, factor = pixels.canonical(rgba)
    telling = min(core.shape[:2]) >= MIN_SIDE
    facts_kept = {"frames": facts.frames, "frame": 0, "width": facts.width, "height": facts.height}
    return Work(
        row={**row, **facts_kept},
        key=pixels.digest(core if telling else rgba),
        kin=pixels.kinship(core) if telling else None,
        factor=factor,
        area=core.shape[0] * core.shape[1],
        blank=core.shape[:2] == (1, 1),
        lossless=facts.lossless,
        look=similarity.look(rgba),
    )


def _deduplicate(works: list[Work], params: Dedup, images: Path) -> tuple[list[list[Work]], list[Verdict]]:
    """Families of the works that stay, and every decision; `works` in order of preference."""
    verdicts = _exact_duplicates(works)
    gone = {verdict.dropped for verdict in verdicts}
    distinct = [work for work in works if work.id not in gone]
    near = _near_duplicates([work for work in distinct if work.kin is not None], params, images)
    verdicts += near
    gone = {verdict.dropped for verdict in near}
    kept = [work for work in distinct if work.id not in gone]
    by_id = {work.id: work for work in kept}
    links = [(v.kept, v.in_favour_of) for v in near if v.dropped is None and {v.kept, v.in_favour_of} <= by_id.keys()]
    families = groups.components(by_id, [*links, *_kin_links(kept)])
    return [[by_id[member] for member in family] for family in families], verdicts


def _exact_duplicates(works: list[Work]) -> list[Verdict]:
    best: dict[str, Work] = {}
    verdicts = []
    for work in works:
        first = best.setdefault(work.key, work)
        if first is not work:
            verdicts.append(Verdict(first.id, work.id, first.id, "exact", 0.0))
    return verdicts


def _near_duplicates(works: list[Work], params: Dedup, images: Path) -> list[Verdict]:
    """Keep-first in order of preference: what was dropped drops nothing, so chains cannot swallow their ends."""
    gone: set[str] = set()
    verdicts = []
    for one, other in similarity.candidates([work.look for work in works], params.max_distance):
        first, second = works[one], works[other]
        distance = similarity.difference(first.look, second.look)
        if distance > params.max_difference or {first.id, second.id} & gone:
            continue
        if _is_copy(first, second, images):
            gone.add(second.id)
            verdicts.append(Verdict(first.id, second.id, first.id, "near", round(distance, 3)))
        else:
            verdicts.append(Verdict(second.id, None, first.id, "alternate", round(distance, 3)))
    return verdicts


def _is_copy(first: Work, second: Work, images: Path) -> bool:
    """Lossless pictures of one canonical size must agree in nearly every pixel, others at the size of the smaller."""
    one, other = (read_rgba(images / f"{work.id}.png") for work in (first, second))
    if first.lossless and second.lossless and first.look.opaque == second.look.opaque:
        core, other_core = pixels.canonical(one)[0], pixels.canonical(other)[0]
        if core.shape == other_core.shape:
            return _nearly_equal(core, other_core)
    return min(_largest_detail(one, other, level) for level in similarity.GROUNDS) <= MAX_DETAIL


def _nearly_equal(one: Pixels, other: Pixels) -> bool:
    shift = np.abs(one.astype(np.int16) - other).max(axis=2)
    return bool((shift > 0).sum() <= MAX_EDITED or shift.max() <= MAX_SHIFT)


def _largest_detail(one: Pixels, other: Pixels, level: int) -> float:
    """Largest difference of luma anywhere, at the smaller of the two sizes, on a grey ground."""
    height, width = (min(one.shape[axis], other.shape[axis], DETAIL_SIDE) for axis in (0, 1))
    planes = [_luma(similarity.on_ground(rgba, level)) for rgba in (one, other)]
    means = [similarity.box(plane, height, width) for plane in planes]
    return float(np.abs(means[0] - means[1]).max())


def _luma(image: Image.Image) -> Pixels:
    """(H, W, 1)."""
    return np.asarray(image.convert("L"))[..., None]


def _kin_links(works: list[Work]) -> list[tuple[str, str]]:
    relatives = sorted((work.kin, work.id) for work in works if work.kin is not None)
    clans = [[member for _, member in clan] for _, clan in groupby(relatives, key=lambda pair: pair[0])]
    return [link for clan in clans for link in pairwise(clan)]


def _rows(works: list[Work], families: list[list[Work]], verdicts: list[Verdict]) -> list[Row]:
    by_id = {work.id: work for work in works}
    rows = []
    for family in families:
        name = min(work.id for work in family) if len(family) > 1 else None
        rows += [manifest.kept(work.row, **_facts(work), family=name) for work in family]
    for verdict in verdicts:
        if verdict.dropped is not None:
            reason = "duplicate" if verdict.tier == "exact" else "near_duplicate"
            rows.append(manifest.dropped(by_id[verdict.dropped].row, reason, in_favour_of=verdict.in_favour_of))
    return rows


def _facts(work: Work) -> dict[str, Any]:
    return {key: work.row[key] for key in ("frames", "frame", "width", "height")}


def _remove_unkept(images: Path, rows: list[Row]) -> None:
    kept = {f"{row['id']}.png" for row in rows if row["status"] == "kept"}
    for path in sorted(images.iterdir()):
        if path.name not in kept:
            path.unlink()
