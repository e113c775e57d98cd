"""A crawl killed with SIGKILL, in a process of its own, and what the server sees of the next one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.sample.galleries import site
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample
from pipeline.scrape import crawl, store
from pipeline.scrape.params import Scrape
from pipeline.scrape.store import locked

CRAWL = """
import json, sys
from pathlib import Path
from pipeline.params import Sample, Scrape
from pipeline.scrape import crawl, store
source, url, root, scrape, sample = sys.argv[1:]
crawl.run(source, Path(root) / "out", Scrape(**json.loads(scrape)), Sample(**json.loads(sample)),
          state=Path(root) / "state", base_url=url)
"""


def start(source: str, url: str, root: Path, scrape: Scrape, small: Sample) -> subprocess.Popen[bytes]:
    arguments = [source, url, str(root), scrape.model_dump_json(), small.model_dump_json()]
    return subprocess.Popen([sys.executable, "-c", CRAWL, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_for_lines(state: Path, count: int) -> Path:
    """The journal, once it has so many lines."""
    for _ in range(3000):
        for journal in state.rglob("journal.jsonl"):
            if journal.read_bytes().count(b"\n") >= count:
                return journal
        time.sleep(0.01)
    raise AssertionError(f"no journal below {state} ever got {count} lines")


@pytest.mark.parametrize("source", ["pixeljoint", "lospec"])
def test_killed_crawl_resumes_and_refetches_nothing(small: Sample, scrape: Scrape, tmp_path: Path, source: str) -> None:
    hits: list[Hit] = []
    with site.serve(small, [source], faults=Faults(on_hit=hits.append, latency=0.01)) as urls:
        process = start(source, urls[source], tmp_path, scrape, small)
        journal = wait_for_lines(tmp_path / "state", 6)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out").exists()
        settled = [json.loads(line) for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
        hits.clear()
        stats = crawl.run(source, tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=urls[source])
        requests = {f"{urls[source]}{hit.target}" for hit in hits}
        crawl.run(source, tmp_path / "whole", scrape, small, state=tmp_path / "other", base_url=urls[source])
    assert stats["inputs"] == getattr(small, source)
    assert 6 <= len(settled) < stats["inputs"]
    fetched = {row[key] for row in settled for key in ("page_url", "image_url")}
    assert not requests & fetched
    assert not [hit for hit in hits[: stats["new"]] if "new_icons" in hit.target], "the listing was walked again"
    assert without_times(tmp_path / "out") == without_times(tmp_path / "whole")


def without_times(folder: Path) -> list[manifest.Row]:
    return [{**row, "fetched_at": None} for row in manifest.read(folder)]


def crawl_some(small: Sample, scrape: Scrape, root: Path) -> Path:
    crawl.run("pixiehaus", root / "out", scrape, small, state=root / "state", limit=12)
    return root / "state" / "crawl" / "pixiehaus" / "sample-test"


def test_torn_last_line_costs_one_work(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    folder = crawl_some(small, scrape, tmp_path)
    before = folder_digest(tmp_path / "out")
    journal = folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert store.count(folder) == 11
    runs = [
        crawl.run("pixiehaus", tmp_path / "out", scrape, small, state=tmp_path / "state", limit=12) for _ in range(2)
    ]
    assert [stats["new"] for stats in runs] == [1, 0]
    assert folder_digest(tmp_path / "out") == before


def test_lost_or_cut_image_is_fetched_again(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    folder = crawl_some(small, scrape, tmp_path)
    before = folder_digest(tmp_path / "out")
    first, second = sorted((folder / "images").iterdir())[:2]
    first.unlink()
    second.unlink()
    second.write_bytes(b"cut")
    stats = crawl.run("pixiehaus", tmp_path / "out", scrape, small, state=tmp_path / "state", limit=12)
    assert stats["new"] == 2
    assert folder_digest(tmp_path / "out") == before


def test_damage_inside_the_journal_is_an_error_not_a_silent_loss(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    folder = crawl_some(small, scrape, tmp_path)
    journal = folder / "journal.jsonl"
    journal.write_bytes(b"{torn\n" + journal.read_bytes())
    with pytest.raises(BadInput, match=r"journal\.jsonl:1"), locked(folder):
        pass
