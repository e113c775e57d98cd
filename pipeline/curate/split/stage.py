"""Splits both domains into train, val and test, so that nothing seen in training is met again in evaluation.

Together stay: the frames, tiles and crops of one work, works of one `family` or `identity`, works that are equal in
every pixel or (artworks) mirror images or recolours of one another at one pixel per cell, and, in the pixel domain,
works of one artist. An artist is a name of one source; names of two sources are one artist where dedup found the same
work under both. Faces are grouped by `identity` where known, by artist only where not: one photographer or generator
may have made all of them.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.curate.split import kinship, nearness
from pipeline.curate.split.assign import SPLITS, Labels, Splits, assign
from pipeline.curate.split.params import Split
from pipeline.curate.split.sets import check_some_are_left, excluded
from pipeline.errors import BadInput
from pipeline.images import palettes
from pipeline.runtime import manifest
from pipeline.runtime.cache import Cache, CacheScope, opened
from pipeline.runtime.cached_map import Item, cached_map
from pipeline.runtime.files import output_dir
from pipeline.runtime.identity import plain, work_of
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import bytes_of
from pipeline.runtime.settings import Executor
from pipeline.similarity import groups

logger = logging.getLogger(__name__)

DOMAINS = ("pixel", "faces")
CARRIED = ("background", "cell", "native_width", "native_height", "crop", "pad", "transparent_share")
ALONE = Executor(backend="loky", n_jobs=1)

Address = tuple[str, ...]  # what works have in common, e.g. ("artist", source, artist)
Artist = tuple[str, str]  # source, plain name
Deal = Callable[[Labels, Mapping[str, float], int, str], Splits]


@dataclass(frozen=True)
class Domain:
    """One side of the translation: where its pictures are, what each of its works shares, who made it.

    Works are numbered by id, those left out that a filter drops.

    Attributes:
        ids: of each work.
        addresses: of each work, all that it may share with another.
        artists: of each work; None = unknown.
        holders: first work with an address.
        distances: of artworks from the palette of `palette_near`, by id; empty where none is asked for.
        left_out: works that a filter drops, by its reason.
    """

    name: str
    src: Path
    ids: list[str] = field(default_factory=list)
    addresses: list[list[Address]] = field(default_factory=list)
    artists: list[Artist | None] = field(default_factory=list)
    holders: dict[Address, int] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, id: str, addresses: list[Address], artist: Artist | None) -> None:
        """Number one more work."""
        for address in addresses:
            self.holders.setdefault(address, len(self.ids))
        self.ids.append(id)
        self.addresses.append(addresses)
        self.artists.append(artist)

    def links(self) -> Iterator[tuple[int, int, Address]]:
        """Every work, ascending, and the first work with which it shares an address."""
        for number, addresses in enumerate(self.addresses):
            for address in addresses:
                if (first := self.holders[address]) != number:
                    yield number, first, address

    def labels(self) -> Labels:
        """(N,): the first work of each one's group, where works that share an address are one group."""
        labels = np.arange(len(self.ids), dtype=np.int32)
        linked = groups.components(range(len(self.ids)), ((number, first) for number, first, _ in self.links()))
        for members in linked:
            labels[members] = members[0]
        return labels


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
    native (smaller or larger than the range), palette (in other colours). Where a palette counts, artworks that the
    other filters keep have a `palette_distance`.

    Args:
        pixel: the resize stage's folder.
        faces: the faces stage's.
        dedup: the dedup stage's, which knows artists of several sources; None: every name is one source's.
        deal: which group goes where.
        state: where the cache is (`.state`); None = nothing is remembered.

    Raises:
        BadInput: an id in both domains, no artwork in the set that is asked for, a palette that cannot be read, or (a
            bug) a leak between splits.
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
        splits = [deal(domain.labels(), shares, seed, domain.name) for domain in domains]
        rows = [_rows(domain, numbers, out, params) for domain, numbers in zip(domains, splits, strict=True)]
        stats = manifest.write_streamed(out, ((row["id"], [row]) for row in merge(*rows, key=itemgetter("id"))))
        for domain in domains:
            check_leaks(domain, splits_on_disk(domain, out / domain.name))
        stats |= _summary(domains, splits)
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
        artist = _artist(row, aliases)
        digests = kinship.digests(value, str(_picture(domain.src, row)))
        domain.add(row["id"], _addresses(domain.name, row, artist, *digests), artist)


def _item(domain: Domain, row: Row) -> Item[Row]:
    facts = {"recolours": domain.name == "pixel", "background": row.get("background")}
    return Item(row, bytes_of(_picture(domain.src, row)), facts)


def _picture(src: Path, row: Row) -> Path:
    return src / "images" / f"{row['id']}.png"


def same_artists(dedup: Path) -> dict[Artist, Artist]:
    """Artist -> the one that stands for all who are surely the same.

    Sure is: one name (case and width apart) in two sources, under two copies of one work. A name alone is not.
    """
    copies = {
        (str(row["in_favour_of"]), artist)
        for row in manifest.stream(dedup)
        if row.get("in_favour_of") and (artist := _artist(row, {})) is not None
    }
    favoured = {work for work, _ in copies}
    artists = {row["id"]: _artist(row, {}) for row in manifest.stream(dedup) if row["id"] in favoured}
    links = [
        (artist, original)
        for work, artist in sorted(copies)
        if (original := artists.get(work)) is not None and original[1] == artist[1] and original[0] != artist[0]
    ]
    same = groups.components(sorted({artist for pair in links for artist in pair}), links)
    return {artist: min(members) for members in same for artist in members}


def _artist(row: Row, aliases: Mapping[Artist, Artist]) -> Artist | None:
    if not row.get("artist"):
        return None
    artist = (str(row.get("source")), plain(str(row["artist"])))
    return aliases.get(artist, artist)


def _addresses(domain: str, row: Row, artist: Artist | None, same: str, recolours: str | None) -> list[Address]:
    """Everything that a work may share with another; works with one in common are one group."""
    addresses: list[Address] = [("pixels", same)]
    addresses += [("work", id) for id in sorted({work_of(row["id"]), work_of(str(row.get("parent") or row["id"]))})]
    addresses += [("family", str(row["family"]))] if row.get("family") else []
    addresses += [("identity", str(row.get("source")), str(row["identity"]))] if row.get("identity") else []
    addresses += [("kinship", recolours)] if recolours is not None else []
    if artist is not None and (domain == "pixel" or not row.get("identity")):
        addresses.append(("artist", *artist))
    return addresses


def _rows(domain: Domain, splits: Splits, out: Path, params: Split) -> Iterator[Row]:
    """Every row, after its picture was linked."""
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
        name, split = f"{row['id']}.png", int(splits[next(numbers)])
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
    for number, first, address in domain.links():
        if splits[number] != splits[first]:
            work, holder = (f"{domain.ids[index]} ({SPLITS[splits[index]]})" for index in (number, first))
            raise BadInput(f"leak: {work} and {holder} share {' '.join(address)}")


def _summary(domains: list[Domain], splits: list[Splits]) -> dict[str, Any]:
    """Works and distinct artists (the unknown not counted) per domain and split."""
    works: dict[str, dict[str, int]] = {}
    artists: dict[str, dict[str, int]] = {}
    for domain, split_of in zip(domains, splits, strict=True):
        makers = {(artist, split) for artist, split in zip(domain.artists, split_of.tolist(), strict=True) if artist}
        for figures, members in ((works, split_of.tolist()), (artists, [split for _, split in makers])):
            figures[domain.name] = {name: members.count(split) for split, name in enumerate(SPLITS)}
    return {"works": works, "artists": artists}
