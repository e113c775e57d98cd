"""Train, val and test of both domains, so that nothing seen in training is met again in evaluation.

Together stay: the frames, tiles and crops of one work, works of one `family` or `identity`, works that are equal in
every pixel or (artworks) mirror images or recolours of one another at one pixel per cell, and, in the pixel domain,
works of one artist. An artist is a name of one source; names of two sources are one artist where dedup found the same
work under both. Faces are grouped by `identity` where known, by artist only where not: one photographer or generator
may have made all of them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.curate.split import kinship
from pipeline.curate.split.assign import SPLITS, Labels, Placed, assign
from pipeline.curate.split.params import Split
from pipeline.errors import BadInput
from pipeline.runtime import cache, manifest
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
Deal = Callable[[Labels, Mapping[str, float], int, str], Placed]


@dataclass(frozen=True)
class Domain:
    """One side of the translation: where its pictures are, what each of its works shares, who made it.

    Works are numbered by id, those left out that a filter drops; 12 bytes a work. What works share and their names are
    hashed to 64 bits: of a million works the chance that two are taken for relatives for nothing is 1 in a million.

    Attributes:
        links: numbers of works and what they share.
        names: of each work.
        makers: of each work, index into `artists`; -1 = unknown.
    """

    name: str
    src: Path
    links: groups.Links
    names: array[int] = field(default_factory=lambda: array("Q"))
    makers: array[int] = field(default_factory=lambda: array("i"))
    artists: dict[Artist, int] = field(default_factory=dict)

    def enter(self, row: Row, addresses: list[Address], artist: Artist | None) -> None:
        for address in addresses:
            self.links.append(len(self.names), _hashed(address))
        self.names.append(_hashed(row["id"]))
        self.makers.append(-1 if artist is None else self.artists.setdefault(artist, len(self.artists)))


@dataclass(frozen=True)
class Reader:
    """How works are read: which, and what is said of them."""

    params: Split
    aliases: Mapping[Artist, Artist]

    def rows(self, name: str, src: Path) -> Iterator[Row]:
        """Those that no filter drops."""
        return (row for row in manifest.stream_kept(src) if excluded(name, row, self.params) is None)

    def item(self, name: str, src: Path, row: Row) -> Item[Row]:
        facts = {"kin": name == "pixel", "background": row.get("background")}
        return Item(row, bytes_of(_picture(src, row)), facts)

    def addresses(self, name: str, src: Path, row: Row, value: bytes) -> list[Address]:
        told = kinship.found(value, str(_picture(src, row)))
        return _addresses(name, row, _artist(row, self.aliases), *told)


def _picture(src: Path, row: Row) -> Path:
    return src / "images" / f"{row['id']}.png"


def _hashed(value: Address | str) -> int:
    return int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=8).digest(), "little")


def run(
    pixel: Path,
    faces: Path,
    dst: Path,
    params: Split,
    seed: int,
    dedup: Path | None = None,
    deal: Deal | None = None,
    executor: Executor = ALONE,
    state: Path | None = None,
) -> dict[str, Any]:
    """Kept works of both domains -> dst/<domain>/<split>/<id>.png, one manifest with `domain` and `split`.

    Pictures are hard links to those of `pixel` and `faces` where the file system allows it: never edit one in place.
    Reasons: licence (both domains), transparency (artworks outside of the wanted range).

    Args:
        pixel: the resize stage's folder.
        faces: the faces stage's.
        dedup: the dedup stage's, which tells artists of several sources; None: every name is one source's.
        deal: which group goes where, None = `assign`.
        state: where the cache is (`.state`); None = nothing is remembered.

    Raises:
        BadInput: an id in both domains, or (a bug) a leak between splits.
    """
    reader = Reader(params, same_artists(dedup) if dedup is not None else {})
    sides = list(zip(DOMAINS, (pixel, faces), strict=True))
    with output_dir(dst) as out, cache.opened(state, "split") as memory:
        domains = [_read(Domain(name, src, groups.Links(out)), reader, executor, memory) for name, src in sides]
        logger.info("split: %d images, %d of them remembered", sum(len(d.names) for d in domains), memory.served)
        _require_disjoint(domains[0], domains[1], reader)
        placed = [_dealt(domain, params, seed, deal or assign) for domain in domains]
        rows = [_rows(domain, found, out, params) for domain, found in zip(domains, placed, strict=True)]
        stats = manifest.write_streamed(out, ((row["id"], [row]) for row in merge(*rows, key=_id)))
        for domain in domains:
            check_leaks(domain, _lying(domain, out / domain.name), reader)
        stats |= _summary(domains, placed)
        manifest.write_json(out / "stats.json", stats)
        return stats


def _id(row: Row) -> str:
    return str(row["id"])


def _read(domain: Domain, reader: Reader, executor: Executor, memory: cache.Cache) -> Domain:
    name, src, known = domain.name, domain.src, cache.CacheScope.of(kinship.__name__)
    items = (reader.item(name, src, row) for row in reader.rows(name, src))
    for row, value in cached_map(kinship.step, items, known, memory, executor):
        domain.enter(row, reader.addresses(name, src, row, value), _artist(row, reader.aliases))
    return domain


def _require_disjoint(pixel: Domain, faces: Domain, reader: Reader) -> None:
    both = set(np.intersect1d(pixel.names, faces.names).tolist())
    found = [row["id"] for row in reader.rows(pixel.name, pixel.src) if _hashed(row["id"]) in both] if both else []
    if found:
        raise BadInput(f"{len(found)} ids are in the pixel and in the faces domain, first {found[0]}")


def excluded(domain: str, row: Row, params: Split) -> str | None:
    """Why a work is not wanted, if it is not."""
    if params.licences and row.get("licence") not in params.licences:
        return "licence"
    share = row.get("transparent_share")
    if domain != "pixel" or (params.min_transparent, params.max_transparent) == (0, 1):
        return None
    wanted = share is not None and params.min_transparent <= share <= params.max_transparent
    return None if wanted else "transparency"


def same_artists(dedup: Path) -> dict[Artist, Artist]:
    """Artist -> the one that stands for all who are surely the same.

    Sure is: one name (case and width apart) in two sources, under two copies of one work. A name alone is not.
    """
    copies = {
        (str(row["in_favour_of"]), artist)
        for row in _all_rows(dedup)
        if row.get("in_favour_of") and (artist := _artist(row, {})) is not None
    }
    favoured = {work for work, _ in copies}
    makers = {row["id"]: _artist(row, {}) for row in _all_rows(dedup) if row["id"] in favoured}
    links = [
        (artist, maker)
        for work, artist in sorted(copies)
        if (maker := makers.get(work)) is not None and maker[1] == artist[1] and maker[0] != artist[0]
    ]
    clans = groups.components(sorted({artist for pair in links for artist in pair}), links)
    return {artist: min(clan) for clan in clans for artist in clan}


def _all_rows(folder: Path) -> Iterator[Row]:
    with (folder / "manifest.jsonl").open("rb") as lines:
        yield from map(json.loads, lines)


def _artist(row: Row, aliases: Mapping[Artist, Artist]) -> Artist | None:
    if not row.get("artist"):
        return None
    own = (str(row.get("source")), plain(str(row["artist"])))
    return aliases.get(own, own)


def _addresses(domain: str, row: Row, artist: Artist | None, same: str, kin: str | None) -> list[Address]:
    """Everything that a work may share with another; works with one in common are one group."""
    found: list[Address] = [("pixels", same)]
    found += [("work", name) for name in sorted({work_of(row["id"]), work_of(str(row.get("parent") or row["id"]))})]
    found += [("family", str(row["family"]))] if row.get("family") else []
    found += [("identity", str(row.get("source")), str(row["identity"]))] if row.get("identity") else []
    found += [("kin", kin)] if kin is not None else []
    if artist is not None and (domain == "pixel" or not row.get("identity")):
        found.append(("artist", *artist))
    return found


def _dealt(domain: Domain, params: Split, seed: int, deal: Deal) -> Placed:
    shares = {"train": 1 - params.val - params.test, "val": params.val, "test": params.test}
    return deal(groups.labelled(len(domain.names), *domain.links.shared()), shares, seed, domain.name)


def _rows(domain: Domain, placed: Placed, out: Path, params: Split) -> Iterator[Row]:
    """Every row, after its picture was linked."""
    folders = [out / domain.name / name for name in SPLITS]
    for folder in folders:
        folder.mkdir(parents=True)
    images, number = domain.src / "images", 0
    for row in manifest.stream_kept(domain.src):
        if reason := excluded(domain.name, row, params):
            yield manifest.dropped(row, reason, domain=domain.name, split=None)
            continue
        name, split = f"{row['id']}.png", int(placed[number])
        _link(f"{images}{os.sep}{name}", f"{folders[split]}{os.sep}{name}")
        facts = {key: row[key] for key in CARRIED if key in row}
        yield manifest.kept(row, domain=domain.name, split=SPLITS[split], **facts)
        number += 1


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def _lying(domain: Domain, folder: Path) -> Placed:
    """Where the pictures really lie."""
    placed = np.full(len(domain.names), -1, np.int8)
    names = np.frombuffer(domain.names, np.uint64)
    order = np.argsort(names)
    for split, name in enumerate(SPLITS):
        found = array("Q")
        with os.scandir(folder / name) as entries:
            found.extend(_hashed(entry.name.removesuffix(".png")) for entry in entries)
        there = np.frombuffer(found, np.uint64) if found else np.empty(0, np.uint64)
        placed[order[np.searchsorted(names, there, sorter=order)]] = split
    return placed


def check_leaks(domain: Domain, placed: Placed, reader: Reader) -> None:
    """Raises BadInput when works that share something stand in two splits."""
    holders, shared = domain.links.shared()
    starts, several = groups.runs(shared)
    firsts = np.repeat(holders[starts], several)  # of each link, the first work with what it shares
    leaks = placed[holders] != placed[firsts]
    if leaks.any():
        work = int(holders[leaks].min())
        mine = leaks & (holders == work)
        others = dict(zip(shared[mine].tolist(), firsts[mine].tolist(), strict=True))
        id, addresses = _told(domain, work, reader)
        address = next(address for address in addresses if _hashed(address) in others)
        other = others[_hashed(address)]
        places = SPLITS[placed[work]], SPLITS[placed[other]]
        first = _told(domain, other, reader)[0]
        raise BadInput(f"leak: {id} ({places[0]}) and {first} ({places[1]}) share {' '.join(address)}")


def _told(domain: Domain, number: int, reader: Reader) -> tuple[str, list[Address]]:
    """A work's id, and what it shares."""
    row = next(islice(reader.rows(domain.name, domain.src), number, None))
    item = reader.item(domain.name, domain.src, row)
    return row["id"], reader.addresses(domain.name, domain.src, row, kinship.step(item.data, item.facts))


def _summary(domains: list[Domain], placed: list[Placed]) -> dict[str, Any]:
    """Works and distinct artists (the unknown not counted) per domain and split."""
    works: dict[str, dict[str, int]] = {}
    artists: dict[str, dict[str, int]] = {}
    for domain, found in zip(domains, placed, strict=True):
        makers = np.asarray(domain.makers)
        inside = {name: makers[found == split] for split, name in enumerate(SPLITS)}
        works[domain.name] = {name: len(there) for name, there in inside.items()}
        artists[domain.name] = {name: len(np.unique(there[there >= 0])) for name, there in inside.items()}
    return {"works": works, "artists": artists}
