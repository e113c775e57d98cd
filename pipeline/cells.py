"""Native cell size of an image, and its reduction to one pixel per cell.

Exact upscales: greatest common divisor of the differences between edge positions, which cropping leaves alone.
Others (JPEG, noise, fractional nearest): comb score s(p) = (E(p) - 1/p) / (1 - 1/p), E = share of the gradient that
lies on the boundaries of a grid of pitch p; believed only when the reduced image also reconstructs the input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.io import Pixels

Positions = NDArray[np.intp]  # first column (row) of every cell but the first, ascending
Luma = NDArray[np.float64]  # (H, W), 0..255
Profile = NDArray[np.float64]  # step between column (row) i and i + 1, summed over the other axis and channels
Comb = tuple[float, float, Positions, Positions]  # score, pitch, columns, rows

EVIDENCE = 6.0  # bits: log2 of the odds against an accidental common divisor
MIN_EDGES = 8.0  # effective number of edges on a comb, beyond the two that fix pitch and phase
SAME_SCORE = 0.01  # of the best comb score: the largest pitch within it wins, since divisors of a pitch score alike
FEW_COLOURS = 64  # neither compression nor a smoothing filter left so few: the image is crisp, its pixels are exact
MAX_RESIDUAL = 0.1  # of the variance that the cells may leave unexplained (true grids <= 0.07, natives mostly > 0.2)
MAX_MISFIT = 0.1  # share of pixels that may differ visibly from their cell ...
VISIBLE = 32  # ... in luma, of 255
MAX_CLEAN_MISFIT = 0.01  # share of pixels that may differ at all, where there are FEW_COLOURS
DOUBT = 0.45  # comb score above 99 % of natives (0.41); from there to the threshold the answer is "unknown"
CRISP = 1.3  # second over first difference, squared: hard edges give >= 1.9, photographs 1.5, x2 bicubic <= 1.3
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as JPEG: chroma is stored at half resolution and bleeds
FLOOR = 8.0  # of 255: smaller steps of luma are compression noise, not edges
TIE = 1e-3  # pixels: boundaries this near to half a pixel may be rounded either way
SNAP = 24  # of 255: colours of one inexact work nearer than this are the same colour


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
    columns, rows = _edge_positions(rgb, 1), _edge_positions(rgb, 0)
    factor, bits = _common_factor(columns, rows)
    if factor > 1 and bits >= EVIDENCE:
        return _exact(rgb, factor, columns, rows, bits) if factor <= max_cell else _unknown(1 - 2**-bits)
    return _by_comb(rgb, max_cell, min_confidence)


def reduce(rgb: Pixels, cell: Cell) -> Pixels:
    """One pixel per cell, its majority colour: uint8 (native height, native width, 3). No colour is invented.

    Raises:
        ValueError: the cell size is unknown.
    """
    if cell.size is None:
        raise ValueError("the cell size is unknown: nothing to reduce to")
    if cell.exact:
        return np.ascontiguousarray(rgb[np.r_[0, cell.rows]][:, np.r_[0, cell.columns]])
    return _merge_near_colours(_majority(rgb, cell.columns, cell.rows))


def _native(rgb: Pixels, score: float) -> Cell:
    height, width = rgb.shape[:2]
    return Cell(1.0, _rounded(1 - max(score, 0.0)), np.arange(1, width), np.arange(1, height), exact=True)


def _unknown(score: float) -> Cell:
    nothing = np.empty(0, np.intp)
    return Cell(None, _rounded(score), nothing, nothing, exact=False)


def _exact(rgb: Pixels, factor: int, columns: Positions, rows: Positions, bits: float) -> Cell:
    height, width = rgb.shape[:2]
    return Cell(
        float(factor),
        _rounded(1 - 2**-bits),
        _grid(width, factor, columns),
        _grid(height, factor, rows),
        exact=True,
    )


def _grid(length: int, factor: int, edges: Positions) -> Positions:
    phase = int(edges[0]) % factor if len(edges) else 0
    return np.arange(phase or factor, length, factor)


def _offset(starts: Positions, size: float | None) -> int:
    first = int(starts[0]) if len(starts) else 0
    return 0 if size is None or first >= math.floor(size) else first


def _rounded(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 4)


def _edge_positions(rgb: Pixels, axis: int) -> Positions:
    """Columns (axis 1) or rows (axis 0) that differ from the one before."""
    ahead, behind = (rgb[:, 1:], rgb[:, :-1]) if axis == 1 else (rgb[1:], rgb[:-1])
    return np.flatnonzero((ahead != behind).any(axis=(1 - axis, 2))) + 1


def _common_factor(columns: Positions, rows: Positions) -> tuple[int, float]:
    """Greatest common divisor of all edge distances, and the bits of evidence that it is no accident.

    One distance on each axis tells nothing: a lone rectangle has them, and they divide themselves.
    """
    distances = np.concatenate([np.diff(columns), np.diff(rows)])
    factor = int(np.gcd.reduce(distances)) if len(distances) else 0
    return factor, max(len(distances) - 2, 0) * math.log2(factor) if factor > 1 else 0.0


def _by_comb(rgb: Pixels, max_cell: int, min_confidence: float) -> Cell:
    luma = rgb @ LUMA
    exact = len(np.unique(_packed(rgb))) <= FEW_COLOURS
    if not exact and _crispness(luma) < CRISP:
        return _unknown(0.0)
    across, down = _profiles(luma)
    score, pitch, columns, rows = _best_comb(across, down, max_cell)
    if score < min(DOUBT, min_confidence) or _effective_edges(across, down, columns, rows) < MIN_EDGES:
        return _native(rgb, score)
    if score >= min_confidence and _explains(rgb, luma, columns, rows, exact=exact):
        return Cell(pitch, _rounded(score), columns, rows, exact=False)
    return _native(rgb, score) if exact else _unknown(score)


def _effective_edges(across: Profile, down: Profile, columns: Positions, rows: Positions) -> float:
    """Participation number (sum e)^2 / sum e^2 of the boundaries' steps, less two."""
    steps = across[columns - 1], down[rows - 1]
    return float(sum(np.square(e.sum()) / np.square(e).sum() for e in steps if e.any())) - 2


def _crispness(luma: Luma) -> float:
    """Energy of the second difference over that of the first: 2 for lone steps, near 0 for smooth upscales."""
    second, first = (sum(np.square(np.diff(luma, n, axis)).sum() for axis in (0, 1)) for n in (2, 1))
    return float(second / first) if first else math.inf


def _profiles(luma: Luma) -> tuple[Profile, Profile]:
    """Steps of luma along x and along y, less FLOOR, summed to one value per boundary."""
    across = np.maximum(np.abs(np.diff(luma, axis=1)) - FLOOR, 0).sum(axis=0)
    down = np.maximum(np.abs(np.diff(luma, axis=0)) - FLOOR, 0).sum(axis=1)
    return across, down


def _best_comb(across: Profile, down: Profile, max_cell: int) -> Comb:
    """The largest pitch among those that score within SAME_SCORE of the best: score, pitch, columns, rows."""
    found = list(_integer_combs(across, down, max_cell))
    found += list(_fractional_combs(across, down, max_cell))
    if not found or not across.sum() + down.sum():
        return 0.0, 1.0, np.empty(0, np.intp), np.empty(0, np.intp)
    best = max(score for score, *_ in found)
    return max((comb for comb in found if comb[0] >= best - SAME_SCORE), key=lambda comb: (comb[1], comb[0]))


def _integer_combs(across: Profile, down: Profile, max_cell: int) -> Iterator[Comb]:
    for pitch in range(2, min(max_cell, len(across), len(down)) + 1):
        columns, rows = _best_phase(across, pitch), _best_phase(down, pitch)
        yield _score(across, down, columns, rows), float(pitch), columns, rows


def _best_phase(profile: Profile, pitch: int) -> Positions:
    position = np.arange(1, len(profile) + 1)
    phase = int(np.bincount(position % pitch, profile, pitch).argmax())
    return np.arange(phase or pitch, len(profile) + 1, pitch)


def _fractional_combs(across: Profile, down: Profile, max_cell: int) -> Iterator[Comb]:
    """Pitches W / n of an uncropped image."""
    width, height = len(across) + 1, len(down) + 1
    if height < 2:
        return  # no boundary that rows could lie on
    for count in range(max(2, math.ceil(width / max_cell)), width // 2 + 1):
        if width % count == 0 and height % (width // count) == 0:
            continue  # an integer pitch
        columns = _rounded_grid(across, count)
        rows = _rounded_grid(down, max(2, round(height * count / width)))
        yield _score(across, down, columns, rows), width / count, columns, rows


def _rounded_grid(profile: Profile, count: int) -> Positions:
    """Boundaries of `count` equal cells; one that ends on half a pixel lies on the stronger side of it."""
    exact = np.arange(1, count) * ((len(profile) + 1) / count)
    below = np.ceil(exact - 0.5 - TIE).astype(np.intp)
    above = np.floor(exact + 0.5 + TIE).astype(np.intp)
    chosen: Positions = np.where(profile[above - 1] > profile[below - 1], above, below)
    return chosen


def _score(across: Profile, down: Profile, columns: Positions, rows: Positions) -> float:
    """s of the module docstring, over both axes together."""
    total = across.sum() + down.sum()
    if not total:
        return 0.0
    on_grid = (across[columns - 1].sum() + down[rows - 1].sum()) / total
    chance = (across.sum() * len(columns) / len(across) + down.sum() * len(rows) / len(down)) / total
    return float((on_grid - chance) / (1 - chance)) if chance < 1 else 0.0


def _explains(rgb: Pixels, luma: Luma, columns: Positions, rows: Positions, *, exact: bool) -> bool:
    """True when every cell is one colour, but for compression noise (or, if `exact`, for nearly nothing)."""
    height, width = luma.shape
    if exact:
        centres = rgb[_centres(height, rows)][:, _centres(width, columns)]
        again = centres[_index(height, rows)][:, _index(width, columns)]
        return float((again != rgb).any(axis=2).mean()) <= MAX_CLEAN_MISFIT
    cell = (_index(height, rows)[:, None] * (len(columns) + 1) + _index(width, columns)[None, :]).ravel()
    again = np.stack([_mean_per_cell(cell, plane)[cell] for plane in rgb.reshape(-1, 3).T], axis=1)
    residual = np.square(again - rgb.reshape(-1, 3)).mean()
    misfit = (np.abs(again @ LUMA - luma.ravel()) > VISIBLE).mean()
    return bool(residual <= MAX_RESIDUAL * rgb.var(axis=(0, 1)).mean() and misfit <= MAX_MISFIT)


def _centres(length: int, starts: Positions) -> Positions:
    bounds = np.r_[0, starts, length]
    centres: Positions = (bounds[:-1] + bounds[1:]) // 2
    return centres


def _mean_per_cell(cell: Positions, values: NDArray[np.generic]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.bincount(cell, values) / np.bincount(cell)
    return mean


def _index(length: int, starts: Positions) -> Positions:
    """Cell number of every column (row)."""
    number: Positions = np.searchsorted(starts, np.arange(length), side="right")
    return number


def _majority(rgb: Pixels, columns: Positions, rows: Positions) -> Pixels:
    """Most frequent colour of every cell; among equals the one nearest to the cell's mean, then the darkest."""
    height, width = rgb.shape[:2]
    shape = len(rows) + 1, len(columns) + 1
    cell = (_index(height, rows)[:, None] * shape[1] + _index(width, columns)[None, :]).ravel()
    pairs, counts = np.unique((cell.astype(np.int64) << 24) | _packed(rgb), return_counts=True)
    owner, colours = pairs >> 24, _unpacked(pairs & 0xFFFFFF)
    mean = np.stack([_mean_per_cell(cell, plane) for plane in rgb.reshape(-1, 3).T], axis=1)
    distance = np.square(colours - mean[owner]).sum(axis=1)
    order = np.lexsort((pairs, distance, -counts, owner))
    first = order[np.r_[True, np.diff(owner[order]) > 0]]
    return colours[first].reshape(*shape, 3)


def _packed(rgb: Pixels) -> NDArray[np.int64]:
    """(..., 3) -> (N,): colours as 0xRRGGBB."""
    values = rgb.reshape(-1, 3).astype(np.int64)
    return (values[:, 0] << 16) | (values[:, 1] << 8) | values[:, 2]


def _unpacked(packed: NDArray[np.int64]) -> Pixels:
    return np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=1).astype(np.uint8)


def _merge_near_colours(rgb: Pixels) -> Pixels:
    """Each colour becomes the most frequent one within SNAP of it (largest channel difference)."""
    colours, inverse, counts = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    target = np.arange(len(colours))
    free = np.ones(len(colours), bool)
    for centre in np.argsort(-counts, kind="stable"):
        if free[centre]:
            near = free & (np.abs(colours.astype(np.int16) - colours[centre].astype(np.int16)).max(axis=1) < SNAP)
            target[near] = centre
            free &= ~near
    return colours[target[inverse.ravel()]].reshape(rgb.shape)
