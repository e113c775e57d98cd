"""Decode every work once and drop duplicates: exact ones by canonical pixels, lossy copies by sight.

Of duplicates the one kept is, in this order: stored losslessly, with the fewest colours (by powers of two), least
enlarged, with the largest canonical picture, with the smallest id. Edited versions, recolours and mirror images are
alternates: they stay, as one `family`; so do pictures that differ in nothing but their place on one canvas. What was
decided is written to decisions.jsonl, the closest decisions are drawn in closest.png, and what a person overrules
stands in the file of overrides. Frames of an animation are works of their own, `<id>-f003` with their `parent`.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.curate.dedup import decide, overrides
from pipeline.curate.dedup.decide import Decisions, Verdict
from pipeline.curate.dedup.examine import Examined, Frames, Picture, examine, examined
from pipeline.curate.dedup.params import Dedup
from pipeline.curate.dedup.table import Work, Works
from pipeline.errors import BadInput
from pipeline.images import sheet
from pipeline.images.folders import EXTENSIONS
from pipeline.runtime import cache, manifest
from pipeline.runtime.cached_map import Item, cached_map
from pipeline.runtime.files import output_dir, write_atomic
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import write_new
from pipeline.runtime.scratch import Lines
from pipeline.runtime.settings import Executor
from pipeline.similarity.fingerprints import Looks

logger = logging.getLogger(__name__)

REASONS = {"override": "duplicate", "exact": "duplicate", "near": "near_duplicate"}  # by tier
SUFFIX = len("-f000000")  # of the id of a frame; a longer one costs a move to larger arrays
SHOWN = 48  # pairs on the sheet of the closest decisions

Source = tuple[Row, Path]  # a kept work of a raw folder, and its image file


@dataclass(frozen=True, slots=True)
class Told:
    """What the manifest will tell of a decoded file; `frames` are the indices looked at, `blank` some of them."""

    reason: str | None
    count: int = 0  # frames of the file
    width: int = 0
    height: int = 0
    frames: Sequence[int] = ()
    blank: Sequence[int] = ()


class Gallery:
    """All that was read: a work per picture worth comparing in arrays; in an unnamed file what is told of each file.

    Args:
        folder: on whose disk that is which is not held in memory.
    """

    def __init__(self, expected: int, longest: int, folder: Path) -> None:
        self.works = Works(expected, longest, folder)
        self.looks = Looks(expected, folder)
        self._told = Lines(folder)

    def tell(self, told: Told) -> None:
        self._told.append(json.dumps(astuple(told)).encode())

    @property
    def files(self) -> int:
        return len(self._told)

    def told(self) -> Iterator[Told]:
        """Of each file, in order."""
        return (Told(*json.loads(line)) for line in self._told)


def run(
    srcs: Sequence[Path], dst: Path, params: Dedup, executor: Executor, state: Path | None = None
) -> dict[str, Any]:
    """Kept works of all raw folders -> one RGBA PNG per distinct work, manifest, stats, decisions and their sheet.

    Reasons: not_an_image, truncated, unreadable, too_large, too_many_frames, blank, duplicate, near_duplicate.

    Args:
        state: where the cache is (`.state`); None = nothing is remembered.

    Raises:
        BadInput: one id in two folders, an image file that is gone, or an override that is none.
    """
    ruled = overrides.load(Path(params.overrides))
    with output_dir(dst) as out, cache.opened(state, "dedup") as memory:
        images = out / "images"
        images.mkdir()
        gallery = _gallery(srcs, images, params, memory, executor)
        logger.info("dedup: %d images, %d of them remembered", gallery.files, memory.served)
        decided = decide.decide(gallery.works, gallery.looks, ruled, images, params, executor, memory)
        _write_decisions(out, decided.verdicts)
        stats = manifest.write_streamed(out, _groups(_sources(srcs), gallery, decided))
        _remove_dropped(images, decided.verdicts)
        unknown = decide.unknown(ruled, gallery.works)
        if unknown:
            logger.warning("%s: %d ids are not there, first %s", params.overrides, len(unknown), unknown[0])
        stats |= {"families": len(decided.families), "overrides": len(ruled), "overrides_unknown": len(unknown)}
        manifest.write_json(out / "stats.json", stats)
        return stats


def _sources(srcs: Sequence[Path]) -> Iterator[Source]:
    """Kept works of all folders with their files, by id."""
    before = ""
    for row, path in heapq.merge(*map(_files_of, srcs), key=lambda source: str(source[0]["id"])):
        if row["id"] == before:
            raise BadInput(f"two works with id {before}: ids must differ between the raw folders")
        before = row["id"]
        yield row, path


def _files_of(src: Path) -> Iterator[Source]:
    for row in manifest.stream_kept(src):
        names = (src / "images" / f"{row['sha256']}.{extension}" for extension in EXTENSIONS.values())
        path = next((path for path in names if path.is_file()), None)
        if path is None:
            raise BadInput(f"{src}: no image file for {row['id']} ({row['sha256']})")
        yield row, path


def _gallery(srcs: Sequence[Path], images: Path, params: Dedup, memory: cache.Cache, executor: Executor) -> Gallery:
    """Look at all."""
    longest, expected = _extent(srcs)
    gallery = Gallery(expected, longest + (0 if params.frames == "first" else SUFFIX), images.parent)
    wanted = Frames(frames=params.frames, most=params.most_frames)
    items = (Item(str(row["id"]), path.read_bytes(), {}) for row, path in _sources(srcs))
    known = cache.CacheScope.of("pipeline.curate.dedup.examine", wanted)
    for id, value in cached_map(partial(examine, wanted=wanted), items, known, memory, executor):
        _enter(gallery, id, examined(value), f"{images}{os.sep}")
    return gallery


def _extent(srcs: Sequence[Path]) -> tuple[int, int]:
    """Bytes of the longest id, and the number of works."""
    longest = count = 0
    for row in chain.from_iterable(map(manifest.stream_kept, srcs)):
        longest, count = max(longest, len(row["id"].encode())), count + 1
    return longest, count


def _enter(gallery: Gallery, id: str, found: Examined, images: str) -> None:
    if found.reason is not None:
        gallery.tell(Told(found.reason))
        return
    frames = tuple(picture.index for picture in found.pictures)
    blank = tuple(picture.index for picture in found.pictures if picture.seen.blank)
    facts = found.facts
    told = Told(None, facts["frames"], facts["width"], facts["height"], frames, blank)
    gallery.tell(told)
    for picture in found.pictures:
        if not picture.seen.blank:
            name = _name(id, told, picture.index)
            write_new(f"{images}{name}.png", picture.png)
            gallery.works.append(_work(name, picture, found.lossless))
            gallery.looks.append(picture.seen.look)


def _name(id: str, told: Told, frame: int) -> str:
    """A picture's id: that of its file, unless several frames were taken from it."""
    return id if len(told.frames) == 1 else f"{id}-f{frame:03}"


def _work(id: str, picture: Picture, lossless: bool) -> Work:
    seen = picture.seen
    shape: dict[str, Any] = {"factor": seen.factor, "area": seen.area, "colour_bits": seen.colour_bits}
    shape |= {"canvas": seen.canvas, "place": seen.place, "lossless": lossless}
    key, kin = bytes.fromhex(seen.key), None if seen.kin is None else bytes.fromhex(seen.kin)
    digest = hashlib.blake2b(b"%d%b" % (lossless, picture.png), digest_size=8).digest()
    return Work(id, key, kin, picture=int.from_bytes(digest, "little"), **shape)


def _groups(sources: Iterable[Source], gallery: Gallery, decided: Decisions) -> Iterator[tuple[str, list[Row]]]:
    """Every input, by id, with its rows."""
    families = {id: first for family in decided.families for first in [min(family)] for id in family}
    gone = {verdict.dropped: verdict for verdict in decided.verdicts if verdict.dropped is not None}
    for (row, _), told in zip(sources, gallery.told(), strict=True):
        if told.reason is not None:
            yield row["id"], [manifest.failed(row, told.reason)]
        else:
            yield row["id"], [_row(row, told, frame, families, gone) for frame in told.frames]


def _row(source: Row, told: Told, frame: int, families: Mapping[str, str], gone: Mapping[str, Verdict]) -> Row:
    name = _name(source["id"], told, frame)
    row = source if name == source["id"] else {**source, "id": name, "parent": source["id"]}
    facts = {"frames": told.count, "frame": frame, "width": told.width, "height": told.height}
    if frame in told.blank:
        return manifest.dropped(row, "blank")
    if name in gone:
        return manifest.dropped(row, REASONS[gone[name].tier], in_favour_of=gone[name].in_favour_of)
    return manifest.kept(row, **facts, family=families.get(name))


def _write_decisions(out: Path, verdicts: list[Verdict]) -> None:
    lines = sorted(json.dumps(vars(verdict), sort_keys=True) + "\n" for verdict in verdicts)
    write_atomic(out / "decisions.jsonl", "".join(lines).encode())
    if close := sorted((verdict for verdict in verdicts if verdict.tier in ("near", "alternate")), key=_closeness):
        shown = close[:SHOWN]
        title = f"The closest {len(shown)} of {len(close)} decisions by sight; overrule them in the file of overrides"
        sheet.write(out / "closest.png", [_shown(out / "images", verdict) for verdict in shown], title)


def _closeness(verdict: Verdict) -> tuple[bool, float, str, str]:
    """Drops first, the least alike ahead; then works that both stayed, the most alike ahead."""
    distance = verdict.distance or 0.0
    drop = verdict.dropped is not None
    return not drop, -distance if drop else distance, verdict.in_favour_of, verdict.dropped or verdict.kept


def _shown(images: Path, verdict: Verdict) -> sheet.Entry:
    other = verdict.dropped or verdict.kept
    said = "right one dropped" if verdict.dropped else "both kept"
    caption = f"{verdict.tier}  {verdict.distance}  {said}"
    return sheet.pair(images / f"{verdict.in_favour_of}.png", images / f"{other}.png", caption)


def _remove_dropped(images: Path, verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.dropped is not None:
            (images / f"{verdict.dropped}.png").unlink()
