from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.similarity import hamming


def brute(hashes: np.ndarray, distance: int) -> list[tuple[int, int]]:
    near = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= distance
    return [(int(left), int(right)) for left, right in np.argwhere(np.triu(near, 1))]


def listed(blocks) -> list[tuple[int, int]]:
    """Sorted, so that a pair that comes twice shows."""
    return sorted((left, right) for block in blocks for left, right in block.tolist())


def random(rng: np.random.Generator) -> np.ndarray:
    hashes = rng.integers(0, 2**64, 400, dtype=np.uint64)
    for _ in range(6):
        hashes[200:] = hashes[200:] if rng.random() < 0.2 else hashes[rng.integers(0, 400, 200)]
        hashes[200:] ^= np.uint64(1) << rng.integers(0, 64, 200).astype(np.uint64)
    return hashes


def one_bucket(rng: np.random.Generator) -> np.ndarray:
    return np.r_[np.full(250, 5, np.uint64), rng.integers(0, 2**64, 150, dtype=np.uint64)]


def few_bits(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2**12, 500, dtype=np.uint64) << np.uint64(rng.integers(0, 53))


def one_bit_apart(_rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(np.r_[0, [1 << bit for bit in range(63)]], dtype=np.uint64)


KINDS = [random, one_bucket, few_bits, one_bit_apart]


@pytest.mark.parametrize("distance", range(13))
@pytest.mark.parametrize("kind", KINDS)
def test_the_search_finds_what_brute_force_finds_and_each_pair_once(kind, distance: int) -> None:
    hashes = kind(np.random.default_rng(distance))
    assert listed(hamming.pairs_within(hashes, distance)) == brute(hashes, distance)


@pytest.mark.parametrize("agree", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_bands_is_exact(kind, agree: int) -> None:
    """The estimate chooses the time that a search takes, never what it finds."""
    values = np.unique(kind(np.random.default_rng(agree)))
    for distance in (1, 4, 10):
        assert listed(hamming.Bands(values, distance, agree).pairs()) == brute(values, distance)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 255), max_size=60), st.integers(0, 12))
def test_any_hashes(values: list[int], distance: int) -> None:
    hashes = np.array(values, np.uint64)
    assert listed(hamming.pairs_within(hashes, distance)) == brute(hashes, distance)


def test_keys_of_many_hashes_are_compared_as_blocks_and_not_twice() -> None:
    low = np.arange(hamming.LONG * 3, dtype=np.uint64)
    hashes = np.r_[low, low << np.uint64(40), np.random.default_rng(1).integers(0, 2**64, 300, dtype=np.uint64)]
    hashes = np.unique(hashes)
    assert listed(hamming.Bands(hashes, 2, 1).pairs()) == brute(hashes, 2)


def test_a_large_bucket_of_equal_hashes_comes_in_blocks() -> None:
    """3,000 equal hashes are 4.5 million pairs: 72 MB at once."""
    tracemalloc.start()
    count = sum(len(block) for block in hamming.pairs_within(np.full(3000, 7, np.uint64), 10))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3000 * 2999 // 2
    assert peak < 48e6


def test_a_hundred_thousand_hashes_are_not_compared_all_with_all() -> None:
    hashes = np.random.default_rng(3).integers(0, 2**64, 100_000, dtype=np.uint64)
    bands = hamming._cheapest(hashes, 10)
    assert bands is not None
    assert bands.cost() < len(hashes) ** 2 / 2 / 8


def test_no_hashes_no_pairs() -> None:
    assert listed(hamming.pairs_within(np.empty(0, np.uint64), 10)) == []


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_only_pairs_with_a_fresh_one_are_found_and_each_once(kind, share: float) -> None:
    hashes = kind(np.random.default_rng(5))
    fresh = np.random.default_rng(6).random(len(hashes)) < share
    expected = [pair for pair in brute(hashes, 8) if fresh[list(pair)].any()]
    assert listed(hamming.pairs_within(hashes, 8, fresh)) == expected
