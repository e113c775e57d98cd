"""Perceptual likeness of sprites: hashes to find candidates, thumbnails to verify them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.io import Pixels

Hashes = NDArray[np.uint64]  # (N,)
Pairs = NDArray[np.int64]  # (P, 2) indices, the smaller first, sorted

GROUNDS = (255, 0, 128)  # grey levels under transparency: a copy may have been flattened on any
THUMBNAIL = 16
BLANK_BITS = 8  # a hash with fewer set bits is that of a nearly uniform picture and matches everything
PIGEONHOLE = 6  # bits: up to here bands are faster than all pairs
BLOCK = 512


@dataclass(frozen=True)
class Look:
    """What is compared of one image.

    Attributes:
        hashes: 64-bit pHash on each of GROUNDS.
        thumbnails: uint8 (grounds, 16, 16, 3), box-filtered; for comparison only.
        foreground: share of the canvas that is neither transparent nor the border's colour, 0..1.
        opaque: no transparency.
        aspect: width / height.
    """

    hashes: tuple[int, ...]
    thumbnails: Pixels
    foreground: float
    opaque: bool
    aspect: float


def look(rgba: Pixels) -> Look:
    """Hashes and thumbnails of a uint8 (H, W, 4) image."""
    opaque = bool((rgba[..., 3] == 255).all())
    flat = [on_ground(rgba, level) for level in (GROUNDS[:1] if opaque else GROUNDS)]
    hashes = [_phash(image) for image in flat]
    thumbnails = [box(np.asarray(image), THUMBNAIL, THUMBNAIL).round().astype(np.uint8) for image in flat]
    repeat = len(GROUNDS) // len(flat)
    return Look(
        hashes=tuple(hashes * repeat),
        thumbnails=np.stack(thumbnails * repeat),
        foreground=_foreground(rgba, thumbnails[0], opaque=opaque),
        opaque=opaque,
        aspect=rgba.shape[1] / rgba.shape[0],
    )


def on_ground(rgba: Pixels, level: int) -> Image.Image:
    """The image composited on a grey ground, RGB."""
    ground = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), (level, level, level, 255))
    return Image.alpha_composite(ground, Image.fromarray(rgba)).convert("RGB")


def box(values: Pixels, height: int, width: int) -> NDArray[np.float64]:
    """(H, W, C) -> (height, width, C), exact area means: unlike Pillow's BOX the same for every enlargement."""
    down, across = _overlaps(values.shape[0], height), _overlaps(values.shape[1], width)
    rows = np.tensordot(down, values, axes=(1, 0))  # (height, W, C)
    means: NDArray[np.float64] = np.moveaxis(np.tensordot(across, rows, axes=(1, 1)), 0, 1)
    return means


def _overlaps(length: int, count: int) -> NDArray[np.float64]:
    """(count, length): share of each of `count` equal intervals that every pixel covers; rows sum to 1."""
    bounds = np.arange(count + 1)[:, None] * (length / count)
    pixel = np.arange(length)[None, :]
    shared = np.minimum(bounds[1:], pixel + 1) - np.maximum(bounds[:-1], pixel)
    weights: NDArray[np.float64] = np.maximum(shared, 0) * (count / length)
    return weights


def _phash(image: Image.Image) -> int:
    return int(str(imagehash.phash(image)), 16)


def _foreground(rgba: Pixels, thumbnail: Pixels, *, opaque: bool) -> float:
    if not opaque:
        return float((rgba[..., 3] / 255).mean())
    frame = np.concatenate([thumbnail[0], thumbnail[-1], thumbnail[:, 0], thumbnail[:, -1]])
    away = np.abs(thumbnail.astype(np.int16) - np.median(frame, axis=0)).max(axis=2)
    return float((away > 16).mean())


def difference(one: Look, other: Look) -> float:
    """Mean absolute difference of the thumbnails (0..255) over the smaller foreground share; inf for other shapes.

    Of two images with alpha the worst ground counts; if one is opaque the best, since it was flattened on some.
    """
    if not 0.95 <= one.aspect / other.aspect <= 1.05:
        return float("inf")
    per_ground = np.abs(one.thumbnails.astype(np.int16) - other.thumbnails).mean(axis=(1, 2, 3))
    canvas = per_ground.min() if one.opaque or other.opaque else per_ground.max()
    share = min(one.foreground, other.foreground)
    return float(canvas / share) if share else float("inf")


def candidates(looks: list[Look], max_distance: int) -> Pairs:
    """Pairs whose hashes differ in at most `max_distance` bits on some ground; blank hashes match nothing."""
    found = [np.empty((0, 2), np.int64)]
    for ground in range(len(GROUNDS)):
        hashes = np.array([item.hashes[ground] for item in looks], np.uint64)
        usable = np.flatnonzero(np.bitwise_count(hashes) >= BLANK_BITS)
        found.append(usable[_pairs_among(hashes[usable], max_distance)])
    return np.unique(np.concatenate(found), axis=0)


def _pairs_among(hashes: Hashes, max_distance: int) -> Pairs:
    """Equal hashes are grouped first: a bucket of many copies costs its pairs once."""
    values, group = np.unique(hashes, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group, minlength=len(values)))[:-1])
    found = [_within(items) for items in members if len(items) > 1]
    found += [_between(members[one], members[other]) for one, other in pairs_within(values, max_distance)]
    return np.sort(np.concatenate([*found, np.empty((0, 2), np.int64)]), axis=1)


def _within(items: NDArray[np.intp]) -> Pairs:
    one, other = np.triu_indices(len(items), 1)
    return np.stack([items[one], items[other]], axis=1).astype(np.int64)


def _between(some: NDArray[np.intp], others: NDArray[np.intp]) -> Pairs:
    return np.stack([np.repeat(some, len(others)), np.tile(others, len(some))], axis=1).astype(np.int64)


def pairs_within(hashes: Hashes, max_distance: int) -> Pairs:
    """All pairs of distinct 64-bit hashes within a Hamming distance, exactly."""
    if len(hashes) < 2:
        return np.empty((0, 2), np.int64)
    blocks = _bands(hashes, max_distance) if max_distance <= PIGEONHOLE else _all_pairs(hashes, max_distance)
    return np.unique(np.concatenate([*blocks, np.empty((0, 2), np.int64)]), axis=0)


def _bands(hashes: Hashes, max_distance: int) -> Iterator[Pairs]:
    """Hashes within D bits agree on one of D + 1 bands: compare each with its successors in the band's order."""
    edges = np.linspace(0, 64, max_distance + 2).astype(int)
    for low, high in pairwise(edges):
        key = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(key, kind="stable")
        yield from _successors(key[order], hashes[order], order, max_distance)


def _successors(key: Hashes, hashes: Hashes, order: NDArray[np.intp], max_distance: int) -> Iterator[Pairs]:
    alive, step = np.arange(len(key)), 1
    while len(alive := alive[alive + step < len(key)]):
        alive = alive[key[alive] == key[alive + step]]
        near = alive[np.bitwise_count(hashes[alive] ^ hashes[alive + step]) <= max_distance]
        yield np.sort(np.stack([order[near], order[near + step]], axis=1), axis=1).astype(np.int64)
        step += 1


def _all_pairs(hashes: Hashes, max_distance: int) -> Iterator[Pairs]:
    for start in range(0, len(hashes), BLOCK):
        distance = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None, :])
        one, other = np.nonzero(distance <= max_distance)
        later = other > one + start
        yield np.stack([one[later] + start, other[later]], axis=1).astype(np.int64)
