"""Train, val and test of both domains, so that nothing seen in training is met again in evaluation.

Together stay: works of one `family`, one `parent`, one `identity`, works equal in every pixel and, in the pixel
domain, works of one artist of one source. Faces are grouped by `identity` where known, by artist only where not: one
photographer or generator may have made all of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from pipeline import groups, manifest, pixels, seeds
from pipeline.errors import BadInput
from pipeline.io import output_dir, read_rgb
from pipeline.manifest import Row
from pipeline.params import Split

DOMAINS = ("pixel", "faces")
SPLITS = ("train", "val", "test")
CARRIED = ("background", "cell", "native_width", "native_height", "crop", "pad")

Address = tuple[str, ...]  # what a group has in common, e.g. ("artist", source, artist)


def run(pixel: Path, faces: Path, dst: Path, params: Split, seed: int) -> dict[str, Any]:
    """Kept works of both domains -> dst/<domain>/<split>/<id>.png, one manifest with `domain` and `split`.

    Licences, if any are given, filter both domains. Reasons: licence.

    Raises:
        BadInput: an id in both domains, or (a bug) a leak between splits.
    """
    given = {domain: manifest.read_kept(src) for domain, src in zip(DOMAINS, (pixel, faces), strict=True)}
    _require_disjoint(given)
    rows: list[Row] = []
    with output_dir(dst) as out:
        for domain, src in zip(DOMAINS, (pixel, faces), strict=True):
            rows += _split_domain(domain, given[domain], src / "images", out / domain, params, seed)
        inputs = [row["id"] for domain in DOMAINS for row in given[domain]]
        return manifest.write(out, rows, inputs=inputs, **_summary(rows))


def _require_disjoint(given: Mapping[str, list[Row]]) -> None:
    pixel, faces = ({row["id"] for row in given[domain]} for domain in DOMAINS)
    if both := sorted(pixel & faces):
        raise BadInput(f"{len(both)} ids are in the pixel and in the faces domain, first {both[0]}")


def _split_domain(domain: str, given: list[Row], images: Path, out: Path, params: Split, seed: int) -> list[Row]:
    rows = [row for row in given if not params.licences or row.get("licence") in params.licences]
    addresses = {row["id"]: _addresses(domain, row, images) for row in rows}
    shares = {"train": 1 - params.val - params.test, "val": params.val, "test": params.test}
    assigned = assign(group_by_address(addresses), shares, seed, domain)
    check_leaks(addresses, assigned)
    for name in SPLITS:
        (out / name).mkdir(parents=True)
    for row in rows:
        shutil.copyfile(images / f"{row['id']}.png", out / assigned[row["id"]] / f"{row['id']}.png")
    dropped = [
        manifest.dropped(row, "licence", domain=domain, split=None) for row in given if row["id"] not in assigned
    ]
    return dropped + [
        manifest.kept(row, domain=domain, split=assigned[row["id"]], **{key: row[key] for key in CARRIED if key in row})
        for row in rows
    ]


def _addresses(domain: str, row: Row, images: Path) -> list[Address]:
    """Everything that a work may share with another; works with one in common are one group."""
    source = str(row.get("source"))
    found: list[Address] = [("pixels", pixels.digest(read_rgb(images / f"{row['id']}.png")))]
    found += [(key, str(row[key])) for key in ("family", "parent") if row.get(key)]
    found += [("identity", source, str(row["identity"]))] if row.get("identity") else []
    if row.get("artist") and (domain == "pixel" or not row.get("identity")):
        found.append(("artist", source, str(row["artist"])))
    return found


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


def check_leaks(addresses: Mapping[str, Iterable[Address]], assigned: Mapping[str, str]) -> None:
    """Raises BadInput when works with a common address stand in two splits."""
    seen: dict[Address, tuple[str, str]] = {}
    for work in sorted(assigned):
        for address in addresses[work]:
            other, split = seen.setdefault(address, (work, assigned[work]))
            if split != assigned[work]:
                what = " ".join(address)
                raise BadInput(f"leak: {work} ({assigned[work]}) and {other} ({split}) share {what}")


def _summary(rows: list[Row]) -> dict[str, Any]:
    """Works and distinct artists (null counted as none) per domain and split."""
    kept = [row for row in rows if row["status"] == "kept"]
    works = Counter((row["domain"], row["split"]) for row in kept)
    named = {(row["domain"], row["split"], row["source"], row["artist"]) for row in kept if row.get("artist")}
    artists = Counter((domain, split) for domain, split, *_ in named)
    return {"works": dict(_nested(works)), "artists": dict(_nested(artists))}


def _nested(counts: Counter[tuple[str, str]]) -> Iterator[tuple[str, dict[str, int]]]:
    for domain in DOMAINS:
        yield domain, {name: counts[domain, name] for name in SPLITS}
