"""Works in columns and files are the works that were put there."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.curate.dedup.table import Work, Works
from pipeline.runtime.scratch import BUFFER, Lines, Records
from pipeline.similarity import groups


def work(number: int) -> Work:
    rng = np.random.default_rng(number)
    shape = {"factor": int(rng.integers(1, 3)), "area": int(rng.integers(1, 3)), "colour_bits": int(rng.integers(1, 3))}
    return Work(
        id=f"g-{rng.integers(0, 10**6)}-{number}", key=rng.bytes(32), kin=rng.bytes(32) if number % 3 else None,
        canvas=(rng.random() * 99, 7.0), place=(0.0, rng.random()), lossless=bool(number % 2), picture=number << 50,
        **shape,
    )  # fmt: skip


@pytest.mark.parametrize(("expected", "longest"), [(0, 1), (200, 40), (100, 3)])
def test_what_is_put_is_read_and_preferred(tmp_path: Path, expected: int, longest: int) -> None:
    works, given = Works(expected, longest, tmp_path), [work(number) for number in range(200)]
    for one in given:
        works.append(one)
    assert list(works) == given
    best = sorted(given, key=lambda w: (not w.lossless, w.colour_bits, w.factor, -w.area, w.id))
    assert [works.id(number) for number in works.preferred().tolist()] == [one.id for one in best]
    assert works.pictures(np.array([5, 3])).tolist() == [given[5].picture, given[3].picture]
    assert works.find([given[7].id, "not there"]) == {given[7].id: 7}
    assert list(tmp_path.iterdir()) == []


def test_sharing_are_those_that_are_not_alone() -> None:
    works = Works()
    for number, key in enumerate([b"a", b"b", b"a", b"c", b"b", b"d"]):
        one = work(number)
        works.append(Work(one.id, key * 32, *(getattr(one, name) for name in Work.__slots__[2:])))
    assert works.sharing(np.array([4, 2, 1, 0, 5]), "key").tolist() == [4, 2, 1, 0]
    assert works.sharing(np.array([4, 2, 5]), "key").tolist() == []


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_repeated_numbers_are_those_that_a_plain_count_finds(count: int) -> None:
    numbers = np.random.default_rng(count).integers(0, 2**64, 300, np.uint64)[:count]
    digests = np.concatenate([numbers, numbers[::3], numbers[:0:-7]])
    found = Counter(digests.tolist())
    assert groups.repeated(digests).tolist() == [found[number] > 1 for number in digests.tolist()]


def test_links_are_told_of_what_several_share(tmp_path: Path) -> None:
    rng, links, given = np.random.default_rng(5), groups.Links(tmp_path), []
    assert [len(column) for column in links.shared()] == [0, 0]
    numbers = rng.integers(0, 2**64, 3000, np.uint64).tolist()
    for member in range(2000):
        for place in rng.choice(len(numbers), 3, replace=False).tolist():
            links.append(member, numbers[place])
            given.append((member, numbers[place]))
    members, shared = links.shared()
    counts = Counter(number for _, number in given)
    told = list(zip(members.tolist(), shared.tolist(), strict=True))
    assert sorted(told) == sorted((member, number) for member, number in given if counts[number] > 1)
    starts, several = groups.runs(shared)
    assert len(starts) == len(set(shared.tolist()))
    assert all((np.diff(members[start : start + n]) > 0).all() for start, n in zip(starts, several, strict=True))
    assert list(tmp_path.iterdir()) == []


def test_memory_of_a_work_is_a_few_dozen_bytes(tmp_path: Path) -> None:
    one = work(1)
    tracemalloc.start()
    works = Works(20_000, 20, tmp_path)
    for _ in range(20_000):
        works.append(one)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 60 * len(works) + 2 * BUFFER


def test_records_are_found_by_number_before_and_after_they_are_on_the_disk() -> None:
    records = Records(1000)
    for number in range(2 * BUFFER // 1000):
        records.append(bytes([number % 251]) * 1000)
        if number in (3, 400):
            assert records.take(np.array([number, 0, number]))[:, 999].tolist() == [number % 251, 0, number % 251]
    assert records.between(250, 253)[:, 0].tolist() == [250, 0, 1]
    assert len(records.between(len(records) - 1, len(records) + 9)) == 1
    assert records.take(np.array([], np.int64)).shape == (0, 1000)


def test_lines_come_back_in_order_however_long() -> None:
    lines, given = Lines(), [b"x" * (7919 * number % 50_000) for number in range(40)]
    for line in given:
        lines.append(line)
    assert list(lines) == given == list(lines)
    assert len(lines) == 40
