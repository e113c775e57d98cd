"""Perceptual likeness of sprites: hashes to find candidates, thumbnails to judge most of them without the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline import hamming
from pipeline.hamming import Index, Mask, Pairs
from pipeline.io import Pixels
from pipeline.scratch import Records

Floats = NDArray[np.float32]

GROUNDS = (255, 0, 128)  # grey levels under transparency: a copy may have been flattened on any
THUMBNAIL = 16
BLANK_BITS = 8  # a hash with fewer set bits is that of a nearly uniform picture and matches everything
MAX_STRETCH = 1.05  # between the aspects of two versions of one work
JUDGED = 1 << 10  # pairs judged at a time: about 12 MB ...
SIFTED = 1 << 14  # ... of so many that are sifted at a time: about 10 MB
GIST, SKETCH = 2, 8  # cells a side of what they are sifted by, first and then
SKETCHED = 1 << 9  # thumbnails that are sketched at a time: about 3 MB
SLACK = 2.0  # of 255, by which rounded means of two images, on a ground, may differ more than the means themselves
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Look:
    """What is compared of one image.

    Attributes:
        hashes: 64-bit pHash on each of GROUNDS.
        thumbnail: uint8 (16, 16, 4), box-filtered, colours multiplied by alpha; for comparison only.
        foreground: share of the canvas that is neither transparent nor the border's colour, 0..1.
        opaque: no transparency.
        aspect: width / height.
    """

    hashes: tuple[int, ...]
    thumbnail: Pixels
    foreground: float
    opaque: bool
    aspect: float

    @property
    def thumbnails(self) -> Pixels:
        """uint8 (grounds, 16, 16, 3): the thumbnail on each of GROUNDS."""
        thumbnails: Pixels = on_grounds(self.thumbnail[None])[0].round().astype(np.uint8)
        return thumbnails


class Looks:
    """The looks of many images: about 60 bytes an image in arrays, thumbnails and sketches of them in unnamed files.

    Args:
        expected: images for which there is room at once; more are moved to larger arrays.
        folder: on whose disk the files are; None = that of temporary files.
    """

    COLUMNS = ("hashes", "foreground", "opaque", "aspect", "gist", "rows")

    def __init__(self, expected: int = 0, folder: Path | None = None) -> None:
        self.hashes = np.zeros((expected, len(GROUNDS)), np.uint64)
        self.foreground = np.zeros(expected, np.float32)
        self.opaque = np.zeros(expected, np.bool_)
        self.aspect = np.ones(expected, np.float32)
        self.gist = np.zeros((expected, 4, GIST**2), np.uint8)
        self.rows = np.arange(expected, dtype=np.int32)  # where an image is in the files, which a copy shares
        self.thumbnails = Records(THUMBNAIL**2 * 4, folder)
        self.sketches = Records(SKETCH**2 * 4, folder)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, look: Look) -> None:
        if self._count == len(self.aspect):
            self._grow(max(64, self._count // 4))
        index, self._count = self._count, self._count + 1
        self.hashes[index] = look.hashes
        self.foreground[index] = look.foreground
        self.opaque[index] = look.opaque
        self.aspect[index] = look.aspect
        self.gist[index] = _means(look.thumbnail[None], GIST)
        self.thumbnails.append(look.thumbnail.tobytes())

    def _grow(self, more: int) -> None:
        for name in self.COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros((more, *column.shape[1:]), column.dtype)]))
        self.rows[-more:] = np.arange(len(self.rows) - more, len(self.rows))

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Looks:
        """Some, in the order of `indices`; what is in files stays where it is."""
        taken = copy(self)
        for name in self.COLUMNS:
            setattr(taken, name, getattr(self, name)[indices])
        taken._count = len(indices)
        return taken

    def thumbnails_of(self, indices: Index) -> Pixels:
        """(len(indices), 16, 16, 4)."""
        return self.thumbnails.take(self.rows[indices]).reshape(-1, THUMBNAIL, THUMBNAIL, 4)

    def gists_of(self, indices: Index) -> Pixels:
        """(len(indices), 4, 4): as `sketches_of`, over each of 2 x 2 cells."""
        return self.gist[indices]

    def sketches_of(self, indices: Index) -> Pixels:
        """(len(indices), 4, 64): means of R, G, B (multiplied by alpha) and alpha over each of 8 x 8 cells."""
        for start in range(len(self.sketches), len(self.thumbnails), SKETCHED):
            small = self.thumbnails.between(start, start + SKETCHED).reshape(-1, THUMBNAIL, THUMBNAIL, 4)
            self.sketches.append(_means(small, SKETCH).tobytes())
        return self.sketches.take(self.rows[indices]).reshape(-1, 4, SKETCH**2)


@dataclass(frozen=True)
class Likeness:
    """How alike the images of each of P pairs are.

    Attributes:
        pairs: (P, 2) indices.
        ground: (P,) index into GROUNDS of the level on which they were compared: of two images with alpha the one that
            shows the largest difference, if one is opaque the smallest, since it was flattened on some.
        difference: (P,) mean absolute difference of the thumbnails, 0..255, over the smaller foreground share.
        detail: (P,) largest difference of luma anywhere in the thumbnails, 0..255.
    """

    pairs: Pairs
    ground: NDArray[np.int8]
    difference: Floats
    detail: Floats

    @staticmethod
    def none() -> Likeness:
        empty = np.empty(0, np.float32)
        return Likeness(np.empty((0, 2), np.int64), np.empty(0, np.int8), empty, empty)

    @staticmethod
    def joined(parts: list[Likeness]) -> Likeness:
        columns = zip(*((part.pairs, part.ground, part.difference, part.detail) for part in parts), strict=True)
        return Likeness(*map(np.concatenate, columns))

    def where(self, chosen: NDArray[np.bool_ | np.intp]) -> Likeness:
        return Likeness(self.pairs[chosen], self.ground[chosen], self.difference[chosen], self.detail[chosen])


def look(rgba: Pixels) -> Look:
    """Hashes and thumbnail of a uint8 (H, W, 4) image."""
    opaque = bool((rgba[..., 3] == 255).all())
    hashes = [_phash(on_ground(rgba, level)) for level in (GROUNDS[:1] if opaque else GROUNDS)]
    thumbnail = box(_premultiplied(rgba), THUMBNAIL, THUMBNAIL).round().astype(np.uint8)
    return Look(
        hashes=tuple(hashes * (len(GROUNDS) // len(hashes))),
        thumbnail=thumbnail,
        foreground=_foreground(rgba, thumbnail[..., :3], opaque=opaque),
        opaque=opaque,
        aspect=rgba.shape[1] / rgba.shape[0],
    )


def on_ground(rgba: Pixels, level: int) -> Image.Image:
    """The image composited on a grey ground, RGB."""
    ground = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), (level, level, level, 255))
    return Image.alpha_composite(ground, Image.fromarray(rgba)).convert("RGB")


def on_grounds(thumbnails: Pixels) -> Floats:
    """uint8 (N, 16, 16, 4), premultiplied -> float (N, grounds, 16, 16, 3)."""
    clear = 1 - thumbnails[..., 3:].astype(np.float32) / 255
    levels = np.array(GROUNDS, np.float32)[:, None, None, None]
    on_each = thumbnails[:, None, ..., :3] + levels * clear[:, None]
    return on_each.astype(np.float32, copy=False)


def _premultiplied(rgba: Pixels) -> Floats:
    alpha = rgba[..., 3:].astype(np.float32)
    return np.concatenate([rgba[..., :3] * (alpha / 255), alpha], axis=2).astype(np.float32)


def box(values: Pixels | Floats, height: int, width: int) -> NDArray[np.float64]:
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


def likenesses(
    looks: Looks, max_distance: int, max_difference: float, max_detail: float, fresh: Mask | None = None
) -> Iterator[Likeness]:
    """Every pair of images of one shape with hashes within `max_distance` bits on some ground, once, in blocks.

    Only pairs whose `difference` or whose `detail` is within its bound. Blank hashes and images without foreground
    match nothing. What is told of two images does not depend on any other, nor on which of them is the first.

    Args:
        fresh: only pairs with one of these; None = all.
    """
    bounds = max_difference, max_detail
    for pairs in _candidates(looks.hashes, max_distance, fresh):
        aspects = looks.aspect[pairs]
        fitting = pairs[aspects.max(axis=1) <= MAX_STRETCH * aspects.min(axis=1)]
        for start in range(0, len(fitting), SIFTED):
            likely = _sifted(looks, fitting[start : start + SIFTED], *bounds, looks.gists_of)
            sifted = _sifted(looks, likely, *bounds, looks.sketches_of)
            for first in range(0, len(sifted), JUDGED):
                judged = _judged(looks, sifted[first : first + JUDGED])
                yield judged.where((judged.difference <= max_difference) | (judged.detail <= max_detail))


def _means(thumbnails: Pixels, side: int) -> Pixels:
    """(N, 16, 16, 4) -> (N, 4, side * side): means over equal cells, rounded."""
    cell = THUMBNAIL // side
    cells = thumbnails.reshape(-1, side, cell, side, cell, 4).mean(axis=(2, 4), dtype=np.float32).round()
    means: Pixels = np.ascontiguousarray(cells.astype(np.uint8).reshape(-1, side**2, 4).swapaxes(1, 2))
    return means


def _sifted(
    looks: Looks, pairs: Pairs, max_difference: float, max_detail: float, means_of: Callable[[Index], Pixels]
) -> Pairs:
    """Without those that are beyond both bounds on every ground: means never differ by more than what they are of."""
    gap = means_of(pairs[:, 0]).astype(np.float32)
    gap -= means_of(pairs[:, 1])
    most = max_difference * looks.foreground[pairs].min(axis=1) + SLACK
    possible = np.zeros(len(pairs), bool)
    for level in GROUNDS:
        shown = gap[:, :3] - gap[:, 3:] * np.float32(level / 255)
        possible |= np.abs(LUMA @ shown).max(axis=1) <= max_detail + SLACK
        possible |= np.abs(shown, out=shown).mean(axis=(1, 2)) <= most
    return pairs[possible]


def _judged(looks: Looks, pairs: Pairs) -> Likeness:
    share = looks.foreground[pairs].min(axis=1)
    pairs, share = pairs[share > 0], share[share > 0]
    gap = on_grounds(looks.thumbnails_of(pairs[:, 0]))
    gap -= on_grounds(looks.thumbnails_of(pairs[:, 1]))
    luma, colour = np.abs(gap @ LUMA), np.abs(gap, out=gap).mean(axis=(2, 3, 4))
    best = looks.opaque[pairs].any(axis=1)
    ground = np.where(best, colour.argmin(axis=1), colour.argmax(axis=1)).astype(np.int8)
    row = np.arange(len(pairs))
    return Likeness(pairs, ground, colour[row, ground] / share, luma.max(axis=(2, 3))[row, ground])


def _candidates(hashes: NDArray[np.uint64], max_distance: int, fresh: Mask | None = None) -> Iterator[Pairs]:
    """(N, grounds) -> pairs near on some ground, told on the first such ground only; see `likenesses`."""
    telling = np.bitwise_count(hashes) >= BLANK_BITS
    for ground in range(hashes.shape[1]):
        usable = np.flatnonzero(telling[:, ground])
        new = None if fresh is None else fresh[usable]
        for found in hamming.pairs_within(hashes[usable, ground], max_distance, new):
            pairs = usable[found]
            one, other = pairs.T
            told = np.zeros(len(pairs), bool)
            for before in range(ground):
                near = np.bitwise_count(hashes[one, before] ^ hashes[other, before]) <= max_distance
                told |= near & telling[one, before] & telling[other, before]
            yield pairs[~told]


def candidates(looks: list[Look], max_distance: int) -> Pairs:
    """Pairs whose hashes differ in at most `max_distance` bits on some ground, sorted; blank hashes match nothing."""
    hashes = np.array([item.hashes for item in looks], np.uint64)
    found = [*_candidates(hashes.reshape(-1, len(GROUNDS)), max_distance), np.empty((0, 2), np.int64)]
    return np.unique(np.concatenate(found), axis=0)
