"""Colours of the cells of an image: is every cell one colour, and which. No colour is invented."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.cells.edges import STRIP, Numbers, Plane, Positions, strips
from pipeline.images.canonical import Packed, pack, unpack
from pipeline.images.colour import distinct
from pipeline.images.files import Pixels

MAX_RESIDUAL = 0.1  # of the variance that the cells may leave unexplained (true grids <= 0.07, natives mostly > 0.2)
NOISE = 4.0  # variance that noise adds whatever the contrast: a standard deviation of 2, as JPEG 75 has in dark art
MAX_MISFIT = 0.1  # share of pixels that may differ visibly from their cell ...
VISIBLE = 32  # ... in luma, of 255
NO_COLOUR = 0xFFFFFFFF  # above all colours
SNAP = 24  # of 255: colours of one inexact work nearer than this are the same colour
SAMPLED = 16  # rows


def misfit_of_centres(rgb: Pixels, columns: Positions, rows: Positions) -> float:
    """Share of pixels that are not exactly the colour in the centre of their cell."""
    height, width = rgb.shape[:2]
    centres = rgb[_centres(height, rows)][:, _centres(width, columns)]
    return float((_spread(centres, rgb.shape[:2], columns, rows) != rgb).any(axis=2).mean())


def are_plain(rgb: Pixels, luma: Plane, columns: Positions, rows: Positions) -> bool:
    """Every cell is one colour, but for compression noise: little variance is left, few pixels differ visibly."""
    areas = _areas(luma.shape, columns, rows)
    sums = _cell_sums(rgb, columns, rows).astype(np.float64)
    explained = (np.square(sums).sum(axis=2) / areas).sum()
    squares = sum(_squares(strip) for _, strip, _ in strips(rgb.reshape(len(rgb), -1)))
    mean = np.square(sums.sum(axis=(0, 1))).sum() / luma.size
    if squares - explained > MAX_RESIDUAL * (squares - mean) + NOISE * rgb.size:
        return False
    means = (_cell_sums(luma[..., None], columns, rows)[..., 0] / areas).astype(np.float32)
    visible = np.abs(_spread(means, luma.shape, columns, rows) - luma) > VISIBLE
    return float(visible.mean()) <= MAX_MISFIT


def _squares(values: Plane) -> float:
    flat = values.ravel().astype(np.float64)
    return float(np.einsum("i,i", flat, flat))  # unlike `@` on one core, without waking the others


def majority(rgb: Pixels, columns: Positions, rows: Positions) -> Pixels:
    """Most frequent colour of every cell; among equals the one nearest to the cell's mean, then the darkest."""
    colours, counts, owner = _colours_of_cells(rgb, columns, rows)
    frequent = np.flatnonzero(counts == _best_of(np.maximum, counts, owner))
    candidates, owner = unpack(colours[frequent]), owner[frequent]
    means = _cell_sums(rgb, columns, rows).reshape(-1, 3) / _areas(rgb.shape[:2], columns, rows).reshape(-1, 1)
    red, green, blue = (np.square(candidates[:, number] - means[:, number].take(owner)) for number in range(3))
    distances = red + green + blue
    nearest = np.flatnonzero(distances == _best_of(np.minimum, distances, owner))
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
    real = np.flatnonzero(colours != NO_COLOUR)
    return colours[real], counts[real], starts[real] // pixels.shape[1]


def _by_cell(rgb: Pixels, columns: Positions, rows: Positions) -> Packed:
    """Colours of every cell, (cells, pixels of the largest); smaller cells are filled up with NO_COLOUR."""
    height, width = rgb.shape[:2]
    padded = np.full((height + 1, width + 1), NO_COLOUR, np.uint32)
    padded[:height, :width] = pack(rgb)
    down, across = _places(height, rows), _places(width, columns)
    blocks = padded.take(down.ravel(), axis=0).take(across.ravel(), axis=1).reshape(*down.shape, *across.shape)
    return blocks.swapaxes(1, 2).reshape(len(down) * len(across), -1)


def _places(length: int, starts: Positions) -> Positions:
    """Columns (rows) of every cell, (cells, columns of the largest); `length` where a cell has no more."""
    bounds = _bounds(starts, length)
    sizes = np.diff(bounds)
    steps = np.arange(sizes.max())
    places: Positions = np.where(steps < sizes[:, None], bounds[:-1, None] + steps, length)
    return places


def _best_of(rule: np.ufunc, values: NDArray[Any], owner: Positions) -> NDArray[Any]:
    """For each value: the best of its owner's, which stand together."""
    starts = _first_of_each(owner)
    best: NDArray[Any] = np.repeat(rule.reduceat(values, starts), np.diff(starts, append=len(values)))
    return best


def _first_of_each(owner: Positions) -> Positions:
    return np.concatenate(([0], np.flatnonzero(owner[1:] != owner[:-1]) + 1))


def merge_near(rgb: Pixels) -> Pixels:
    """Each colour becomes the most frequent one within SNAP of it in every channel, of equals the darkest."""
    colours, indices, counts = distinct(rgb)
    target = np.arange(len(colours))
    free = np.argsort(-counts, kind="stable")
    channels = colours[free].T.astype(np.int16)
    while len(free):
        near = (np.abs(channels - channels[:, :1]) < SNAP).all(axis=0)
        target[free[near]] = free[0]
        free, channels = free[~near], channels[:, ~near]
    return colours[target].take(indices, axis=0).reshape(rgb.shape)


def number_up_to(rgb: Pixels, most: int) -> int | None:
    """How many colours a uint8 (H, W, 3) image has; None where there are more than `most`."""
    sample = rgb[:: max(1, len(rgb) // SAMPLED)]
    if rgb.size > STRIP and Image.fromarray(sample).getcolors(most) is None:
        return None  # a few rows tell most large images that have many
    found = Image.fromarray(rgb).getcolors(most)
    return None if found is None else len(found)


def _cell_sums(planes: Pixels, columns: Positions, rows: Positions) -> NDArray[np.uint32]:
    """uint8 (H, W, C) -> (rows + 1, columns + 1, C): sums over each cell."""
    return _sums_along(_sums_along(planes, rows, 0), columns, 1)


def _sums_along(values: NDArray[Any], starts: Positions, axis: int) -> NDArray[np.uint32]:
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


def _bounds(starts: Positions, length: int) -> Positions:
    """Both ends of every cell, strung together."""
    return np.concatenate(([0], starts, [length]))


def _spread(cells: NDArray[Any], shape: tuple[int, ...], columns: Positions, rows: Positions) -> NDArray[Any]:
    """One value a cell -> one a pixel; whole rows last, which are copied as such."""
    return cells.repeat(np.diff(_bounds(columns, shape[1])), axis=1).repeat(np.diff(_bounds(rows, shape[0])), axis=0)
