"""Edges of a picture by blocks: every block has one vote, however many edges it has.

So a line of text weighs no more than the plain art beside it. The spectrum of the votes shows at which pitches edges
recur.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.cells.edges import Mask, Numbers, Plane
from pipeline.images.canonical import pack
from pipeline.images.files import Pixels

BLOCKS_A_SIDE, LEAST_BLOCK, LARGEST_BLOCK = 8, 8, 32  # the last two in pixels
FINE = 0.04  # share of the edges of a block that have another one next to them: it shows single pixels
NO_FINE, SURE_BLOCKS = 0.05, 24  # share of blocks that show single pixels; how many blocks make a rule
VISIBLE_STEP = 24  # of 255, luma: larger than what compression leaves beside an edge
PADDED = 8  # times the side: how finely pitches are told apart
CELLS_A_SIDE = 6  # fewer are no grid
PEAK = 0.7  # of the highest peak: lower ones are no pitch
REGULAR = 0.62  # share of edges that recur at a pitch: no native art has so many
RECURS, OFTEN, HARDLY_RECURS = 0.8, 0.5, 0.4  # the same of edges of one side: surely, likely, by accident
NEARLY = 0.9  # of the highest peak: as good
LEAST_EDGES, MANY_EDGES = 4.0, 20.0  # effective number of edges of a side, as in `combs.Comb.edges`
SAME_PITCH = 0.03  # of the pitch

Spectrum = NDArray[np.complex128]


@dataclass(frozen=True)
class Recurrence:
    """The lowest frequency at which nearly as many edges of a side recur as at any; how many, effectively, it has."""

    frequency: float
    recurring: float
    edges: float


@dataclass(frozen=True)
class Votes:
    """Edges of a picture: where they are, and how much each column and row of boundaries weighs.

    Attributes:
        across, down: is there an edge between a pixel and its right (lower) neighbour.
        columns, rows: sums of `across` (`down`) on each boundary, every block weighing the same.
        blocks: how many of them have edges.
        fine: share of these that show single pixels.
    """

    across: Mask
    down: Mask
    columns: Numbers
    rows: Numbers
    blocks: int
    fine: float

    @property
    def width(self) -> int:
        return int(self.down.shape[1])

    @property
    def height(self) -> int:
        return int(self.across.shape[0])

    @cached_property
    def spectra(self) -> tuple[Spectrum, Spectrum]:
        """Of `columns` and of `rows`, at the same frequencies."""
        return _spectra(self.columns, self.rows)

    @cached_property
    def lowest(self) -> int:
        return _lowest(self.columns, self.rows)

    @cached_property
    def periodicity(self) -> Numbers:
        """For each frequency how much of the picture's edges recur at it, 0..1."""
        return _periodicity(self.columns, self.rows, self.spectra)

    @property
    def strongest(self) -> float:
        """The highest periodicity of any pitch; 0 where the picture is too small to have one."""
        return float(self.periodicity[self.lowest :].max(initial=0.0))

    @cached_property
    def sides(self) -> tuple[Recurrence, Recurrence]:
        """The pitch of columns alone, and that of rows alone."""
        across, down = zip(self.spectra, (self.columns, self.rows), strict=True)
        return _fundamental(*across, self.lowest), _fundamental(*down, self.lowest)

    def is_side(self, pitch: float) -> bool:
        """Whether columns alone, or rows alone, recur at that pitch."""
        length = 2 * (len(self.periodicity) - 1)
        return any(abs(side.frequency * pitch - length) <= SAME_PITCH * length for side in self.sides)

    @cached_property
    def oblong(self) -> bool:
        """Columns and rows recur at pitches of their own, or only one of them does: the cells are no squares.

        Where one pitch is a multiple of the other, or the other side has none, it takes many edges to tell.
        """
        across, down = self.sides
        small, large = sorted((across, down), key=lambda side: side.frequency)
        if small.recurring < RECURS:
            alone = max(across, down, key=lambda side: side.recurring)
            weak = min(across.recurring, down.recurring) < HARDLY_RECURS
            return weak and alone.recurring >= RECURS and alone.edges >= MANY_EDGES
        if large.recurring < RECURS or large.frequency - small.frequency <= SAME_PITCH * large.frequency:
            return False
        ratio = large.frequency / small.frequency
        if abs(ratio - round(ratio)) <= SAME_PITCH * ratio:
            return small.edges >= MANY_EDGES
        return min(across.edges, down.edges) >= LEAST_EDGES

    @property
    def coarse(self) -> bool:
        """Next to no block shows single pixels: this is no native art."""
        return self.fine <= NO_FINE and self.blocks >= SURE_BLOCKS

    @property
    def regular(self) -> bool:
        """Most edges recur at one pitch, whatever lies in the cells: this is no native art."""
        return self.strongest >= REGULAR and self.blocks >= SURE_BLOCKS

    def recurs_below(self, frequency: float) -> bool:
        """Whether edges recur at a clearly larger pitch than one of `frequency`, per pixel, up to a half."""
        end = int(NEARLY * frequency * 2 * (len(self.periodicity) - 1))
        return float(self.periodicity[self.lowest : end].max(initial=0.0)) >= max(PEAK * self.strongest, OFTEN)


def recurrence(columns: NDArray[Any], rows: NDArray[Any]) -> float:
    """The highest share of edges, given how many there are on each boundary, that recur at one pitch on both sides."""
    heights = _periodicity(columns, rows, _spectra(columns, rows))
    return float(heights[_lowest(columns, rows) :].max(initial=0.0))


def _spectra(columns: NDArray[Any], rows: NDArray[Any]) -> tuple[Spectrum, Spectrum]:
    length = 1 << math.ceil(math.log2(PADDED * (max(len(columns), len(rows)) + 1)))
    of_columns, of_rows = (np.fft.rfft(side - side.mean(), length) for side in (columns, rows))
    return of_columns, of_rows


def _periodicity(columns: NDArray[Any], rows: NDArray[Any], spectra: tuple[Spectrum, Spectrum]) -> Numbers:
    together: Numbers = (np.abs(spectra[0]) + np.abs(spectra[1])) / max(float(columns.sum() + rows.sum()), 1.0)
    return together


def _lowest(columns: NDArray[Any], rows: NDArray[Any]) -> int:
    """The lowest frequency that is a grid: CELLS_A_SIDE cells on the shorter side."""
    length = 1 << math.ceil(math.log2(PADDED * (max(len(columns), len(rows)) + 1)))
    return max(2, math.ceil(length * CELLS_A_SIDE / (min(len(columns), len(rows)) + 1)))


def votes_of(across: Mask, down: Mask) -> Votes | None:
    """None where there is no edge."""
    height, width = across.shape[0], down.shape[1]
    side = min(max(min(height, width) // BLOCKS_A_SIDE, LEAST_BLOCK), LARGEST_BLOCK)
    in_bands, in_stripes = _sums(across, side, 0), _sums(down, side, 1)
    shape = -(-height // side), -(-width // side)
    edges = _placed(_sums(in_bands, side, 1), shape) + _placed(_sums(in_stripes, side, 0), shape)
    used = edges > 0
    if not used.any():
        return None
    weights = np.minimum(edges, np.median(edges[used])) / np.maximum(edges, 1)
    columns = (in_bands * weights.repeat(side, axis=1)[:, : width - 1]).sum(axis=0)
    rows = (in_stripes * weights.repeat(side, axis=0)[: height - 1]).sum(axis=1)
    beside = _in_blocks(across[:, 1:] & across[:, :-1], side, shape) + _in_blocks(down[1:] & down[:-1], side, shape)
    fine = beside[used] >= np.maximum(FINE * edges[used], 1)
    return Votes(across, down, columns, rows, int(used.sum()), float(fine.mean()))


def _sums(values: NDArray[Any], side: int, axis: int) -> NDArray[np.uint32]:
    if not values.shape[axis]:
        return values.astype(np.uint32)
    starts = np.arange(0, values.shape[axis], side)
    sums: NDArray[np.uint32] = np.add.reduceat(values, starts, axis=axis, dtype=np.uint32)
    return sums


def _in_blocks(mask: Mask, side: int, shape: tuple[int, int]) -> NDArray[np.uint32]:
    return _placed(_sums(_sums(mask, side, 0), side, 1), shape)


def _placed(sums: NDArray[np.uint32], shape: tuple[int, int]) -> NDArray[np.uint32]:
    """With zeros for blocks at the far sides that have pixels, but no boundaries."""
    whole = np.zeros(shape, np.uint32)
    whole[: sums.shape[0], : sums.shape[1]] = sums
    return whole


def exact_edges(rgb: Pixels) -> tuple[Mask, Mask]:
    """Where neighbours differ at all, across and down."""
    pixels = pack(rgb)
    return pixels[:, 1:] != pixels[:, :-1], pixels[1:] != pixels[:-1]


def visible_edges(luma: Plane) -> tuple[Mask, Mask]:
    """Where neighbours differ by more than compression and noise make them."""
    values = luma.astype(np.int16)
    return np.abs(np.diff(values, axis=1)) > VISIBLE_STEP, np.abs(np.diff(values, axis=0)) > VISIBLE_STEP


def _fundamental(spectrum: Spectrum, side: Numbers, lowest: int) -> Recurrence:
    total = float(side.sum())
    heights = np.abs(spectrum) / max(total, 1.0)
    if len(heights) <= lowest or not total:
        return Recurrence(0.0, 0.0, 0.0)
    high = np.flatnonzero(heights[lowest:] >= NEARLY * heights[lowest:].max()) + lowest
    run = high[: 1 + int(np.argmax(np.append(np.diff(high) > 1, True)))]
    place = int(run[heights[run].argmax()])
    return Recurrence(float(place), float(heights[place]), total**2 / float(np.square(side).sum()))
