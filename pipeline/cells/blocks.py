"""The grid that most of a picture lies on, whatever lies off it: a caption, a watermark, a part at another scale.

The pitch is a peak of the spectrum of the blocks' votes, a fraction as well as a whole number, cropped or not; what
decides is the share of the picture whose cells are then plain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.cells.edges import LEAST_PITCH, Mask, Numbers, Plane, Positions
from pipeline.cells.votes import PEAK, SAME_PITCH, VISIBLE_STEP, Votes

FLOOR = 8  # of 255, luma: larger than noise
NEAR_WHOLE = 0.6  # pixels that a whole pitch may be off at the far side
PEAKS = 6
OCCUPIED = 0.55  # share of boundaries between the outermost edges that are edges: else it is half a pitch
LEAST_PLAIN = 20  # cells: fewer are plain by accident
HALF_WAY = 0.25  # share of groups on a larger grid from which on its divisors are not believed
ALIKE = 0.8  # of a pitch: nearer ones are rivals, not divisors
NEARLY_GOOD = 0.7  # share of groups: with less no pitch near by is good
FINER = 6  # steps of that part of a pixel at the far side
TIED = 0.2  # pixels between a boundary and a pixel's edge: from there on it may be the edge on its other side
GROUP = 3  # cells a side: they have one vote on whether the picture is on the grid


@dataclass(frozen=True)
class Share:
    """How much of a picture is on a grid.

    Attributes:
        cells: of the cells that differ from a neighbour or are not plain: share of plain ones.
        groups: the same of groups of cells, which are plain when all their cells are.
        plain: number of plain cells that differ from a neighbour.
        off: share of all cells that are not plain.
    """

    cells: float
    groups: float
    plain: int
    off: float


@dataclass(frozen=True)
class Candidate:
    """A grid, where its boundaries are, how much of the picture is on it, and what share of them are edges."""

    pitch: float
    columns: Positions
    rows: Positions
    share: Share
    occupied: float


def best(votes: Votes, least: Callable[[float], float]) -> Candidate | None:
    """The grid of the largest pitch of which at least so much of the picture is on it, and of its like the best.

    Cells of half the size or less are plain too, so where a good part of the picture is on a larger grid, and not
    enough, there is no answer.
    """
    chosen: Candidate | None = None
    half_way: list[float] = []
    for pitch in pitches(votes):
        if chosen and pitch < ALIKE * chosen.pitch:
            break
        grid = _sharpened(votes, _grid(votes, pitch))
        if grid.occupied < OCCUPIED or grid.share.plain < LEAST_PLAIN:
            continue
        if grid.share.groups >= least(pitch):
            if chosen is None and pitch >= 2 and any(is_multiple(larger, pitch) for larger in half_way):
                return None
            if chosen is None or grid.share.groups > chosen.share.groups:
                chosen = grid
        elif grid.share.groups >= HALF_WAY:
            half_way.append(pitch)
    return chosen


def _sharpened(votes: Votes, grid: Candidate) -> Candidate:
    """Below two pixels a peak of the spectrum is not sharp enough: the best of several pitches near a good one."""
    if grid.pitch >= 2 or grid.share.groups < NEARLY_GOOD:
        return grid
    step = grid.pitch**2 / (FINER * max(votes.width, votes.height))
    near = (_grid(votes, grid.pitch + number * step) for number in (-1, 1, -2, 2))
    return max((grid, *near), key=lambda grid: grid.share.groups)


def is_multiple(pitch: float, of: float) -> bool:
    """Whether a pitch is twice another one, three times, ..."""
    times = pitch / of
    return times > 1.5 and abs(times - round(times)) < SAME_PITCH * times


def _grid(votes: Votes, pitch: float) -> Candidate:
    columns, rows = _boundaries(votes.columns, pitch), _boundaries(votes.rows, pitch)
    used = np.count_nonzero(votes.columns[columns - 1]) + np.count_nonzero(votes.rows[rows - 1])
    occupied = used / max(_span(votes.columns, columns) + _span(votes.rows, rows), 1)
    return Candidate(pitch, columns, rows, share_of(votes, columns, rows), occupied)


def _span(side: Numbers, boundaries: Positions) -> int:
    """How many boundaries there are from the first edge to the last."""
    edges = side.nonzero()[0] + 1
    return int(np.count_nonzero((boundaries >= edges[0]) & (boundaries <= edges[-1]))) if len(edges) else 0


def pitches(votes: Votes) -> list[float]:
    """Pitches at which the edges recur, the largest first.

    Of a pitch below two pixels the spectrum shows p / (p - 1): whole pixels cannot tell the two apart.
    """
    heights = votes.periodicity
    if len(heights) - votes.lowest < 3:
        return []
    floor = PEAK * votes.strongest
    inner = heights[1:-1]
    peaks = np.flatnonzero((inner >= heights[:-2]) & (inner >= heights[2:]) & (inner >= floor)) + 1
    last = [len(heights) - 1] if heights[-1] >= max(floor, heights[-2]) else []
    found = [_pitch_of(votes, place) for place in [*peaks[peaks >= votes.lowest].tolist(), *last][:PEAKS]]
    below_two = [pitch / (pitch - 1) for pitch in found if 2 < pitch < LEAST_PITCH / (LEAST_PITCH - 1)]
    return sorted({*found, *below_two}, reverse=True)


def _pitch_of(votes: Votes, place: int) -> float:
    """Of a peak of the spectrum, between its neighbours; whole where that is as good."""
    heights = votes.periodicity
    frequency = float(place)
    if place < len(heights) - 1:
        before, peak, after = heights[place - 1 : place + 2].tolist()
        if bent := before - 2 * peak + after:
            frequency += 0.5 * (before - after) / bent
    pitch = 2 * (len(heights) - 1) / frequency
    whole = round(pitch)
    near = abs(pitch - whole) * max(votes.width, votes.height) / pitch < NEAR_WHOLE
    return float(whole) if near and whole > 1 else pitch


def _boundaries(side: Numbers, pitch: float) -> Positions:
    """Boundaries of that pitch where most of the edges are; one that is tied lies where there is more of an edge."""
    length = len(side) + 1
    turns = np.arange(1, length) / pitch
    phase = float(np.angle((side * np.exp(2j * np.pi * turns)).sum())) / (2 * np.pi) % 1 * pitch
    exact = phase + pitch * np.arange(-1, int(length / pitch) + 2)
    exact = exact[(exact > 0.5) & (exact < length - 0.5)]
    nearest = np.clip(np.rint(exact), 1, length - 1).astype(np.intp)
    beyond = np.clip(nearest + np.sign(exact - nearest).astype(np.intp), 1, length - 1)
    tied = (np.abs(exact - nearest) > TIED) & (side[beyond - 1] > side[nearest - 1])
    return np.unique(np.where(tied, beyond, nearest))


def share_of(votes: Votes, columns: Positions, rows: Positions) -> Share:
    """How much of the picture is on a grid with these boundaries."""
    inside = np.zeros((votes.height, votes.width), np.bool_)
    border = np.zeros_like(inside)
    inside[:, 1:] = votes.across
    inside[:, columns] = False
    border[:, columns] = votes.across[:, columns - 1]
    border[rows] |= votes.down[rows - 1]
    below = votes.down.copy()
    below[rows - 1] = False
    inside[1:] |= below
    starts = np.concatenate(([0], rows)), np.concatenate(([0], columns))
    broken = _any_of(inside, starts)
    plain = _any_of(border, starts) & ~broken
    groups = tuple(np.arange(0, len(side), GROUP) for side in starts)
    broken_groups = _any_of(broken, groups)
    plain_groups = _any_of(plain, groups) & ~broken_groups
    return Share(
        _part(plain, broken), _part(plain_groups, broken_groups), int(np.count_nonzero(plain)), float(broken.mean())
    )


def faint_steps(luma: Plane, columns: Positions, rows: Positions) -> float:
    """Share of pixels that differ inside of a cell from a neighbour, by less than is visible but more than by noise."""
    values = luma.astype(np.int16)
    across, down = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    across[:, columns - 1] = down[rows - 1] = 0
    number = sum(np.count_nonzero((side > FLOOR) & (side <= VISIBLE_STEP)) for side in (across, down))
    return float(number / luma.size)


def _any_of(mask: Mask, starts: tuple[Positions, ...]) -> Mask:
    some: Mask = np.logical_or.reduceat(np.logical_or.reduceat(mask, starts[0], axis=0), starts[1], axis=1)
    return some


def _part(some: Mask, others: Mask) -> float:
    """Share of the first among both."""
    number = int(np.count_nonzero(some))
    return number / max(number + int(np.count_nonzero(others)), 1)
