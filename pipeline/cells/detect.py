"""Native cell size of an image, and its reduction to one pixel per cell.

Edges first (`edges`): where nothing was blurred, arithmetic finds whole and fractional factors, and shows most
native art to be native. What is left (compression, noise, filters, stray pixels) has a comb score (`combs`),
believed only when the reduced image also reconstructs the input (`colours`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.cells import colours, combs
from pipeline.cells.combs import Comb
from pipeline.cells.edges import (
    EVIDENCE,
    Plane,
    Positions,
    common_factor,
    faintness,
    find_edges,
    fractional_grid,
    whole_grid,
)
from pipeline.images.files import Pixels

MIN_EDGES = 8.0  # effective number of edges on a comb, beyond the two that fix pitch and phase; also their bits
FEW_COLOURS = 64  # neither compression nor a smoothing filter left so few: the image is crisp, its pixels are exact
FAINT_OF_FEW, FAINT_OF_MANY = 0.2, 0.1  # share of faint steps up to which images of few (many) colours are crisp
MAX_CLEAN_MISFIT = 0.01  # share of pixels that may differ at all from their cell, where there are FEW_COLOURS
DOUBT = 0.45  # comb score above 99 % of natives (0.41); from there to the threshold the answer is "unknown"
MAX_INSIDE = 0.12  # gradient inside of cells, of the average (true grids <= 0.1, finer art that scores well >= 0.14)
CLEAR = 0.7  # comb score of cells too small to have an inside (true grids >= 0.79, native art <= 0.58)
CRISP = 1.3  # second over first difference, squared: hard edges give >= 1.9, photographs 1.5, x2 bicubic <= 1.3
LONG_RUN = 6  # neighbouring edges: cells of LEAST_PITCH or more pixels leave a gap after fewer
SMALL = 32  # pixels: no one blows a drawing up to less, so a smooth one of that size was drawn smooth
MAX_CELL, MIN_CONFIDENCE = 16, 0.55  # for pictures outside of a run; as `grid` in params.yaml


@dataclass(frozen=True)
class Cell:
    """The grid of an image.

    Attributes:
        size: pixels a side of one cell; 1 = native, fractional where the upscale was, None = unknown.
        confidence: 0..1; how surely the image is (or, if native or unknown, is not) on a grid.
        columns: first column of every cell but the first.
        rows: first row of every cell but the first.
        exact: every cell is one colour.
    """

    size: float | None
    confidence: float
    columns: Positions
    rows: Positions
    exact: bool

    @property
    def native_width(self) -> int | None:
        return None if self.size is None else len(self.columns) + 1

    @property
    def native_height(self) -> int | None:
        return None if self.size is None else len(self.rows) + 1

    @property
    def phase(self) -> tuple[int, int]:
        """Offset (x, y) of the first whole cell; (0, 0) when the grid begins at the corner."""
        return _offset(self.columns, self.size), _offset(self.rows, self.size)


def detect(rgb: Pixels, max_cell: int, min_confidence: float) -> Cell:
    """The cell size of an opaque uint8 (H, W, 3) image, at most `max_cell`.

    A comb score from DOUBT to `min_confidence`, a failed reconstruction or an exact factor above `max_cell` is
    "unknown", never a guess.
    """
    rgb = np.ascontiguousarray(rgb)
    edges = find_edges(rgb)
    factor, bits = common_factor(edges)
    if bits >= EVIDENCE:
        if factor > max_cell:
            return _unknown(_odds(bits))
        columns = whole_grid(edges.width, factor, edges.columns)
        rows = whole_grid(edges.height, factor, edges.rows)
        return Cell(float(factor), _odds(bits), columns, rows, exact=True)
    gaps = edges.longest_run < LONG_RUN
    if gaps and (fraction := fractional_grid(edges, max_cell)):
        return Cell(fraction.pitch, _odds(fraction.bits), fraction.columns, fraction.rows, exact=True)
    faint = faintness(rgb, edges)
    few = faint < FAINT_OF_FEW and colours.has_at_most(rgb, FEW_COLOURS)
    if few and not gaps:
        return _native(rgb, 0.0)
    luma = combs.luma_of(rgb)
    if not few and min(luma.shape) >= SMALL and combs.crispness(luma) < CRISP:
        return _unknown(0.0)
    if faint < FAINT_OF_MANY and not gaps:
        return _native(rgb, 0.0)
    return _by_comb(rgb, luma, max_cell, min_confidence, few=few)


def reduce(rgb: Pixels, cell: Cell) -> Pixels:
    """One pixel per cell, its majority colour: uint8 (native height, native width, 3). No colour is invented.

    Raises:
        ValueError: the cell size is unknown.
    """
    if cell.size is None:
        raise ValueError("the cell size is unknown: nothing to reduce to")
    if cell.size == 1:
        return np.array(rgb, order="C")
    if cell.exact:
        return rgb.take(_starts(cell.rows), axis=0).take(_starts(cell.columns), axis=1)
    return colours.merge_near(colours.majority(rgb, cell.columns, cell.rows))


def _starts(boundaries: Positions) -> Positions:
    return np.concatenate(([0], boundaries))


def _native(rgb: Pixels, score: float) -> Cell:
    height, width = rgb.shape[:2]
    return Cell(1.0, _rounded(1 - max(score, 0.0)), np.arange(1, width), np.arange(1, height), exact=True)


def _unknown(score: float) -> Cell:
    nothing = np.empty(0, np.intp)
    return Cell(None, _rounded(score), nothing, nothing, exact=False)


def _odds(bits: float) -> float:
    return _rounded(1 - 2**-bits)


def _offset(starts: Positions, size: float | None) -> int:
    first = int(starts[0]) if len(starts) else 0
    return 0 if size is None or first >= math.floor(size) else first


def _rounded(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4)


def _by_comb(rgb: Pixels, luma: Plane, max_cell: int, min_confidence: float, *, few: bool) -> Cell:
    comb = combs.best(combs.profile_of(luma), max_cell)
    if comb is None or comb.score < min(DOUBT, min_confidence) or min(comb.edges, comb.bits) < MIN_EDGES:
        return _native(rgb, comb.score if comb else 0.0)
    if comb.score >= min_confidence and _explains(rgb, luma, comb, few=few):
        return Cell(comb.pitch, _rounded(comb.score), *comb.boundaries, exact=False)
    return _native(rgb, comb.score) if few else _unknown(comb.score)


def _explains(rgb: Pixels, luma: Plane, comb: Comb, *, few: bool) -> bool:
    if comb.score < CLEAR if comb.inside is None else comb.inside > MAX_INSIDE:
        return False
    if few:
        return colours.misfit_of_centres(rgb, *comb.boundaries) <= MAX_CLEAN_MISFIT
    return colours.are_plain(rgb, luma, *comb.boundaries)
