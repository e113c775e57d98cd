"""A crawl is killed with SIGKILL at random moments, from its first instruction to its last, and resumed.

    uv run python benchmarks/kills.py                     # 50 kills, about a minute
    uv run python benchmarks/kills.py --kills 1000

Exit code 1 when a kill costs more than the work and the listing page in flight, or when the finished folder differs in
one byte from that of an undisturbed crawl.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.params import load
from pipeline.runtime import manifest
from pipeline.sample.galleries import site
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample
from pipeline.scrape.client.optouts import RESERVATIONS_PATH
from pipeline.scrape.params import Scrape

ROOT = Path(__file__).parent.parent
SOURCE, WORKS = "pixeljoint", 200  # a listing, a page a work, cookies
KILLS_A_CRAWL = 5

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
class UndisturbedCrawl:
    """What a crawl without kills asked for and wrote."""

    listing: list[str]  # its requests, in order
    works: dict[str, str]  # path of a work's page or image -> its id
    output: dict[str, bytes]


@dataclass
class KilledCrawl:
    """One crawl, killed and resumed, whose every request the server has noted."""

    root: Path
    undisturbed: UndisturbedCrawl
    hits: list[Hit]
    kills: int = 0
    pages: list[int] = field(default_factory=list)  # listing pages that this pass asked for, by their place
    requested: set[str] = field(default_factory=set)  # ids of the works that any process asked for

    def settled(self) -> set[str]:
        """Ids of the works with a whole journal line."""
        lines = [line for path in self.root.rglob("journal.jsonl") for line in path.read_bytes().splitlines(True)]
        return {json.loads(line)["id"] for line in lines if line.endswith(b"\n")}

    def run(self, crawls: Crawls, seconds: float = math.inf) -> int:
        """The exit code of one more process, whose requests are checked."""
        settled = self.settled()
        if (self.root / "out").exists():
            self.pages.clear()  # the pass is complete: another may begin
        self.hits.clear()
        code, _ = crawls.run(self.root, seconds)
        assert code in (0, -signal.SIGKILL)
        self.kills += code != 0
        targets = [hit.target for hit in self.hits]
        requested = {self.undisturbed.works[target] for target in targets if target in self.undisturbed.works}
        assert not requested & settled, "a settled work was asked for again"
        assert len(requested & self.requested) <= 1, "more than the work in flight was lost"
        self.requested |= requested
        self.pages += [
            self.undisturbed.listing.index(target) for target in targets if target in self.undisturbed.listing
        ]
        assert self.pages == sorted(self.pages), "the listing was walked again"
        assert len(self.pages) - len(set(self.pages)) <= self.kills, "more than the page in flight was lost"
        return code


def output(root: Path) -> dict[str, bytes]:
    """Every file of the output, but for the times in its manifest."""
    out = root / "out"
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: re.sub(rb'"fetched_at": "[^"]+"', b'"fetched_at": ...', data) for name, data in files.items()}


def read_undisturbed(root: Path, url: str, hits: list[Hit]) -> UndisturbedCrawl:
    rows = manifest.read(root / "out")
    works = {
        str(row[key]).removeprefix(url): str(row["id"]) for row in rows for key in ("page_url", "image_url") if row[key]
    }
    leave = ("/robots.txt", RESERVATIONS_PATH)
    listing = [hit.target for hit in hits if hit.target not in works and hit.path not in leave]
    return UndisturbedCrawl(listing, works, output(root))


def kill_crawls(scrape: Scrape, folder: Path, kills: int, works: int = WORKS) -> UndisturbedCrawl:
    """Kill crawls of so many works `kills` times in all, a few times each; returns what they are compared with.

    Raises:
        AssertionError: a kill cost more than the work in flight, or left a trace in the output.
    """
    sample = Sample(revision="test", pixeljoint=works, lospec=1, pixiehaus=1, faces=8)
    hits: list[Hit] = []
    rng, done = random.Random(9), 0
    with site.serve(sample, [SOURCE], faults=Faults(on_hit=hits.append)) as urls, ExitStack() as stack:
        processes = stack.enter_context(crawls(urls[SOURCE], scrape, sample))
        assert processes.run(folder / "first")[0] == 0  # the sample draws its works
        hits.clear()
        code, duration = processes.run(folder / "undisturbed")
        assert code == 0
        undisturbed = read_undisturbed(folder / "undisturbed", urls[SOURCE], hits)
        while done < kills:
            crawl = KilledCrawl(folder / f"killed-{done}", undisturbed, hits)
            for _ in range(min(KILLS_A_CRAWL, kills - done)):
                remaining = max(0.1, 1 - len(crawl.settled()) / works)
                if crawl.run(processes, rng.uniform(0, remaining * duration)) == 0:
                    break
            done += crawl.kills
            assert crawl.run(processes) == 0
            assert output(crawl.root) == undisturbed.output, "the output shows that the crawl was killed"
    return undisturbed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as folder:
        try:
            kill_crawls(load(ROOT / "params.yaml").scrape, Path(folder), options.kills)
        except AssertionError as error:
            print(f"MISSED: {error}")  # noqa: T201
            return 1
    print(f"{options.kills} kills cost no more than the works in flight and left no trace")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
