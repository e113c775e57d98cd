"""Colours of the cells of an image: is every cell one colour, and which. No colour is invented."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.cell_combs import Luma
from pipeline.cell_edges import Positions, strips
from pipeline.io import Pixels

Numbers = NDArray[np.float64]
Packed = NDArray[np.uint32]  # colours as 0xRRGGBB

MAX_RESIDUAL = 0.1  # of the variance that the cells may leave unexplained (true grids <= 0.07, natives mostly > 0.2)
NOISE = 4.0  # variance that noise adds whatever the contrast: a standard deviation of 2, as JPEG 75 has in dark art
MAX_MISFIT = 0.1  # share of pixels that may differ visibly from their cell ...
VISIBLE = 32  # ... in luma, of 255
NOTHING = 0xFFFFFFFF  # no colour, and above all of them
SNAP = 24  # of 255: colours of one inexact work nearer than this are the same colour


def misfit_of_centres(rgb: Pixels, columns: Positions, rows: Positions) -> float:
    """Share of pixels that are not exactly the colour in the centre of their cell."""
    height, width = rgb.shape[:2]
    centres = rgb[_centres(height, rows)][:, _centres(width, columns)]
    return float((_spread(centres, rgb.shape[:2], columns, rows) != rgb).any(axis=2).mean())


def are_plain(rgb: Pixels, luma: Luma, columns: Positions, rows: Positions) -> bool:
    """Every cell is one colour, but for compression noise: little variance is left, few pixels differ visibly."""
    area = _areas(rgb.shape[:2], columns, rows)
    sums = _sums(rgb, columns, rows).astype(np.float64)
    explained = np.square(sums).sum(axis=2) / area
    squares = sum(_squares(own) for _, own, _ in strips(rgb.reshape(len(rgb), -1)))
    mean = np.square(sums.sum(axis=(0, 1))).sum() / area.sum()
    if squares - explained.sum() > MAX_RESIDUAL * (squares - mean) + NOISE * rgb.size:
        return False
    cells = (_sums(luma[..., None], columns, rows)[..., 0] / area).astype(np.float32)
    differ = np.abs(_spread(cells, luma.shape, columns, rows) - luma) > VISIBLE
    return float(differ.mean()) <= MAX_MISFIT


def _squares(values: Pixels) -> float:
    flat = values.ravel().astype(np.float64)
    return float(np.einsum("i,i", flat, flat))  # unlike `@` on one core, without waking the others


def majority(rgb: Pixels, columns: Positions, rows: Positions) -> Pixels:
    """Most frequent colour of every cell; among equals the one nearest to the cell's mean, then the darkest."""
    colours, counts, owner = _colours_of_cells(rgb, columns, rows)
    winners = np.flatnonzero(counts == _best_of(np.maximum, counts, owner))
    candidates, owner = _unpacked(colours[winners]), owner[winners]
    mean = _sums(rgb, columns, rows).reshape(-1, 3) / _areas(rgb.shape[:2], columns, rows).reshape(-1, 1)
    distance = np.square(candidates - mean[owner]).sum(axis=1)
    nearest = np.flatnonzero(distance == _best_of(np.minimum, distance, owner))
    first = nearest[_first_of_each(owner[nearest])]
    return candidates[first].reshape(len(rows) + 1, len(columns) + 1, 3)


def _colours_of_cells(rgb: Pixels, columns: Positions, rows: Positions) -> tuple[Packed, Positions, Positions]:
    """Colours that occur in a cell, how often, and the cell's number; cell by cell, the darkest first."""
    pixels = _by_cell(rgb, columns, rows)
    pixels.sort(axis=1)  # short rows in cache: many times as fast as all pixels at once
    new = np.ones(pixels.shape, np.bool_)
    np.not_equal(pixels[:, 1:], pixels[:, :-1], out=new[:, 1:])
    starts = np.flatnonzero(new)
    colours = pixels.ravel()[starts]
    counts = np.diff(starts, append=pixels.size)
    real = np.flatnonzero(colours != NOTHING)
    return colours[real], counts[real], starts[real] // pixels.shape[1]


def _by_cell(rgb: Pixels, columns: Positions, rows: Positions) -> Packed:
    """Colours of every cell, (cells, pixels of the largest); smaller cells are filled up with NOTHING."""
    height, width = rgb.shape[:2]
    down, across = _places(height, rows), _places(width, columns)
    tall = _packed(rgb).reshape(height, width).take(down.ravel(), axis=0, mode="clip")
    tall[down.ravel() == height] = NOTHING
    whole = tall.take(across.ravel(), axis=1, mode="clip")
    whole[:, across.ravel() == width] = NOTHING
    blocks = whole.reshape(*down.shape, *across.shape).swapaxes(1, 2)
    return blocks.reshape(len(down) * len(across), -1)


def _places(length: int, starts: Positions) -> Positions:
    """Columns (rows) of every cell, (cells, columns of the largest); `length` where a cell has no more."""
    bounds = _bounds(starts, length)
    sizes = np.diff(bounds)
    steps = np.arange(sizes.max())
    places: Positions = np.where(steps < sizes[:, None], bounds[:-1, None] + steps, length)
    return places


def merge_near(rgb: Pixels) -> Pixels:
    """Each colour becomes the most frequent one within SNAP of it (largest channel difference)."""
    colours, inverse, counts = np.unique(_packed(rgb).ravel(), return_inverse=True, return_counts=True)
    values = _unpacked(colours).astype(np.int16)
    target = np.arange(len(colours))
    free = np.argsort(-counts, kind="stable")
    while len(free):
        near = np.abs(values[free] - values[free[0]]).max(axis=1) < SNAP
        target[free[near]] = free[0]
        free = free[~near]
    return _unpacked(colours[target[inverse]]).reshape(rgb.shape)


def _best_of(rule: np.ufunc, values: NDArray[Any], owner: Positions) -> NDArray[Any]:
    """For each value: the best of its owner's, which stand together."""
    starts = _first_of_each(owner)
    best: NDArray[Any] = np.repeat(rule.reduceat(values, starts), np.diff(starts, append=len(values)))
    return best


def _first_of_each(owner: Positions) -> Positions:
    return np.concatenate(([0], np.flatnonzero(owner[1:] != owner[:-1]) + 1))


def _sums(planes: Pixels, columns: Positions, rows: Positions) -> NDArray[np.uint32]:
    """uint8 (H, W, C) -> (rows + 1, columns + 1, C): sums over each cell."""
    return _summed(_summed(planes, rows, 0), columns, 1)


def _summed(values: NDArray[Any], starts: Positions, axis: int) -> NDArray[np.uint32]:
    """Sums along one axis: the first places of all cells, plus the second ones, ...: `reduceat` is slower by far."""
    nothing = np.zeros_like(values[:1] if axis == 0 else values[:, :1])
    padded = np.concatenate((values, nothing), axis=axis)
    parts = (padded.take(place, axis=axis) for place in _places(values.shape[axis], starts).T)
    total: NDArray[np.uint32] = next(parts).astype(np.uint32)
    for part in parts:
        total += part
    return total


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


def _spread(cells: NDArray[Any], shape: tuple[int, ...], columns: Positions, rows: Positions) -> NDArray[Any]:
    """One value a cell -> one a pixel; whole rows last, which are copied as such."""
    return cells.take(_index(shape[1], columns), axis=1).take(_index(shape[0], rows), axis=0)


def _packed(rgb: Pixels) -> Packed:
    """(..., 3) -> (...)."""
    packed = rgb[..., 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= 8
        packed |= rgb[..., channel]
    return packed


def _unpacked(packed: Packed) -> Pixels:
    """(N,) -> (N, 3)."""
    return packed.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
