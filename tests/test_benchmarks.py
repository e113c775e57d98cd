"""The benchmarks run and report. What they measure is for a quiet machine, not for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
WORKS = 40  # two batches of the listing


@pytest.fixture
def scrape(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import scrape

    return scrape


def test_the_crawl_benchmark_runs_all_loops_over_the_same_addresses_and_reports(tmp_path: Path) -> None:
    """The benchmark itself fails when a loop asks for anything but the plan, or keeps fewer works than there are."""
    command = [sys.executable, ROOT / "benchmarks" / "scrape.py", "--items", str(WORKS), "--pace", "0.01"]
    options = ["--sources", "lospec", "--json", str(tmp_path / "report.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(run["contestant"], run["items"]) for run in report["runs"]] == [
        ("bare", 4), ("plain", 4), ("crawl", 4), ("crawl", 40), ("plain", 40), ("bare", 40), ("crawl", 40),
    ]  # fmt: skip
    assert {run["requests"] for run in report["runs"] if run["items"] == WORKS} == {1 + 3 + 2 * WORKS}
    assert [demand["what"] for demand in report["demands"]] == [
        "crawl / bare, requests a second", "crawl / plain, requests a second", "crawl / bare, best tenths",
        "crawl / plain, best tenths", "peak memory, large / small", "rate / pace",
    ]  # fmt: skip
    assert done.returncode == (0 if all(demand["met"] for demand in report["demands"]) else 1)
    assert report["setting"] in done.stdout


def test_a_figure_that_misses_its_bound_is_said_to(scrape: ModuleType) -> None:
    def run(contestant: str, items: int, seconds: float, peak_mb: float = 70.0, delay: float = 0.0) -> object:
        return scrape.Run("lospec", contestant, items, delay, 100, seconds, 1.0, peak_mb, 0.0, 100 / seconds)

    small = [run("bare", 10, 1.0), run("plain", 10, 1.0), run("crawl", 10, 1.0)]
    large = [run("crawl", 100, 2.1, peak_mb=90.0), run("plain", 100, 2.0), run("bare", 100, 1.0)]
    shown = scrape.demands([*small, *large, run("crawl", 50, 5.1, delay=0.05)])
    assert [demand.met for demand in shown] == [False, True, True, True, False, True]
    assert scrape.table([], [("lospec", demand) for demand in shown]).count("MISSED") == 2


def test_the_decoding_benchmark_measures_every_kind_of_file(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "decoding.py", "--works", "3", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "figures.json")], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stderr == ""
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [(one["kind"], one["files"]) for one in figures] == [
        ("GIF", 3), ("GIF, animated", 3), ("JPEG", 3), ("PNG", 6), ("WEBP", 3), ("all", 18),
    ]  # fmt: skip
    assert done.returncode == (0 if figures[-1]["ratio"] <= 1.15 else 1)
