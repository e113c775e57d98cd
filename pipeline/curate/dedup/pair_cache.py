"""Pairs of pictures that were compared, and what earlier runs found of them.

What is found of two pictures depends on nothing but their pixels, formats, parameters and code. So a run that keeps
the digests of all its pictures and the pairs that came out leaves the next one only pairs with a picture that is new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.cache import Cache, CacheScope, pack, unpack
from pipeline.similarity.hamming import Index, Mask
from pipeline.similarity.search import Likeness

Digests = NDArray[np.uint64]  # (N,)

PAIR = np.dtype([("pairs", "<i4", 2), ("ground", "i1"), ("difference", "<f4"), ("detail", "<f4"), ("distance", "<f8")])


@dataclass(frozen=True)
class ComparedPairs:
    """Pairs that look alike, sorted by their later and then their earlier member.

    Attributes:
        distance: (P,) between two versions of one work, NaN = they are different works.
        unknown: (P,) whose distance has yet to be measured.
    """

    likeness: Likeness
    distance: NDArray[np.float64]
    unknown: Mask

    @classmethod
    def of(cls, likeness: Likeness) -> ComparedPairs:
        """Pairs whose distances are not known."""
        count = len(likeness.pairs)
        return cls(likeness, np.full(count, np.nan), np.ones(count, bool))

    def joined(self, more: ComparedPairs) -> ComparedPairs:
        """These pairs and more, in order."""
        likeness = Likeness.joined([self.likeness, more.likeness])
        order = np.lexsort((likeness.pairs[:, 0], likeness.pairs[:, 1]))
        distance = np.concatenate([self.distance, more.distance])[order]
        return ComparedPairs(likeness.where(order), distance, np.concatenate([self.unknown, more.unknown])[order])


@dataclass(frozen=True)
class PairCache:
    """What the last run found, as one value of the cache."""

    cache: Cache
    scope: CacheScope

    def recall(self, pictures: Digests) -> tuple[ComparedPairs, Mask | None]:
        """Known pairs of these pictures, and the pictures that are new; None = all are.

        Of several equal pictures one is known at most.
        """
        value = self.cache.get([self._key]).get(self._key)
        if value is None:
            return ComparedPairs.of(Likeness.none()), None
        _, (digests, rows) = unpack(value)
        place = _places(np.frombuffer(digests, "<u8"), pictures)
        fresh = np.ones(len(pictures), bool)
        fresh[place[place >= 0]] = False
        return _renumbered(np.frombuffer(rows, PAIR), place), fresh

    def store(self, pictures: Digests, compared: ComparedPairs) -> None:
        """Keep pairs for the next run, in place of those that the last one kept."""
        rows = np.empty(len(compared.distance), PAIR)
        for name, column in {**vars(compared.likeness), "distance": compared.distance}.items():
            rows[name] = column
        self.cache.put({self._key: pack(len(pictures), pictures.tobytes(), rows.tobytes())})

    @property
    def _key(self) -> bytes:
        return self.scope.key(b"", {"pairs": "all"})


def _places(before: Digests, now: Digests) -> Index:
    """(len(before),): where each earlier picture is now, -1 = nowhere, or an equal one is known already."""
    _, first = np.unique(before, return_index=True)
    order = np.argsort(now, kind="stable")
    place = np.full(len(before), -1, np.int64)
    if len(now):
        at = np.searchsorted(now, before[first], sorter=order).clip(max=len(now) - 1)
        equal = now[order[at]] == before[first]
        place[first[equal]] = order[at[equal]]
    return place


def _renumbered(rows: NDArray[np.void], place: Index) -> ComparedPairs:
    """The stored pairs whose members are still there; where their order is another, the distance is measured again."""
    rows = rows[(place[rows["pairs"]] >= 0).all(axis=1)]
    pairs = place[rows["pairs"]]
    likeness = Likeness(np.sort(pairs, axis=1), rows["ground"], rows["difference"], rows["detail"])
    return ComparedPairs(likeness, rows["distance"].copy(), pairs[:, 0] > pairs[:, 1])
