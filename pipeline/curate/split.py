"""Train, val and test of both domains, so that nothing seen in training is met again in evaluation.

Together stay: the frames, tiles and crops of one work, works of one `family` or `identity`, works that are equal in
every pixel or (artworks) mirror images or recolours of one another at one pixel per cell, and, in the pixel domain,
works of one artist. An artist is a name of one source; names of two sources are one artist where dedup found the same
work under both. Faces are grouped by `identity` where known, by artist only where not: one photographer or generator
may have made all of them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import groups, manifest, pixels, seeds
from pipeline.errors import BadInput
from pipeline.io import Pixels, output_dir, read_rgb
from pipeline.manifest import Row
from pipeline.names import plain, work_of
from pipeline.params import Split

DOMAINS = ("pixel", "faces")
SPLITS = ("train", "val", "test")
CARRIED = ("background", "cell", "native_width", "native_height", "crop", "pad", "transparent_share")
MIN_KIN = 8  # cells: a picture with a shorter side is too simple to tell kinship by

Address = tuple[str, ...]  # what works have in common, e.g. ("artist", source, artist)
Artist = tuple[str, str]  # source, plain name
Deal = Callable[[list[list[str]], Mapping[str, float], int, str], dict[str, str]]


@dataclass(frozen=True)
class Domain:
    """One side of the translation: where its pictures are, what each of its works shares, who made it."""

    name: str
    src: Path
    addresses: dict[str, list[Address]]  # of the works that no filter drops
    artists: dict[str, Artist]


def run(
    pixel: Path,
    faces: Path,
    dst: Path,
    params: Split,
    seed: int,
    dedup: Path | None = None,
    deal: Deal | None = None,
) -> dict[str, Any]:
    """Kept works of both domains -> dst/<domain>/<split>/<id>.png, one manifest with `domain` and `split`.

    Pictures are hard links to those of `pixel` and `faces` where the file system allows it: never edit one in place.
    Reasons: licence (both domains), transparency (artworks outside of the wanted range).

    Args:
        pixel: the resize stage's folder.
        faces: the faces stage's.
        dedup: the dedup stage's, which tells artists of several sources; None: every name is one source's.
        deal: which group goes where, None = `assign`.

    Raises:
        BadInput: an id in both domains, or (a bug) a leak between splits.
    """
    aliases = same_artists(dedup) if dedup is not None else {}
    domains = [_read_domain(name, src, params, aliases) for name, src in zip(DOMAINS, (pixel, faces), strict=True)]
    _require_disjoint(*domains)
    with output_dir(dst) as out:
        placed = [_place(domain, out / domain.name, params, seed, deal or assign) for domain in domains]
        rows = [_rows(domain, found, params) for domain, found in zip(domains, placed, strict=True)]
        inputs = {row["id"] for domain in domains for row in manifest.stream_kept(domain.src)}
        return manifest.write_sorted(out, merge(*rows, key=_id), inputs=inputs, **_summary(domains, placed))


def _id(row: Row) -> str:
    return str(row["id"])


def _read_domain(name: str, src: Path, params: Split, aliases: Mapping[Artist, Artist]) -> Domain:
    domain = Domain(name, src, {}, {})
    for row in manifest.stream_kept(src):
        if excluded(name, row, params) is None:
            artist = _artist(row, aliases)
            domain.addresses[row["id"]] = _addresses(name, row, artist, read_rgb(src / "images" / f"{row['id']}.png"))
            if artist is not None:
                domain.artists[row["id"]] = artist
    return domain


def _require_disjoint(pixel: Domain, faces: Domain) -> None:
    if both := sorted(pixel.addresses.keys() & faces.addresses.keys()):
        raise BadInput(f"{len(both)} ids are in the pixel and in the faces domain, first {both[0]}")


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


def _addresses(domain: str, row: Row, artist: Artist | None, rgb: Pixels) -> list[Address]:
    """Everything that a work may share with another; works with one in common are one group."""
    found: list[Address] = [("pixels", min(pixels.digest(view) for view in (rgb, np.ascontiguousarray(rgb[:, ::-1]))))]
    found += [("work", name) for name in sorted({work_of(row["id"]), work_of(str(row.get("parent") or row["id"]))})]
    found += [("family", str(row["family"]))] if row.get("family") else []
    found += [("identity", str(row.get("source")), str(row["identity"]))] if row.get("identity") else []
    if domain == "pixel":
        found += _kin(rgb, row.get("background"))
    if artist is not None and (domain == "pixel" or not row.get("identity")):
        found.append(("artist", *artist))
    return found


def _kin(rgb: Pixels, background: str | None) -> list[Address]:
    """What a picture shares with its mirror image and its recolours on any ground; nothing if it is too simple."""
    ground = (
        rgb[..., 0] < 0
        if background is None
        else (rgb == np.array(pixels.parse_colour(background), np.uint8)).all(axis=2)
    )
    core, _ = pixels.canonical(np.dstack([rgb, np.where(ground, 0, 255).astype(np.uint8)]))
    return [("kin", pixels.kinship(core))] if min(core.shape[:2]) >= MIN_KIN else []


def group_by_address(addresses: Mapping[str, Iterable[Address]]) -> list[list[str]]:
    """Ids -> groups of ids that share an address, directly or through others."""
    shared = sorted((address, work) for work, found in addresses.items() for address in found)
    holders = [[work for _, work in same] for _, same in groupby(shared, key=lambda pair: pair[0])]
    return groups.components(sorted(addresses), (link for works in holders for link in pairwise(works)))


def assign(grouped: list[list[str]], shares: Mapping[str, float], seed: int, domain: str) -> dict[str, str]:
    """Id -> split. Largest groups first (equal ones in seeded order), each into the split that lacks most works.

    Afterwards a split with a share but no works gets the smallest group of the split with the most groups, as long as
    there are as many groups as splits.
    """
    order = seeds.generator(seed, "split", domain).permutation(len(grouped))
    total = sum(map(len, grouped))
    bins: dict[str, list[list[str]]] = {name: [] for name in SPLITS if shares[name] > 0}
    for group in sorted((grouped[index] for index in order), key=len, reverse=True):
        lacking = {name: shares[name] * total - sum(map(len, held)) for name, held in bins.items()}
        bins[max(lacking, key=lambda name: lacking[name])].append(group)
    if len(grouped) >= len(bins):
        _fill_empty(bins)
    return {work: name for name, held in bins.items() for group in held for work in group}


def _fill_empty(bins: dict[str, list[list[str]]]) -> None:
    for name in bins:
        if not bins[name]:
            richest = max(bins.values(), key=len)
            bins[name].append(richest.pop(min(range(len(richest)), key=lambda index: len(richest[index]))))


def _place(domain: Domain, out: Path, params: Split, seed: int, deal: Deal) -> dict[str, str]:
    """Work -> split, with every picture where it belongs; the leak check reads what really lies there."""
    shares = {"train": 1 - params.val - params.test, "val": params.val, "test": params.test}
    assigned = deal(group_by_address(domain.addresses), shares, seed, domain.name)
    for name in SPLITS:
        (out / name).mkdir(parents=True)
    for work in domain.addresses:
        _link(domain.src / "images" / f"{work}.png", out / assigned[work] / f"{work}.png")
    placed = {path.stem: name for name in SPLITS for path in (out / name).iterdir()}
    check_leaks(domain.addresses, placed)
    return placed


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def check_leaks(addresses: Mapping[str, Iterable[Address]], placed: Mapping[str, str]) -> None:
    """Raises BadInput when works with a common address stand in two splits."""
    seen: dict[Address, tuple[str, str]] = {}
    for work in sorted(placed):
        for address in addresses[work]:
            other, split = seen.setdefault(address, (work, placed[work]))
            if split != placed[work]:
                what = " ".join(address)
                raise BadInput(f"leak: {work} ({placed[work]}) and {other} ({split}) share {what}")


def _rows(domain: Domain, placed: Mapping[str, str], params: Split) -> Iterator[Row]:
    for row in manifest.stream_kept(domain.src):
        if row["id"] in placed:
            facts = {key: row[key] for key in CARRIED if key in row}
            yield manifest.kept(row, domain=domain.name, split=placed[row["id"]], **facts)
        else:
            yield manifest.dropped(row, str(excluded(domain.name, row, params)), domain=domain.name, split=None)


def _summary(domains: list[Domain], placed: list[dict[str, str]]) -> dict[str, Any]:
    """Works and distinct artists (the unknown not counted) per domain and split."""
    pairs = list(zip(domains, placed, strict=True))
    works = Counter((domain.name, split) for domain, found in pairs for split in found.values())
    named = {(domain.name, found[work], artist) for domain, found in pairs for work, artist in domain.artists.items()}
    artists = Counter((domain, split) for domain, split, _ in named)
    return {"works": dict(_nested(works)), "artists": dict(_nested(artists))}


def _nested(counts: Counter[tuple[str, str]]) -> Iterator[tuple[str, dict[str, int]]]:
    for domain in DOMAINS:
        yield domain, {name: counts[domain, name] for name in SPLITS}
