"""Groups of works dealt to splits: what belongs together stays together, the shares are met as well as that allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime import seeds

Labels = NDArray[np.integer[Any]]  # (N,) of the works of a domain, by id: the first work of each one's group
Placed = NDArray[np.int8]  # (N,) index into SPLITS

SPLITS = ("train", "val", "test")


def assign(labels: Labels, shares: Mapping[str, float], seed: int, domain: str) -> Placed:
    """Largest groups first (equal ones in seeded order), each into the split that lacks most works.

    Afterwards a split with a share but no works gets the smallest group of the split with the most groups, as long as
    there are as many groups as splits.
    """
    _, group_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = seeds.generator(seed, "split", domain).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    bins = [index for index, name in enumerate(SPLITS) if shares[name] > 0]
    lacking = [shares[SPLITS[index]] * len(labels) for index in bins]
    held, dealt = [0] * len(bins), np.zeros(len(sizes), np.int8)
    for group in order.tolist():
        left = [wanted - has for wanted, has in zip(lacking, held, strict=True)]
        most = left.index(max(left))
        dealt[group] = bins[most]
        held[most] += int(sizes[group])
    if len(sizes) >= len(bins):
        _fill_empty(dealt, order, sizes, bins)
    placed: Placed = dealt[group_of]
    return placed


def _fill_empty(dealt: Placed, order: NDArray[np.int64], sizes: NDArray[np.int64], bins: list[int]) -> None:
    for index in bins:
        counts = [int(np.count_nonzero(dealt == other)) for other in bins]
        if not counts[bins.index(index)]:
            groups_there = order[dealt[order] == bins[counts.index(max(counts))]]
            dealt[groups_there[np.argmin(sizes[groups_there])]] = index
