"""The cache is never wrong and never the reason of an error; what it remembers survives a kill."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curate.params import Grid
from pipeline.runtime import cache, clean, fingerprint

ROOT = Path(__file__).parents[2]
GRID = Grid(max_cell=16, min_confidence=0.55)
KNOWN = cache.CacheScope(b"k" * 32)
VALUES = {KNOWN.key(bytes([number]), {}): b"value %d" % number * 50 for number in range(20)}


def remember(state: Path, values: dict[bytes, bytes] = VALUES, **limits: int) -> None:
    with cache.opened(state, "stage", **limits) as memory:
        memory.put(values)


def recall(state: Path, **limits: int) -> dict[bytes, bytes]:
    with cache.opened(state, "stage", **limits) as memory:
        return memory.get(list(VALUES))


def file_of(state: Path) -> Path:
    return state / "cache" / "stage.sqlite"


def test_what_was_put_is_found_and_counted(tmp_path: Path) -> None:
    remember(tmp_path)
    with cache.opened(tmp_path, "stage") as memory:
        assert memory.get([*VALUES, b"another"]) == VALUES
        assert memory.served == 20


def test_without_a_state_nothing_is_remembered_or_written() -> None:
    with cache.opened(None, "stage") as memory:
        memory.put(VALUES)
        assert memory.get(list(VALUES)) == {}


def test_stages_do_not_share_a_cache(tmp_path: Path) -> None:
    remember(tmp_path)
    with cache.opened(tmp_path, "other") as memory:
        assert memory.get(list(VALUES)) == {}


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5), st.lists(st.binary(), max_size=4))
def test_packing_is_undone_exactly(facts: object, blobs: list[bytes]) -> None:
    assert cache.unpack(cache.pack(facts, *blobs)) == (facts, blobs)


def test_a_key_depends_on_bytes_facts_parameters_and_code() -> None:
    known = cache.CacheScope.of("pipeline.curate.grid", GRID)
    keys = [
        known.key(b"x", {"id": "a"}),
        known.key(b"y", {"id": "a"}),
        known.key(b"x", {"id": "b"}),
        cache.CacheScope.of("pipeline.curate.grid", Grid(max_cell=15, min_confidence=0.55)).key(b"x", {"id": "a"}),
        cache.CacheScope.of("pipeline.curate.resize", GRID).key(b"x", {"id": "a"}),
    ]
    assert len(set(keys)) == len(keys)
    assert cache.CacheScope.of("pipeline.curate.grid", GRID) == known


def test_the_boundary_between_facts_and_bytes_counts() -> None:
    assert KNOWN.key(b'{"id": 1}', {}) != KNOWN.key(b"", {"id": 1})
    assert KNOWN.key(b"{}", {}) != KNOWN.key(b"", {})


@pytest.mark.parametrize("edited", ["curate/grid.py", "cells/detect.py", "images/files.py"])
def test_code_that_a_step_imports_is_part_of_its_key(tmp_path: Path, edited: str) -> None:
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    before = fingerprint.code_digest("pipeline.curate.grid", tmp_path)
    assert before == fingerprint.code_digest("pipeline.curate.grid")
    with (tmp_path / "pipeline" / edited).open("a", encoding="utf-8") as file:
        file.write("\nTHRESHOLD = 3\n")
    assert fingerprint.code_digest("pipeline.curate.grid", tmp_path) != before


def test_code_that_a_step_does_not_import_is_not(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipeline" / "curate" / "dedup" / "stage.py").write_text("", encoding="utf-8")
    assert fingerprint.code_digest("pipeline.curate.grid", tmp_path) == fingerprint.code_digest("pipeline.curate.grid")


@pytest.mark.parametrize("damage", [b"", b"no database at all", b"SQLite format 3\0" + bytes(5000)])
def test_a_file_that_is_no_database_is_replaced(tmp_path: Path, damage: bytes) -> None:
    remember(tmp_path)
    file_of(tmp_path).write_bytes(damage)
    assert recall(tmp_path) == {}
    remember(tmp_path)
    assert recall(tmp_path) == VALUES


def test_any_torn_file_gives_sound_values_or_none(tmp_path: Path) -> None:
    """Overwritten in every place in turn: pages of entries, of the index, of the schema."""
    remember(tmp_path)
    whole = file_of(tmp_path).read_bytes()
    lost = 0
    for start in range(0, len(whole), 1999):
        torn = bytearray(whole)
        torn[start : start + 64] = np.random.default_rng(start).bytes(len(torn[start : start + 64]))
        file_of(tmp_path).write_bytes(torn)
        found = recall(tmp_path)
        assert found.items() <= VALUES.items()
        lost += len(found) < len(VALUES)
        remember(tmp_path)
        assert recall(tmp_path) == VALUES
    assert lost > 5


def test_a_file_cut_short_gives_sound_values_or_none(tmp_path: Path) -> None:
    remember(tmp_path)
    whole = file_of(tmp_path).read_bytes()
    for length in range(1, len(whole), 2999):
        file_of(tmp_path).write_bytes(whole[:length])
        assert recall(tmp_path).items() <= VALUES.items()
        remember(tmp_path)
        assert recall(tmp_path) == VALUES


def test_a_value_whose_bytes_changed_is_forgotten(tmp_path: Path) -> None:
    remember(tmp_path)
    changed = next(iter(VALUES))
    with sqlite3.connect(file_of(tmp_path)) as db:
        db.execute("UPDATE entries SET value = ? WHERE key = ?", (b"wrong", changed))
    db.close()
    assert recall(tmp_path) == {key: value for key, value in VALUES.items() if key != changed}


def test_a_cache_of_another_version_is_replaced(tmp_path: Path) -> None:
    remember(tmp_path)
    db = sqlite3.connect(file_of(tmp_path))
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert recall(tmp_path) == {}
    remember(tmp_path)
    assert recall(tmp_path) == VALUES


def test_a_place_where_nothing_can_be_written_means_no_cache_and_no_error(tmp_path: Path) -> None:
    file_of(tmp_path).mkdir(parents=True)
    remember(tmp_path)
    assert recall(tmp_path) == {}


def test_what_the_last_runs_did_not_use_is_removed(tmp_path: Path) -> None:
    first, second = list(VALUES)[:10], list(VALUES)[10:]
    remember(tmp_path, keep_runs=2)
    for _ in range(2):
        with cache.opened(tmp_path, "stage", keep_runs=2) as memory:
            memory.get(first)
    with cache.opened(tmp_path, "stage", keep_runs=2) as memory:
        assert set(memory.get(list(VALUES))) == set(first)
        assert memory.get(second) == {}


def test_beyond_its_size_the_longest_unused_go_first_and_the_file_shrinks(tmp_path: Path) -> None:
    large = {key: os.urandom(20_000) for key in VALUES}
    remember(tmp_path, large)
    size = file_of(tmp_path).stat().st_size
    used = list(VALUES)[12:]
    with cache.opened(tmp_path, "stage", max_bytes=160_000) as memory:
        assert len(memory.get(used)) == 8
    with cache.opened(tmp_path, "stage") as memory:
        assert set(memory.get(list(VALUES))) == set(used)
    assert file_of(tmp_path).stat().st_size < size / 2


def test_a_run_that_fails_removes_nothing(tmp_path: Path) -> None:
    remember(tmp_path)
    with pytest.raises(RuntimeError), cache.opened(tmp_path, "stage", max_bytes=0):
        raise RuntimeError
    assert recall(tmp_path) == VALUES


def test_a_second_run_at_the_same_time_goes_without(tmp_path: Path) -> None:
    with cache.opened(tmp_path, "stage") as memory:
        memory.put(VALUES)
        with cache.opened(tmp_path, "stage") as other:
            assert other.get(list(VALUES)) == {}
            other.put({b"key": b"value"})
        assert memory.get(list(VALUES)) == VALUES
    assert recall(tmp_path) == VALUES


def test_what_was_put_survives_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from pipeline.runtime import cache\n"
        "with cache.opened(Path(sys.argv[1]), 'stage') as memory:\n"
        "    memory.put({bytes([n]): b'v' * 5000 for n in range(50)})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with cache.opened(tmp_path, "stage") as memory:
        assert len(memory.get([bytes([n]) for n in range(50)])) == 50


def test_a_cache_is_listed_and_emptied_with_the_state(tmp_path: Path) -> None:
    remember(tmp_path)
    assert [name for name, _, _ in clean.contents(tmp_path)] == ["cache"]
    clean.empty(tmp_path)
    assert recall(tmp_path) == {}
