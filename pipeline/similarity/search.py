"""Which of many images look alike: hashes find candidates, thumbnails judge most of them without the pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.colour import LUMA_WEIGHTS
from pipeline.images.files import Pixels
from pipeline.similarity import hamming
from pipeline.similarity.fingerprints import (
    FINGERPRINT,
    GIST,
    GROUNDS,
    SKETCH,
    THUMBNAIL,
    Fingerprint,
    Fingerprints,
    cell_means,
    on_grounds,
)  # fmt: skip
from pipeline.similarity.hamming import Hashes, Index, Mask, Pairs

Floats = NDArray[np.float32]

BLANK_BITS = 8  # a hash with fewer set bits is that of a nearly uniform picture and matches everything
MAX_STRETCH = 1.05  # between the aspects of two versions of one work
MEASURED = 1 << 9  # pairs measured at a time: about 6 MB ...
SIFTED = 1 << 13  # ... of so many that are sifted at a time: about 2 MB
SLACK = 2.0  # of 255, by which rounded means of two images, on a ground, may differ more than the means themselves
LUMA = LUMA_WEIGHTS.astype(np.float32)


LIKENESS = np.dtype(  # how alike the images of a pair are
    [
        ("pair", "<i4", 2),  # indices
        # index into GROUNDS of the level on which they were compared: of two images with alpha the one that shows the
        # largest difference, if one is opaque the smallest, since it was flattened on some
        ("ground", "i1"),
        ("difference", "<f4"),  # mean absolute difference of the thumbnails, 0..255, over the smaller foreground share
        ("detail", "<f4"),  # largest difference of luma anywhere in the thumbnails, 0..255
    ]
)
Likenesses = NDArray[np.void]  # (P,)


def fingerprint(rgba: Pixels) -> Fingerprint:
    """The fingerprint of a uint8 (H, W, 4) image."""
    opaque = bool((rgba[..., 3] == 255).all())
    hashes = [_phash(on_ground(rgba, level)) for level in (GROUNDS[:1] if opaque else GROUNDS)]
    thumbnail = box(_premultiplied(rgba), THUMBNAIL, THUMBNAIL).round().astype(np.uint8)
    summary = np.zeros(1, FINGERPRINT)
    summary["hashes"] = hashes
    summary["foreground"] = _foreground(rgba, thumbnail[..., :3], opaque=opaque)
    summary["aspect"] = rgba.shape[1] / rgba.shape[0]
    summary["thumbnail"] = thumbnail
    summary["sketch"], summary["gist"] = cell_means(thumbnail, SKETCH), cell_means(thumbnail, GIST)
    summary["opaque"] = opaque
    row: Fingerprint = summary[0]
    return row


def on_ground(rgba: Pixels, level: int) -> Image.Image:
    """The image composited on a grey ground (0..255), RGB."""
    ground = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), (level, level, level, 255))
    return Image.alpha_composite(ground, Image.fromarray(rgba)).convert("RGB")


def _premultiplied(rgba: Pixels) -> Floats:
    alpha = rgba[..., 3:].astype(np.float32)
    return np.concatenate([rgba[..., :3] * (alpha / 255), alpha], axis=2).astype(np.float32)


def box(values: Pixels | Floats, height: int, width: int) -> NDArray[np.float64]:
    """Exact area means, (H, W, C) -> (height, width, C): unlike Pillow's BOX the same for every enlargement."""
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


def likenesses(
    table: Fingerprints,
    numbers: Index,
    max_distance: int,
    max_difference: float,
    max_detail: float,
    fresh: Mask | None = None,
) -> Iterator[Likenesses]:
    """Every pair of images of one shape with hashes within `max_distance` bits on some ground, once, in blocks.

    Only pairs whose `difference` or whose `detail` is within its bound. Blank hashes and images without foreground
    match nothing. A pair's likeness does not depend on any other image, nor on which of the two is the first.

    Args:
        numbers: (N,) rows of `table`; pairs are indices of it.
        fresh: (N,) only pairs with one of these; None = all.
    """
    bounds = max_difference, max_detail
    place_of = np.empty(len(table), np.int64)
    place_of[numbers] = np.arange(len(numbers))
    for places, narrower in _shapes(table["aspect"][numbers]):
        searched = narrower if fresh is None else fresh[places]
        for pairs in _of_one_shape(table, numbers[places], max_distance, narrower, searched):
            for start in range(0, len(pairs), SIFTED):
                likely = _sifted(table, pairs[start : start + SIFTED], "gist", *bounds)
                for first in range(0, len(likely), MEASURED):
                    likeness = _likeness(table, _sifted(table, likely[first : first + MEASURED], "sketch", *bounds))
                    alike = likeness[(likeness["difference"] <= max_difference) | (likeness["detail"] <= max_detail)]
                    if len(alike):
                        alike["pair"] = place_of[alike["pair"]]
                        yield alike


def _of_one_shape(
    table: Fingerprints, numbers: Index, max_distance: int, narrower: Mask, searched: Mask
) -> Iterator[Pairs]:
    """Candidates whose aspects are within MAX_STRETCH of one another, one of the `narrower` and one `searched` for."""
    for candidates in _candidates(table["hashes"][numbers], max_distance, searched):
        pairs = numbers[candidates[narrower[candidates].any(axis=1)]]
        left, right = table["aspect"][pairs].T
        yield pairs[np.maximum(left, right) <= MAX_STRETCH * np.minimum(left, right)]


def _shapes(aspects: Floats) -> Iterator[tuple[Index, Mask]]:
    """Indices of two neighbouring classes of shape, and which are the narrower one.

    Of two images of one shape, one is in some narrower class and the other in it or in its neighbour.
    """
    shape = np.floor(np.log(aspects) / (1.001 * math.log(MAX_STRETCH))).astype(np.int16)
    for narrower in np.unique(shape):
        places = np.flatnonzero((shape == narrower) | (shape == narrower + 1))
        yield places, shape[places] == narrower


def _sifted(
    table: Fingerprints, pairs: Pairs, means: Literal["gist", "sketch"], max_difference: float, max_detail: float
) -> Pairs:
    """Without those that are beyond both bounds on every ground: means never differ by more than what they are of."""
    left, right = pairs.T
    gaps = table[means][left].astype(np.int16) - table[means][right]
    gap = gaps.transpose(1, 2, 0).astype(np.float32, order="C")  # sums over few are fast when they are the outer ones
    most = max_difference * np.minimum(table["foreground"][left], table["foreground"][right]) + SLACK
    possible = np.zeros(len(pairs), bool)
    for level in GROUNDS:
        shown = gap[:3] - gap[3] * np.float32(level / 255)
        possible |= np.abs(np.tensordot(LUMA, shown, 1)).max(axis=0) <= max_detail + SLACK
        possible |= np.abs(shown, out=shown).mean(axis=(0, 1)) <= most
    return pairs[possible]


def _likeness(table: Fingerprints, pairs: Pairs) -> Likenesses:
    share = table["foreground"][pairs].min(axis=1)
    pairs, share = pairs[share > 0], share[share > 0]
    gap = on_grounds(table["thumbnail"][pairs[:, 0]])
    gap -= on_grounds(table["thumbnail"][pairs[:, 1]])
    luma, colour = np.abs(gap @ LUMA), np.abs(gap, out=gap).mean(axis=(2, 3, 4))
    best = table["opaque"][pairs].any(axis=1)
    ground = np.where(best, colour.argmin(axis=1), colour.argmax(axis=1))
    row = np.arange(len(pairs))
    likeness = np.empty(len(pairs), LIKENESS)
    likeness["pair"], likeness["ground"] = pairs, ground
    likeness["difference"], likeness["detail"] = colour[row, ground] / share, luma.max(axis=(2, 3))[row, ground]
    return likeness


def _candidates(hashes: Hashes, max_distance: int, searched: Mask | None = None) -> Iterator[Pairs]:
    """(N, grounds) -> pairs near on some ground, on the first such ground only; with one of those `searched` for."""
    for ground in range(hashes.shape[1]):
        usable = np.flatnonzero(_telling(hashes[:, ground]))
        fresh = None if searched is None else searched[usable]
        for near in hamming.pairs_within(hashes[usable, ground], max_distance, fresh):
            pairs = usable[near]
            known = np.zeros(len(pairs), bool)
            for before in range(ground):
                left, right = hashes[pairs, before].T
                known |= (np.bitwise_count(left ^ right) <= max_distance) & _telling(left) & _telling(right)
            yield pairs[~known]


def _telling(hashes: Hashes) -> Mask:
    telling: Mask = np.bitwise_count(hashes) >= BLANK_BITS
    return telling


def candidates(fingerprints: list[Fingerprint], max_distance: int) -> Pairs:
    """Pairs whose hashes differ in at most `max_distance` bits on some ground, sorted; blank hashes match nothing."""
    hashes = np.array(fingerprints, FINGERPRINT)["hashes"]
    blocks = [*_candidates(hashes, max_distance), np.empty((0, 2), np.int64)]
    return np.unique(np.concatenate(blocks), axis=0)
