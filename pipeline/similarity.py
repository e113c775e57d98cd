"""Perceptual likeness of sprites: hashes to find candidates, thumbnails to judge most of them without the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline import hamming
from pipeline.hamming import Pairs
from pipeline.io import Pixels

Floats = NDArray[np.float32]

GROUNDS = (255, 0, 128)  # grey levels under transparency: a copy may have been flattened on any
THUMBNAIL = 16
BLANK_BITS = 8  # a hash with fewer set bits is that of a nearly uniform picture and matches everything
MAX_STRETCH = 1.05  # between the aspects of two versions of one work
JUDGED = 1 << 13  # pairs judged at a time: about 100 MB ...
SIFTED = 1 << 14  # ... of so many that are sifted at a time: about 10 MB
SKETCH = 8  # cells a side of what they are sifted by
SKETCHED = 1 << 9  # thumbnails at a time: about 3 MB
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
    """The looks of many images in a few arrays: about 1 KB an image, whatever its size.

    Args:
        expected: images for which there is room at once; more are moved to larger arrays.
    """

    COLUMNS = ("hashes", "foreground", "opaque", "aspect", "rows")

    def __init__(self, expected: int = 0) -> None:
        self.hashes = np.zeros((expected, len(GROUNDS)), np.uint64)
        self.foreground = np.zeros(expected, np.float32)
        self.opaque = np.zeros(expected, np.bool_)
        self.aspect = np.ones(expected, np.float32)
        self.rows = np.arange(expected)  # where an image's thumbnail is in `thumbnails`, which a copy shares
        self.thumbnails = np.zeros((expected, THUMBNAIL, THUMBNAIL, 4), np.uint8)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, look: Look) -> None:
        if self._count == len(self.aspect):
            self._grow(max(64, self._count // 4))
        index, self._count = self._count, self._count + 1
        self.hashes[index] = look.hashes
        self.thumbnails[index] = look.thumbnail
        self.foreground[index] = look.foreground
        self.opaque[index] = look.opaque
        self.aspect[index] = look.aspect

    def _grow(self, more: int) -> None:
        fresh = Looks(more)
        fresh.rows += len(self.rows)
        for name in (*self.COLUMNS, "thumbnails"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(fresh, name)]))

    def take(self, indices: Sequence[int]) -> Looks:
        """Some, in the order of `indices`; the thumbnails stay where they are."""
        taken = Looks()
        for name in self.COLUMNS:
            setattr(taken, name, getattr(self, name)[indices])
        taken.thumbnails = self.thumbnails
        taken._count = len(indices)
        return taken


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


def likenesses(looks: Looks, max_distance: int, max_difference: float, max_detail: float) -> Iterator[Likeness]:
    """Every pair of images of one shape with hashes within `max_distance` bits on some ground, once, in blocks.

    Only pairs whose `difference` or whose `detail` is within its bound. Blank hashes and images without foreground
    match nothing.
    """
    sketches = _sketches(looks)
    for pairs in _candidates(looks.hashes, max_distance):
        stretch = looks.aspect[pairs[:, 0]] / looks.aspect[pairs[:, 1]]
        fitting = pairs[(stretch >= 1 / MAX_STRETCH) & (stretch <= MAX_STRETCH)]
        for start in range(0, len(fitting), SIFTED):
            sifted = _sifted(looks, sketches, fitting[start : start + SIFTED], max_difference, max_detail)
            for first in range(0, len(sifted), JUDGED):
                judged = _judged(looks, sifted[first : first + JUDGED])
                yield judged.where((judged.difference <= max_difference) | (judged.detail <= max_detail))


def _sketches(looks: Looks) -> NDArray[np.uint8]:
    """(N, 4, 64): means of R, G, B (multiplied by alpha) and alpha over each of 8 x 8 cells of the thumbnails."""
    cell = THUMBNAIL // SKETCH
    sketches = np.empty((len(looks), 4, SKETCH**2), np.uint8)
    for start in range(0, len(looks), SKETCHED):
        small = looks.thumbnails[looks.rows[start : min(start + SKETCHED, len(looks))]]
        cells = small.reshape(-1, SKETCH, cell, SKETCH, cell, 4).mean(axis=(2, 4), dtype=np.float32).round()
        sketches[start : start + SKETCHED] = cells.reshape(-1, SKETCH**2, 4).swapaxes(1, 2)
    return sketches


def _sifted(looks: Looks, sketches: NDArray[np.uint8], pairs: Pairs, max_difference: float, max_detail: float) -> Pairs:
    """Without those that are beyond both bounds on every ground: means never differ by more than what they are of."""
    gap = sketches[pairs[:, 0]].astype(np.float32)
    gap -= sketches[pairs[:, 1]]
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
    gap = on_grounds(looks.thumbnails[looks.rows[pairs[:, 0]]])
    gap -= on_grounds(looks.thumbnails[looks.rows[pairs[:, 1]]])
    luma, colour = np.abs(gap @ LUMA), np.abs(gap, out=gap).mean(axis=(2, 3, 4))
    best = looks.opaque[pairs].any(axis=1)
    ground = np.where(best, colour.argmin(axis=1), colour.argmax(axis=1)).astype(np.int8)
    row = np.arange(len(pairs))
    return Likeness(pairs, ground, colour[row, ground] / share, luma.max(axis=(2, 3))[row, ground])


def _candidates(hashes: NDArray[np.uint64], max_distance: int) -> Iterator[Pairs]:
    """(N, grounds) -> pairs near on some ground, told on the first such ground only."""
    telling = np.bitwise_count(hashes) >= BLANK_BITS
    for ground in range(hashes.shape[1]):
        usable = np.flatnonzero(telling[:, ground])
        for found in hamming.pairs_within(hashes[usable, ground], max_distance):
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
