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


@pytest.fixture
def curate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import curate

    return curate


def test_the_benchmark_of_curation_runs_kills_resumes_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "curate.py", "--items", "2000", "--chains", "4"]
    options = ["--json", str(tmp_path / "report.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert {"drawn", "drawn x4", "drawn x2.5", "drawn x4 JPEG"} <= {one["works"] for one in report["chains"]}
    assert [(run["name"], run["works"]) for run in report["runs"]] == [
        ("a tenth", 200), ("resumed", 200), ("all", 1980), ("1 % more", 2000)
    ]  # fmt: skip
    assert report["runs"][3]["remembered"]["flatten"] == 1980
    figures = {demand["what"]: demand for demand in report["demands"]}
    assert figures["1 % more: share of works computed"]["met"]
    assert figures["killed: written and yet computed again"]["met"]
    assert figures["killed: outputs that differ from an undisturbed run's"]["met"]
    assert done.returncode == (0 if all(demand["met"] for demand in report["demands"]) else 1)
    assert report["setting"] in done.stdout


def test_a_figure_of_curation_that_misses_its_bound_is_said_to(curate: ModuleType) -> None:
    shown = curate.shown([], [], [curate.Demand("a", 1.6, 1.5), curate.Demand("b", 1.4, 1.5), curate.Demand("c", 9.0)])
    assert [line.endswith("MISSED |") for line in shown.splitlines()[-3:]] == [True, False, False]
