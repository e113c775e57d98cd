"""Locks: one process at a time, whoever comes second is told why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.errors import BadInput, Busy
from pipeline.runtime.locks import locked


def test_who_comes_second_gets_the_message_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    file = tmp_path / "state" / "lock"
    with locked(file, "first"):
        with pytest.raises(BadInput, match=r"^second$"), locked(file, "second"):
            pytest.fail("two at once")
        with pytest.raises(Busy), locked(file, "third"):
            pytest.fail("two at once")
    with locked(file, "fourth"):
        pass


def test_a_lock_is_released_by_an_error_which_is_not_taken_for_a_busy_lock(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), locked(tmp_path / "lock", "busy"):
        raise TimeoutError
    with locked(tmp_path / "lock", "busy"):
        pass


def test_the_second_waits_as_long_as_it_has_patience(tmp_path: Path) -> None:
    start = time.monotonic()
    with locked(tmp_path / "lock", "first"), pytest.raises(Busy), locked(tmp_path / "lock", "second", patience=0.2):
        pytest.fail("two at once")
    assert time.monotonic() - start >= 0.2
