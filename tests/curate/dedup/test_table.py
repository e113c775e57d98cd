"""Works in columns are the works that were put there, in little memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sprites import noise_art

from pipeline.curate.dedup.table import DedupEntry, DedupTable
from pipeline.similarity import groups, search
from pipeline.similarity.fingerprints import Fingerprint

FINGERPRINTS = [search.fingerprint(noise_art(seed)) for seed in range(3)]


def entry(number: int) -> DedupEntry:
    rng = np.random.default_rng(number)
    facts = {"factor": int(rng.integers(1, 3)), "area": int(rng.integers(1, 3)), "colour_bits": int(rng.integers(1, 3))}
    return DedupEntry(
        id=f"g-{rng.integers(0, 10**6)}-{number}", key=rng.bytes(32), kinship=rng.bytes(32) if number % 3 else None,
        canvas=(rng.random() * 99, 7.0), place=(0.0, rng.random()), lossless=bool(number % 2), picture=number << 50,
        **facts,
    )  # fmt: skip


def filled(entries: list[DedupEntry], fingerprint: Fingerprint = FINGERPRINTS[0]) -> DedupTable:
    table = DedupTable()
    for item in entries:
        table.append(item, fingerprint)
    return table


def test_what_is_put_is_read_and_preferred() -> None:
    entries = [entry(number) for number in range(200)]
    table = filled(entries)
    assert [table[number] for number in range(len(table))] == entries
    best = sorted(entries, key=lambda e: (not e.lossless, e.colour_bits, e.factor, -e.area, e.id))
    assert [table.ids[number] for number in table.preferred().tolist()] == [item.id for item in best]
    assert table.pictures[[5, 3]].tolist() == [entries[5].picture, entries[3].picture]
    assert table.comparable.tolist() == [item.kinship is not None for item in entries]


def test_works_are_chosen_and_left_out_by_id() -> None:
    table = filled([entry(number) for number in range(9)])
    numbers, ids = np.array([7, 2, 5]), {table.ids[5], table.ids[7], table.ids[1], "not there"}
    assert table.ids_among(numbers, ids) == [table.ids[7], table.ids[5]]
    assert table.without_dropped(numbers, ids).tolist() == [2]


def test_sharing_are_those_that_are_not_alone() -> None:
    keys = [b"a", b"b", b"a", b"c", b"b", b"d"]
    table = filled([replace(entry(number), key=key * 32) for number, key in enumerate(keys)])
    assert table.sharing(np.array([4, 2, 1, 0, 5]), "key") == [table[number] for number in (4, 2, 1, 0)]
    assert table.sharing(np.array([4, 2, 5]), "key") == []


def test_fingerprints_are_in_the_row_of_their_entry() -> None:
    table = DedupTable()
    for number in range(300):
        table.append(entry(number), FINGERPRINTS[number % 3])
    thumbnails = table.fingerprints["thumbnail"][[299, 0, 7, 7]]
    assert [thumbnail.tobytes() for thumbnail in thumbnails] == [
        FINGERPRINTS[number].thumbnail.tobytes() for number in (2, 0, 1, 1)
    ]
    assert table.fingerprints["hashes"][4].tolist() == list(FINGERPRINTS[1].hashes)


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_repeated_numbers_are_those_that_a_plain_count_finds(count: int) -> None:
    numbers = np.random.default_rng(count).integers(0, 2**64, 300, np.uint64)[:count]
    digests = np.concatenate([numbers, numbers[::3], numbers[:0:-7]])
    counts = Counter(digests.tolist())
    assert groups.repeated(digests).tolist() == [counts[number] > 1 for number in digests.tolist()]


def test_a_work_takes_at_most_two_kilobytes() -> None:
    item = entry(1)
    tracemalloc.start()
    table = filled([item] * 5_000)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table) == 5_000
    assert held <= peak < 2_000 * len(table)
