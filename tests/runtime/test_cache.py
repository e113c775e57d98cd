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
SCOPE = cache.CacheScope(b"k" * 32)
VALUES = {SCOPE.key(bytes([number]), {}): b"value %d" % number * 50 for number in range(20)}


def put(state: Path, values: dict[bytes, bytes] = VALUES, **limits: int) -> None:
    with cache.opened(state, "stage", **limits) as results:
        results.put(values)


def get(state: Path, **limits: int) -> dict[bytes, bytes]:
    with cache.opened(state, "stage", **limits) as results:
        return results.get(list(VALUES))


def file_of(state: Path) -> Path:
    return state / "cache" / "stage.sqlite"


def test_what_was_put_is_found_and_counted(tmp_path: Path) -> None:
    put(tmp_path)
    with cache.opened(tmp_path, "stage") as results:
        assert results.get([*VALUES, b"another"]) == VALUES
        assert results.served == 20


def test_without_a_state_nothing_is_remembered_or_written() -> None:
    with cache.opened(None, "stage") as results:
        results.put(VALUES)
        assert results.get(list(VALUES)) == {}


def test_stages_do_not_share_a_cache(tmp_path: Path) -> None:
    put(tmp_path)
    with cache.opened(tmp_path, "other") as results:
        assert results.get(list(VALUES)) == {}


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5), st.lists(st.binary(), max_size=4))
def test_packing_is_undone_exactly(facts: object, blobs: list[bytes]) -> None:
    assert cache.unpack(cache.pack(facts, *blobs)) == (facts, blobs)


def test_a_key_depends_on_bytes_facts_parameters_and_code() -> None:
    scope = cache.CacheScope.of("pipeline.curate.grid", GRID)
    keys = [
        scope.key(b"x", {"id": "a"}),
        scope.key(b"y", {"id": "a"}),
        scope.key(b"x", {"id": "b"}),
        cache.CacheScope.of("pipeline.curate.grid", Grid(max_cell=15, min_confidence=0.55)).key(b"x", {"id": "a"}),
        cache.CacheScope.of("pipeline.curate.resize", GRID).key(b"x", {"id": "a"}),
    ]
    assert len(set(keys)) == len(keys)
    assert cache.CacheScope.of("pipeline.curate.grid", GRID) == scope


def test_the_boundary_between_facts_and_bytes_counts() -> None:
    assert SCOPE.key(b'{"id": 1}', {}) != SCOPE.key(b"", {"id": 1})
    assert SCOPE.key(b"{}", {}) != SCOPE.key(b"", {})


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
    put(tmp_path)
    file_of(tmp_path).write_bytes(damage)
    assert get(tmp_path) == {}
    put(tmp_path)
    assert get(tmp_path) == VALUES


def test_any_torn_file_gives_sound_values_or_none(tmp_path: Path) -> None:
    """Overwritten in every place in turn: pages of entries, of the index, of the schema."""
    put(tmp_path)
    data = file_of(tmp_path).read_bytes()
    incomplete = 0
    for start in range(0, len(data), 1999):
        torn = bytearray(data)
        torn[start : start + 64] = np.random.default_rng(start).bytes(len(torn[start : start + 64]))
        file_of(tmp_path).write_bytes(torn)
        values = get(tmp_path)
        assert values.items() <= VALUES.items()
        incomplete += len(values) < len(VALUES)
        put(tmp_path)
        assert get(tmp_path) == VALUES
    assert incomplete > 5


def test_a_file_cut_short_gives_sound_values_or_none(tmp_path: Path) -> None:
    put(tmp_path)
    data = file_of(tmp_path).read_bytes()
    for length in range(1, len(data), 2999):
        file_of(tmp_path).write_bytes(data[:length])
        assert get(tmp_path).items() <= VALUES.items()
        put(tmp_path)
        assert get(tmp_path) == VALUES


def test_a_value_whose_bytes_changed_is_forgotten(tmp_path: Path) -> None:
    put(tmp_path)
    changed = next(iter(VALUES))
    with sqlite3.connect(file_of(tmp_path)) as db:
        db.execute("UPDATE entries SET value = ? WHERE key = ?", (b"wrong", changed))
    db.close()
    assert get(tmp_path) == {key: value for key, value in VALUES.items() if key != changed}


def test_a_cache_of_another_version_is_replaced(tmp_path: Path) -> None:
    put(tmp_path)
    db = sqlite3.connect(file_of(tmp_path))
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert get(tmp_path) == {}
    put(tmp_path)
    assert get(tmp_path) == VALUES


def test_a_place_where_nothing_can_be_written_means_no_cache_and_no_error(tmp_path: Path) -> None:
    file_of(tmp_path).mkdir(parents=True)
    put(tmp_path)
    assert get(tmp_path) == {}


def test_what_the_last_runs_did_not_use_is_removed(tmp_path: Path) -> None:
    first, second = list(VALUES)[:10], list(VALUES)[10:]
    put(tmp_path, keep_runs=2)
    for _ in range(2):
        with cache.opened(tmp_path, "stage", keep_runs=2) as results:
            results.get(first)
    with cache.opened(tmp_path, "stage", keep_runs=2) as results:
        assert set(results.get(list(VALUES))) == set(first)
        assert results.get(second) == {}


def test_beyond_its_size_the_longest_unused_go_first_and_the_file_shrinks(tmp_path: Path) -> None:
    large = {key: os.urandom(20_000) for key in VALUES}
    put(tmp_path, large)
    size = file_of(tmp_path).stat().st_size
    used = list(VALUES)[12:]
    with cache.opened(tmp_path, "stage", max_bytes=160_000) as results:
        assert len(results.get(used)) == 8
    with cache.opened(tmp_path, "stage") as results:
        assert set(results.get(list(VALUES))) == set(used)
    assert file_of(tmp_path).stat().st_size < size / 2


def test_a_run_that_fails_removes_nothing(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.raises(RuntimeError), cache.opened(tmp_path, "stage", max_bytes=0):
        raise RuntimeError
    assert get(tmp_path) == VALUES


def test_a_second_run_at_the_same_time_goes_without(tmp_path: Path) -> None:
    with cache.opened(tmp_path, "stage") as results:
        results.put(VALUES)
        with cache.opened(tmp_path, "stage") as second:
            assert second.get(list(VALUES)) == {}
            second.put({b"key": b"value"})
        assert results.get(list(VALUES)) == VALUES
    assert get(tmp_path) == VALUES


def test_what_was_put_survives_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from pipeline.runtime import cache\n"
        "with cache.opened(Path(sys.argv[1]), 'stage') as results:\n"
        "    results.put({bytes([n]): b'v' * 5000 for n in range(50)})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with cache.opened(tmp_path, "stage") as results:
        assert len(results.get([bytes([n]) for n in range(50)])) == 50


def test_a_cache_is_listed_and_emptied_with_the_state(tmp_path: Path) -> None:
    put(tmp_path)
    assert [name for name, _, _ in clean.contents(tmp_path)] == ["cache"]
    clean.empty(tmp_path)
    assert get(tmp_path) == {}
