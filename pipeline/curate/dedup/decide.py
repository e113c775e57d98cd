"""Decides which works of many are duplicates and which belong together.

In order of preference each work is held against those that stay before it: what was dropped drops nothing, so chains
of small steps cannot swallow their ends. Tiers: `override` (a person's word), `exact` (one canonical picture), `near`
(a lossy or slightly edited copy); and of works that both stay, as one family: `moved` (one canonical picture in two
places of one canvas: a frame, not a repost), `kin` (mirror images, recolours), `alternate` (alike, yet drawn apart).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise

import numpy as np

from pipeline.curate.dedup.overrides import ALTERNATE, SAME, Overrides
from pipeline.curate.dedup.pair_cache import ComparedPairs
from pipeline.curate.dedup.table import DedupEntry, DedupTable
from pipeline.similarity import groups
from pipeline.similarity.hamming import Index


@dataclass(frozen=True)
class Verdict:
    """One line of decisions.jsonl: `dropped` went in favour of `kept`, or (dropped None) both were kept."""

    kept: str
    dropped: str | None
    in_favour_of: str
    tier: str
    distance: float | None


@dataclass(frozen=True)
class Decisions:
    """Families of two works or more that stay, as ids in order of preference, and every verdict."""

    families: list[list[str]]
    verdicts: list[Verdict]


def decide(
    table: DedupTable, overrides: Overrides, compare: Callable[[Index], ComparedPairs], max_difference: float
) -> Decisions:
    """Deduplicate the works of a table, tier by tier.

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
    return Decisions(tiers.families(), tiers.verdicts)


def overridden_ids(overrides: Overrides) -> set[str]:
    """Ids of all works that a person decided about."""
    return {id for pair in overrides for id in pair}


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
        staying: dict[bytes, list[DedupEntry]] = {}
        for entry in self.table.sharing(self.order, "key"):
            alike = staying.setdefault(entry.key, [])
            free = [original for original in alike if not self._is_overridden(original.id, entry.id)]
            first = next((original for original in free if not _moved(original, entry)), None)
            if first is not None:
                yield Verdict(first.id, entry.id, first.id, "exact", 0.0)
                continue
            yield from (Verdict(entry.id, None, original.id, "moved", 0.0) for original in free[:1])
            alike.append(entry)

    def near_copies(self, compare: Callable[[Index], ComparedPairs], max_difference: float) -> Iterator[Verdict]:
        """Drop lossy and slightly edited copies; tie works that are alike, yet drawn apart."""
        numbers = self.order[self.table.comparable[self.order]]
        differences, copies = self._measured(numbers, compare(numbers))
        originals = groups.choose_originals(copies)

        def ids(pair: tuple[int, int]) -> tuple[str, str]:
            return self.table.ids[numbers[pair[0]]], self.table.ids[numbers[pair[1]]]

        for right, (_, left) in originals.items():
            original, copy = ids((left, right))
            yield Verdict(original, copy, original, "near", differences[left, right])
        alike = {
            pair: difference
            for pair, difference in differences.items()
            if difference <= max_difference and originals.keys().isdisjoint(pair)
        }
        for pair in _tree(alike):
            left_id, right_id = ids(pair)
            yield Verdict(right_id, None, left_id, "alternate", alike[pair])

    def _measured(
        self, numbers: Index, compared: ComparedPairs
    ) -> tuple[dict[tuple[int, int], float], list[tuple[int, int, float]]]:
        """Pairs without an override -> mean difference over the foreground; and those that are copies, with distance.

        Pairs are indices of `numbers`, the preferred first.
        """
        differences, copies = {}, []
        columns = compared.likeness.pairs, compared.likeness.difference, compared.distance
        for (left, right), difference, distance in zip(*(column.tolist() for column in columns), strict=True):
            if self._is_overridden(self.table.ids[numbers[left]], self.table.ids[numbers[right]]):
                continue
            differences[left, right] = round(difference, 3)
            if not np.isnan(distance):
                copies.append((left, right, distance))
        return differences, copies

    def recolours(self) -> Iterator[Verdict]:
        """Tie mirror images and recolours, by as few pairs as it takes."""
        entries = self.table.sharing(self.order[self.table.comparable[self.order]], "kinship")
        ordered = sorted(entries, key=lambda entry: (entry.kinship or b"", entry.id))
        for _, family in groupby(ordered, key=lambda entry: entry.kinship):
            for left, right in self._tied(list(family)):
                if left.key != right.key:
                    yield Verdict(right.id, None, left.id, "kin", None)

    def _tied(self, family: Sequence[DedupEntry]) -> Iterator[tuple[DedupEntry, DedupEntry]]:
        """Enough pairs to tie a family together without those that a person decided about."""
        if not self.overrides:
            return pairwise(family)
        pairs = list(combinations(family, 2))
        free = [(left, right) for left, right in pairs if not self._is_overridden(left.id, right.id)]
        return pairwise(family) if len(free) == len(pairs) else iter(free)

    def families(self) -> list[list[str]]:
        """Works that stay and are tied together, in order of preference."""
        links = [(verdict.kept, verdict.in_favour_of) for verdict in self.verdicts if verdict.dropped is None]
        ids = self.table.ids_among(self.order, {id for link in links for id in link})
        staying = set(ids)
        return groups.components(ids, [link for link in links if staying.issuperset(link)])


def _moved(left: DedupEntry, right: DedupEntry) -> bool:
    return left.canvas == right.canvas and left.place != right.place


def _tree(differences: dict[tuple[int, int], float]) -> Iterator[tuple[int, int]]:
    """The nearest pairs that tie all together: as few verdicts as it takes, however many are alike."""
    forest = groups.Forest[int]()
    for pair in sorted(differences, key=lambda pair: (differences[pair], pair)):
        if forest.join(*pair):
            yield pair
