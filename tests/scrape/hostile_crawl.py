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
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hostile import Rule
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import PipelineError
from pipeline.runtime.manifest import Row
from pipeline.sample.params import Sample
from pipeline.scrape import crawl
from pipeline.scrape.client.optouts import RESERVATIONS_PATH
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import REASONS

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
USER_AGENT = re.compile(r"facetopix/\d+(\.\d+)* \(\+.+\)")
IMAGE = re.compile(r"\.(png|gif|webp|jpg)$")
MOST_ASKS = 4  # of one request that fails
SLACK = 0.25  # seconds that the server may take to notice that the asker hung up


@dataclass(frozen=True)
class LoggedRequest:
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
    hung_up: bool = False  # the client hung up before the answer's end

    @property
    def key(self) -> tuple[int, str, str, str]:
        return self.port, self.method, self.target, self.body


class Hostile:
    """The running server."""

    def __init__(self, log: Path, ports: list[int], process: subprocess.Popen[bytes]) -> None:
        self._log, self.ports, self.process = log, ports, process

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.ports[0]}"

    def requests(self) -> list[LoggedRequest]:
        """In the order of arrival, without those for TDM reservations, of which each crawl makes one a host."""
        events: dict[int, dict[str, Any]] = {}
        for line in self._log.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event.pop("event") == "ask":
                events[event["number"]] = event
            else:
                facts = {name: event[name] for name in ("status", "sent", "hung_up")}
                events[event["number"]].update(facts, until=event["at"])
        return [LoggedRequest(**facts) for facts in events.values() if facts["target"] != RESERVATIONS_PATH]

    def wait_for(self, target: str, seconds: float = 30.0) -> LoggedRequest:
        """The first request for a target (regular expression), once it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for request in self.requests():
                if re.fullmatch(target, request.target):
                    return request
            time.sleep(0.01)
        targets = [request.target for request in self.requests()]
        raise AssertionError(f"nobody asked for {target} in {seconds} s: {targets}")

    def settled(self, seconds: float = 2.0) -> list[LoggedRequest]:
        """All requests, once each is answered or given up."""
        end = time.monotonic() + seconds
        while any(request.until is None for request in self.requests()) and time.monotonic() < end:
            time.sleep(0.01)
        return self.requests()

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

    requests: list[LoggedRequest]  # by this crawl
    rows: dict[str, Row] = field(default_factory=dict)  # by source_id
    stats: dict[str, Any] = field(default_factory=dict)
    error: PipelineError | None = None

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

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
        most: int = MOST_ASKS, limit: int | None = None, retry: Collection[str] = (),
    ) -> Crawled:  # fmt: skip
        """`again`: targets that may be asked for more than once, `most` times at most."""
        before = len(server.requests())
        error: PipelineError | None = None
        try:
            crawl.run(
                source, self.out, self.scrape, self.sample, state=self.root / "state", base_url=server.url(host),
                limit=limit, retry=frozenset(retry),
            )  # fmt: skip
        except PipelineError as caught:
            error = caught
        requests = server.settled()[before:]
        check_manners(requests, again, most)
        if error is not None:
            assert str(error).isprintable(), f"on a terminal: {str(error)!r}"
            return Crawled(requests, error=error)
        return Crawled(requests, *read(self.out))

    def let_pass(self, **time: float) -> None:
        """As if every work had been tried so much (`timedelta`) earlier than it was."""
        for journal in self.root.glob("state/crawl/*/*/journal.jsonl"):
            rows = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
            for row in rows:
                for name in {"tried_at", "fetched_at"} & row.keys():
                    row[name] = (datetime.fromisoformat(row[name]) - timedelta(**time)).isoformat()
            journal.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read(out: Path) -> tuple[dict[str, Row], dict[str, Any]]:
    """Rows and stats of an output folder whose books balance."""
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    stats = json.loads((out / "stats.json").read_text(encoding="utf-8"))
    counts = Counter(row["status"] for row in rows)
    assert stats["kept"] + stats["dropped"] + stats["failed"] == stats["inputs"] == len(rows)
    assert all(stats[status] == counts[status] for status in ("kept", "dropped", "failed"))
    assert stats["reasons"] == Counter(row["reason"] for row in rows if row["reason"])
    assert all(REASONS[row["reason"]] == row["status"] for row in rows if row["status"] != "kept")
    hashes = {row["sha256"] for row in rows if row["status"] == "kept"}
    assert {path.stem for path in (out / "images").iterdir()} == hashes
    return {row["source_id"]: row for row in rows}, stats


def check_manners(requests: Sequence[LoggedRequest], again: Collection[str] = (), most: int = MOST_ASKS) -> None:
    """robots.txt first, one request at a time, an honest name, images as they are, nothing twice without a fault."""
    for port in {request.port for request in requests}:
        mine = [request for request in requests if request.port == port]
        assert (mine[0].method, mine[0].target) == ("GET", "/robots.txt"), f"before robots.txt: {mine[0].target}"
        for first, second in itertools.pairwise(mine):
            slack = SLACK if first.hung_up else 0.0
            assert first.until is not None, f"{first.target} and {second.target} at the same time"
            assert first.until <= second.at + slack, f"{first.target} and {second.target} at the same time"
    assert not [request for request in requests if not USER_AGENT.fullmatch(request.agent)]
    images = [request for request in requests if IMAGE.search(request.target)]
    assert not [image for image in images if image.headers["accept-encoding"] != "identity"]
    twice = {key: count for key, count in Counter(request.key for request in requests).items() if count > 1}
    assert twice.keys() <= {key for key in twice if key[2] in again}, f"asked twice: {twice}"
    assert max(twice.values(), default=1) <= most, f"asked too often: {twice}"


def home_of(folder: Path) -> dict[str, str]:
    """Puts parameters into a folder where the command will run; returns the environment to run it in."""
    parameters = folder / "params.yaml"
    if not parameters.exists():
        parameters.write_bytes((ROOT / "tests" / "params.yaml").read_bytes())
    settings = {"NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **settings, "PATH": f"{BIN}:{os.environ['PATH']}"}


def facetopix(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end, in a folder with its own parameters and state."""
    command = [str(BIN / "facetopix"), *arguments]
    return subprocess.run(command, cwd=home, env=home_of(home), text=True, capture_output=True, timeout=60, check=False)


def run_here(home: Path, *arguments: str) -> int:
    """Exit code of the command, run in this process, which costs a second less than one of its own."""
    home_of(home)
    with chdir(home):
        return CliRunner().invoke(app, arguments).exit_code


@contextmanager
def started(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs; it is gone when the block ends."""
    command, pipe = [str(BIN / "facetopix"), *arguments], subprocess.PIPE
    with subprocess.Popen(command, cwd=home, env=home_of(home), text=True, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()
