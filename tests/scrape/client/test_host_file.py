"""What is remembered of a host: by crawls one after the other on a clock of their own, and by two at once."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.errors import Refused, Unreachable
from pipeline.scrape import origins
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.client.host_file import HostFile, HostRecord
from pipeline.scrape.client.optouts import RESERVATIONS_PATH
from pipeline.scrape.client.pace import Access, Clock
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import Rejection, Request

NOON = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
DELAY = 0.02
HOUR = 3600.0


class Machine:
    """A machine on which one crawl after the other asks one host; a clock that only sleeping and waiting move."""

    def __init__(self, folder: Path) -> None:
        self.access = Access(frozenset({"site.test"}), https=True, delay=DELAY, backoff=0.01, memory=folder)
        self.seconds = 0.0
        self.waits: list[tuple[float, str]] = []
        self.times: list[float] = []  # of all requests of the last crawl
        self.asked: list[float] = []  # of those for the page

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def crawl(self, *pages: httpx.Response) -> None:
        """One crawl: a page is asked for as often as there are answers."""
        answers = iter(pages)
        self.waits, self.asked, self.times = [], [], []

        def answer(request: httpx.Request) -> httpx.Response:
            self.times.append(self.seconds)
            if request.url.path in ("/robots.txt", RESERVATIONS_PATH):
                return httpx.Response(404, stream=httpx.ByteStream(b""))
            self.asked.append(self.seconds)
            found = next(answers)
            return httpx.Response(found.status_code, headers=found.headers, stream=httpx.ByteStream(b"x"))

        async def run() -> None:
            note = lambda seconds, why: self.waits.append((round(seconds, 3), why))  # noqa: E731
            clock = Clock(self.sleep, lambda: self.seconds, note)
            transport = httpx.MockTransport(answer)
            client = Fetcher(self.access, user_agent="facetopix/1", transport=transport, clock=clock, now=self.now)
            async with client:
                for _ in pages:
                    await client.page(Request("https://site.test/page"))

        asyncio.run(run())

    @property
    def folder(self) -> Path:
        assert self.access.memory is not None
        return self.access.memory

    @property
    def requests(self) -> int:
        return len(self.times)

    def record(self) -> HostRecord:
        with HostFile(self.folder, "site.test", lambda: 0.0).held() as record:
            return record


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "hosts")


def ok() -> httpx.Response:
    return httpx.Response(200)


def busy(wait: float) -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": str(int(wait))})


def test_crawl_keeps_the_pace_of_the_one_before(machine: Machine) -> None:
    machine.crawl(ok())
    last = machine.seconds
    machine.crawl(ok())
    assert machine.times[0] == pytest.approx(last + DELAY)
    assert machine.waits[0] == (DELAY, "it was asked just now")
    machine.seconds += 60
    began = machine.seconds
    machine.crawl(ok())
    assert machine.times[0] == began


def test_crawl_delay_of_the_last_crawl_holds_for_the_first_request_of_the_next(machine: Machine) -> None:
    machine.crawl(ok())
    with HostFile(machine.folder, "site.test", lambda: 0.0).held() as record:
        record.delay = 30.0
    last = machine.times[-1]
    machine.crawl(ok())
    assert machine.times[0] == pytest.approx(last + 30)
    assert machine.times[1] < last + 31, "robots.txt asks for it no more"


def test_wait_that_the_host_asked_for_survives_a_restart(machine: Machine) -> None:
    with pytest.raises(Rejection):
        machine.crawl(*[busy(300)] * 4)
    assert machine.requests == 6
    last = machine.asked[-1]
    machine.seconds += 100
    machine.crawl(ok())
    assert machine.asked[0] >= last + 300
    assert (200.0, "429") in [(round(seconds), why) for seconds, why in machine.waits]


def test_struggling_host_is_asked_slowly_by_the_next_crawl_too(machine: Machine) -> None:
    with pytest.raises(Rejection):
        machine.crawl(*[httpx.Response(503)] * 4)
    slowness = machine.record().slowness
    assert slowness >= 4 * DELAY
    machine.crawl(ok())
    assert machine.waits[0][0] == pytest.approx(DELAY + slowness, abs=0.01)


def test_host_that_asked_for_a_day_gets_no_request_before(machine: Machine) -> None:
    with pytest.raises(Unreachable, match="86400"):
        machine.crawl(busy(24 * HOUR))
    machine.seconds += 23 * HOUR
    with pytest.raises(Unreachable, match=r"asked an earlier crawl to wait .* until 2025-03-02 12:00"):
        machine.crawl(ok())
    assert machine.requests == 0
    machine.seconds += 2 * HOUR
    machine.crawl(ok())
    assert machine.requests == 3


@pytest.mark.parametrize("status", [401, 403])
def test_host_that_turned_a_crawl_away_is_left_alone_ever_longer(machine: Machine, status: int) -> None:
    for hours in (1, 2, 4):
        with pytest.raises(Refused, match=str(status)):
            machine.crawl(httpx.Response(status))
        machine.seconds += (hours - 0.1) * HOUR
        with pytest.raises(Refused, match=f"nothing is asked before .*{status}"):
            machine.crawl(ok())
        assert machine.requests == 0
        machine.seconds += 0.2 * HOUR
    machine.crawl(ok())
    assert (machine.requests, machine.record().refusals) == (3, 0)


def test_refusal_of_another_kind_closes_nothing(machine: Machine) -> None:
    machine.crawl(ok())
    with pytest.raises(Rejection, match="noai"):
        machine.crawl(httpx.Response(200, headers={"x-robots-tag": "noai"}))
    machine.crawl(ok())
    assert machine.requests == 3


def test_clock_that_was_set_back_costs_no_more_than_the_wait_itself(machine: Machine) -> None:
    machine.crawl(ok())
    with pytest.raises(Unreachable):
        machine.crawl(busy(2 * HOUR))
    machine.seconds -= 1000 * HOUR
    with pytest.raises(Unreachable, match="earlier"):
        machine.crawl(ok())
    machine.seconds += 2.1 * HOUR
    machine.crawl(ok())
    assert max(seconds for seconds, _ in machine.waits) < 10


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b'{"started": "soon"}', b"\xff" * 99, b'{"parked": {"until": 1}}']
)
def test_damaged_record_is_an_empty_one(machine: Machine, data: bytes) -> None:
    machine.folder.mkdir()
    (machine.folder / "site.test.json").write_bytes(data)
    machine.crawl(ok())
    assert machine.record().started > 0


def test_folder_that_cannot_be_written_costs_the_memory_alone(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    machine.access = replace(machine.access, memory=tmp_path / "file" / "hosts")
    machine.crawl(ok(), ok())
    assert machine.requests == 4
    assert caplog.text.count("its pace is not shared") == 1


def test_two_crawls_at_once_share_one_pace(tmp_path: Path) -> None:
    """Real time, in two threads with an event loop each; the lock knows open files, not threads."""
    access = Access(frozenset({"site.test"}), https=True, delay=0.05, backoff=0.01, memory=tmp_path / "hosts")
    spans: list[tuple[float, float]] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        spans.append((began, time.monotonic()))
        return httpx.Response(200 if request.url.path == "/page" else 404, stream=httpx.ByteStream(b"x"))

    async def crawl() -> None:
        async with Fetcher(access, user_agent="facetopix/1", transport=httpx.MockTransport(answer)) as client:
            for _ in range(2):
                await client.page(Request("https://site.test/page"))

    threads = [threading.Thread(target=asyncio.run, args=(crawl(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans.sort()
    assert len(spans) == 8
    assert spans[-1][0] - spans[0][0] > 6 * access.delay, "seven gaps; two paces of their own would make three or four"
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def names(folder: Path) -> Iterable[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_hosts_have_files_of_their_own_in_the_users_state_folder(
    scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    live = origins.live("lospec", scrape.model_copy(update={"contact": "me@site.test", "accept_terms": ["lospec"]}))
    assert live.access.memory == tmp_path / "facetopix" / "hosts"
    assert origins.replica("lospec", "http://127.0.0.1:8080", scrape).access.memory is None
    for host in ("site.test", "site.test:8443", "[::1]:80"):
        with HostFile(live.access.memory, host, time.time).held() as record:
            record.started = 1.0
    assert {name for name in names(tmp_path) if name.endswith(".json")} == {
        "site.test.json", "site.test_8443.json", "___1__80.json"
    }  # fmt: skip
