"""Native cell size of an image, and its reduction to one pixel per cell.

Edges first (`edges`): where nothing was blurred, arithmetic finds whole and fractional factors. Where something lies
off the grid, most of the picture decides (`votes`, `blocks`). What is left (compression, noise, filters, stray pixels)
has a comb score (`combs`), believed only when the reduced image also reconstructs the input (`colours`). What is on no
grid is native where an artist is likelier to have set its pixels than a filter to have mixed them (`blends`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pipeline.cells import blends, blocks, colours, combs
from pipeline.cells.combs import Comb
from pipeline.cells.edges import (
    EVIDENCE,
    Edges,
    FractionalGrid,
    Mask,
    Plane,
    Positions,
    common_factor,
    faintness,
    find_edges,
    fractional_grid,
    oblong,
    strays,
    whole_grid,
)
from pipeline.cells.votes import (
    LEAST_BLOCK,
    REGULAR,
    SURE_BLOCKS,
    Votes,
    exact_edges,
    recurrence,
    visible_edges,
    votes_of,
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
LARGEST_CELL = 128  # larger factors are not told apart
SPARSE, MORE = 0.6, 1.5  # share of a fraction's boundaries that are edges: with less, a larger pitch is looked for
MOST_FAINT = 0.12  # share of pixels with steps that are faint, but no noise: with more the cells are not plain
MOST_CLEARLY, ALL_BUT = 0.65, 0.88  # share of groups on a grid where something else speaks against it
MANY_CELLS = 150  # of a coarser grid that overrules a common factor of all edges
MANY_PLAIN = 60  # cells of one colour, where edges are soft
LEAST_OFF = 0.02  # share of cells: less is what compression leaves
SMALL_PIXELS, LEAST_PIXELS, LEAST_BLOCKS = 1100, 850, 12  # in less, or in fewer blocks with edges, there is no majority
LEAST_RECURRENCE = 0.28  # of edges: below it no pitch is looked for
LEAST_SHARES = ((3.0, 0.52), (2.0, 0.75), (0.0, 0.975))  # share of groups of cells on the grid, from a pitch on
LEAST_OF_COARSE = 0.62  # where nothing is finer than the cells there is no writing either: the grid may drift
LEAST_FINE = 0.1  # share of blocks that show single pixels: cells below two pixels do
MOSTLY_MIXED = 0.6  # share of single pixels that lie between their neighbours (native art mostly < 0.5)
PLAIN_COLOURS, STEPS_A_COLOUR = 12, 300  # so few colours, or so many bytes of steps for each: no filter's work
PLAIN_DOUBT = 0.05  # that such a picture is no native art
HINT = 0.15  # of edges that recur: with less, blocks are not looked at
LEAST_CRISP, LEAST_SOFT = -7.0, -10.0  # log odds of native art against a filter's work: below is no native art
PRIOR = 2.0  # log odds of a filter's work where nothing is known
MAX_CELL, MIN_CONFIDENCE = 16, 0.55  # for pictures outside of a run; as `grid` in params.yaml


@dataclass(frozen=True)
class Cell:
    """The grid of an image.

    Attributes:
        size: pixels a side of one cell; 1 = native, fractional where the upscale was, None = unknown.
        confidence: 0..1; how surely `size` is right, 0 where it is unknown; `benchmarks/grid.py` tests it.
        columns: first column of every cell but the first.
        rows: first row of every cell but the first.
        exact: every cell is one colour.
        blurred: colours that are nearly the same are the same.
        off_grid: share of the cells that are not of one colour, as under a caption or a signature.
        needed: the `max_cell` with which an unknown cell would be known; None where none would do.
    """

    size: float | None
    confidence: float
    columns: Positions
    rows: Positions
    exact: bool
    blurred: bool = False
    off_grid: float = 0.0
    needed: int | None = None

    @property
    def native_width(self) -> int | None:
        return None if self.size is None else len(self.columns) + 1

    @property
    def native_height(self) -> int | None:
        return None if self.size is None else len(self.rows) + 1

    @property
    def remarks(self) -> dict[str, float | int]:
        """What there is to tell beside: `off_grid`, `max_cell_needed`."""
        facts = {"off_grid": self.off_grid or None, "max_cell_needed": self.needed}
        return {name: value for name, value in facts.items() if value is not None}

    @property
    def phase(self) -> tuple[int, int]:
        """Offset (x, y) of the first whole cell; (0, 0) when the grid begins at the corner."""
        return _offset(self.columns, self.size), _offset(self.rows, self.size)


def detect(rgb: Pixels, max_cell: int, min_confidence: float) -> Cell:
    """The cell size of an opaque uint8 (H, W, 3) image, at most `max_cell`.

    A comb score from DOUBT to `min_confidence`, a failed reconstruction, cells that are no squares, a picture that is
    neither native nor on a grid, and a factor above `max_cell` are "unknown", never a guess.
    """
    cell = _found(np.ascontiguousarray(rgb), max_cell, min_confidence)
    if cell.size is None or cell.size <= max_cell:
        return cell
    return replace(_unknown(), needed=math.ceil(cell.size))


def _found(rgb: Pixels, max_cell: int, min_confidence: float) -> Cell:
    """As `detect`, but larger than `max_cell` where the cells are."""
    edges = find_edges(rgb)
    factor, bits = common_factor(edges)
    square = not oblong(edges)
    if bits >= EVIDENCE and not strays(edges, factor):
        return _whole(edges, factor, bits) if square else _unknown()
    gaps = edges.longest_run < LONG_RUN
    fraction = fractional_grid(edges, LARGEST_CELL) if gaps and bits < EVIDENCE else None
    if fraction and fraction.pitch >= 2 and edges.count >= SPARSE * (len(fraction.columns) + len(fraction.rows)):
        return _of_fraction(fraction)
    votes = _votes(*exact_edges(rgb)) if _is_large(rgb) and _recurs(edges) else None
    most = _mostly(votes, rgb)
    coarser = most.size if most and most.size else 0.0
    if bits >= EVIDENCE:
        several = most and blocks.is_multiple(coarser, factor) and most.confidence >= MOST_CLEARLY
        if most and several and len(most.columns) * len(most.rows) >= MANY_CELLS:
            return most
        return _whole(edges, factor, bits) if square else _unknown()
    if fraction and fraction.pitch >= 2:
        return most if most and coarser > MORE * fraction.pitch else _of_fraction(fraction)
    if fraction and square and not _mixed_inside(rgb, fraction, votes):
        return _of_fraction(fraction)
    if most and (square or (most.confidence >= ALL_BUT and coarser >= 3)):
        return most
    if not square or (votes and votes.coarse):
        return _unknown()
    native = not (fraction or (votes and votes.regular))
    return _native_or_blurred(rgb, edges, max_cell, min_confidence, native=native, gaps=gaps)


def _native_or_blurred(
    rgb: Pixels, edges: Edges, max_cell: int, min_confidence: float, *, native: bool, gaps: bool
) -> Cell:
    """An image that is on no grid exactly: `native` where it can be, `gaps` where its edges leave some."""
    faint = faintness(rgb, edges)
    number = colours.number_up_to(rgb, FEW_COLOURS) if faint < FAINT_OF_FEW else None
    if number is not None and native and not gaps and number <= max(PLAIN_COLOURS, edges.steps / STEPS_A_COLOUR):
        return _native(rgb, PLAIN_DOUBT)
    few = number is not None
    crisp = few or faint < FAINT_OF_MANY
    luma = combs.luma_of(rgb)
    crispness = combs.crispness(luma)
    if not crisp or gaps or not native:
        if not few and min(luma.shape) >= SMALL and crispness < CRISP:
            return _unknown()
        cell = _blurred(rgb, luma, max_cell, min_confidence, few=few)
        if cell.size != 1:
            return cell
    return _native_or_not(rgb, luma, crispness, faint, crisp=crisp) if native else _unknown()


def _recurs(edges: Edges) -> bool:
    """Whether it is worth while to look at the blocks of an image."""
    return min(edges.width, edges.height) > 2 and recurrence(edges.across, edges.down) >= HINT


def _of_fraction(grid: FractionalGrid) -> Cell:
    return Cell(grid.pitch, _odds(grid.bits), grid.columns, grid.rows, exact=True)


def _blurred(rgb: Pixels, luma: Plane, max_cell: int, min_confidence: float, *, few: bool) -> Cell:
    """An image that is not crisp: the comb of all its edges, or that of most of its blocks where this is coarser."""
    votes = _votes(*visible_edges(luma)) if luma.size >= SMALL_PIXELS else None
    by_comb = _by_comb(rgb, luma, max_cell, min_confidence, few=few)
    if votes and votes.oblong and not votes.is_side(by_comb.size or 1):
        return _unknown()
    most = _mostly(votes)
    larger = most and most.size and (by_comb.size is None or most.size > by_comb.size)
    if most and larger and blocks.faint_steps(luma, most.columns, most.rows) <= MOST_FAINT:
        return most
    if by_comb.size == 1:
        nowhere = np.empty(0, np.intp)
        plain = blocks.faint_steps(luma, nowhere, nowhere) <= MOST_FAINT
        return _unknown() if plain and votes and (votes.strongest >= REGULAR or votes.coarse) else by_comb
    if by_comb.size is None or not votes:
        return by_comb
    off = blocks.share_of(votes, by_comb.columns, by_comb.rows).off
    return replace(by_comb, off_grid=_rounded(off) if off >= LEAST_OFF else 0.0)


def _whole(edges: Edges, factor: int, bits: float) -> Cell:
    columns = whole_grid(edges.width, factor, edges.columns)
    rows = whole_grid(edges.height, factor, edges.rows)
    return Cell(float(factor), _odds(bits), columns, rows, exact=True)


def _mixed_inside(rgb: Pixels, fraction: FractionalGrid, votes: Votes | None) -> bool:
    """Whether a fraction below two pixels is what a filter or a crop left of a larger pitch."""
    if votes and (votes.fine < LEAST_FINE or votes.recurs_below(1 - 1 / fraction.pitch)):
        return True
    return _is_mixed(rgb)


def _is_mixed(rgb: Pixels) -> bool:
    return blends.mixed_share(rgb, combs.luma_of(rgb)) > MOSTLY_MIXED


def _is_large(rgb: Pixels) -> bool:
    height, width = rgb.shape[:2]
    return bool(min(height, width) >= 2 * LEAST_BLOCK and height * width >= LEAST_PIXELS)


def _votes(across: Mask, down: Mask) -> Votes | None:
    """None where there are too few blocks for a majority."""
    votes = votes_of(across, down)
    return votes if votes and votes.blocks >= LEAST_BLOCKS else None


def _mostly(votes: Votes | None, crisp: Pixels | None = None) -> Cell | None:
    """The grid that most of a picture lies on; None where there is none. Below two pixels only where it is `crisp`."""
    if votes is None or votes.strongest < LEAST_RECURRENCE:
        return None
    small = crisp is not None and votes.fine >= LEAST_FINE and votes.blocks >= SURE_BLOCKS

    def least(pitch: float) -> float:
        if pitch < 2 and not small:
            return math.inf
        share = next(share for from_pitch, share in LEAST_SHARES if pitch >= from_pitch)
        if votes.width * votes.height < SMALL_PIXELS:
            return max(share, ALL_BUT)
        return max(share, LEAST_OF_COARSE) if votes.coarse else share

    grid = blocks.best(votes, least)
    if crisp is None and grid and (grid.share.plain < MANY_PLAIN or grid.share.groups < MOST_CLEARLY):
        return None
    if not grid or (grid.pitch < 2 and crisp is not None and _is_mixed(crisp)):
        return None
    return Cell(
        grid.pitch,
        _rounded(grid.share.groups),
        grid.columns,
        grid.rows,
        exact=crisp is not None and grid.share.cells == 1,
        blurred=crisp is None,
        off_grid=_rounded(grid.share.off),
    )


def _native_or_not(rgb: Pixels, luma: Plane, crispness: float, faint: float, *, crisp: bool) -> Cell:
    """Native, unless a filter is much more likely to have mixed the pixels than an artist to have set them."""
    features = blends.features(rgb, luma, crispness, faint)
    odds = float(features @ (blends.CRISP_WEIGHTS if crisp else blends.SOFT_WEIGHTS))
    if odds < (LEAST_CRISP if crisp else LEAST_SOFT):
        return _unknown()
    return _native(rgb, 1 / (1 + math.exp(odds - PRIOR)))


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
    reduced = colours.majority(rgb, cell.columns, cell.rows)
    return colours.merge_near(reduced) if cell.blurred else reduced


def _starts(boundaries: Positions) -> Positions:
    return np.concatenate(([0], boundaries))


def _native(rgb: Pixels, score: float) -> Cell:
    height, width = rgb.shape[:2]
    return Cell(1.0, _rounded(1 - max(score, 0.0)), np.arange(1, width), np.arange(1, height), exact=True)


def _unknown() -> Cell:
    nothing = np.empty(0, np.intp)
    return Cell(None, 0.0, nothing, nothing, exact=False)


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
        return Cell(comb.pitch, _rounded(comb.score), *comb.boundaries, exact=False, blurred=True)
    return _native(rgb, comb.score) if few else _unknown()


def _explains(rgb: Pixels, luma: Plane, comb: Comb, *, few: bool) -> bool:
    if comb.score < CLEAR if comb.inside is None else comb.inside > MAX_INSIDE:
        return False
    if few:
        return colours.misfit_of_centres(rgb, *comb.boundaries) <= MAX_CLEAN_MISFIT
    return colours.are_plain(rgb, luma, *comb.boundaries)
