"""Cells that compression, noise or a filter has blurred: comb scores of the gradient.

s(p) = (E(p) - chance) / (1 - chance), E = share of the gradient that lies on the boundaries of a grid of pitch p,
chance = what a gradient spread evenly would have there, about 1 / p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.cell_edges import TIE, Positions
from pipeline.io import Pixels

Luma = NDArray[np.uint8]  # (H, W)
Numbers = NDArray[np.float64]

SAME_SCORE = 0.01  # of the best comb score: the largest pitch within it wins, since divisors of a pitch score alike
FLOOR = 8  # of 255: smaller steps of luma are compression noise, not edges
CACHED = 512  # pixels: tables of longer sides are made anew each time


@dataclass(frozen=True)
class Profile:
    """Gradient along both axes: one value a boundary between neighbouring columns (rows), steps of luma summed."""

    across: Numbers
    down: Numbers

    @property
    def total(self) -> float:
        return float(self.across.sum() + self.down.sum())

    @property
    def width(self) -> int:
        return len(self.across) + 1

    @property
    def height(self) -> int:
        return len(self.down) + 1


@dataclass(frozen=True)
class Comb:
    """A grid that the gradient suggests. `edges`: effective number of edges on it, beyond two for pitch and phase."""

    score: float
    pitch: float
    columns: Positions
    rows: Positions
    edges: float


@dataclass(frozen=True)
class Teeth:
    """Boundaries of `first`, `first` + 1, ... equal cells on one side, strung together; `ends`: where each ends.

    `below` and `above` are indices into a profile; they differ where a boundary ends on half a pixel.
    """

    first: int
    below: Positions
    above: Positions
    ends: Positions


def luma_of(rgb: Pixels) -> Luma:
    """ITU-R BT.601, as JPEG: chroma is stored at half resolution and bleeds."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def profile_of(luma: Luma, floor: int = FLOOR) -> Profile:
    """Steps of luma along x and along y, less `floor`."""
    across = _steps(luma[:, 1:], luma[:, :-1], floor).sum(axis=0, dtype=np.uint32)
    down = _steps(luma[1:], luma[:-1], floor).sum(axis=1, dtype=np.uint32)
    return Profile(across.astype(np.float64), down.astype(np.float64))


def _steps(ahead: Luma, behind: Luma, floor: int) -> Luma:
    step = np.maximum(ahead, behind) - np.minimum(ahead, behind)
    np.maximum(step, floor, out=step)
    step -= np.uint8(floor)
    return step


def crispness(luma: Luma) -> float:
    """Energy of the second difference over that of the first: 2 for lone steps, near 0 for smooth upscales."""
    signed = luma.astype(np.float32)
    second, first = (sum(_energy(np.diff(signed, n, axis)) for axis in (0, 1)) for n in (2, 1))
    return second / first if first else math.inf


def _energy(values: NDArray[np.float32]) -> float:
    flat = values.ravel()
    return float(flat @ flat)


def best(profile: Profile, max_cell: int) -> Comb | None:
    """The largest pitch among those that score within SAME_SCORE of the best; None where there is no gradient."""
    if not profile.total or min(len(profile.across), len(profile.down)) < 2:
        return None
    whole, phases = _whole_scores(profile, max_cell)
    counts, fractional = _fractional_scores(profile, max_cell)
    pitches = np.r_[np.arange(2, 2 + len(whole)), profile.width / counts]
    scores = np.r_[whole, fractional]
    good = np.flatnonzero(scores >= scores.max() - SAME_SCORE)
    winner = int(good[np.lexsort((scores[good], pitches[good]))[-1]])
    if winner < len(whole):
        columns, rows = (_every(winner + 2, int(phase), side) for phase, side in zip(
            phases[winner], (profile.width, profile.height), strict=True))
    else:
        count = int(counts[winner - len(whole)])
        columns = _equal(profile.across, count)
        rows = _equal(profile.down, _tall(profile, np.array([count]))[0])
    return Comb(
        float(scores[winner]), float(pitches[winner]), columns, rows, _effective_edges(profile, columns, rows)
    )


def _scores(profile: Profile, across: Numbers, down: Numbers, columns: Numbers, rows: Numbers) -> Numbers:
    """s of the module docstring for grids with so much gradient on so many columns and rows."""
    on_grid = (across + down) / profile.total
    evenly = columns * (profile.across.sum() / len(profile.across)) + rows * (profile.down.sum() / len(profile.down))
    chance = np.minimum(evenly / profile.total, 1 - 1e-9)
    scores: Numbers = (on_grid - chance) / (1 - chance)
    return scores


def _whole_scores(profile: Profile, max_cell: int) -> tuple[Numbers, Positions]:
    """Pitches 2, 3, ...: scores, and the best phases (x, y) of each."""
    most = min(max_cell, len(profile.across), len(profile.down))
    sums, phases, counts = zip(*(_best_phases(side, most) for side in (profile.across, profile.down)), strict=True)
    return _scores(profile, *sums, *counts), np.stack(phases, axis=1)


def _best_phases(side: Numbers, most: int) -> tuple[Numbers, Positions, Numbers]:
    pitches = np.arange(2, most + 1)
    position = np.arange(1, len(side) + 1)
    slot = position % pitches[:, None] + (pitches[:, None] - 2) * (most + 1)
    sums = np.bincount(slot.ravel(), np.broadcast_to(side, slot.shape).ravel(), len(pitches) * (most + 1))
    sums = sums.reshape(len(pitches), most + 1)
    phases = sums.argmax(axis=1)
    counts = (len(side) - np.where(phases, phases, pitches)) // pitches + 1
    return sums[np.arange(len(pitches)), phases], phases, counts.astype(np.float64)


def _fractional_scores(profile: Profile, max_cell: int) -> tuple[Positions, Numbers]:
    """Pitches width / n of an uncropped image, for every n."""
    counts = np.arange(max(2, math.ceil(profile.width / max_cell)), profile.width // 2 + 1)
    tall = _tall(profile, counts)
    across = _on_teeth(profile.across, counts, max_cell)
    down = _on_teeth(profile.down, tall, max_cell)
    return counts, _scores(profile, across, down, counts - 1.0, tall - 1.0)


def _tall(profile: Profile, counts: Positions) -> Positions:
    """Rows of cells beside so many columns of cells."""
    tall: Positions = np.clip(np.rint(profile.height * counts / profile.width), 1, profile.height).astype(np.intp)
    return tall


def _on_teeth(side: Numbers, counts: Positions, max_cell: int) -> Numbers:
    """Gradient on the boundaries of so many equal cells, of each of the ascending `counts`."""
    if not len(counts):
        return np.empty(0)
    make = teeth if len(side) < CACHED else teeth.__wrapped__
    table = make(len(side) + 1, int(counts[0]), int(counts[-1]))
    running = np.r_[0.0, np.cumsum(np.maximum(side[table.below], side[table.above]))]
    sums = np.diff(running[np.r_[0, table.ends]])
    on_teeth: Numbers = sums[counts - table.first]
    return on_teeth


@lru_cache(maxsize=64)
def teeth(length: int, first: int, last: int) -> Teeth:
    """Boundaries of `first` to `last` equal cells on a side of `length` pixels."""
    counts = np.arange(first, last + 1)
    ends = np.cumsum(counts - 1)
    number = np.arange(ends[-1]) - np.repeat(ends - (counts - 1), counts - 1) + 1
    exact = number * np.repeat(length / counts, counts - 1)
    below = np.ceil(exact - 0.5 - TIE).astype(np.intp) - 1
    above = np.floor(exact + 0.5 + TIE).astype(np.intp) - 1
    return Teeth(first, below, above, ends)


def _every(pitch: int, phase: int, length: int) -> Positions:
    return np.arange(phase or pitch, length, pitch)


def _equal(side: Numbers, count: int) -> Positions:
    """Boundaries of `count` equal cells; one that ends on half a pixel lies on the stronger side of it."""
    table = teeth.__wrapped__(len(side) + 1, count, count)
    chosen: Positions = np.where(side[table.above] > side[table.below], table.above, table.below) + 1
    return chosen


def _effective_edges(profile: Profile, columns: Positions, rows: Positions) -> float:
    """Participation number (sum e)^2 / sum e^2 of the boundaries' steps, less two."""
    steps = profile.across[columns - 1], profile.down[rows - 1]
    return float(sum(np.square(e.sum()) / np.square(e).sum() for e in steps if e.any())) - 2
