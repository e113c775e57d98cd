"""A crawl of the hostile server: what came of it, what the server saw, and the manners that every crawl must show."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostile import Rule

from pipeline.errors import PipelineError
from pipeline.runtime.manifest import Row
from pipeline.sample.params import Sample
from pipeline.scrape import crawl
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import REASONS

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
USER_AGENT = re.compile(r"facetopix/\d+(\.\d+)* \(\+.+\)")
IMAGE = re.compile(r"\.(png|gif|webp|jpg)$")
MOST_ASKS = 4  # of one request that fails
SLACK = 0.25  # seconds that the server may take to notice that the asker hung up


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it; times in seconds, `at` and `until` monotonic, `wall` since 1970."""

    number: int
    port: int
    method: str
    target: str
    headers: dict[str, str]
    body: str
    agent: str
    cookie: str
    host: str
    at: float
    wall: float
    until: float | None = None  # None: not answered yet
    status: int | None = None
    sent: int = 0  # bytes of the body
    gone: bool = False  # the asker hung up first

    @property
    def key(self) -> tuple[int, str, str, str]:
        return self.port, self.method, self.target, self.body


class Hostile:
    """The running server."""

    def __init__(self, log: Path, ports: list[int], process: subprocess.Popen[bytes]) -> None:
        self._log, self.ports, self.process = log, ports, process

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.ports[0]}"

    def asked(self) -> list[Asked]:
        """In the order of arrival."""
        found: dict[int, dict[str, Any]] = {}
        for line in self._log.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event.pop("event") == "ask":
                found[event["number"]] = event
            else:
                facts = {name: event[name] for name in ("status", "sent", "gone")}
                found[event["number"]].update(facts, until=event["at"])
        return [Asked(**facts) for facts in found.values()]

    def wait_for(self, target: str, seconds: float = 30.0) -> Asked:
        """The first request for a target (regular expression), once it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for asked in self.asked():
                if re.fullmatch(target, asked.target):
                    return asked
            time.sleep(0.01)
        raise AssertionError(f"nobody asked for {target} in {seconds} s: {[asked.target for asked in self.asked()]}")

    def settled(self, seconds: float = 2.0) -> list[Asked]:
        """All requests, once each is answered or given up."""
        end = time.monotonic() + seconds
        while any(asked.until is None for asked in self.asked()) and time.monotonic() < end:
            time.sleep(0.01)
        return self.asked()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(folder: Path, rules: Sequence[Rule], ports: Sequence[int] = ()) -> Iterator[Hostile]:
    """A server of its own process; its orders and its log lie in `folder`. `ports`: those of one that is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    orders, log = folder / "orders.json", folder / "log.jsonl"
    orders.write_text(json.dumps([rule.packed() for rule in rules]), encoding="utf-8")
    log.touch()
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("hostile.py")), str(orders), str(log)]
    command += map(str, ports)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        server = Hostile(log, json.loads(process.stdout.readline()), process)
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Crawled:
    """What came of one crawl."""

    asked: list[Asked]  # by this crawl
    rows: dict[str, Row] = field(default_factory=dict)  # by source_id
    stats: dict[str, Any] = field(default_factory=dict)
    error: PipelineError | None = None

    @property
    def targets(self) -> list[str]:
        return [asked.target for asked in self.asked]

    @property
    def reasons(self) -> dict[str, str | None]:
        return {source_id: row["reason"] for source_id, row in self.rows.items()}


@dataclass(frozen=True)
class Crawler:
    """Crawls in this process, and holds each crawl to its manners."""

    scrape: Scrape
    sample: Sample
    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    def crawl(
        self, server: Hostile, source: str = "lospec", *, host: str = "127.0.0.1", again: Collection[str] = (),
        most: int = MOST_ASKS, limit: int | None = None,
    ) -> Crawled:  # fmt: skip
        """`again`: targets that may be asked for more than once, `most` times at most."""
        before = len(server.asked())
        error: PipelineError | None = None
        try:
            crawl.run(
                source, self.out, self.scrape, self.sample, state=self.root / "state", base_url=server.url(host),
                limit=limit,
            )  # fmt: skip
        except PipelineError as caught:
            error = caught
        asked = server.settled()[before:]
        check_manners(asked, again, most)
        if error is not None:
            assert str(error).isprintable(), f"on a terminal: {str(error)!r}"
            return Crawled(asked, error=error)
        return Crawled(asked, *read(self.out))


def read(out: Path) -> tuple[dict[str, Row], dict[str, Any]]:
    """Rows and stats of an output folder whose books balance."""
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    stats = json.loads((out / "stats.json").read_text(encoding="utf-8"))
    counts = Counter(row["status"] for row in rows)
    assert stats["kept"] + stats["dropped"] + stats["failed"] == stats["inputs"] == len(rows)
    assert all(stats[status] == counts[status] for status in ("kept", "dropped", "failed"))
    assert stats["reasons"] == Counter(row["reason"] for row in rows if row["reason"])
    assert all(REASONS[row["reason"]] == row["status"] for row in rows if row["status"] != "kept")
    kept = {row["sha256"] for row in rows if row["status"] == "kept"}
    assert {path.stem for path in (out / "images").iterdir()} == kept
    return {row["source_id"]: row for row in rows}, stats


def check_manners(asked: Sequence[Asked], again: Collection[str] = (), most: int = MOST_ASKS) -> None:
    """robots.txt first, one request at a time, an honest name, images as they are, nothing twice without a fault."""
    for port in {one.port for one in asked}:
        mine = [one for one in asked if one.port == port]
        assert (mine[0].method, mine[0].target) == ("GET", "/robots.txt"), f"before robots.txt: {mine[0].target}"
        for first, second in itertools.pairwise(mine):
            slack = SLACK if first.gone else 0.0
            assert first.until is not None, f"{first.target} and {second.target} at the same time"
            assert first.until <= second.at + slack, f"{first.target} and {second.target} at the same time"
    assert not [one for one in asked if not USER_AGENT.fullmatch(one.agent)]
    assert not [one for one in asked if IMAGE.search(one.target) and one.headers["accept-encoding"] != "identity"]
    twice = {key: count for key, count in Counter(one.key for one in asked).items() if count > 1}
    assert twice.keys() <= {key for key in twice if key[2] in again}, f"asked twice: {twice}"
    assert max(twice.values(), default=1) <= most, f"asked too often: {twice}"


def home_of(folder: Path) -> dict[str, str]:
    """Puts parameters into a folder where the command will run; returns the environment to run it in."""
    parameters = folder / "params.yaml"
    if not parameters.exists():
        parameters.write_bytes((ROOT / "tests" / "params.yaml").read_bytes())
    own = {"NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, "PATH": f"{BIN}:{os.environ['PATH']}"}


def facetopix(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end, in a folder with its own parameters and state."""
    command = [str(BIN / "facetopix"), *arguments]
    return subprocess.run(command, cwd=home, env=home_of(home), text=True, capture_output=True, timeout=60, check=False)


@contextmanager
def started(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs; it is gone when the block ends."""
    command, pipe = [str(BIN / "facetopix"), *arguments], subprocess.PIPE
    with subprocess.Popen(command, cwd=home, env=home_of(home), text=True, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()
