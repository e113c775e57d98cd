"""Pairs of works that look alike, and how far apart their pictures are: the costly part of deduplication."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.curate.dedup import verify
from pipeline.curate.dedup.pair_cache import ComparedPairs, PairCache
from pipeline.curate.dedup.params import Dedup
from pipeline.curate.dedup.table import DedupTable
from pipeline.runtime.cache import Cache, CacheScope
from pipeline.runtime.parallel import parallel_map
from pipeline.runtime.settings import Executor
from pipeline.similarity import search
from pipeline.similarity.fingerprints import GROUNDS
from pipeline.similarity.hamming import Index, Mask

MAX_DETAIL = 24.0  # of 255, luma in a thumbnail of a copy that a codec made: only then are the pictures looked at ...
MAX_SCREENED = 24.0  # ... or up to this difference over the foreground: of a resampled copy


@dataclass(frozen=True)
class Comparison:
    """How the works of a table are compared with one another.

    Attributes:
        images: folder of their pictures, <id>.png.
        cache: pairs that an earlier run compared are not compared again.
    """

    table: DedupTable
    images: Path
    params: Dedup
    executor: Executor
    cache: Cache

    def compare(self, numbers: Index) -> ComparedPairs:
        """Pairs that look alike, as indices of `numbers`, sorted, with the distances of their pictures."""
        pictures = self.table.pictures[numbers]
        pair_cache = PairCache(self.cache, CacheScope.of(__name__, self.params))
        known, fresh = pair_cache.recall(pictures)
        compared = known.joined(ComparedPairs.of(self._screened(numbers, fresh)))
        self._measure(compared, numbers)
        pair_cache.store(pictures, compared)
        return compared

    def _screened(self, numbers: Index, fresh: Mask | None) -> search.Likeness:
        """Pairs with similar fingerprints; only with one of the `fresh`, where some were compared before."""
        bounds = self.params.max_distance, max(self.params.max_difference, MAX_SCREENED), MAX_DETAIL
        blocks = search.likenesses(self.table.fingerprints, numbers, *bounds, fresh)
        return search.Likeness.joined([search.Likeness.none(), *blocks])

    def _measure(self, compared: ComparedPairs, numbers: Index) -> None:
        """Fill in the distances that are unknown."""
        unknown = compared.unknown
        levels = np.array(GROUNDS)[compared.likeness.ground[unknown]].tolist()
        pairs = numbers[compared.likeness.pairs[unknown]].tolist()
        versions = [
            verify.Pair(self._version(left), self._version(right), level)
            for (left, right), level in zip(pairs, levels, strict=True)
        ]
        distances = parallel_map(verify.distance, versions, self.executor)
        compared.distance[unknown] = [np.nan if distance is None else distance for distance in distances]
        unknown[:] = False

    def _version(self, number: int) -> verify.Version:
        return verify.Version(self.images / f"{self.table.ids[number]}.png", bool(self.table.lossless[number]))
