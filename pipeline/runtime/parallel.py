"""Per-image maps over joblib: lazily, in input order, the same whatever the backend.

Work is handed out in windows of a few chunks a worker. While one window's results are consumed the next is in work,
and no third is begun: what is in memory does not grow with the number of images.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import lru_cache
from importlib import import_module
from itertools import chain
from typing import Any, TypeVar

import joblib
import numpy as np

from pipeline.errors import BadParams
from pipeline.runtime.settings import Executor

Item = TypeVar("Item")
Result = TypeVar("Result")
Window = TypeVar("Window")

CHUNK = 50  # images a task: pickling and a round trip are paid once per chunk
CHUNKS = 2  # a worker and window: one in work, one waiting
AT_ONCE = 2  # windows
KEPT = (1 << 25) - (1 << 16)  # bytes; with its header below the largest block that glibc heeds
LAZY = ("loky", "threading", "dask")  # joblib's backends that return results one by one; of others a window at once


def parallel_map(work: Callable[[Item], Result], items: Sequence[Item], executor: Executor) -> list[Result]:
    """`[work(item) for item in items]`, spread over `executor.n_jobs` workers. `work` must be importable."""
    size = window_size(executor)
    windows = ((None, items[start : start + size]) for start in range(0, len(items), size))
    return [result for _, results in stream_map(work, windows, executor) for result in results]


def window_size(executor: Executor) -> int:
    """Images in work at once."""
    return CHUNK * CHUNKS * executor.n_jobs


def stream_map(
    work: Callable[[Item], Result], windows: Iterable[tuple[Window, Sequence[Item]]], executor: Executor
) -> Iterator[tuple[Window, Iterator[Result]]]:
    """Each window with `work` of its items, in order; its results must be consumed before the next window is taken.

    A window of at most CHUNK items is worked through here: no other process is worth its start for that.

    Raises:
        BadParams: the backend is not installed.
    """
    begun: deque[tuple[Window, Iterator[Result]]] = deque()
    with _connected(executor):
        try:
            for window, items in windows:
                begun.append((window, _begin(work, items, executor)))
                if len(begun) == AT_ONCE:
                    yield begun[0]
                    begun.popleft()
            while begun:
                yield begun[0]
                begun.popleft()
        finally:
            for _, results in begun:  # what is in work is waited for: joblib complains of results that nobody fetched
                if not isinstance(results, map):
                    with suppress(Exception):
                        deque(results, maxlen=0)


def _begin(work: Callable[[Item], Result], items: Sequence[Item], executor: Executor) -> Iterator[Result]:
    if executor.n_jobs == 1 or len(items) <= CHUNK:
        keep_freed_memory()
        return map(work, items)
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    mode = "generator" if executor.backend in LAZY else "list"
    with joblib.parallel_config(backend=executor.backend, n_jobs=executor.n_jobs):
        parallel = joblib.Parallel(return_as=mode, pre_dispatch="all", batch_size=1)
        return chain.from_iterable(parallel(joblib.delayed(_work_through)(work, chunk) for chunk in chunks))


def _work_through(work: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    keep_freed_memory()
    return [work(item) for item in chunk]


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Make the C library keep what an image leaves for the next one; once a process.

    glibc gives blocks of 128 KiB and more back to the system, and each of their pages costs a fault when it is fetched
    again: of an image of 400 x 400 a quarter of the time. Once a larger block is freed, that limit becomes its size
    (mallopt(3), M_MMAP_THRESHOLD), up to 32 MiB; twice as much may then lie unused. Other libraries do not care.
    """
    np.empty(KEPT, np.uint8)


def _connected(executor: Executor) -> AbstractContextManager[Any]:
    """Register a backend with joblib, for the time of a block; Dask finds its scheduler by its own configuration."""
    if executor.n_jobs == 1 or executor.backend in ("loky", "threading"):
        return nullcontext()
    try:
        if executor.backend == "dask":
            client: AbstractContextManager[Any] = import_module("distributed").Client(
                n_workers=executor.n_jobs, threads_per_worker=1
            )
            return client
        if executor.backend == "ray":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
            os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # workers in this environment, extras included
            import_module("ray.util.joblib").register_ray()
        else:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers in this environment, however started
            import_module("joblibspark").register_spark()
        return nullcontext()
    except ImportError as error:
        raise BadParams(
            f"executor.backend: {executor.backend} is not installed ({error}); "
            f"install the extra `{executor.backend}` of facetopix, or choose loky or threading"
        ) from error
