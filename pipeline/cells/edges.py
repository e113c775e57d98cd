"""Cells that nothing has blurred: every edge of the image lies on a boundary of the grid, so arithmetic finds it.

Whole factors: greatest common divisor of the differences between edge positions, which cropping leaves alone.
Fractional nearest neighbour: side / n for every number n of cells that puts all edges on boundaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels

Positions = NDArray[np.intp]  # first column (row) of every cell but the first, ascending
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
Plane = NDArray[np.uint8]  # (H, W)

EVIDENCE = 6.0  # bits: log2 of the odds against an accident, above those that the search itself uses up
LEAST_PITCH = 1.25  # smaller fractional enlargements are not looked for
TIE = 1e-3  # pixels: boundaries this near to half a pixel may be rounded either way
OCCUPIED = 0.5  # share of boundaries, between the outermost edges, that are edges: else it is half the pitch of another
STRAY = 50  # a column is an edge in earnest when more than one of so many pixels changes wholly (rows likewise)
FAINT = 3  # of 255: compression, noise and filters leave many smaller steps, artists few
STRIP = 1 << 16  # bytes: what is made of so many stays in the processor's cache
FIRST_EDGES = 8  # edges that rule out most pitches
MOST, PRIMES = 0.65, (2, 3, 5, 7)  # share of steps that lie on a coarser grid; of how many times the pitch
CENTRE, CORNER = 0.5, 0.0  # where in a pixel an enlarger samples: Pillow in the middle, OpenCV at the corner


@dataclass(frozen=True)
class Edges:
    """Columns and rows at which an image changes.

    Attributes:
        width, height: of the image, in pixels.
        across: how many bytes of each column but the first differ from the one before, three a pixel.
        down: the same of rows.
        columns: columns that differ from the one before at all.
        rows: the same of rows.
    """

    width: int
    height: int
    across: NDArray[np.uint32]
    down: NDArray[np.uint32]
    columns: Positions
    rows: Positions

    @property
    def count(self) -> int:
        """Number of edges, columns and rows together."""
        return len(self.columns) + len(self.rows)

    @cached_property
    def steps(self) -> int:
        """How many bytes of the image differ from their left, and how many from their upper neighbour."""
        return int(self.across.sum()) + int(self.down.sum())

    @property
    def longest_run(self) -> int:
        """Most neighbouring columns (rows) that all are edges in earnest."""
        columns, rows = self.across > 3 * self.height // STRAY, self.down > 3 * self.width // STRAY
        return max(map(len, (columns.tobytes() + b"\0" + rows.tobytes()).split(b"\0")))


@dataclass(frozen=True)
class FractionalGrid:
    """Equal cells of a fractional pitch; `bits`: how much less likely the edges are to lie on them by accident."""

    pitch: float
    bits: float
    columns: Positions
    rows: Positions


@dataclass(frozen=True)
class FractionalSide:
    """One side of such a grid; `span`: boundaries from the first edge to the last."""

    boundaries: Positions
    bits: float
    span: int


def find_edges(rgb: Pixels) -> Edges:
    """Edges of a contiguous uint8 (H, W, 3) image."""
    height, width = rgb.shape[:2]
    across, down = np.zeros(3 * (width - 1), np.uint32), np.empty(height - 1, np.uint32)
    for top, strip, extended in strips(rgb.reshape(height, width * 3)):
        across += np.add.reduce((strip[:, 3:] != strip[:, :-3]).view(np.uint8), axis=0, dtype=np.uint8)
        bits = np.bitwise_count(np.packbits(extended[1:] != extended[:-1], axis=1))  # twice as fast as sums of bytes
        np.add.reduce(bits, axis=1, dtype=np.uint32, out=down[top : top + len(bits)])
    across = across.reshape(width - 1, 3).sum(axis=1, dtype=np.uint32)
    return Edges(width, height, across, down, across.nonzero()[0] + 1, down.nonzero()[0] + 1)


def strips(lines: Plane, beyond: int = 1) -> Iterator[tuple[int, Plane, Plane]]:
    """Number of the first row, at most 255 rows, and the same rows with `beyond` more below, where there are so many.

    Counts of so many rows fit in a byte.
    """
    tall = max(1, min(255, STRIP // lines.shape[1]))
    for top in range(0, len(lines), tall):
        yield top, lines[top : top + tall], lines[top : top + tall + beyond]


def step_sizes(left: Plane, right: Plane) -> Plane:
    """Absolute differences of two planes, value by value."""
    sizes = np.maximum(left, right)
    sizes -= np.minimum(left, right)
    return sizes


def faintness(rgb: Pixels, edges: Edges) -> float:
    """Share of FAINT steps among all steps between neighbouring bytes of a channel; 0 where nothing changes."""
    if not edges.steps:
        return 0.0
    height, width = rgb.shape[:2]
    pairs = small = 0
    for _, strip, extended in strips(rgb.reshape(height, width * 3)):
        for sizes in (step_sizes(strip[:, 3:], strip[:, :-3]), step_sizes(extended[1:], extended[:-1])):
            pairs += sizes.size
            small += int(np.count_nonzero(sizes <= FAINT))
    return (small - pairs + edges.steps) / edges.steps


def common_factor(edges: Edges) -> tuple[int, float]:
    """Greatest common divisor of all edge distances (1: there is none), and the bits of evidence for it.

    One distance on each axis tells nothing: a lone rectangle has them, and they divide themselves.
    """
    distances = [side[1:] - side[:-1] for side in (edges.columns, edges.rows)]
    factor = math.gcd(*distances[0].tolist(), *distances[1].tolist())
    return (factor, max(_independent(edges) - 2, 0) * math.log2(factor)) if factor > 1 else (1, 0.0)


def oblong(edges: Edges) -> bool:
    """Columns or rows lie at multiples of a number of their own: cells that are no squares, or lines across them."""
    factor = common_factor(edges)[0]
    for starts, strengths in ((edges.columns, edges.across), (edges.rows, edges.down)):
        own = math.gcd(*(starts[1:] - starts[:-1]).tolist()) // factor
        distances = _without_mirror(_outline(strengths, starts)) - 1
        if own > 1 and distances * math.log2(own) >= EVIDENCE:
            return True
    return False


def strays(edges: Edges, factor: int) -> bool:
    """Whether most steps, but not all, lie at multiples of a larger number than `factor`."""
    return any(
        all(_on_one_comb(side, factor * times) >= MOST for side in (edges.across, edges.down)) for times in PRIMES
    )


def _on_one_comb(side: NDArray[np.uint32], pitch: int) -> float:
    """The largest share of steps that lie a multiple of `pitch` apart."""
    if len(side) < 2 * pitch:
        return 0.0
    whole = len(side) // pitch * pitch
    return float(side[:whole].reshape(-1, pitch).sum(axis=0).max() / max(side.sum(), 1))


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


def fractional_grid(edges: Edges, max_cell: int) -> FractionalGrid | None:
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
    fitting = [(sampled, _fitting_counts(edges, counts, sampled)) for sampled in (CENTRE, CORNER)]
    for count, sampled in sorted((count, sampled) for sampled, fits in fitting for count in fits.tolist()):
        grid = _fit_grid(edges, count, sampled)
        if grid and grid.bits * share - searched >= EVIDENCE:
            return replace(grid, bits=grid.bits * share - searched)
    return None


def _fitting_counts(edges: Edges, counts: Positions, sampled: float) -> Positions:
    """Those numbers of columns of cells on whose boundaries, within rounding, every edge between columns lies."""
    farthest = 1 + 2 * TIE * (sampled == CENTRE)
    for starts in (edges.columns[:FIRST_EDGES], edges.columns[FIRST_EDGES:]):
        beyond = np.mod(starts + (sampled + TIE), (edges.width / counts)[:, None])
        counts = counts[(beyond <= farthest).all(axis=1)]
    return counts


def _fit_grid(edges: Edges, count: int, sampled: float) -> FractionalGrid | None:
    across = _fit_side(edges.columns, edges.width, count, sampled)
    tall = _likely_counts(edges.height, edges.width, count) if across else ()
    for down in (_fit_side(edges.rows, edges.height, number, sampled) for number in tall):
        if across and down and edges.count >= OCCUPIED * (across.span + down.span):
            bits = across.bits + down.bits
            return FractionalGrid(edges.width / count, bits, across.boundaries, down.boundaries)
    return None


def _likely_counts(height: int, width: int, count: int) -> list[int]:
    """Rows of cells that fit `count` columns, when both sides were rounded to whole pixels."""
    least = math.ceil((height - 1) * count / (width + 1))
    most = math.floor((height + 1) * count / (width - 1))
    nearest = height * count / width
    return sorted(range(max(least, 1), most + 1), key=lambda tall: (abs(tall - nearest), tall))


def _fit_side(starts: Positions, length: int, count: int, sampled: float) -> FractionalSide | None:
    """Boundaries of `count` equal cells that include all of `starts`; None when there are none such."""
    is_edge = np.zeros(length + 1, np.bool_)
    is_edge[starts] = True
    exact = np.arange(1, count) * (length / count)
    below = np.ceil(exact - sampled - TIE).astype(np.intp)
    above = np.floor(exact + sampled + TIE).astype(np.intp) if sampled else below
    boundaries = np.where(is_edge[above], above, below)
    used = is_edge[boundaries].nonzero()[0]
    if len(used) < len(starts):
        return None
    tied = below != above
    ties, tied_edges = int(np.count_nonzero(tied)), int(np.count_nonzero(tied[used]))
    ways = _log_binomial(count - 1 - ties, len(used) - tied_edges) + _log_binomial(ties, tied_edges) + tied_edges
    span = int(used[-1] - used[0]) + 1 if len(used) else 0
    return FractionalSide(boundaries, _log_binomial(length - 1, len(starts)) - ways, span)


def _log_binomial(n: int, k: int) -> float:
    """log2 of the number of ways to choose k of n."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
