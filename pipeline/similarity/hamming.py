"""All pairs of 64-bit hashes within a Hamming distance: exact, in bounded memory, without comparing all with all.

Hashes within D bits, cut into D + t bands, agree on at least t of them, since D flipped bits spoil at most D bands.
For every choice of t bands only hashes equal on all of them are compared. More bands make longer keys and so fewer
comparisons, but more choices to sort by: t is taken where an estimate on the hashes themselves is lowest, and where
all pairs at once are cheaper (few hashes, or many alike) these are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]  # (N,)
Pairs = NDArray[np.int64]  # (P, 2) indices, the smaller first
Index = NDArray[np.int64]
Places = NDArray[np.int32]
Mask = NDArray[np.bool_]  # (N,)

BITS = 64
BLOCK = 1 << 19  # comparisons, or pairs, held at a time
LONG = 128  # hashes with one key, from which on they are compared as a block
MAX_AGREE = 4  # the largest t
SORTING = 24  # comparisons that take as long as sorting one hash into place
GATHER = 4  # looking a hash up costs so many times the comparison of neighbours
SAMPLE = 20_000  # hashes by which bits are judged
FEW = 20  # of so many hashes one is held against all others at less cost than all are searched
PROBES = 4  # choices of bands on which the number of comparisons is estimated


def pairs_within(hashes: Hashes, max_distance: int, fresh: Mask | None = None) -> Iterator[Pairs]:
    """Find every pair within `max_distance` bits exactly once, in blocks of no particular order.

    Args:
        fresh: only pairs with one of these; None = all.
    """
    if fresh is None:
        yield from _all_within(hashes, max_distance)
    elif np.count_nonzero(fresh) * FEW <= len(hashes):
        yield from _fresh_within(hashes, max_distance, fresh)
    else:
        yield from (pairs[fresh[pairs].any(axis=1)] for pairs in _all_within(hashes, max_distance))


def _fresh_within(hashes: Hashes, max_distance: int, fresh: Mask) -> Iterator[Pairs]:
    """Each fresh hash against all, by blocks; of two fresh ones the later finds the earlier."""
    new, height = np.flatnonzero(fresh), max(1, BLOCK // max(1, len(hashes)))
    for low in range(0, len(new), height):
        block = new[low : low + height]
        rows, right = np.nonzero(np.bitwise_count(hashes[block, None] ^ hashes[None, :]) <= max_distance)
        left = block[rows]
        once = ~fresh[right] | (right < left)
        yield _ordered(left[once], right[once])


def _all_within(hashes: Hashes, max_distance: int) -> Iterator[Pairs]:
    members = np.argsort(hashes, kind="stable").astype(np.int32)
    values = hashes[members]
    starts, counts = _runs(values)
    values = values[starts]
    if len(values) < len(hashes):
        yield from _equal(members, starts, counts)
    for pairs in _distinct_pairs(values, max_distance):
        yield from _expanded(pairs, members, starts, counts)


def _runs(ordered: Hashes) -> tuple[Places, Places]:
    """Of sorted hashes: where each value begins, and how often it is there."""
    edges = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True][: len(ordered) + 1]).astype(np.int32)
    return edges[:-1], np.diff(edges)


def _equal(members: Places, starts: Places, counts: Places) -> Iterator[Pairs]:
    for start, count in zip(starts[counts > 1], counts[counts > 1], strict=True):
        for rows, columns in _triangle(int(count)):
            yield _ordered(members[start + rows], members[start + columns])


def _triangle(count: int) -> Iterator[tuple[Index, Index]]:
    """Pairs (row, column) of 0..count-1 with row < column, by blocks of rows."""
    height = max(1, BLOCK // count)
    for low in range(0, count - 1, height):
        rows, columns = np.nonzero(np.arange(low, min(low + height, count))[:, None] < np.arange(count)[None, :])
        yield rows + low, columns


def _expanded(pairs: Pairs, members: Places, starts: Places, counts: Places) -> Iterator[Pairs]:
    """Pairs of values -> pairs of all hashes that have these values."""
    left, right = pairs.T
    each = counts[left] * counts[right].astype(np.int64)
    if (each == 1).all():
        yield _ordered(members[starts[left]], members[starts[right]])
        return
    upto = np.cumsum(each)
    for low in range(0, int(upto[-1]), BLOCK):
        number = np.arange(low, min(low + BLOCK, int(upto[-1])))
        pair = np.searchsorted(upto, number, side="right")
        within = number - (upto - each)[pair]
        row, column = np.divmod(within, counts[right[pair]])
        yield _ordered(members[starts[left[pair]] + row], members[starts[right[pair]] + column])


def _ordered(left: Index | Places, right: Index | Places) -> Pairs:
    return np.stack([np.minimum(left, right), np.maximum(left, right)], axis=1).astype(np.int64)


def _distinct_pairs(values: Hashes, max_distance: int) -> Iterator[Pairs]:
    """The same for hashes that are all different; none within 0 bits."""
    if len(values) < 2 or max_distance == 0:
        return
    bands = _cheapest(values, max_distance)
    yield from _all_pairs(values, max_distance) if bands is None else bands.pairs()


def _all_pairs(values: Hashes, max_distance: int) -> Iterator[Pairs]:
    height = max(1, BLOCK // len(values))
    for low in range(0, len(values) - 1, height):
        rest = values[low:]
        near = np.bitwise_count(rest[:height, None] ^ rest[None, :]) <= max_distance
        near[:, :height] = np.triu(near[:, :height], 1)
        rows, columns = np.nonzero(near)
        if len(rows):
            yield np.stack([rows, columns], axis=1) + low


def _cheapest(values: Hashes, max_distance: int) -> Bands | None:
    """The bands with the least estimated work; None where all pairs are less."""
    least, best = len(values) * (len(values) - 1) / 2, None
    for agree in range(1, MAX_AGREE + 1):
        if max_distance + agree > BITS or comb(max_distance + agree, agree) * SORTING * len(values) > least:
            break
        bands = Bands(values, max_distance, agree)
        if (cost := bands.cost()) < least:
            least, best = cost, bands
    return best


class Bands:
    """A search for near hashes among distinct ones, cut into `max_distance + agree` bands."""

    def __init__(self, values: Hashes, max_distance: int, agree: int) -> None:
        self.values = values
        self.max_distance = max_distance
        self.agree = agree
        self.sample = values[:: max(1, len(values) // SAMPLE)]

    @cached_property
    def masks(self) -> list[int]:
        """The bits of each band: the most telling are dealt out first, so that in no band all hashes agree."""
        shares = [float(np.mean(self.sample >> np.uint64(bit) & np.uint64(1))) for bit in range(BITS)]
        order = sorted(range(BITS), key=lambda bit: abs(shares[bit] - 0.5))
        count = self.max_distance + self.agree
        return [sum(1 << bit for bit in order[band::count]) for band in range(count)]

    @cached_property
    def choices(self) -> list[tuple[int, ...]]:
        """All sets of bands on which two hashes may agree."""
        return list(combinations(range(len(self.masks)), self.agree))

    def cost(self) -> float:
        """Estimate the work of the search, in comparisons."""
        probes = self.choices[:: max(1, len(self.choices) // PROBES)]
        compared = 0
        for choice in probes:
            _, counts = _runs(np.sort(self.values & self._mask(choice)))
            compared += int((counts.astype(np.int64) * (counts - 1) // 2).sum())
        return len(self.choices) * (SORTING * len(self.values) + compared / len(probes))

    def _mask(self, choice: tuple[int, ...]) -> np.uint64:
        return np.uint64(sum(self.masks[band] for band in choice))

    def pairs(self) -> Iterator[Pairs]:
        """Every pair within the distance exactly once."""
        for choice in self.choices:
            mask = self._mask(choice)
            order = np.argsort(self.values & mask).astype(np.int32)
            ordered = self.values[order]
            for left, right in self._near(ordered & mask, ordered):
                new = self._is_first(ordered[left] ^ ordered[right], choice)
                yield _ordered(order[left[new]], order[right[new]])

    def _near(self, key: Hashes, ordered: Hashes) -> Iterator[tuple[Index, Index]]:
        """Places of near hashes that have one key; both arrays are sorted by it."""
        starts, lengths = _runs(key)
        for start, length in zip(starts[lengths > LONG], lengths[lengths > LONG], strict=True):
            for pairs in _all_pairs(ordered[start : start + length], self.max_distance):
                yield pairs[:, 0] + start, pairs[:, 1] + start
        short = lengths <= LONG
        in_short = np.repeat(short, lengths)
        ends = np.repeat(starts[short] + lengths[short], lengths[short])
        place = ends - _countdown(lengths[short])
        for step in range(1, LONG):
            more = place + step < ends
            place, ends = place[more], ends[more]
            if not len(place):
                return
            yield self._near_at(key, ordered, place, step, in_short)

    def _near_at(
        self, key: Hashes, ordered: Hashes, place: Index, step: int, in_short: NDArray[np.bool_]
    ) -> tuple[Index, Index]:
        """Near hashes of one key `step` apart: looked up one by one, or where most have short keys, all along."""
        if len(place) * GATHER < len(ordered):
            near = place[np.bitwise_count(ordered[place] ^ ordered[place + step]) <= self.max_distance]
            return near, near + step
        near = np.flatnonzero(np.bitwise_count(ordered[:-step] ^ ordered[step:]) <= self.max_distance)
        near = near[in_short[near] & (key[near] == key[near + step])]
        return near, near + step

    def _is_first(self, different: Hashes, choice: tuple[int, ...]) -> NDArray[np.bool_]:
        """Whether no earlier choice finds the pair too: before the last chosen band, all others differ."""
        first = np.ones(len(different), bool)
        for band in set(range(choice[-1])) - set(choice):
            first &= (different & np.uint64(self.masks[band])) != 0
        return first


def _countdown(lengths: Places) -> Index:
    """[3, 2] -> [3, 2, 1, 2, 1]."""
    return np.repeat(np.cumsum(lengths, dtype=np.int64), lengths) - np.arange(lengths.sum())
