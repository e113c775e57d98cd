"""Cells that compression, noise or a filter has blurred: comb scores of the gradient.

s(p) = (E(p) - chance) / (1 - chance), E = share of the gradient that lies on the boundaries of a grid of pitch p,
chance = what a gradient spread evenly would have there, about 1 / p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.cells.edges import TIE, Positions
from pipeline.images.files import Pixels
from pipeline.runtime.compiled import compiled, part

Luma = NDArray[np.uint8]  # (H, W)
Numbers = NDArray[np.float64]

SAME_SCORE = 0.01  # of the best comb score: the largest pitch within it wins, since divisors of a pitch score alike
FLOOR = 8  # of 255: smaller steps of luma are compression noise, not edges


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
class Whole:
    """Cells of a whole pitch; the phases are where the first boundaries lie, 0 = one cell off the corner."""

    pitch: int
    x: int
    y: int

    def boundaries(self, profile: Profile) -> tuple[Positions, Positions]:
        return (
            np.arange(self.x or self.pitch, profile.width, self.pitch),
            np.arange(self.y or self.pitch, profile.height, self.pitch),
        )


@dataclass(frozen=True)
class Equal:
    """So many equal cells along each side of an uncropped image."""

    wide: int
    tall: int

    def boundaries(self, profile: Profile) -> tuple[Positions, Positions]:
        return _equal(profile.across, self.wide), _equal(profile.down, self.tall)


@dataclass(frozen=True)
class Comb:
    """A grid that the gradient suggests; `searched`: bits that choosing it among others of its kind used up."""

    score: float
    pitch: float
    profile: Profile
    grid: Whole | Equal
    searched: float = 0.0

    @cached_property
    def boundaries(self) -> tuple[Positions, Positions]:
        """Columns and rows."""
        return self.grid.boundaries(self.profile)

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
        found = sum(float(side[mask].sum()) for mask, side in zip(far, self._sides, strict=True))
        return found / self.profile.total * sum(map(len, far)) / places

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


def luma_of(rgb: Pixels) -> Luma:
    """ITU-R BT.601, as JPEG: chroma is stored at half resolution and bleeds. Rounded as Pillow does."""
    luma = np.empty(rgb.shape[:2], np.uint8)
    _weigh(rgb.ravel(), luma.ravel())
    return luma


@compiled
def _weigh(rgb: Pixels, luma: Luma) -> None:
    """(3 N,) -> (N,)."""
    for place in range(len(luma)):
        red, green, blue = np.int32(rgb[3 * place]), np.int32(rgb[3 * place + 1]), np.int32(rgb[3 * place + 2])
        luma[place] = np.int32(19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16


def profile_of(luma: Luma, floor: int = FLOOR) -> Profile:
    """Steps of luma along x and along y, less `floor`."""
    height, width = luma.shape
    across, down = np.zeros(width - 1, np.uint32), np.zeros(height - 1, np.uint32)
    _sum_steps(luma, np.uint8(floor), across, down)
    return Profile(across.astype(np.float64), down.astype(np.float64))


@compiled
def _sum_steps(luma: Luma, floor: np.uint8, across: NDArray[np.uint32], down: NDArray[np.uint32]) -> None:
    height, width = luma.shape
    for y in range(height):
        left, right = luma[y, : width - 1], luma[y, 1:]
        for x in range(width - 1):
            across[x] += max(np.uint8(max(left[x], right[x]) - min(left[x], right[x])), floor) - floor
        if y + 1 < height:
            above, below = luma[y], luma[y + 1]
            total = np.uint32(0)
            for x in range(width):
                total += np.uint32(max(np.uint8(max(above[x], below[x]) - min(above[x], below[x])), floor) - floor)
            down[y] = total


def crispness(luma: Luma) -> float:
    """Energy of the second difference over that of the first: 2 for lone steps, near 0 for smooth upscales."""
    first, second = _energies(luma)
    return second / first if first else math.inf


@compiled
def _energies(luma: Luma) -> tuple[int, int]:
    """Sums of squares of first and second differences, on both axes."""
    height, width = luma.shape
    first = second = 0
    for y in range(height):
        line = luma[y]
        for x in range(width - 1):
            step = np.int32(line[x + 1]) - np.int32(line[x])
            first += int(step * step)
        for x in range(width - 2):
            bend = np.int32(line[x + 2]) - 2 * np.int32(line[x + 1]) + np.int32(line[x])
            second += int(bend * bend)
        for x in range(width if y + 1 < height else 0):
            step = np.int32(luma[y + 1, x]) - np.int32(line[x])
            first += int(step * step)
        for x in range(width if y + 2 < height else 0):
            bend = np.int32(luma[y + 2, x]) - 2 * np.int32(luma[y + 1, x]) + np.int32(line[x])
            second += int(bend * bend)
    return first, second


def best(profile: Profile, max_cell: int) -> Comb | None:
    """The largest pitch among those that score within SAME_SCORE of the best; None where there is no gradient."""
    if not profile.total or min(len(profile.across), len(profile.down)) < 2:
        return None
    whole, phases = _whole_scores(profile, max_cell)
    counts, fractional = _fractional_scores(profile, max_cell)
    pitches = np.concatenate((np.arange(2, 2 + len(whole)), profile.width / counts))
    scores = np.concatenate((whole, fractional))
    good = np.flatnonzero(scores >= scores.max() - SAME_SCORE)
    winner = int(good[np.lexsort((scores[good], pitches[good]))[-1]])
    if winner < len(whole):
        phase = Whole(winner + 2, int(phases[winner, 0]), int(phases[winner, 1]))
        return Comb(float(scores[winner]), winner + 2.0, profile, phase)
    count = int(counts[winner - len(whole)])
    equal = Equal(count, int(_tall(profile, np.array([count]))[0]))
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
    """For each pitch the most gradient that a phase has on its boundaries, that phase, and how many they are."""
    sums, phases = np.zeros(most - 1), np.zeros(most - 1, np.intp)
    _try_phases(side, sums, phases)
    pitches = np.arange(2, most + 1)
    counts = (len(side) - np.where(phases, phases, pitches)) // pitches + 1
    return sums, phases, counts.astype(np.float64)


@compiled
def _try_phases(side: Numbers, sums: Numbers, phases: Positions) -> None:
    """For pitches 2, 3, ...; both results are 0 so far. Of equal phases the first."""
    for pitch in range(2, len(sums) + 2):
        for phase in range(pitch):
            found = 0.0
            for place in range((phase or pitch) - 1, len(side), pitch):
                found += side[place]
            if found > sums[pitch - 2]:
                sums[pitch - 2], phases[pitch - 2] = found, phase


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
    """Gradient on the boundaries of so many equal cells, of each of `counts`."""
    sums = np.empty(len(counts))
    _try_teeth(side, counts, sums)
    return sums


@compiled
def _try_teeth(side: Numbers, counts: Positions, sums: Numbers) -> None:
    for number in range(len(counts)):
        pitch, found = (len(side) + 1) / counts[number], 0.0
        for tooth in range(1, counts[number]):
            below, above = _places(tooth * pitch)
            found += max(side[below], side[above])
        sums[number] = found


@part
def _places(exact: float) -> tuple[int, int]:
    """Indices into a profile of the boundaries that one at `exact` may be; two where it ends on half a pixel."""
    return math.ceil(exact - 0.5 - TIE) - 1, math.floor(exact + 0.5 + TIE) - 1


def _far_from(starts: Positions, length: int) -> NDArray[np.bool_]:
    """For each of `length` boundaries: neither one of `starts` nor next to one."""
    near = np.zeros(length + 2, bool)
    for offset in (-1, 0, 1):
        near[starts + offset] = True
    return ~near[1:-1]


def _equal(side: Numbers, count: int) -> Positions:
    """Boundaries of `count` equal cells; one that ends on half a pixel lies on the stronger side of it."""
    exact = np.arange(1, count) * ((len(side) + 1) / count)
    below, above = np.ceil(exact - 0.5 - TIE).astype(np.intp) - 1, np.floor(exact + 0.5 + TIE).astype(np.intp) - 1
    chosen: Positions = np.where(side[above] > side[below], above, below) + 1
    return chosen
