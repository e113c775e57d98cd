"""A crawl of 200 works killed with SIGKILL at 50 random moments, from its first instruction to its last."""

from __future__ import annotations

import json
import math
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.runtime import manifest
from pipeline.sample.galleries import site
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape

SOURCE, WORKS = "pixeljoint", 200  # a listing, a page a work, cookies
KILLS, KILLS_A_CRAWL = 50, 5

# Imports once, then forks a process a crawl: a kill during imports could leave nothing behind.
FORKING = """
import json, os, signal, sys, time
from pathlib import Path
from pipeline.params import Sample, Scrape
from pipeline.scrape import crawl

source, url, scrape, sample = sys.argv[1:]
scrape, sample = Scrape.model_validate_json(scrape), Sample.model_validate_json(sample)
for line in sys.stdin:
    root, moment = json.loads(line)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        crawl.run(source, Path(root, "out"), scrape, sample, state=Path(root, "state"), base_url=url)
        sys.exit()
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - began > moment:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)
    print(json.dumps([os.waitstatus_to_exitcode(ended[1]), time.monotonic() - began]), flush=True)
"""


@dataclass
class Crawls:
    """Crawls in processes of their own, each killed after a while unless it ends before."""

    process: subprocess.Popen[str]

    def run(self, root: Path, seconds: float = math.inf) -> tuple[int, float]:
        """Exit code and duration in seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(root), seconds]) + "\n")
        self.process.stdin.flush()
        code, took = json.loads(self.process.stdout.readline())
        return code, took


@contextmanager
def crawls(url: str, scrape: Scrape, sample: Sample) -> Iterator[Crawls]:
    command = [sys.executable, "-c", FORKING, SOURCE, url, scrape.model_dump_json(), sample.model_dump_json()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Crawls(process)


@dataclass
class Gallery:
    """What an undisturbed crawl asked for and wrote."""

    listing: list[str]  # its requests, in order
    works: dict[str, str]  # path of a work's page or image -> its id
    output: dict[str, bytes]


@dataclass
class Killed:
    """One crawl, killed and resumed, under the eyes of the server."""

    root: Path
    gallery: Gallery
    hits: list[Hit]
    kills: int = 0
    pages: list[int] = field(default_factory=list)  # listing pages that this pass asked for, by their place
    asked: set[str] = field(default_factory=set)  # ids of the works that any process asked for

    def settled(self) -> set[str]:
        """Ids of the works with a whole journal line."""
        lines = [line for path in self.root.rglob("journal.jsonl") for line in path.read_bytes().splitlines(True)]
        return {json.loads(line)["id"] for line in lines if line.endswith(b"\n")}

    def run(self, crawls: Crawls, seconds: float = math.inf) -> int:
        """The exit code of one more process, whose requests are checked."""
        had = self.settled()
        if (self.root / "out").exists():
            self.pages.clear()  # the pass is complete: another may begin
        self.hits.clear()
        code, _ = crawls.run(self.root, seconds)
        assert code in (0, -signal.SIGKILL)
        self.kills += code != 0
        targets = [hit.target for hit in self.hits]
        asked = {self.gallery.works[target] for target in targets if target in self.gallery.works}
        assert not asked & had, "a settled work was asked for again"
        assert len(asked & self.asked) <= 1, "more than the work in flight was lost"
        self.asked |= asked
        self.pages += [self.gallery.listing.index(target) for target in targets if target in self.gallery.listing]
        assert self.pages == sorted(self.pages), "the listing was walked again"
        assert len(self.pages) - len(set(self.pages)) <= self.kills, "more than the page in flight was lost"
        return code


def output(root: Path) -> dict[str, bytes]:
    """Every file of the output, but for the times in its manifest."""
    out = root / "out"
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: re.sub(rb'"fetched_at": "[^"]+"', b'"fetched_at": ...', data) for name, data in files.items()}


def undisturbed(root: Path, url: str, hits: list[Hit]) -> Gallery:
    rows = manifest.read(root / "out")
    works = {
        str(row[key]).removeprefix(url): str(row["id"]) for row in rows for key in ("page_url", "image_url") if row[key]
    }
    listing = [hit.target for hit in hits if hit.target not in works and hit.path != "/robots.txt"]
    return Gallery(listing, works, output(root))


def test_fifty_kills_cost_no_more_than_the_works_in_flight_and_leave_no_trace(scrape: Scrape, tmp_path: Path) -> None:
    sample = Sample(revision="test", pixeljoint=WORKS, lospec=1, pixiehaus=1, faces=8)
    hits: list[Hit] = []
    rng, kills = random.Random(9), 0
    with site.serve(sample, [SOURCE], faults=Faults(on_hit=hits.append)) as urls, ExitStack() as stack:
        processes = stack.enter_context(crawls(urls[SOURCE], scrape, sample))
        assert processes.run(tmp_path / "first")[0] == 0  # the sample draws its works
        hits.clear()
        code, duration = processes.run(tmp_path / "whole")
        assert code == 0
        gallery = undisturbed(tmp_path / "whole", urls[SOURCE], hits)
        while kills < KILLS:
            one = Killed(tmp_path / f"killed-{kills}", gallery, hits)
            for _ in range(min(KILLS_A_CRAWL, KILLS - kills)):
                left = max(0.1, 1 - len(one.settled()) / WORKS)
                if one.run(processes, rng.uniform(0, left * duration)) == 0:
                    break
            kills += one.kills
            assert one.run(processes) == 0
            assert output(one.root) == gallery.output
    assert len(gallery.output) > WORKS / 2
    assert len(gallery.listing) == 9
