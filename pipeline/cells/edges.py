"""Cells that nothing has blurred: every edge of the image lies on a boundary of the grid, so arithmetic finds it.

Whole factors: greatest common divisor of the differences between edge positions, which cropping leaves alone.
Fractional nearest neighbour: side / n for every number n of cells that puts all edges on boundaries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels
from pipeline.runtime.compiled import compiled

Positions = NDArray[np.intp]  # first column (row) of every cell but the first, ascending
Numbers = NDArray[np.float64]

EVIDENCE = 6.0  # bits: log2 of the odds against an accident, above those that the search itself uses up
LEAST_PITCH = 1.25  # smaller fractional enlargements are not looked for
TIE = 1e-3  # pixels: boundaries this near to half a pixel may be rounded either way
OCCUPIED = 0.5  # share of boundaries, between the outermost edges, that are edges: else it is half the pitch of another
STRAY = 50  # a column is an edge in earnest when more than one of so many pixels changes wholly (rows likewise)
FAINT = 3  # of 255: compression, noise and filters leave many smaller steps, artists few
COUNTED = 127  # rows, of which a byte can count two things each
CENTRE, CORNER = 0.5, 0.0  # where in a pixel an enlarger samples: Pillow in the middle, OpenCV at the corner


@dataclass(frozen=True)
class Edges:
    """Where an image changes.

    Attributes:
        width, height: of the image, in pixels.
        across: how many bytes of each column but the first differ from the one before, three a pixel.
        down: the same of rows.
        columns: columns that differ from the one before at all.
        rows: the same of rows.
        small: how many bytes differ from their left by FAINT at most, or not at all, and how many from the upper one.
    """

    width: int
    height: int
    across: NDArray[np.uint32]
    down: NDArray[np.uint32]
    columns: Positions
    rows: Positions
    small: int = 0

    @property
    def count(self) -> int:
        return len(self.columns) + len(self.rows)

    @cached_property
    def steps(self) -> int:
        """How many bytes of the image differ from their left, and how many from their upper neighbour."""
        return int(self.across.sum()) + int(self.down.sum())

    @property
    def faintness(self) -> float:
        """Share of FAINT steps among all steps between neighbouring bytes of a channel; 0 where nothing changes."""
        places = 3 * ((self.width - 1) * self.height + self.width * (self.height - 1))
        return (self.small - places + self.steps) / self.steps if self.steps else 0.0

    @property
    def longest_run(self) -> int:
        """Most neighbouring columns (rows) that all are edges in earnest."""
        columns, rows = self.across > 3 * self.height // STRAY, self.down > 3 * self.width // STRAY
        return max(map(len, (columns.tobytes() + b"\0" + rows.tobytes()).split(b"\0")))


@dataclass(frozen=True)
class Fit:
    """A fractional grid; `bits`: how much less likely its edges are to lie on it by accident."""

    pitch: float
    bits: float
    columns: Positions
    rows: Positions


@dataclass(frozen=True)
class Side:
    """The same along one side; `span`: boundaries from the first edge to the last."""

    grid: Positions
    bits: float
    span: int


def find(rgb: Pixels) -> Edges:
    """Edges of a contiguous uint8 (H, W, 3) image."""
    height, width = rgb.shape[:2]
    across, down = np.zeros(width - 1, np.uint32), np.zeros(height - 1, np.uint32)
    small = _count_steps(rgb.reshape(height, width * 3), across, down)
    return Edges(width, height, across, down, across.nonzero()[0] + 1, down.nonzero()[0] + 1, small)


@compiled
def _count_steps(lines: Pixels, across: NDArray[np.uint32], down: NDArray[np.uint32]) -> int:
    """Fill in what `Edges` has of those names, 0 so far; returns its `small`.

    Counts by column of bytes are bytes themselves for as many rows as that allows: so the processor takes many at once.
    """
    height, width = lines.shape
    changed, within = np.zeros(width - 3, np.uint8), np.zeros(width, np.uint8)
    small = 0
    for top in range(0, height, COUNTED):
        for y in range(top, min(top + COUNTED, height)):
            left, right = lines[y, : width - 3], lines[y, 3:]
            for x in range(width - 3):
                step = np.uint8(max(left[x], right[x]) - min(left[x], right[x]))
                changed[x] += step != 0
                within[x] += step <= FAINT
            if y + 1 < height:
                above, below = lines[y], lines[y + 1]
                count = np.uint32(0)
                for x in range(width):
                    step = np.uint8(max(above[x], below[x]) - min(above[x], below[x]))
                    count += np.uint32(step != 0)
                    within[x] += step <= FAINT
                down[y] = count
        for x in range(width - 3):
            across[x // 3] += changed[x]
            changed[x] = 0
        for x in range(width):
            small += within[x]
            within[x] = 0
    return small


def common_factor(edges: Edges) -> tuple[int, float]:
    """Greatest common divisor of all edge distances (1: there is none), and the bits of evidence for it.

    One distance on each axis tells nothing: a lone rectangle has them, and they divide themselves.
    """
    distances = [side[1:] - side[:-1] for side in (edges.columns, edges.rows)]
    factor = math.gcd(*distances[0].tolist(), *distances[1].tolist())
    return (factor, max(_independent(edges) - 2, 0) * math.log2(factor)) if factor > 1 else (1, 0.0)


def _independent(edges: Edges) -> int:
    """Distances between edges that do not follow from others: symmetry repeats them, on one axis or on both."""
    across, down = _outline(edges.across, edges.columns), _outline(edges.down, edges.rows)
    if down.tobytes() == across.tobytes() or down[::-1].tobytes() == across.tobytes():
        return _without_mirror(across)
    return _without_mirror(across) + _without_mirror(down)


def _outline(strength: NDArray[np.uint32], starts: Positions) -> NDArray[np.uint32]:
    """Strengths of the edges from the first to the last, with the zeros between them."""
    return strength[starts[0] - 1 : starts[-1]] if len(starts) else strength[:0]


def _without_mirror(strengths: NDArray[np.uint32]) -> int:
    """Number of distances, of mirrored ones every other."""
    distances = max(int(np.count_nonzero(strengths)) - 1, 0)
    return (distances + 1) // 2 if strengths.tobytes() == strengths[::-1].tobytes() else distances


def whole_grid(length: int, factor: int, starts: Positions) -> Positions:
    """Boundaries of every cell of a whole factor whose phase the edges `starts` tell."""
    phase = int(starts[0]) % factor if len(starts) else 0
    return np.arange(phase or factor, length, factor)


def fractional_grid(edges: Edges, max_cell: int) -> Fit | None:
    """The uncropped fractional enlargement with the fewest cells that explains every edge, if there is evidence."""
    fewest = max(len(edges.columns) + 1, math.ceil(edges.width / max_cell), 2)
    counts = np.arange(fewest, int(edges.width / LEAST_PITCH) + 1)
    if not len(counts) or not edges.count:
        return None
    searched = math.log2(2 * len(counts))
    share = _independent(edges) / edges.count
    conceivable = _log_binomial(edges.width - 1, len(edges.columns)) + _log_binomial(edges.height - 1, len(edges.rows))
    if conceivable * share - searched < EVIDENCE:
        return None
    pitches = edges.width / counts
    fitting = [(sampled, _on_grid(edges.columns, pitches, sampled)) for sampled in (CENTRE, CORNER)]
    for count, sampled in sorted((count, sampled) for sampled, fits in fitting for count in counts[fits].tolist()):
        fit = _fit(edges, count, sampled)
        if fit and fit.bits * share - searched >= EVIDENCE:
            return replace(fit, bits=fit.bits * share - searched)
    return None


def _fit(edges: Edges, count: int, sampled: float) -> Fit | None:
    across = _fit_side(edges.columns, edges.width, count, sampled)
    tall = _likely_counts(edges.height, edges.width, count) if across else ()
    for down in (_fit_side(edges.rows, edges.height, number, sampled) for number in tall):
        if across and down and edges.count >= OCCUPIED * (across.span + down.span):
            return Fit(edges.width / count, across.bits + down.bits, across.grid, down.grid)
    return None


def _likely_counts(height: int, width: int, count: int) -> list[int]:
    """Rows of cells that fit `count` columns, when both sides were rounded to whole pixels."""
    least = math.ceil((height - 1) * count / (width + 1))
    most = math.floor((height + 1) * count / (width - 1))
    nearest = height * count / width
    return sorted(range(max(least, 1), most + 1), key=lambda tall: (abs(tall - nearest), tall))


@compiled
def _on_grid(starts: Positions, pitches: Numbers, sampled: float) -> NDArray[np.bool_]:
    """For each pitch: whether every edge is within rounding of one of its multiples."""
    fits = np.ones(len(pitches), np.bool_)
    most = 1 + 2 * TIE * (sampled == CENTRE)
    for number in range(len(pitches)):
        for start in starts:
            if (start + (sampled + TIE)) % pitches[number] > most:
                fits[number] = False
                break
    return fits


def _fit_side(starts: Positions, length: int, count: int, sampled: float) -> Side | None:
    """Boundaries of `count` equal cells that include all of `starts`; None when there are none such."""
    grid, is_edge = np.empty(count - 1, np.intp), np.zeros(length + 1, np.bool_)
    is_edge[starts] = True
    used, span, ties, tied_edges = _lay(is_edge, length / count, sampled, grid)
    if used < len(starts):
        return None
    ways = _log_binomial(len(grid) - ties, used - tied_edges) + _log_binomial(ties, tied_edges) + tied_edges
    return Side(grid, _log_binomial(length - 1, len(starts)) - ways, span)


@compiled
def _lay(is_edge: NDArray[np.bool_], pitch: float, sampled: float, grid: Positions) -> tuple[int, int, int, int]:
    """Fill in the boundaries. Returns how many are edges, `Side.span`, how many are ties, and how many edges are."""
    used = ties = tied_edges = first = last = 0
    for number in range(1, len(grid) + 1):
        exact = number * pitch
        below = math.ceil(exact - sampled - TIE)
        above = math.floor(exact + sampled + TIE) if sampled else below
        place = above if is_edge[above] else below
        grid[number - 1] = place
        ties += below != above
        if is_edge[place]:
            first, last = first or number, number
            used += 1
            tied_edges += below != above
    return used, last - first + 1 if used else 0, ties, tied_edges


def _log_binomial(n: int, k: int) -> float:
    """log2 of the number of ways to choose k of n."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
