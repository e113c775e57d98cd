"""Maps over joblib: in order, lazy, bounded, the same on every backend."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipeline.errors import BadParams
from pipeline.runtime.parallel import CHUNK, parallel_map, stream_map, window_size
from pipeline.runtime.settings import Executor

SERIAL, THREADS, PROCESSES = (
    Executor(backend="threading", n_jobs=1),
    Executor(backend="threading", n_jobs=2),
    Executor(backend="loky", n_jobs=2),
)
KEEP = "parallel.keep_freed_memory()"
FAULTS = """
import resource
import numpy as np
from pipeline.runtime import parallel
{}
np.ones(3 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(3 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
EVERYWHERE = pytest.mark.parametrize("executor", [SERIAL, THREADS, PROCESSES], ids=["serial", "threads", "processes"])


class Source:
    """Windows of numbers; knows how many were taken."""

    def __init__(self, windows: int, size: int) -> None:
        self.taken = 0
        self._windows = [range(start * size, (start + 1) * size) for start in range(windows)]

    def __iter__(self) -> Iterator[tuple[int, range]]:
        for window in self._windows:
            self.taken += 1
            yield window.start, window


def reciprocal(number: int) -> float:
    return 1 / number


@EVERYWHERE
def test_results_come_in_the_order_of_their_items(executor: Executor) -> None:
    source = Source(5, CHUNK * 3)
    for start, results in stream_map(abs, source, executor):
        assert list(results) == list(range(start, start + CHUNK * 3))
    assert source.taken == 5


@EVERYWHERE
def test_no_more_than_one_window_is_taken_ahead(executor: Executor) -> None:
    """What is in memory does not grow with the number of images."""
    source = Source(8, CHUNK * 2)
    for number, (_, results) in enumerate(stream_map(abs, source, executor), 1):
        assert source.taken <= number + 1
        list(results)


@EVERYWHERE
def test_windows_may_be_empty_or_small(executor: Executor) -> None:
    windows = [("a", []), ("b", [-1]), ("c", []), ("d", [-2] * (CHUNK + 1))]
    lists = {name: list(results) for name, results in stream_map(abs, windows, executor)}
    assert lists == {"a": [], "b": [1], "c": [], "d": [2] * (CHUNK + 1)}


@EVERYWHERE
def test_a_bug_in_the_work_stops_the_map(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        parallel_map(reciprocal, [*range(1, CHUNK * 3), 0, *range(1, CHUNK * 9)], executor)
    gc.collect()


@EVERYWHERE
def test_a_consumer_may_stop_early(executor: Executor) -> None:
    for _, results in stream_map(abs, Source(8, CHUNK * 4), executor):
        assert next(results) == 0
        break
    gc.collect()
    assert parallel_map(abs, [-1] * CHUNK * 3, executor) == [1] * CHUNK * 3


@EVERYWHERE
def test_what_the_windows_raise_is_raised(executor: Executor) -> None:
    def windows() -> Iterator[tuple[int, list[int]]]:
        yield 0, [1] * CHUNK * 3
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        for _, results in stream_map(abs, windows(), executor):
            list(results)
    gc.collect()


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 5 * CHUNK + 3])
def test_a_list_of_any_length_is_mapped(size: int) -> None:
    assert parallel_map(abs, [-number for number in range(size)], THREADS) == list(range(size))


def test_a_window_grows_with_the_workers() -> None:
    assert window_size(PROCESSES) == 2 * window_size(SERIAL)


@pytest.mark.parametrize(
    ("backend", "module"), [("dask", "distributed"), ("ray", "ray.util.joblib"), ("spark", "joblibspark")]
)
def test_a_backend_that_is_not_installed_is_named_with_its_extra(backend: str, module: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as Python itself marks what cannot be imported
    with pytest.raises(BadParams, match=rf"executor\.backend: {backend} is not installed .*extra `{backend}`"):
        parallel_map(abs, [1] * CHUNK * 3, Executor(backend=backend, n_jobs=2))  # type: ignore[arg-type]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_kept_for_the_next_image() -> None:
    """Page faults of a second array of 3 MB after the first was freed."""
    fresh, reused = (int(subprocess.check_output([sys.executable, "-c", FAULTS.format(first)])) for first in ("", KEEP))
    assert reused < fresh / 4
