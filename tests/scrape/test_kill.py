"""A crawl of 100 works killed with SIGKILL at random moments; `benchmarks/kills.py` does it with more of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.scrape.params import Scrape

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KILLS, WORKS = 10, 100


def test_kills_cost_no_more_than_the_works_in_flight_and_leave_no_trace(
    scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import kills

    undisturbed = kills.kill_crawls(scrape, tmp_path, KILLS, WORKS)
    assert len(undisturbed.output) > WORKS / 2
    assert len(undisturbed.listing) == 5
