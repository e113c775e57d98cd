"""Decodes every work once and drops duplicates: exact ones by canonical pixels, lossy copies by sight.

Of duplicates the one kept is, in this order: stored losslessly, with the fewest colours (by powers of two), least
enlarged, with the largest canonical picture, with the smallest id. Edited versions, recolours and mirror images are
alternates: they stay, as one `family`; so do pictures that differ in nothing but their place on one canvas. What was
decided is written to decisions.jsonl, the closest decisions are drawn in closest.png, and what a person overrules
stands in the file of overrides. Frames of an animation are works of their own, `<id>-f003` with their `parent`.
"""

from __future__ import annotations

import heapq
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.curate.dedup import examine, overrides
from pipeline.curate.dedup.compare import compare
from pipeline.curate.dedup.decide import Verdict, decide
from pipeline.curate.dedup.examine import FileSummary, FrameSelection
from pipeline.curate.dedup.params import Dedup
from pipeline.curate.dedup.table import DedupTable
from pipeline.errors import BadInput
from pipeline.images import sheet
from pipeline.images.folders import EXTENSIONS
from pipeline.runtime import manifest
from pipeline.runtime.cache import Cache, CacheScope, opened
from pipeline.runtime.cached_map import Item, cached_map
from pipeline.runtime.files import output_dir, write_atomic
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import write_new
from pipeline.runtime.settings import Executor

logger = logging.getLogger(__name__)

REASONS = {"override": "duplicate", "exact": "duplicate", "near": "near_duplicate"}  # by tier
SHOWN = 48  # pairs on the sheet of the closest decisions

Source = tuple[Row, Path]  # a kept work of a raw folder, and its image file


def run(
    srcs: Sequence[Path], dst: Path, params: Dedup, executor: Executor, state: Path | None = None
) -> dict[str, Any]:
    """Write one RGBA PNG per distinct work of all raw folders, with manifest, stats, decisions and their sheet.

    Reasons: not_an_image, truncated, unreadable, too_large, too_many_frames, blank, duplicate, near_duplicate.

    Args:
        state: where the cache is (`.state`); None = nothing is remembered.

    Raises:
        BadInput: one id in two folders, an absent image file, or an override that is none.
    """
    overridden = overrides.load(Path(params.overrides))
    with output_dir(dst) as out, opened(state, "dedup") as cache:
        images = out / "images"
        images.mkdir()
        table, summaries = _examined(srcs, images, params, cache, executor)
        logger.info("dedup: %d images, %d of them remembered", len(summaries), cache.served)
        comparison = partial(compare, table=table, images=images, params=params, executor=executor, cache=cache)
        families, verdicts = decide(table, overridden, comparison, params.max_difference)
        _write_decisions(out, verdicts)
        stats = manifest.write_streamed(out, _rows(_sources(srcs), summaries, families, verdicts))
        for verdict in verdicts:
            if verdict.dropped is not None:
                (images / f"{verdict.dropped}.png").unlink()
        unknown = sorted(set[str]().union(*overridden).difference(table.ids))
        if unknown:
            logger.warning("%s: %d ids are not there, first %s", params.overrides, len(unknown), unknown[0])
        stats |= {"families": len(families), "overrides": len(overridden), "overrides_unknown": len(unknown)}
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


def _examined(
    srcs: Sequence[Path], images: Path, params: Dedup, cache: Cache, executor: Executor
) -> tuple[DedupTable, list[FileSummary]]:
    """Decode all files; write the pictures that are not blank, and enter them into the table."""
    table = DedupTable()
    summaries: list[FileSummary] = []
    distinct: dict[FileSummary, FileSummary] = {}  # most files are like many others
    selection = FrameSelection(frames=params.frames, most=params.most_frames)
    items = (Item(str(row["id"]), path.read_bytes(), {}) for row, path in _sources(srcs))
    scope = CacheScope.of(examine.__name__, selection)
    for id, value in cached_map(partial(examine.examine, selection=selection), items, scope, cache, executor):
        summary, pictures = examine.unpack(value)
        summaries.append(distinct.setdefault(summary, summary))
        for frame, png, entry in pictures:
            picture_id = summary.picture_id(id, frame)
            write_new(f"{images}{os.sep}{picture_id}.png", png)
            table.append(picture_id, entry)
    return table, summaries


def _rows(
    sources: Iterable[Source], summaries: Iterable[FileSummary], families: list[list[str]], verdicts: list[Verdict]
) -> Iterator[tuple[str, list[Row]]]:
    """Every input, by id, with its rows."""
    family_of = {id: first for family in families for first in [min(family)] for id in family}
    dropped = {verdict.dropped: verdict for verdict in verdicts if verdict.dropped is not None}
    for (row, _), summary in zip(sources, summaries, strict=True):
        if summary.reason is not None:
            yield row["id"], [manifest.failed(row, summary.reason)]
        else:
            yield row["id"], [_row(row, summary, frame, family_of, dropped) for frame in summary.frames]


def _row(
    source: Row, summary: FileSummary, frame: int, family_of: Mapping[str, str], dropped: Mapping[str, Verdict]
) -> Row:
    id = summary.picture_id(source["id"], frame)
    row = source if id == source["id"] else {**source, "id": id, "parent": source["id"]}
    if frame in summary.blank:
        return manifest.dropped(row, "blank")
    if id in dropped:
        return manifest.dropped(row, REASONS[dropped[id].tier], in_favour_of=dropped[id].in_favour_of)
    facts = {"frames": summary.count, "frame": frame, "width": summary.width, "height": summary.height}
    return manifest.kept(row, **facts, family=family_of.get(id))


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
    right = verdict.dropped or verdict.kept
    outcome = "right one dropped" if verdict.dropped else "both kept"
    caption = f"{verdict.tier}  {verdict.distance}  {outcome}"
    return sheet.pair(images / f"{verdict.in_favour_of}.png", images / f"{right}.png", caption)
