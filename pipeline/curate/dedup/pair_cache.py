"""Pairs of pictures that were compared, and what earlier runs found of them.

What is found of two pictures depends on nothing but their pixels, formats, parameters and code. So a run that keeps
the digests of all its pictures and the pairs that came out leaves the next one only pairs with a picture that is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime import cache
from pipeline.runtime.cache import Cache, CacheScope
from pipeline.similarity.hamming import Index, Mask
from pipeline.similarity.search import Likeness

Digests = NDArray[np.uint64]  # (N,)

LAID = ("<i4", "i1", "<f4", "<f4", "<f8")  # pairs, ground, difference, detail, distance


@dataclass(frozen=True)
class Compared:
    """Pairs that look alike, sorted by their later and then their earlier member.

    Attributes:
        distance: (P,) between two versions of one work, NaN = they are different works.
        unknown: (P,) whose distance has yet to be measured.
    """

    likeness: Likeness
    distance: NDArray[np.float64]
    unknown: Mask

    @classmethod
    def of(cls, likeness: Likeness) -> Compared:
        """Pairs whose distances are not known."""
        count = len(likeness.pairs)
        return cls(likeness, np.full(count, np.nan), np.ones(count, bool))

    def joined(self, other: Compared) -> Compared:
        """Both, in order."""
        likeness = Likeness.joined([self.likeness, other.likeness])
        order = np.lexsort((likeness.pairs[:, 0], likeness.pairs[:, 1]))
        distance = np.concatenate([self.distance, other.distance])[order]
        return Compared(likeness.where(order), distance, np.concatenate([self.unknown, other.unknown])[order])


@dataclass(frozen=True)
class Keeper:
    """What the last run found, as one value of the cache."""

    memory: Cache
    known: CacheScope

    def recalled(self, pictures: Digests) -> tuple[Compared, Mask | None]:
        """Known pairs of these pictures, and the pictures that are new; None = all are.

        Of several equal pictures one is known at most.
        """
        key = self._key()
        value = self.memory.get([key]).get(key)
        if value is None:
            return Compared.of(Likeness.none()), None
        before, held = _unpacked(value)
        place = _places(before, pictures)
        fresh = np.ones(len(pictures), bool)
        fresh[place[place >= 0]] = False
        return _renumbered(held, place), fresh

    def keep(self, pictures: Digests, found: Compared) -> None:
        """For the next run; in place of what the last one kept."""
        likeness = found.likeness
        columns: list[NDArray[Any]] = [
            likeness.pairs,
            likeness.ground,
            likeness.difference,
            likeness.detail,
            found.distance,
        ]
        laid = [column.astype(kind).tobytes() for column, kind in zip(columns, LAID, strict=True)]
        self.memory.put({self._key(): cache.pack(len(pictures), pictures.tobytes(), *laid)})

    def _key(self) -> bytes:
        return self.known.key(b"", {"pairs": "all"})


def _unpacked(value: bytes) -> tuple[Digests, Compared]:
    _, (digests, *laid) = cache.unpack(value)
    pairs, ground, difference, detail, distance = (
        np.frombuffer(column, kind) for column, kind in zip(laid, LAID, strict=True)
    )
    likeness = Likeness(pairs.reshape(-1, 2).astype(np.int64), ground, difference, detail)
    return np.frombuffer(digests, "<u8"), Compared(likeness, distance, np.zeros(len(distance), bool))


def _places(before: Digests, now: Digests) -> Index:
    """(len(before),): where each earlier picture is now, -1 = nowhere, or an equal one is known already."""
    _, first = np.unique(before, return_index=True)
    order = np.argsort(now, kind="stable")
    place = np.full(len(before), -1, np.int64)
    if len(now):
        at = np.searchsorted(now, before[first], sorter=order).clip(max=len(now) - 1)
        there = now[order[at]] == before[first]
        place[first[there]] = order[at[there]]
    return place


def _renumbered(held: Compared, place: Index) -> Compared:
    """Of pairs whose members are still there; where their order is another, the distance is measured again."""
    pairs = place[held.likeness.pairs]
    there = np.flatnonzero((pairs >= 0).all(axis=1))
    likeness, pairs = held.likeness.where(there), pairs[there]
    turned = pairs[:, 0] > pairs[:, 1]
    renumbered = Likeness(np.sort(pairs, axis=1), likeness.ground, likeness.difference, likeness.detail)
    return Compared(renumbered, held.distance[there], turned)
