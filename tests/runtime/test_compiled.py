"""Compiled loops are there wherever the program runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUM = """
import numpy as np
from pipeline.compiled import compiled, part

@part
def twice(number):
    return number + number

@compiled
def total(numbers):
    found = 0
    for number in numbers:
        found += twice(number)
    return found

print(total(np.arange(5)), hasattr(total, "signatures"))
"""


def run(code: str, *flags: str, **environment: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment}
    done = subprocess.run([sys.executable, *flags, "-c", code], env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_loop_runs_where_nothing_can_be_kept() -> None:
    """Code that came from no file has no place for a cache."""
    assert run(SUM).split() == ["20", "True"]


def test_a_loop_runs_as_it_stands_without_the_compiler() -> None:
    assert run(SUM, NUMBA_DISABLE_JIT="1").split() == ["20", "False"]


@pytest.mark.parametrize("module", ["cli", "curate.dedup", "curate.split", "scrape.crawl", "report"])
def test_what_needs_no_compiled_loop_does_not_load_the_compiler(module) -> None:
    name = "pipeline.report.stage" if module == "report" else f"pipeline.{module}"
    assert run(f"import sys, {name}; print('numba' in sys.modules)").split() == ["False"]
