"""One search for near hashes in a process of its own: seconds, CPU seconds, peak memory and pairs as JSON on stdout.

python benchmarks/dedup_search.py {banded,blocks,faiss-multihash,faiss-flat} {random,skewed,chains} COUNT DISTANCE
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

PLANTED = 0.02  # share of the hashes that are another one with up to 11 bits flipped
BUCKET = 1100  # equal hashes among the skewed ones


def random(count: int) -> Hashes:
    rng = np.random.default_rng(count)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    planted = int(count * PLANTED)
    hashes[count - planted :] = hashes[rng.integers(0, count - planted, planted)]
    for _ in range(11):
        flipped = rng.random(planted) < rng.random(planted)
        bits = np.uint64(1) << rng.integers(0, 64, planted).astype(np.uint64)
        hashes[count - planted :] ^= np.where(flipped, bits, np.uint64(0))
    return hashes


def skewed(count: int) -> Hashes:
    """Every bit of another bias, as of pHashes of sprites; a fifth in families of near hashes, one large bucket."""
    rng = np.random.default_rng(count)
    bits = rng.random((count, 64)) < rng.beta(2, 2, 64)
    hashes: Hashes = np.packbits(bits, axis=1).view(np.uint64).ravel().copy()
    family = rng.integers(0, count, count // 5)
    hashes[family] = hashes[family % 500] ^ (np.uint64(1) << rng.integers(0, 64, len(family)).astype(np.uint64))
    hashes[:BUCKET] = hashes[0]
    return hashes


def chains(count: int) -> Hashes:
    """Most bands equal in all: the hashes differ in 24 neighbouring bits only."""
    return np.random.default_rng(count).integers(0, 2**24, count, dtype=np.uint64) << np.uint64(20)


def banded(hashes: Hashes, distance: int) -> int:
    from pipeline.similarity import hamming

    return sum(len(pairs) for pairs in hamming.pairs_within(hashes, distance))


def blocks(hashes: Hashes, distance: int) -> int:
    """All with all, in numpy."""
    count, height = 0, max(1, (1 << 19) // len(hashes))
    for low in range(0, len(hashes) - 1, height):
        near = np.bitwise_count(hashes[low : low + height, None] ^ hashes[None, low:]) <= distance
        count += int(np.triu(near, 1).sum())
    return count


def faiss_multihash(hashes: Hashes, distance: int) -> int:
    import faiss

    bands = distance + 1
    index = faiss.IndexBinaryMultiHash(64, bands, 64 // bands)
    return _faiss(index, hashes, distance)


def faiss_flat(hashes: Hashes, distance: int) -> int:
    import faiss

    return _faiss(faiss.IndexBinaryFlat(64), hashes, distance)


def _faiss(index: object, hashes: Hashes, distance: int) -> int:
    import faiss

    faiss.omp_set_num_threads(2)
    rows = hashes.view(np.uint8).reshape(-1, 8)
    index.add(rows)  # type: ignore[attr-defined]
    count = 0
    for low in range(0, len(rows), 10_000):
        limits, *_ = index.range_search(rows[low : low + 10_000], distance + 1)  # type: ignore[attr-defined]
        count += int(limits[-1])
    return (count - len(rows)) // 2


SEARCHES: dict[str, Callable[[Hashes, int], int]] = {
    "banded": banded, "blocks": blocks, "faiss-multihash": faiss_multihash, "faiss-flat": faiss_flat,
}  # fmt: skip
DATA: dict[str, Callable[[int], Hashes]] = {"random": random, "skewed": skewed, "chains": chains}


def main() -> None:
    search, data, count, distance = sys.argv[1:]
    hashes = DATA[data](int(count))
    wall, cpu = time.perf_counter(), time.process_time()
    pairs = SEARCHES[search](hashes, int(distance))
    took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"pairs": pairs, **took, "peak_mb": peak}))  # noqa: T201


if __name__ == "__main__":
    main()
