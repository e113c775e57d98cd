"""Tells whether a picture is a copy of another that lost something: by a codec, a smooth enlargement, a stray edit.

A copy keeps what the eye keeps, and that is what is measured: codecs err in single pixels and blur hues, but keep the
lightness of every neighbourhood; smooth resampling blurs lightness, but keeps the hue of every neighbourhood. A drawn
difference (another expression, another frame) moves a neighbourhood by more than either does. Of two lossy pictures
codecs tell more: one encoder makes equal blocks of equal pixels, so that two drawings that differ in a few pixels share
whole blocks to the last bit, while two copies of one drawing that were made differently differ in nearly all of them.

The bounds hold on half of 8,331 real sprites and their copies (WebP 80, JPEG 85, bicubic x2); benchmarks/dedup.py
measures what they find and what they confuse on the other half.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.images import canonical
from pipeline.images.colour import LUMA_WEIGHTS
from pipeline.images.files import Pixels, read_rgba
from pipeline.similarity import search

Floats = NDArray[np.float32]

MAX_EDITED = 1  # pixels in which two lossless versions of one size may differ and still be one work ...
MAX_SHIFT = 4  # ... or the most, of 255, that all their colours may be shifted
MAX_SIDE = 96  # pixels at which the others are compared, if their own sizes are not smaller
CODED_LUMA, CODED_CHROMA = 13.0, 25.0  # of 255, of a lossy copy, over 3 x 3 and 5 x 5 pixels
TWICE_LUMA, TWICE_CHROMA = 4.0, 6.0  # of two lossy copies that share no block: with no original to tell, hardly visible
BLOCK, PLAIN = 8, 24  # pixels a side of a codec's block; range of each channel up to which a block says nothing
SMOOTH_COLOUR, SMOOTH_CHROMA = 28.0, 8.0  # of a resampled copy, over 3 x 3 pixels
YCC: Floats = np.array(  # RGB -> luma and two chromas, JPEG's
    [LUMA_WEIGHTS, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
).T

_read = lru_cache(64)(read_rgba)  # pairs come sorted


@dataclass(frozen=True)
class Version:
    """A decoded picture, and whether its file's format keeps every pixel."""

    path: Path
    lossless: bool


@dataclass(frozen=True)
class Pair:
    """Two versions to be compared on one grey level."""

    first: Version
    second: Version
    level: int


@dataclass(frozen=True)
class Residual:
    """What is left between two pictures at one size, 0..255: largest means over small squares, and their rms."""

    luma: float  # over 3 x 3 pixels
    chroma: float  # over 3 x 3
    wide_chroma: float  # over 5 x 5
    colour: float  # over 3 x 3, of any RGB channel
    rms: float  # of the luma


def distance(pair: Pair) -> float | None:
    """Root mean square of the luma between two versions of one picture; None if they are different works."""
    first, second = _read(pair.first.path), _read(pair.second.path)
    if pair.first.lossless and pair.second.lossless:
        cores = [canonical.canonical_form(rgba).core for rgba in (first, second)]
        if cores[0].shape == cores[1].shape:
            return _edited(cores[0], cores[1], pair.level)
        if first.shape == second.shape:
            return None
    if not (pair.first.lossless or pair.second.lossless) and _drawn_apart(first, second, pair.level):
        return None
    residual = _residual(first, second, pair.level)
    smooth = residual.colour <= SMOOTH_COLOUR and residual.chroma <= SMOOTH_CHROMA
    resampled = first.shape != second.shape and smooth
    return residual.rms if resampled or _coded(residual, pair) else None


def _coded(residual: Residual, pair: Pair) -> bool:
    lossy = (not pair.first.lossless) + (not pair.second.lossless)
    luma, chroma = (TWICE_LUMA, TWICE_CHROMA) if lossy == 2 else (CODED_LUMA, CODED_CHROMA)
    return lossy > 0 and residual.luma <= luma and residual.wide_chroma <= chroma


def _drawn_apart(first: Pixels, second: Pixels, level: int) -> bool:
    """Whether two decoded lossy pictures of one size differ, yet have a block that is not plain in common."""
    if first.shape != second.shape:
        return False
    first_blocks, second_blocks = (_blocks(np.asarray(search.on_ground(rgba, level))) for rgba in (first, second))
    equal = (first_blocks == second_blocks).all(axis=(1, 3, 4))
    shared = first_blocks.swapaxes(1, 2)[equal]
    return not equal.all() and bool((np.ptp(shared, axis=(1, 2)) > PLAIN).any())


def _blocks(rgb: Pixels) -> Pixels:
    """(H, W, 3) -> (rows, BLOCK, columns, BLOCK, 3), the last pixels repeated."""
    height, width = rgb.shape[:2]
    padded = np.pad(rgb, ((0, -height % BLOCK), (0, -width % BLOCK), (0, 0)), mode="edge")
    return padded.reshape(-(-height // BLOCK), BLOCK, -(-width // BLOCK), BLOCK, 3)


def _edited(first: Pixels, second: Pixels, level: int) -> float | None:
    """Lossless versions of one size; with transparency in one only, they are compared on the grey level."""
    if _opaque(first) != _opaque(second):
        first, second = (np.asarray(search.on_ground(rgba, level)) for rgba in (first, second))
    gap = np.abs(first.astype(np.int16) - second)
    shift = gap.max(axis=2)
    if (shift > 0).sum() > MAX_EDITED and shift.max() > MAX_SHIFT:
        return None
    return float(np.sqrt(np.square(gap[..., :3] @ search.LUMA).mean()))


def _opaque(rgba: Pixels) -> bool:
    return bool((rgba[..., 3] == 255).all())


def _residual(first: Pixels, second: Pixels, level: int) -> Residual:
    height, width = (min(first.shape[axis], second.shape[axis], MAX_SIDE) for axis in (0, 1))
    planes = [_resized(np.asarray(search.on_ground(rgba, level)), height, width) for rgba in (first, second)]
    gap: Floats = planes[0] - planes[1]
    ycc: Floats = gap @ YCC
    near = _means(ycc, 3)
    return Residual(
        luma=float(np.abs(near[..., 0]).max()),
        chroma=float(np.abs(near[..., 1:]).max()),
        wide_chroma=float(np.abs(_means(ycc[..., 1:], 5)).max()),
        colour=float(np.abs(_means(gap, 3)).max()),
        rms=float(np.sqrt(np.square(ycc[..., 0]).mean())),
    )


def _resized(rgb: Pixels, height: int, width: int) -> Floats:
    same = rgb.shape[:2] == (height, width)
    return (rgb if same else search.box(rgb, height, width)).astype(np.float32)


def _means(values: Floats, side: int) -> Floats:
    """(H, W, C): means over side x side pixels around each; outside the picture nothing differs."""
    edge = side // 2
    sums = np.pad(values, ((edge + 1, edge), (edge + 1, edge), (0, 0))).cumsum(axis=0).cumsum(axis=1)
    areas = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    means: Floats = areas / (side * side)
    return means
