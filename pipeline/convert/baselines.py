"""The trivial ways from a picture to pixel art: uint8 (H, W, 3) and a grid -> uint8 (rows, columns, 3).

Every table and every picture shows them beside the trained models.
A grid has at most as many rows and columns as the picture has pixels. Where the sizes do not divide, each cell takes
the pixels that it touches.
"""

from __future__ import annotations

import numpy as np

from pipeline.images import palettes
from pipeline.images.colour import distinct, nearest_indices, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import Grid, box, cell_sums


def box_palette(rgb: Pixels, grid: Grid, *, colours: int, seed: int) -> Pixels:
    """The mean of each cell, then at most `colours` colours by k-means over the cells."""
    native = box(rgb, grid)
    return palettes.quantise(native, palettes.adaptive_palette(native, colours, seed))


def majority(rgb: Pixels, grid: Grid, *, palette: Pixels) -> Pixels:
    """Each cell's most frequent colour of `palette` (k, 3), after quantising all pixels; of equals the first."""
    levels, indices, _ = distinct(rgb)
    labels = nearest_indices(to_oklab(levels), to_oklab(palette))[indices].reshape(rgb.shape[:2])
    best = np.zeros(grid, np.intp)
    most = np.zeros(grid, np.int64)
    for index in range(len(palette)):
        count = cell_sums(labels == index, grid)
        best[count > most] = index
        most = np.maximum(most, count)
    return palette[best]


def majority_palette(rgb: Pixels, grid: Grid, *, colours: int, seed: int) -> Pixels:
    """Each cell's most frequent colour, of at most `colours` that stand for the picture's, so no cell is a blend."""
    return majority(rgb, grid, palette=palettes.adaptive_palette(rgb, colours, seed))


def fixed_palette(rgb: Pixels, grid: Grid, *, palette: Pixels) -> Pixels:
    """The mean of each cell, then the nearest colours of `palette` (k, 3)."""
    return palettes.quantise(box(rgb, grid), palette)
