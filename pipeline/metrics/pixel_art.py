"""What makes a picture pixel art, in numbers. No metric here needs a downloaded weight.

Full-resolution metrics take uint8 (H, W, 3) and the cell size of the grid; native ones take one pixel per cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.images.colour import distinct, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import nearest

Array = NDArray[np.float64]

DARK = 0.3  # OKLab lightness below which a cell reads as outline
DETAIL = 0.1  # OKLab lightness by which a dark detail is darker than its 3x3 mean


def read_native(rgb: Pixels, cells: int) -> Pixels:
    """The pixel at each cell's centre: (size, size, 3) -> (cells, cells, 3).

    The rule for all methods. On a picture that is on the grid it is exact; of a full-resolution picture it takes
    pixels as they are, where a mean would do the pixelation that the method did not.
    """
    return nearest(rgb, (cells, cells))


def grid_alignment(rgb: Pixels, cell: int) -> float:
    """How well the colour edges lie on a grid of this cell size, at any phase: 1 = all of them, 0 = as by chance.

    Per axis (E - 1/p) / (1 - 1/p), where E is the largest share of edge energy at one phase modulo p. Mean of the
    axes; an axis without an edge counts 1.
    """
    return float(np.mean([_alignment(profile, cell) for profile in _edge_profiles(rgb)]))


def cell_residual(rgb: Pixels, cell: int) -> float:
    """Mean variance within the cells over the variance of the picture, at the phase of the strongest edges.

    0 for true art; blind by itself, since smooth pictures reach 0.1. A flat picture has 0.
    """
    column, row = (int(np.argmax(_phase_energy(profile, cell))) for profile in _edge_profiles(rgb))
    aligned = rgb[row:, column:].astype(np.float64)
    rows, columns = aligned.shape[0] // cell, aligned.shape[1] // cell
    blocks = aligned[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell, 3)
    total = float(blocks.var(axis=(0, 1, 2, 3)).mean())
    return float(blocks.var(axis=(1, 3)).mean()) / total if total > 0 else 0.0


def colours_covering(rgb: Pixels, share: float = 0.99) -> int:
    """The smallest number of colours that cover this share of the pixels (n99 at the default)."""
    counts = np.sort(distinct(rgb)[2])[::-1]
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum() - 1e-9)) + 1


def effective_palette(rgb: Pixels) -> float:
    """Exponential of the entropy of the 5-bit RGB histogram: the number of colours in use, weighted by use."""
    counts = distinct((rgb >> 3).astype(np.uint8))[2]
    share = counts / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def colours(native: Pixels) -> int:
    """Number of distinct colours of a native picture."""
    return len(distinct(native)[2])


def equal_neighbours(native: Pixels) -> float:
    """Share of horizontally and vertically adjacent cells with the very same colour: flat clusters."""
    across = (native[:, 1:] == native[:, :-1]).all(axis=-1)
    down = (native[1:] == native[:-1]).all(axis=-1)
    return float((across.sum() + down.sum()) / (across.size + down.size))


def dark_cells(native: Pixels) -> float:
    """Share of cells dark enough to be outline."""
    return float((to_oklab(native)[..., 0] < DARK).mean())


def dark_details_kept(natives: Sequence[Pixels], inputs: Sequence[Pixels]) -> float | None:
    """Share of the inputs' dark details (pupils, mouths, thin lines) drawn at least half as deep; None where none are.

    Args:
        natives: outputs, one pixel a cell.
        inputs: the mean colour of each of the same cells, in the same order.
    """
    before, after = (np.concatenate([_depth(cells).ravel() for cells in pictures]) for pictures in (inputs, natives))
    details = before > DETAIL
    return float((after[details] >= before[details] / 2).mean()) if details.any() else None


def _depth(native: Pixels) -> Array:
    """By how much each cell's OKLab lightness is below its 3x3 mean: (H, W)."""
    lightness = to_oklab(native)[..., 0]
    around = sliding_window_view(np.pad(lightness, 1, mode="edge"), (3, 3)).mean(axis=(2, 3))
    return np.asarray(around - lightness)


def _edge_profiles(rgb: Pixels) -> tuple[Array, Array]:
    """Edge energy before each column and before each row; index 0 has none."""
    signed = rgb.astype(np.int16)
    across = np.abs(np.diff(signed, axis=1)).sum(axis=(0, 2), dtype=np.int64)
    down = np.abs(np.diff(signed, axis=0)).sum(axis=(1, 2), dtype=np.int64)
    return np.concatenate([[0.0], across]), np.concatenate([[0.0], down])


def _phase_energy(profile: Array, cell: int) -> Array:
    """Sum of a profile at each phase modulo the cell size -> (cell,)."""
    return np.asarray(np.bincount(np.arange(len(profile)) % cell, profile, cell), np.float64)


def _alignment(profile: Array, cell: int) -> float:
    total = profile.sum()
    if total == 0:
        return 1.0
    return float((_phase_energy(profile, cell).max() / total - 1 / cell) / (1 - 1 / cell))
