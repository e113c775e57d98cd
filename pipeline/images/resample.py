"""Pictures at other sizes: means and centres of cells, enlargement by a whole number, padding; all by integers.

A grid has at most as many rows and columns as the picture has pixels. Where the sizes do not divide, each cell takes
the pixels that it touches.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.images import canonical
from pipeline.images.files import Pixels

Grid = tuple[int, int]  # rows, columns
T = TypeVar("T", bound=np.generic)


def box(rgb: Pixels, grid: Grid) -> Pixels:
    """The mean colour of each cell, in rounded sRGB levels: (H, W, 3) -> (rows, columns, 3)."""
    sums = np.stack([cell_sums(rgb[..., channel], grid) for channel in range(3)], axis=-1)
    area = cell_sums(np.ones(rgb.shape[:2], np.uint8), grid)[..., None]
    return ((sums + area // 2) // area).astype(np.uint8)


def cell_sums(plane: NDArray[np.uint8] | NDArray[np.bool_], grid: Grid) -> NDArray[np.int64]:
    """The sum of a plane (H, W) over each cell, (rows, columns)."""
    integral = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1), np.int64)
    integral[1:, 1:] = plane.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    (top, bottom), (left, right) = (_bounds(n, cells) for n, cells in zip(plane.shape, grid, strict=True))
    band = integral[bottom] - integral[top]
    return np.asarray(band[:, right] - band[:, left])


def _bounds(length: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First pixel, and one past the last, of each cell."""
    steps = np.arange(cells + 1)
    return steps[:-1] * length // cells, -(-steps[1:] * length // cells)


def nearest(rgb: Pixels, grid: Grid) -> Pixels:
    """The pixel at the centre of each cell, nearest-neighbour shrinking: (H, W, 3) -> (rows, columns, 3)."""
    rows, columns = (_centres(length, cells) for length, cells in zip(rgb.shape[:2], grid, strict=True))
    return rgb[rows][:, columns]


def enlarge(native: NDArray[T], factor: int) -> NDArray[T]:
    """A picture or plane (H, W, ...) in which every pixel becomes factor x factor equal pixels."""
    return native.repeat(factor, axis=1).repeat(factor, axis=0)  # whole rows last: four times as fast as first


def pad(native: Pixels, cells: int, background: str) -> Pixels:
    """A picture centred on a ground of cells x cells; an odd cell of margin goes to the right and bottom."""
    height, width = native.shape[:2]
    left, top = (cells - width) // 2, (cells - height) // 2
    ground = np.empty((cells, cells, 3), np.uint8)
    ground[:] = canonical.parse_colour(background)
    ground[top : top + height, left : left + width] = native
    return ground


def _centres(length: int, cells: int) -> NDArray[np.intp]:
    return (2 * np.arange(cells) + 1) * length // (2 * cells)
