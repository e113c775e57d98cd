"""Pairs of works that look alike, and how far apart their pictures are: the costly part of deduplication.

What is found of two pictures depends on nothing but their pixels, formats, parameters and code. So a run that keeps
the digests of all its pictures and the pairs that came out leaves the next one only pairs with a picture that is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.curate.dedup import verify
from pipeline.curate.dedup.params import Dedup
from pipeline.curate.dedup.table import DedupTable
from pipeline.runtime.cache import Cache, CacheScope, pack, unpack
from pipeline.runtime.parallel import parallel_map
from pipeline.runtime.settings import Executor
from pipeline.similarity import search
from pipeline.similarity.fingerprints import GROUNDS
from pipeline.similarity.hamming import Index, Mask

Digests = NDArray[np.uint64]  # (N,)
Pairs = NDArray[np.void]  # (P,) PAIR

MAX_DETAIL = 24.0  # of 255, luma in a thumbnail of a copy that a codec made: only then are the pictures looked at ...
MAX_SCREENED = 24.0  # ... or up to this difference over the foreground: of a resampled copy
PAIR = np.dtype(  # two pictures that look alike
    [
        *search.LIKENESS.descr,
        ("distance", "<f8"),  # between two versions of one work, NaN = they are different works
        ("measured", "?"),  # whether the distance is known
    ]
)


def compare(numbers: Index, table: DedupTable, images: Path, params: Dedup, executor: Executor, cache: Cache) -> Pairs:
    """Pairs that look alike, as indices of `numbers`, sorted by their later and then their earlier member.

    Args:
        images: folder of the pictures, <id>.png.
        cache: pairs that an earlier run compared are not compared again.
    """
    pictures = table.entries["picture"][numbers]
    pair_cache = PairCache(cache, CacheScope.of(__name__, params))
    known, fresh = pair_cache.recall(pictures)
    bounds = params.max_distance, max(params.max_difference, MAX_SCREENED), MAX_DETAIL
    blocks = search.likenesses(table.entries["fingerprint"], numbers, *bounds, fresh)
    pairs = np.concatenate([known, *map(_unmeasured, blocks)])
    pairs = pairs[np.lexsort((pairs["pair"][:, 0], pairs["pair"][:, 1]))]
    _measure(pairs, numbers, table, images, executor)
    pair_cache.store(pictures, pairs)
    return pairs


def _unmeasured(likenesses: search.Likenesses) -> Pairs:
    pairs = np.zeros(len(likenesses), PAIR)
    for name in search.LIKENESS.names or ():
        pairs[name] = likenesses[name]
    return pairs


def _measure(pairs: Pairs, numbers: Index, table: DedupTable, images: Path, executor: Executor) -> None:
    """Fill in the distances that are unknown."""

    def version(number: int) -> verify.Version:
        return verify.Version(images / f"{table.ids[number]}.png", bool(lossless[number]))

    lossless, unknown = table.entries["lossless"], ~pairs["measured"]
    levels = np.array(GROUNDS)[pairs["ground"][unknown]].tolist()
    versions = [
        verify.Pair(version(left), version(right), level)
        for (left, right), level in zip(numbers[pairs["pair"][unknown]].tolist(), levels, strict=True)
    ]
    distances = parallel_map(verify.distance, versions, executor)
    pairs["distance"][unknown] = [np.nan if distance is None else distance for distance in distances]
    pairs["measured"] = True


@dataclass(frozen=True)
class PairCache:
    """What the last run found, as one value of the cache."""

    cache: Cache
    scope: CacheScope

    def recall(self, pictures: Digests) -> tuple[Pairs, Mask | None]:
        """Known pairs of these pictures, and the pictures that are new; None = all are.

        Of several equal pictures one is known at most.
        """
        value = self.cache.get([self._key]).get(self._key)
        if value is None:
            return np.empty(0, PAIR), None
        _, (digests, pairs) = unpack(value)
        place = _places(np.frombuffer(digests, "<u8"), pictures)
        fresh = np.ones(len(pictures), bool)
        fresh[place[place >= 0]] = False
        return _renumbered(np.frombuffer(pairs, PAIR), place), fresh

    def store(self, pictures: Digests, pairs: Pairs) -> None:
        """Keep pairs for the next run, in place of those that the last one kept."""
        self.cache.put({self._key: pack(len(pictures), pictures.tobytes(), pairs.tobytes())})

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


def _renumbered(pairs: Pairs, place: Index) -> Pairs:
    """The stored pairs whose members are still there; where their order is another, the distance is measured again."""
    pairs = pairs[(place[pairs["pair"]] >= 0).all(axis=1)]
    members = place[pairs["pair"]]
    pairs["pair"], pairs["measured"] = np.sort(members, axis=1), members[:, 0] < members[:, 1]
    return pairs
