"""Per-image maps over joblib: results come back in input order and do not depend on the backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import joblib

from pipeline.params import Executor

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 200  # images a task: start-up and pickling are paid once per chunk


def parallel_map(work: Callable[[Item], Result], items: Sequence[Item], executor: Executor) -> list[Result]:
    """`[work(item) for item in items]`, spread over `executor.n_jobs` workers. `work` must be importable."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    if len(chunks) <= 1 or executor.n_jobs == 1:
        return [work(item) for item in items]
    with joblib.parallel_config(backend=executor.backend, n_jobs=executor.n_jobs):
        done = joblib.Parallel()(joblib.delayed(_work_through)(work, chunk) for chunk in chunks)
    return [result for chunk in done for result in chunk]


def _work_through(work: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [work(item) for item in chunk]
