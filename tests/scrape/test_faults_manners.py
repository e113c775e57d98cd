"""What the hostile server asks for in robots.txt and in Retry-After, and what it gets: by its own clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawled, Crawler, LoggedRequest, check_manners, serving
from hostile_pages import sprite

from pipeline.sample.params import Sample
from pipeline.scrape import sniff
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.client.pace import Access
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import Rejection

TEXT = (("Content-Type", "text/plain"),)
FILES = [sprite(number) for number in range(4)]
ANIMATION = "/animations/" + "a" * 32 + ".gif"
REFUSED, UNREACHABLE = 5, 6


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


def robots(body: bytes = b"", status: int = 200, *headers: tuple[str, str], **fields: object) -> Rule:
    return Rule("/robots.txt", status, body, (*TEXT, *headers), **fields)  # type: ignore[arg-type]


def crawl_under(crawler: Crawler, *rules: Rule, again: tuple[str, ...] = (), most: int = 4) -> Crawled:
    """Four sprites and an animation, under these robots.txt."""
    with serving(crawler.root / "server", [*rules, *pages.pixiehaus([*FILES, ANIMATION])]) as server:
        return crawler.crawl(server, "pixiehaus", again=again, most=most)


FIRST = sprite(1).encode()
BUT_FIRST = b"User-agent: *\nDisallow: " + FIRST + b"\n"
FILLER = b"# the lawyers wanted this line, and the next, and the one after that\n" * 15_000


@pytest.mark.parametrize(
    ("rule", "lost"),
    [
        pytest.param(robots(status=404), {}, id="none"),
        pytest.param(robots(status=403), {}, id="forbidden: RFC 9309 says as none"),
        pytest.param(robots(status=410), {}, id="gone"),
        pytest.param(robots(b""), {}, id="empty"),
        pytest.param(robots(b"<html><body>Welcome!</body></html>"), {}, id="a page"),
        pytest.param(robots(b"\xff\xfe\x00\x9f" * 99), {}, id="noise"),
        pytest.param(robots(BUT_FIRST), {sprite(1): "robots"}, id="one work"),
        pytest.param(robots(b"\xef\xbb\xbf" + BUT_FIRST), {sprite(1): "robots"}, id="byte order mark"),
        pytest.param(robots(BUT_FIRST.replace(b"\n", b"\r\n")), {sprite(1): "robots"}, id="CRLF"),
        pytest.param(robots(BUT_FIRST.replace(b"\n", b"\r")), {sprite(1): "robots"}, id="CR"),
        pytest.param(robots(b"# caf\xe9 \xc3\x28\n" + BUT_FIRST), {sprite(1): "robots"}, id="invalid UTF-8"),
        pytest.param(robots(BUT_FIRST + FILLER), {sprite(1): "robots"}, id="a megabyte"),
        pytest.param(
            robots(pages.gzipped(BUT_FIRST), 200, ("Content-Encoding", "gzip")), {sprite(1): "robots"}, id="gzip"
        ),
        pytest.param(robots(b"User-agent: *\nDisallow: /*.gif$\n"), {ANIMATION: "robots"}, id="wildcard"),
        pytest.param(robots(b"User-agent: *\nDisallow: /sprites/\nAllow: /sprites/0000\n"), {}, id="longer rule wins"),
        pytest.param(
            robots(b"User-agent: FaceToPix\nDisallow: /animations\n\nUser-agent: *\nDisallow: /sprites\n"),
            {ANIMATION: "robots"},
            id="our own group wins",
        ),
        pytest.param(
            robots(b"User-agent: *\nAllow: /\nContent-Usage: /animations train-ai=n\n"),
            {ANIMATION: "noai"},
            id="training refused for a folder",
        ),
    ],
)
def test_robots_txt_is_read_as_its_author_meant_it(crawler: Crawler, rule: Rule, lost: dict[str, str]) -> None:
    crawled = crawl_under(crawler, rule)
    assert crawled.error is None
    reasons = {row["image_url"].partition("/")[2].partition("/")[2]: row["reason"] for row in crawled.rows.values()}
    refused = {"/" + path.partition("/")[2]: reason for path, reason in reasons.items() if reason}
    assert refused == lost
    assert not [target for target in crawled.targets if target in lost], "asked for what is refused"
    assert crawled.targets.count("/robots.txt") == 1


@pytest.mark.parametrize(
    ("rule", "code", "asks"),
    [
        pytest.param(robots(b"User-agent: *\nDisallow: /gallery\n"), REFUSED, 1, id="listing disallowed"),
        pytest.param(robots(b"User-agent: *\nDisallow: /\n"), REFUSED, 1, id="all disallowed"),
        pytest.param(robots(b"User-agent: *\nContent-Signal: ai-train=no\n"), REFUSED, 1, id="Content-Signal"),
        pytest.param(robots(b"User-agent: *\nContent-Usage: train-ai=n\n"), REFUSED, 1, id="Content-Usage"),
        pytest.param(robots(status=500), REFUSED, 4, id="server error"),
        pytest.param(robots(status=503), REFUSED, 4, id="unavailable"),
        pytest.param(robots(status=520), REFUSED, 4, id="error of a proxy"),
        pytest.param(robots(b"", raw=True), UNREACHABLE, 4, id="no answer"),
        pytest.param(robots(BUT_FIRST, cut=9), None, 4, id="dropped"),
        pytest.param(robots(BUT_FIRST, length=999), None, 4, id="length too long"),
        pytest.param(robots(b"HTTP/1.1 200 OK\r\n\r\n" + FILLER, raw=True, repeat=200), REFUSED, 1, id="endless"),
        pytest.param(robots(b"", 302, ("Location", "http://localhost:@port0@/robots.txt")), REFUSED, 1, id="off host"),
        pytest.param(robots(b"", 302, ("Location", "/robots.txt")), REFUSED, 6, id="redirect loop"),
    ],
)
def test_without_leave_nothing_but_robots_txt_is_asked_for(
    crawler: Crawler, rule: Rule, code: int | None, asks: int
) -> None:
    crawled = crawl_under(crawler, rule, again=("/robots.txt",), most=6)
    assert crawled.error is not None
    assert crawled.error.exit_code in ((code,) if code else (REFUSED, UNREACHABLE))
    assert crawled.targets == ["/robots.txt"] * asks
    assert max(request.sent for request in crawled.requests) < 64 * 2**20
    assert not crawler.out.exists()


def test_robots_txt_that_moved_is_followed_and_obeyed(crawler: Crawler) -> None:
    hop = robots(b"", 301, ("Location", "/hop"))
    hops = [Rule("/hop", 302, headers=(("Location", "/real.txt"),)), Rule("/real.txt", body=BUT_FIRST, headers=TEXT)]
    crawled = crawl_under(crawler, hop, *hops)
    assert crawled.targets[:3] == ["/robots.txt", "/hop", "/real.txt"]
    assert crawled.stats["reasons"] == {"robots": 1}


def test_robots_txt_that_fails_once_is_asked_for_again(crawler: Crawler) -> None:
    crawled = crawl_under(crawler, robots(status=503, times=1), robots(BUT_FIRST), again=("/robots.txt",))
    assert crawled.stats["reasons"] == {"robots": 1}


def gaps(requests: list[LoggedRequest]) -> list[float]:
    """Seconds between the arrivals of requests."""
    return [second.at - first.at for first, second in itertools.pairwise(requests)]


def test_crawl_delay_spaces_all_requests_from_robots_txt_on(crawler: Crawler) -> None:
    crawled = crawl_under(crawler, robots(b"User-agent: *\nCrawl-delay: 0.4\nAllow: /\n"))
    assert crawled.stats["kept"] == 5
    assert min(gaps(crawled.requests)) > 0.2, "0.4 but for the time that a busy server takes to look"
    assert sum(gaps(crawled.requests)) > 0.4 * (len(crawled.requests) - 1) - 0.2


@pytest.fixture(scope="module")
def parked(small: Sample, scrape: Scrape, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """A crawl of works whose first answer asks to wait, in one way each."""
    ways = {0: (429, "1"), 1: (429, "@in2@"), 2: (503, "1"), 3: (503, None), 4: (429, "soon"), 5: (429, "-7")}
    rules = []
    for number, (status, value) in ways.items():
        headers = () if value is None else (("Retry-After", value),)
        rules.append(Rule(sprite(number), status, b"slow down", headers, times=1))
    rules.append(Rule(sprite(6), 503, b"slow down", (("Retry-After", "1"),)))
    files = [sprite(number) for number in range(8)]
    root = tmp_path_factory.mktemp("parked")
    with serving(root / "server", [*rules, *pages.pixiehaus(files)]) as server:
        yield Crawler(scrape, small, root).crawl(server, "pixiehaus", again=files)


def two_asks(crawled: Crawled, number: int) -> tuple[LoggedRequest, LoggedRequest]:
    first, second = (request for request in crawled.requests if request.target == sprite(number))
    return first, second


def test_wait_that_the_host_asks_for_costs_no_work(parked: Crawled) -> None:
    assert parked.stats["reasons"] == {"server": 1}
    assert parked.rows[f"{6:032x}"]["reason"] == "server"


@pytest.mark.parametrize("number", [0, 2])
def test_retry_after_in_seconds_is_waited_for(parked: Crawled, number: int) -> None:
    first, second = two_asks(parked, number)
    assert first.until is not None
    assert 0.99 < second.at - first.until < 10


def test_retry_after_as_a_date_is_waited_for(parked: Crawled) -> None:
    first, second = two_asks(parked, 1)
    date = int(first.wall + 2)
    assert date - 0.01 < second.wall < date + 10


@pytest.mark.parametrize("number", [3, 4, 5])
def test_retry_after_that_says_nothing_is_asked_again_soon(parked: Crawled, number: int) -> None:
    first, second = two_asks(parked, number)
    assert second.at - first.at < 5


def test_host_that_never_stops_refusing_is_asked_four_times(parked: Crawled) -> None:
    assert parked.targets.count(sprite(6)) == 4
    assert parked.targets.count(sprite(7)) == 1


def test_host_that_was_given_up_is_left_alone_as_long_as_it_asked(parked: Crawled) -> None:
    last = [request for request in parked.requests if request.target == sprite(6)][-1]
    after = parked.requests[parked.requests.index(last) + 1]
    assert last.until is not None
    assert (after.target, after.at - last.until > 0.99) == (sprite(7), True)


@pytest.mark.parametrize("value", ["86400", "@in90000@"])
def test_host_that_asks_for_a_day_is_left_alone_at_once(crawler: Crawler, value: str) -> None:
    crawled = crawl_under(crawler, Rule(sprite(2), 429, b"tomorrow", (("Retry-After", value),)))
    assert crawled.error is not None
    assert crawled.error.exit_code == UNREACHABLE
    assert crawled.targets[-1] == sprite(2)


@pytest.mark.parametrize(
    "rule", [Rule(FIRST.decode(), body=pages.png(1), drip=0.05), Rule(FIRST.decode(), wait=60)], ids=["drip", "silence"]
)
def test_answer_that_outlasts_the_patience_is_given_up_each_time(tmp_path: Path, rule: Rule) -> None:
    async def ask(url: str) -> None:
        access = Access(frozenset({"127.0.0.1"}), https=False, delay=0.0, backoff=0.01, timeout=0.4)
        async with Fetcher(access, user_agent="facetopix/1 (+test)") as fetcher:
            await fetcher.image(url + sprite(1), sniff.identify)

    with serving(tmp_path, [pages.ALLOW_ALL, rule]) as server:
        with pytest.raises(Rejection, match="network"):
            asyncio.run(ask(server.url()))
        requests = [request for request in server.settled() if request.target == sprite(1)]
    assert [request.hung_up for request in requests] == [True] * 4
    check_manners(server.requests(), [sprite(1)])


def test_replica_by_name_is_not_left_for_its_number_or_another_name(crawler: Crawler) -> None:
    """http://localhost may lead to any port of localhost, and to no other spelling of this machine."""
    aways = ["127.0.0.1:@port1@", "127.0.0.2:@port1@", "[::1]:@port1@", "0.0.0.0:@port1@", "2130706433:@port1@"]
    aways += ["169.254.169.254", "localhost.example.com", "localhost@127.0.0.1:@port1@"]
    rules = [
        Rule(sprite(number), 302, headers=(("Location", f"http://{away}/away.png"),))
        for number, away in enumerate(aways)
    ]
    rules += [Rule(sprite(20), 302, headers=(("Location", "http://localhost:@port1@/home.png"),))]
    rules += [Rule("/home.png", body=pages.png(1), port=1)]
    files = [sprite(number) for number in (*range(len(aways)), 20)]
    with serving(crawler.root / "server", [*rules, *pages.pixiehaus(files)]) as server:
        crawled = crawler.crawl(server, "pixiehaus", host="localhost")
    assert crawled.stats["reasons"] == {"off_host": len(aways)}
    assert crawled.rows[f"{20:032x}"]["status"] == "kept"
    assert {request.host.partition(":")[0] for request in crawled.requests} == {"localhost"}
