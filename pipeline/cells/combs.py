"""Cells that compression, noise or a filter has blurred: comb scores of the gradient.

s(p) = (E(p) - chance) / (1 - chance), E = share of the gradient that lies on the boundaries of a grid of pitch p,
chance = what a gradient spread evenly would have there, about 1 / p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.cells.edges import TIE, Mask, Numbers, Plane, Positions, step_sizes, strips
from pipeline.images.files import Pixels

Integers = NDArray[np.signedinteger[Any]]

SAME_SCORE = 0.01  # of the best comb score: the largest pitch within it wins, since divisors of a pitch score alike
FLOOR = 8  # of 255: smaller steps of luma are compression noise, not edges
WIDE = 1 << 13  # pixels: sums of so many squares of second differences fit in 32 bits
BLOCK = 512  # pixels of a side: tables of so many are kept
TEETH = 1 << 16  # entries of a table; more become two


@dataclass(frozen=True)
class Profile:
    """Gradient along both axes: one value a boundary between neighbouring columns (rows), steps of luma summed."""

    across: Numbers
    down: Numbers

    @cached_property
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
    """A grid that the gradient suggests.

    Attributes:
        boundaries: first columns and first rows of all cells but the first.
        searched: bits that choosing it among others of its kind used up.
    """

    score: float
    pitch: float
    profile: Profile
    boundaries: tuple[Positions, Positions]
    searched: float = 0.0

    @cached_property
    def inside(self) -> float | None:
        """How dense the gradient is more than a pixel away from every boundary, of how dense it is on average.

        A filter smears a boundary over its neighbours, drawing at a finer pitch is everywhere. None where cells are so
        small that there is no such place.
        """
        far = [_far_from(starts, len(side)) for starts, side in zip(self.boundaries, self._sides, strict=True)]
        places = sum(int(mask.sum()) for mask in far)
        if not places:
            return None
        gradient = sum(float(side[mask].sum()) for mask, side in zip(far, self._sides, strict=True))
        return gradient / self.profile.total * sum(map(len, far)) / places

    @property
    def _sides(self) -> tuple[Numbers, Numbers]:
        return self.profile.across, self.profile.down

    @property
    def bits(self) -> float:
        """Evidence of the edges, less what the search used up."""
        return self.edges * math.log2(self.pitch) - self.searched

    @cached_property
    def edges(self) -> float:
        """Effective number of edges: participation number (sum e)^2 / sum e^2 of the steps on the boundaries.

        Less two: one on each axis fixes the phase.
        """
        steps = [side[starts - 1] for starts, side in zip(self.boundaries, self._sides, strict=True)]
        return float(sum(np.square(e.sum()) / np.square(e).sum() for e in steps if e.any())) - 2


def luma_of(rgb: Pixels) -> Plane:
    """Luma by ITU-R BT.601, as in JPEG, whose chroma is stored at half resolution and bleeds."""
    luma = Image.fromarray(rgb).convert("L")
    return np.frombuffer(luma.tobytes(), np.uint8).reshape(rgb.shape[:2])


def profile_of(luma: Plane, floor: int = FLOOR) -> Profile:
    """Steps of luma along x and along y, less `floor`."""
    height, width = luma.shape
    across, down = np.zeros(width - 1), np.empty(height - 1)
    for top, strip, extended in strips(luma):
        across += _above_floor(strip[:, 1:], strip[:, :-1], floor).sum(axis=0, dtype=np.uint16)
        steps = _above_floor(extended[1:], extended[:-1], floor)
        down[top : top + len(steps)] = steps.sum(axis=1, dtype=np.uint32)
    return Profile(across, down)


def _above_floor(left: Plane, right: Plane, floor: int) -> Plane:
    sizes = step_sizes(left, right)
    np.maximum(sizes, floor, out=sizes)
    sizes -= np.uint8(floor)
    return sizes


def crispness(luma: Plane) -> float:
    """Energy of the second difference over that of the first: 2 for lone steps, near 0 for smooth upscales."""
    first = second = 0
    for _, strip, extended in strips(luma, beyond=2):
        exact: Integers = extended.astype(np.int32 if luma.shape[1] <= WIDE else np.int64)
        across, down = exact[: len(strip), 1:] - exact[: len(strip), :-1], exact[1:] - exact[:-1]
        first += _energy(across) + _energy(down[: len(strip)])
        second += _energy(across[:, 1:] - across[:, :-1]) + _energy(down[1:] - down[:-1])
    return second / first if first else math.inf


def _energy(values: Integers) -> int:
    return int(np.einsum("ij,ij->i", values, values).sum())


def best(profile: Profile, max_cell: int) -> Comb | None:
    """The largest pitch among those that score within SAME_SCORE of the best; None where there is no gradient."""
    if not profile.total or min(len(profile.across), len(profile.down)) < 2:
        return None
    whole_scores, phases = _whole_scores(profile, max_cell)
    counts, fractional_scores = _fractional_scores(profile, max_cell)
    pitches = np.concatenate((np.arange(2, 2 + len(whole_scores)), profile.width / counts))
    scores = np.concatenate((whole_scores, fractional_scores))
    good = np.flatnonzero(scores >= scores.max() - SAME_SCORE)
    winner = int(good[np.lexsort((scores[good], pitches[good]))[-1]])
    if winner < len(whole_scores):
        pitch = winner + 2
        x, y = phases[winner].tolist()  # where the first boundaries lie, 0 = one cell off the corner
        whole = np.arange(x or pitch, profile.width, pitch), np.arange(y or pitch, profile.height, pitch)
        return Comb(float(scores[winner]), float(pitch), profile, whole)
    count = int(counts[winner - len(whole_scores)])
    tall = int(_tall(profile, np.array([count]))[0])
    equal = _equal_boundaries(profile.across, count), _equal_boundaries(profile.down, tall)
    return Comb(float(scores[winner]), profile.width / count, profile, equal, math.log2(2 * len(counts)))


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
    """For each pitch the most gradient that a phase has on its boundaries, the first such, and how many they are."""
    pitches = np.arange(2, most + 1)
    sums = np.zeros(len(pitches) * most)
    for start in range(0, len(side), BLOCK):
        block = side[start : start + BLOCK]
        sums += np.bincount(_slots(start, len(block), most), np.tile(block, len(pitches)), len(sums))
    by_pitch = sums.reshape(len(pitches), most)
    phases = by_pitch.argmax(axis=1)
    counts = (len(side) - np.where(phases, phases, pitches)) // pitches + 1
    return by_pitch.max(axis=1), phases, counts.astype(np.float64)


@lru_cache(maxsize=64)
def _slots(start: int, length: int, most: int) -> Positions:
    """For pitches 2 to `most` in turn: the slot, pitch and phase, of each of `length` boundaries."""
    pitches = np.arange(2, most + 1)[:, None]
    slots = np.arange(start + 1, start + length + 1) % pitches + (pitches - 2) * most
    return slots.ravel()


def _fractional_scores(profile: Profile, max_cell: int) -> tuple[Positions, Numbers]:
    """Pitches width / n of an uncropped image, for every n that leaves a remainder: whole ones have a phase too."""
    counts = np.arange(max(2, math.ceil(profile.width / max_cell)), profile.width // 2 + 1)
    counts = counts[profile.width % counts != 0]
    tall = _tall(profile, counts)
    across = _on_teeth(profile.across, counts)
    down = _on_teeth(profile.down, tall)
    return counts, _scores(profile, across, down, (counts - 1).astype(np.float64), (tall - 1).astype(np.float64))


def _tall(profile: Profile, counts: Positions) -> Positions:
    """Rows of cells beside so many columns of cells."""
    tall: Positions = np.clip(np.rint(profile.height * counts / profile.width), 1, profile.height).astype(np.intp)
    return tall


def _on_teeth(side: Numbers, counts: Positions) -> Numbers:
    """Gradient on the boundaries of so many equal cells, of each of the ascending `counts`."""
    if len(counts) > 1 and counts.sum() > TEETH:
        half = len(counts) // 2
        return np.concatenate((_on_teeth(side, counts[:half]), _on_teeth(side, counts[half:])))
    if not len(counts):
        return np.empty(0)
    make = _teeth if len(side) < BLOCK else _teeth.__wrapped__
    below, above, starts, ends = make(len(side) + 1, int(counts[0]), int(counts[-1]))
    running = np.concatenate(([0.0], np.maximum(side.take(below), side.take(above)).cumsum()))
    chosen = counts - counts[0]
    sums: Numbers = running[ends[chosen]] - running[starts[chosen]]
    return sums


@lru_cache(maxsize=64)
def _teeth(length: int, first: int, last: int) -> tuple[Positions, Positions, Positions, Positions]:
    """Boundaries of `first` to `last` equal cells on a side of `length` pixels, strung together: `_neighbours` of all.

    After them where those of each number of cells start and end.
    """
    counts = np.arange(first, last + 1)
    ends = np.cumsum(counts - 1)
    starts = ends - (counts - 1)
    number = np.arange(ends[-1]) - np.repeat(starts, counts - 1) + 1
    below, above = _neighbours(number * np.repeat(length / counts, counts - 1))
    return below, above, starts, ends


def _neighbours(exact: NDArray[np.floating[Any]]) -> tuple[Positions, Positions]:
    """Indices into a profile of the boundaries that those at `exact` may be; two where one ends on half a pixel."""
    return np.ceil(exact - 0.5 - TIE).astype(np.intp) - 1, np.floor(exact + 0.5 + TIE).astype(np.intp) - 1


def _far_from(starts: Positions, length: int) -> Mask:
    """For each of `length` boundaries: neither one of `starts` nor next to one."""
    near = np.zeros(length + 2, bool)
    for offset in (-1, 0, 1):
        near[starts + offset] = True
    return ~near[1:-1]


def _equal_boundaries(side: Numbers, count: int) -> Positions:
    """Boundaries of `count` equal cells; one that ends on half a pixel lies on the stronger side of it."""
    below, above = _neighbours(np.arange(1, count) * ((len(side) + 1) / count))
    chosen: Positions = np.where(side[above] > side[below], above, below) + 1
    return chosen
