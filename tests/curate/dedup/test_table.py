"""Works in columns are the works that were put there, in little memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from sprites import noise_art

from pipeline.curate.dedup.examine import ENTRY
from pipeline.curate.dedup.table import DedupTable
from pipeline.similarity import groups, search

FINGERPRINTS = [search.fingerprint(noise_art(seed)) for seed in range(3)]


def entry(number: int) -> np.void:
    rng = np.random.default_rng(number)
    values = np.zeros((), ENTRY)
    for name in ("factor", "area", "colour_bits"):
        values[name] = rng.integers(1, 3)
    values["key"], values["kinship"] = rng.integers(0, 1 << 63, (2, 4))
    values["canvas"], values["place"] = (rng.random() * 99, 7.0), (0.0, rng.random())
    values["lossless"], values["comparable"], values["picture"] = number % 2, number % 3, number << 50
    values["fingerprint"] = FINGERPRINTS[number % 3]
    return values[()]


def filled(entries: list[np.void]) -> DedupTable:
    table = DedupTable()
    for number, values in enumerate(entries):
        table.append(f"g-{number * 7919 % 1000}", values.tobytes())
    return table


def test_what_is_put_is_read_and_preferred() -> None:
    entries = [entry(number) for number in range(200)]
    table = filled(entries)
    assert table.entries.tobytes() == b"".join(item.tobytes() for item in entries)

    def rank(number: int) -> tuple[object, ...]:
        item = entries[number]
        return not item["lossless"], item["colour_bits"], item["factor"], -item["area"], table.ids[number]

    assert table.preferred().tolist() == sorted(range(200), key=rank)
    assert table.entries["picture"][[5, 3]].tolist() == [entries[5]["picture"], entries[3]["picture"]]
    assert table.entries["comparable"].tolist() == [number % 3 != 0 for number in range(200)]


def test_works_are_chosen_and_left_out_by_id() -> None:
    table = filled([entry(number) for number in range(9)])
    numbers, ids = np.array([7, 2, 5]), {table.ids[5], table.ids[7], table.ids[1], "not there"}
    assert table.ids_among(numbers, ids) == [table.ids[7], table.ids[5]]
    assert table.without_dropped(numbers, ids).tolist() == [2]


def test_sharing_are_those_that_are_not_alone() -> None:
    entries = [entry(number) for number in range(6)]
    for item, key in zip(entries, "abacbd", strict=True):
        item["key"] = ord(key)
    table = filled(entries)
    assert table.sharing(np.array([4, 2, 1, 0, 5]), "key") == [4, 2, 1, 0]
    assert table.sharing(np.array([4, 2, 5]), "key") == []


def test_fingerprints_are_in_the_row_of_their_entry() -> None:
    fingerprints = filled([entry(number) for number in range(300)]).entries["fingerprint"]
    assert [thumbnail.tobytes() for thumbnail in fingerprints["thumbnail"][[299, 0, 7, 7]]] == [
        FINGERPRINTS[number]["thumbnail"].tobytes() for number in (2, 0, 1, 1)
    ]
    assert fingerprints["hashes"][4].tolist() == FINGERPRINTS[1]["hashes"].tolist()


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
    assert len(table.ids) == 5_000
    assert held <= peak < 2_000 * len(table.ids)
