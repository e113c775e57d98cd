"""Colours of the cells of an image: is every cell one colour, and which. No colour is invented."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.cell_combs import Luma
from pipeline.cell_edges import Positions
from pipeline.io import Pixels

Numbers = NDArray[np.float64]
Packed = NDArray[np.int64]  # colours as 0xRRGGBB

MAX_RESIDUAL = 0.1  # of the variance that the cells may leave unexplained (true grids <= 0.07, natives mostly > 0.2)
NOISE = 4.0  # variance that noise adds whatever the contrast: a standard deviation of 2, as JPEG 75 has in dark art
MAX_MISFIT = 0.1  # share of pixels that may differ visibly from their cell ...
VISIBLE = 32  # ... in luma, of 255
SNAP = 24  # of 255: colours of one inexact work nearer than this are the same colour


def misfit_of_centres(rgb: Pixels, columns: Positions, rows: Positions) -> float:
    """Share of pixels that are not exactly the colour in the centre of their cell."""
    height, width = rgb.shape[:2]
    centres = rgb[_centres(height, rows)][:, _centres(width, columns)]
    again = centres[_index(height, rows)][:, _index(width, columns)]
    return float((again != rgb).any(axis=2).mean())


def are_plain(rgb: Pixels, luma: Luma, columns: Positions, rows: Positions) -> bool:
    """Every cell is one colour, but for compression noise: little variance is left, few pixels differ visibly."""
    area = _areas(rgb.shape[:2], columns, rows)
    sums = _sums(rgb, columns, rows).astype(np.float64)
    explained = np.square(sums).sum(axis=2) / area
    squares = float(np.square(rgb.astype(np.float32)).sum(dtype=np.float64))
    mean = np.square(sums.sum(axis=(0, 1))).sum() / area.sum()
    if squares - explained.sum() > MAX_RESIDUAL * (squares - mean) + NOISE * rgb.size:
        return False
    cells = (_sums(luma[..., None], columns, rows)[..., 0] / area).astype(np.float32)
    again = cells[_index(rgb.shape[0], rows)][:, _index(rgb.shape[1], columns)]
    return float((np.abs(again - luma) > VISIBLE).mean()) <= MAX_MISFIT


def majority(rgb: Pixels, columns: Positions, rows: Positions) -> Pixels:
    """Most frequent colour of every cell; among equals the one nearest to the cell's mean, then the darkest."""
    height, width = rgb.shape[:2]
    cell = _index(height, rows)[:, None] * (len(columns) + 1) + _index(width, columns)
    pairs, counts = np.unique((cell.ravel() << 24) | _packed(rgb), return_counts=True)
    owner = pairs >> 24
    winners = counts == _best_of(np.maximum, counts, owner)
    pairs, owner = pairs[winners], owner[winners]
    mean = _sums(rgb, columns, rows).reshape(-1, 3) / _areas(rgb.shape[:2], columns, rows).reshape(-1, 1)
    distance = np.square(_unpacked(pairs) - mean[owner]).sum(axis=1)
    nearest = distance == _best_of(np.minimum, distance, owner)
    pairs, owner = pairs[nearest], owner[nearest]
    return _unpacked(pairs[_first_of_each(owner)]).reshape(len(rows) + 1, len(columns) + 1, 3)


def merge_near(rgb: Pixels) -> Pixels:
    """Each colour becomes the most frequent one within SNAP of it (largest channel difference)."""
    colours, inverse, counts = np.unique(_packed(rgb), return_inverse=True, return_counts=True)
    values = _unpacked(colours).astype(np.int16)
    target = np.arange(len(colours))
    free = np.argsort(-counts, kind="stable")
    while len(free):
        near = np.abs(values[free] - values[free[0]]).max(axis=1) < SNAP
        target[free[near]] = free[0]
        free = free[~near]
    return _unpacked(colours[target[inverse]]).reshape(rgb.shape)


def _best_of(rule: np.ufunc, values: NDArray[np.generic], owner: Packed) -> NDArray[np.generic]:
    """For each value: the best of its owner's, which stand together."""
    starts = _first_of_each(owner)
    best: NDArray[np.generic] = np.repeat(rule.reduceat(values, starts), np.diff(starts, append=len(values)))
    return best


def _first_of_each(owner: Packed) -> Positions:
    return np.concatenate(([0], np.flatnonzero(owner[1:] != owner[:-1]) + 1))


def _sums(planes: Pixels, columns: Positions, rows: Positions) -> NDArray[np.uint32]:
    """uint8 (H, W, C) -> (rows + 1, columns + 1, C): sums over each cell."""
    down = np.add.reduceat(planes, _bounds(rows, len(planes))[:-1], axis=0, dtype=np.uint32)
    sums: NDArray[np.uint32] = np.add.reduceat(down, _bounds(columns, planes.shape[1])[:-1], axis=1)
    return sums


def _areas(shape: tuple[int, ...], columns: Positions, rows: Positions) -> Numbers:
    """Pixels of each cell, (rows + 1, columns + 1)."""
    height, width = np.diff(_bounds(rows, shape[0])), np.diff(_bounds(columns, shape[1]))
    areas: Numbers = np.multiply.outer(height, width).astype(np.float64)
    return areas


def _centres(length: int, starts: Positions) -> Positions:
    bounds = _bounds(starts, length)
    centres: Positions = (bounds[:-1] + bounds[1:]) // 2
    return centres


def _index(length: int, starts: Positions) -> Positions:
    """Cell number of every column (row)."""
    return np.repeat(np.arange(len(starts) + 1), np.diff(_bounds(starts, length)))


def _bounds(starts: Positions, length: int) -> Positions:
    """Both ends of every cell, strung together."""
    return np.concatenate(([0], starts, [length]))


def _packed(rgb: Pixels) -> Packed:
    """(..., 3) -> (N,)."""
    values = rgb.reshape(-1, 3).astype(np.int64)
    return (values[:, 0] << 16) | (values[:, 1] << 8) | values[:, 2]


def _unpacked(packed: Packed) -> Pixels:
    return np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=1).astype(np.uint8)
