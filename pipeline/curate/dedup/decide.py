"""Decides which works of many are duplicates and which belong together.

In order of preference each work is held against those that stay before it: what was dropped drops nothing, so chains
of small steps cannot swallow their ends. Tiers: `override` (a person's word), `exact` (one canonical picture), `near`
(a lossy or slightly edited copy); and of works that both stay, as one family: `moved` (one canonical picture in two
places of one canvas: a frame, not a repost), `kin` (mirrored, turned, recoloured), `alternate` (alike, yet drawn
apart), `parts` (most patches of one are in the other: on another ground, signed, with another hat).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, groupby, pairwise

import numpy as np

from pipeline.curate.dedup.compare import Pairs
from pipeline.curate.dedup.overrides import ALTERNATE, SAME, Overrides
from pipeline.curate.dedup.table import DedupTable
from pipeline.similarity import groups, sketches
from pipeline.similarity.hamming import Index, Mask

MIN_PART = 0.6  # of the patches of one work that are in another; scenes that are built of the same tiles share half


@dataclass(frozen=True)
class Verdict:
    """One line of decisions.jsonl: `dropped` went in favour of `kept`, or (dropped None) both were kept."""

    kept: str
    dropped: str | None
    in_favour_of: str
    tier: str
    distance: float | None


def decide(
    table: DedupTable, overrides: Overrides, compare: Callable[[Index], Pairs], max_difference: float
) -> tuple[list[list[str]], list[Verdict]]:
    """Deduplicate the works of a table, tier by tier: families of two works or more that stay, and every verdict.

    Args:
        overrides: what a person decided; it goes before every rule.
        compare: numbers of works in order of preference -> the pairs of them that look alike.
        max_difference: over the foreground, 0..255, up to which works that look alike are alternates.
    """
    tiers = _Tiers(table, overrides)
    tiers.apply(tiers.overridden_copies())
    tiers.apply(tiers.exact_copies())
    tiers.apply(tiers.near_copies(compare, max_difference))
    tiers.apply(tiers.recolours())
    tiers.apply(tiers.overridden_alternates())
    tiers.apply(tiers.sharing_parts())
    return tiers.families(), tiers.verdicts


class _Tiers:
    """The state of deduplication between its tiers.

    Attributes:
        order: numbers of the works that stay, the preferred first.
        verdicts: those applied.
    """

    def __init__(self, table: DedupTable, overrides: Overrides) -> None:
        self.table, self.overrides = table, overrides
        self.order = table.preferred()
        self.verdicts: list[Verdict] = []

    def apply(self, verdicts: Iterable[Verdict]) -> None:
        """Record verdicts; what they drop takes no part in what follows."""
        applied = list(verdicts)
        self.verdicts += applied
        if dropped := {verdict.dropped for verdict in applied if verdict.dropped is not None}:
            self.order = self.table.without_dropped(self.order, dropped)

    def overridden_copies(self) -> Iterator[Verdict]:
        """Drop what a person called the same."""
        ids, links = self._overridden(SAME)
        for first, *copies in groups.components(ids, links):
            yield from (Verdict(first, copy, first, "override", None) for copy in copies)

    def overridden_alternates(self) -> Iterator[Verdict]:
        """Tie what a person called alternates."""
        _, links = self._overridden(ALTERNATE)
        return (Verdict(right, None, left, "override", None) for left, right in links)

    def _overridden(self, verdict: str) -> tuple[list[str], list[tuple[str, str]]]:
        """Works that stay and of which a person said this, in their order, and the pairs, sorted."""
        pairs = {pair for pair, override in self.overrides.items() if override == verdict}
        ids = self.table.ids_among(self.order, {id for pair in pairs for id in pair})
        staying = set(ids)
        return ids, sorted((min(pair), max(pair)) for pair in pairs if pair <= staying)

    def _is_overridden(self, left: str, right: str) -> bool:
        return bool(self.overrides) and frozenset((left, right)) in self.overrides

    def exact_copies(self) -> Iterator[Verdict]:
        """Drop works with the canonical picture of another one; tie those that are only moved on their canvas."""
        ids, staying = self.table.ids, dict[bytes, list[int]]()
        for number in self.table.sharing(self.order, "key"):
            alike = staying.setdefault(self._digest("key", number), [])
            free = [original for original in alike if not self._is_overridden(ids[original], ids[number])]
            first = next((ids[original] for original in free if not self._is_moved(original, number)), None)
            if first is not None:
                yield Verdict(first, ids[number], first, "exact", 0.0)
                continue
            yield from (Verdict(ids[number], None, ids[original], "moved", 0.0) for original in free[:1])
            alike.append(number)

    def _digest(self, column: str, number: int) -> bytes:
        return bytes(self.table.entries[column][number])

    def _is_moved(self, left: int, right: int) -> bool:
        canvas, place = self.table.entries["canvas"], self.table.entries["place"]
        return bool((canvas[left] == canvas[right]).all() and (place[left] != place[right]).any())

    def near_copies(self, compare: Callable[[Index], Pairs], max_difference: float) -> Iterator[Verdict]:
        """Drop lossy and slightly edited copies; tie works that are alike, yet drawn apart."""
        numbers = self._comparable()
        ids = [self.table.ids[number] for number in numbers.tolist()]
        pairs = compare(numbers)
        differences: dict[tuple[int, int], float] = {}  # of pairs without an override, over the foreground
        copies = []
        columns = (pairs[name].tolist() for name in ("pair", "difference", "distance"))
        for (left, right), difference, distance in zip(*columns, strict=True):
            if not self._is_overridden(ids[left], ids[right]):
                differences[left, right] = round(difference, 3)
                if not np.isnan(distance):
                    copies.append((left, right, distance))
        originals = groups.choose_originals(copies)
        for copy, (_, original) in originals.items():
            yield Verdict(ids[original], ids[copy], ids[original], "near", differences[original, copy])
        alike = {
            pair: difference
            for pair, difference in differences.items()
            if difference <= max_difference and originals.keys().isdisjoint(pair)
        }
        forest = groups.Forest[int]()  # the nearest pairs that tie all together: as few verdicts as it takes
        for left, right in sorted(alike, key=lambda pair: (alike[pair], pair)):
            if forest.join(left, right):
                yield Verdict(ids[right], None, ids[left], "alternate", alike[left, right])

    def _comparable(self) -> Index:
        comparable: Mask = self.table.entries["comparable"]
        return self.order[comparable[self.order]]

    def recolours(self) -> Iterator[Verdict]:
        """Tie mirror images, turned ones and recolours, by as few pairs as it takes."""
        ids, kinship, key = self.table.ids, partial(self._digest, "kinship"), partial(self._digest, "key")
        numbers = self.table.sharing(self._comparable(), "kinship")
        for _, family in groupby(sorted(numbers, key=lambda number: (kinship(number), ids[number])), key=kinship):
            for left, right in self._tied(list(family)):
                if key(left) != key(right):
                    yield Verdict(ids[right], None, ids[left], "kin", None)

    def _tied(self, family: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Enough pairs to tie a family together without those that a person decided about."""
        if not self.overrides:
            return pairwise(family)
        ids = self.table.ids
        pairs = list(combinations(family, 2))
        free = [(left, right) for left, right in pairs if not self._is_overridden(ids[left], ids[right])]
        return pairwise(family) if len(free) == len(pairs) else iter(free)

    def sharing_parts(self) -> Iterator[Verdict]:
        """Tie works of which one holds much of the other and that nothing ties yet, the nearest first."""
        numbers = self._comparable()
        ids = [self.table.ids[number] for number in numbers.tolist()]
        pairs, parts = sketches.shared(self.table.entries["patches"][numbers], MIN_PART)
        forest = groups.Forest[str]()
        for verdict in self.verdicts:
            if verdict.dropped is None:
                forest.join(verdict.kept, verdict.in_favour_of)
        nearest = sorted(zip((-parts).tolist(), pairs.tolist(), strict=True))
        for apart, (left, right) in nearest:
            if not self._is_overridden(ids[left], ids[right]) and forest.join(ids[left], ids[right]):
                yield Verdict(ids[right], None, ids[left], "parts", round(1 + apart, 3))

    def families(self) -> list[list[str]]:
        """Works that stay and are tied together, in order of preference."""
        links = [(verdict.kept, verdict.in_favour_of) for verdict in self.verdicts if verdict.dropped is None]
        ids = self.table.ids_among(self.order, {id for link in links for id in link})
        staying = set(ids)
        return groups.components(ids, [link for link in links if staying.issuperset(link)])
