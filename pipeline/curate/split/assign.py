"""Which split each group of works goes to: groups stay together, the shares are met as well as that allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime import seeds

Labels = NDArray[np.integer[Any]]  # (N,) of the works of a domain, by id: the first work of each one's group
Splits = NDArray[np.int8]  # (N,) index into SPLITS

SPLITS = ("train", "val", "test")
NEEDED = [SPLITS.index(name) for name in ("train", "test", "val")]  # the most needed first


def assign(labels: Labels, shares: Mapping[str, float], seed: int, domain: str) -> Splits:
    """Assign the largest groups first (equal ones in seeded order), each to the split that lacks most works.

    Afterwards a split with a share but no works gets the smallest group of the split with the most groups. Where there
    are fewer groups than splits, train comes first and test before val.
    """
    _, group_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = seeds.generator(seed, "split", domain).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    bins = [index for index, name in enumerate(SPLITS) if shares[name] > 0]
    targets = [shares[SPLITS[index]] * len(labels) for index in bins]
    assigned, split_of = [0] * len(bins), np.zeros(len(sizes), np.int8)
    for group in order.tolist():
        gaps = [target - count for target, count in zip(targets, assigned, strict=True)]
        most = gaps.index(max(gaps))
        split_of[group] = bins[most]
        assigned[most] += int(sizes[group])
    needed = bins if len(sizes) >= len(bins) else sorted(bins, key=NEEDED.index)[: len(sizes)]
    _fill_empty(split_of, order, sizes, bins, needed)
    splits: Splits = split_of[group_of]
    return splits


def _fill_empty(
    split_of: Splits, order: NDArray[np.int64], sizes: NDArray[np.int64], bins: list[int], needed: list[int]
) -> None:
    for split in needed:
        counts = [int(np.count_nonzero(split_of == index)) for index in bins]
        if not counts[bins.index(split)]:
            largest = order[split_of[order] == bins[counts.index(max(counts))]]
            split_of[largest[np.argmin(sizes[largest])]] = split
