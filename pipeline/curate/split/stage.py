"""Splits both domains into train, val and test, so that nothing seen in training is met again in evaluation.

Together stay: the frames, tiles and crops of one work, works of one `family` or `identity`, works that are equal in
every pixel or (artworks) mirror images or recolours of one another at one pixel per cell, and, in the pixel domain,
works of one artist. An artist is a name of one source; names of two sources are one artist where dedup found the same
work under both. Faces are grouped by `identity` where known, by artist only where not: one photographer or generator
may have made all of them. What would be too large a group then is taken apart: see `bridges`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.curate.split import balance, bridges, kinship, nearness
from pipeline.curate.split.assign import SPLITS, Labels, Splits, assign
from pipeline.curate.split.balance import Dealt
from pipeline.curate.split.domains import Address, Artist, Domain, addresses_of, artist_of, same_artists
from pipeline.curate.split.params import Split
from pipeline.curate.split.sets import check_some_are_left, excluded
from pipeline.errors import BadInput
from pipeline.images import palettes
from pipeline.runtime import manifest
from pipeline.runtime.cache import Cache, CacheScope, opened
from pipeline.runtime.cached_map import Item, cached_map
from pipeline.runtime.files import output_dir
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import bytes_of
from pipeline.runtime.settings import Executor

logger = logging.getLogger(__name__)

DOMAINS = ("pixel", "faces")
CARRIED = ("background", "cell", "native_width", "native_height", "crop", "pad", "transparent_share")
ALONE = Executor(backend="loky", n_jobs=1)

Deal = Callable[[Labels, Mapping[str, float], int, str], Splits]


def run(
    pixel: Path,
    faces: Path,
    dst: Path,
    params: Split,
    seed: int,
    dedup: Path | None = None,
    deal: Deal = assign,
    executor: Executor = ALONE,
    state: Path | None = None,
) -> dict[str, Any]:
    """Split the kept works of both domains: dst/<domain>/<split>/<id>.png, one manifest with `domain` and `split`.

    Pictures are hard links to those of `pixel` and `faces` where the file system allows it: never edit one in place.
    Reasons: licence (both domains); of artworks transparency (outside of the range), source (of another gallery),
    native (smaller or larger than the range), palette (in other colours); bridge (of a group that was taken apart, and
    like works of another split; the row's `bridge` is what they share). Where a palette counts, artworks that the other
    filters keep have a `palette_distance`. `stats.json` also tells works, artists and sources of each split, the
    largest groups, and in `warnings` what training and evaluation will miss.

    Args:
        pixel: the resize stage's folder.
        faces: the faces stage's.
        dedup: the dedup stage's, which knows artists of several sources; None: every name is one source's.
        deal: which group goes where.
        state: where the cache is (`.state`); None = nothing is remembered.

    Raises:
        BadInput: an id in both domains, no artwork in the set that is asked for, a palette that cannot be read, nothing
            left to train or to test on, or (a bug) a leak between splits.
    """
    aliases = same_artists(dedup) if dedup is not None else {}
    shares = {"train": 1 - params.val - params.test, "val": params.val, "test": params.test}
    domains = [Domain(name, src) for name, src in zip(DOMAINS, (pixel, faces), strict=True)]
    with output_dir(dst) as out, opened(state, "split") as cache:
        domains[0].distances.update(_distances(domains[0], params, executor, cache))
        measured = cache.served
        for domain in domains:
            _read(domain, params, aliases, executor, cache)
        check_some_are_left(len(domains[0].ids), domains[0].left_out)
        images = sum(len(domain.ids) for domain in domains)
        logger.info("split: %d images, %d of them remembered", images, cache.served - measured)
        if both := set(domains[0].ids).intersection(domains[1].ids):
            raise BadInput(f"{len(both)} ids are in the pixel and in the faces domain, first {min(both)}")
        dealt = [_dealt(domain, params, shares, seed, deal) for domain in domains]
        for side in dealt:
            balance.check_some_to_train_and_test_on(side, shares)
        rows = [_rows(side, out, params) for side in dealt]
        stats = manifest.write_streamed(out, ((row["id"], [row]) for row in merge(*rows, key=itemgetter("id"))))
        for domain in domains:
            check_leaks(domain, splits_on_disk(domain, out / domain.name))
        stats |= balance.summary(dealt, shares, params.max_group)
        for warning in stats["warnings"]:
            logger.warning("split: %s", warning)
        manifest.write_json(out / "stats.json", stats)
        return stats


def _distances(domain: Domain, params: Split, executor: Executor, cache: Cache) -> Iterator[tuple[str, float]]:
    """Every artwork that the other filters keep, and its distance from the palette; none where no palette counts."""
    if params.palette_near.distance is None:
        return
    try:
        palette = palettes.load(params.palette_near.palette)
    except BadInput as error:
        raise BadInput(f"split.palette_near: {error}") from error
    rows = (row for row in manifest.stream_kept(domain.src) if excluded(domain.name, row, params) is None)
    items = (Item(row, bytes_of(_picture(domain.src, row)), nearness.facts_of(row, palette)) for row in rows)
    for row, value in cached_map(nearness.examine, items, CacheScope.of(nearness.__name__), cache, executor):
        yield row["id"], nearness.distance(value, str(_picture(domain.src, row)))


def _taking_part(domain: Domain, params: Split) -> Iterator[Row]:
    """The works that no filter drops; those that one does are counted."""
    for row in manifest.stream_kept(domain.src):
        reason = excluded(domain.name, row, params, domain.distances.get(row["id"]))
        if reason is None:
            yield row
        else:
            domain.left_out[reason] += 1


def _read(domain: Domain, params: Split, aliases: Mapping[Artist, Artist], executor: Executor, cache: Cache) -> None:
    """Number the works that no filter drops."""
    rows = _taking_part(domain, params)
    items = (_item(domain, row) for row in rows)
    for row, value in cached_map(kinship.examine, items, CacheScope.of(kinship.__name__), cache, executor):
        artist = artist_of(row, aliases)
        digests = kinship.digests(value, str(_picture(domain.src, row)))
        domain.add(row["id"], addresses_of(domain.name, row, artist, *digests), artist, row.get("source"))


def _dealt(domain: Domain, params: Split, shares: Mapping[str, float], seed: int, deal: Deal) -> Dealt:
    labels, apart = bridges.part(domain, params.max_group, params.allow_shared_identity)
    splits, cut = bridges.cut(domain, deal(labels, shares, seed, domain.name), apart)
    return Dealt(domain, labels, splits, cut)


def _item(domain: Domain, row: Row) -> Item[Row]:
    facts = {"recolours": domain.name == "pixel", "background": row.get("background")}
    return Item(row, bytes_of(_picture(domain.src, row)), facts)


def _picture(src: Path, row: Row) -> Path:
    return src / "images" / f"{row['id']}.png"


def _rows(dealt: Dealt, out: Path, params: Split) -> Iterator[Row]:
    """Every row, after its picture was linked."""
    domain = dealt.domain
    folders = [out / domain.name / name for name in SPLITS]
    for folder in folders:
        folder.mkdir(parents=True)
    images, numbers = domain.src / "images", count()
    for row in manifest.stream_kept(domain.src):
        distance = domain.distances.get(row["id"])
        found = {} if distance is None else {"palette_distance": distance}
        if reason := excluded(domain.name, row, params, distance):
            yield manifest.dropped(row, reason, domain=domain.name, split=None, **found)
            continue
        number = next(numbers)
        name, split = f"{row['id']}.png", int(dealt.splits[number])
        if split == bridges.OUT:
            yield manifest.dropped(
                row, "bridge", domain=domain.name, split=None, bridge=list(dealt.cut[number]), **found
            )
            continue
        _link(f"{images}{os.sep}{name}", f"{folders[split]}{os.sep}{name}")
        facts = {key: row[key] for key in CARRIED if key in row}
        yield manifest.kept(row, domain=domain.name, split=SPLITS[split], **facts, **found)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def splits_on_disk(domain: Domain, folder: Path) -> Splits:
    """The split in whose folder the picture of each work is found; -1 = in none."""
    split_of: dict[str, int] = {}
    for split, name in enumerate(SPLITS):
        with os.scandir(folder / name) as entries:
            split_of |= {entry.name.removesuffix(".png"): split for entry in entries}
    return np.array([split_of.get(id, -1) for id in domain.ids], np.int8)


def check_leaks(domain: Domain, splits: Splits) -> None:
    """Raise BadInput when works that share something stand in two splits."""
    successors: dict[Address, int] = {}  # of holders that left
    for number in np.flatnonzero(splits != bridges.OUT).tolist():
        for address in domain.addresses[number]:
            first = domain.holders[address]
            if splits[first] == bridges.OUT:
                first = successors.setdefault(address, number)
            if splits[number] != splits[first] and address not in domain.shared:
                work, holder = (f"{domain.ids[index]} ({SPLITS[splits[index]]})" for index in (number, first))
                raise BadInput(f"leak: {work} and {holder} share {' '.join(address)}")
