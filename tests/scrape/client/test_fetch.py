"""The polite client. Time is the subject here: transport and clock are recorded ones."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from pipeline.errors import Refused, Unreachable
from pipeline.scrape.client import fetch
from pipeline.scrape.client.answers import FetchedImage, Page
from pipeline.scrape.client.cookies import Cookies
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.client.optouts import RESERVATIONS_PATH
from pipeline.scrape.client.pace import Access, Clock
from pipeline.scrape.sites.gallery import Rejection, Request

URL = "https://site.test/page"
NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
ACCESS = Access(frozenset({"site.test", "cdn.test"}), https=True, delay=0.0, backoff=0.5)
Answer = httpx.Response | Exception


class Recorded:
    """A site that answers from a list, robots.txt and reservations apart, and a clock that only sleeping moves."""

    reservations = httpx.Response(404)

    def __init__(self, answers: Iterable[Answer], robots: Answer | Callable[[], Answer], access: Access) -> None:
        self.answers, self.robots = list(answers), robots
        self.requests: list[httpx.Request] = []
        self.naps: list[float] = []
        self.clock = 0.0
        self.fetcher = Fetcher(
            access,
            user_agent="facetopix/1 (+me@site.test)",
            transport=httpx.MockTransport(self.answer),
            clock=Clock(sleep=self.sleep, monotonic=lambda: self.clock),
            now=lambda: NOW + timedelta(seconds=self.clock),
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == RESERVATIONS_PATH:
            return streamed(self.reservations)
        self.requests.append(request)
        if request.url.path == "/robots.txt":
            answer = self.robots() if callable(self.robots) else self.robots
        else:
            answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return streamed(answer)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.clock += seconds

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    def page(self, request: Request | None = None, cookies: Cookies | None = None) -> str:
        return asyncio.run(self.fetcher.page(request or Request(URL), cookies)).text

    def image(self, url: str = "https://site.test/a.png") -> bytes:
        return asyncio.run(self.fetcher.image(url, bytes)).data


def streamed(response: httpx.Response) -> httpx.Response:
    """The same answer as it comes off a wire, not read yet."""
    try:
        stream = httpx.ByteStream(response.content)
    except httpx.ResponseNotRead:
        return response
    return httpx.Response(response.status_code, headers=response.headers, stream=stream)


def site(*answers: Answer, robots: Answer | Callable[[], Answer] | None = None, access: Access = ACCESS) -> Recorded:
    return Recorded(answers, httpx.Response(404) if robots is None else robots, access)


def ok(text: str = "fine", **headers: str) -> httpx.Response:
    return httpx.Response(200, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_robots_is_asked_before_anything_else_and_once() -> None:
    recorded = site(ok(), ok())

    async def twice() -> None:
        await asyncio.gather(recorded.fetcher.page(Request(URL)), recorded.fetcher.page(Request(URL)))

    asyncio.run(twice())
    assert recorded.paths == ["/robots.txt", "/page", "/page"]


def test_user_agent_is_honest_on_every_request() -> None:
    recorded = site(ok())
    recorded.page()
    assert {request.headers["user-agent"] for request in recorded.requests} == {"facetopix/1 (+me@site.test)"}


def test_disallowed_page_is_not_asked_for() -> None:
    recorded = site(robots=ok("User-agent: *\nDisallow: /page"))
    with pytest.raises(Rejection, match="robots"):
        recorded.page()
    assert recorded.paths == ["/robots.txt"]


@pytest.mark.parametrize("status", [404, 410, 403, 401])
def test_robots_that_does_not_exist_allows(status: int) -> None:
    assert site(ok(), robots=httpx.Response(status)).page() == "fine"


@pytest.mark.parametrize("status", [500, 503, 501, 522, 206])
def test_robots_that_fails_disallows_everything(status: int) -> None:
    recorded = site(robots=lambda: httpx.Response(status))
    with pytest.raises(Rejection, match="robots"):
        recorded.page()
    assert set(recorded.paths) == {"/robots.txt"}


def test_robots_of_a_dead_host_is_a_network_failure_and_nothing_else_is_asked() -> None:
    recorded = site(robots=httpx.ConnectError("refused"))
    with pytest.raises(Rejection) as caught:
        recorded.page()
    assert caught.value.reason == "network"
    assert set(recorded.paths) == {"/robots.txt"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 505, 508, 511, 520, 522, 524, 530, 599])
def test_passing_failures_are_asked_again(status: int) -> None:
    recorded = site(httpx.Response(status), httpx.ReadTimeout("slow"), ok())
    assert recorded.page() == "fine"
    assert 0.5 <= recorded.naps[0] <= 1.0
    assert 1.0 <= recorded.naps[1] <= 1.5


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "not_found"), (410, "not_found"), (400, "server"), (418, "server")]
)
def test_permanent_failures_are_not_asked_again(status: int, reason: str) -> None:
    recorded = site(httpx.Response(status))
    with pytest.raises(Rejection) as caught:
        recorded.page()
    assert caught.value.reason == reason
    assert recorded.naps == []


def test_retries_end() -> None:
    recorded = site(*[httpx.Response(503)] * fetch.ATTEMPTS)
    with pytest.raises(Rejection, match="server"):
        recorded.page()
    assert recorded.answers == []


@pytest.mark.parametrize("status", [401, 403])
def test_forbidden_ends_the_crawl_at_once(status: int) -> None:
    recorded = site(httpx.Response(status, text="<html>challenge</html>"))
    with pytest.raises(Refused, match=str(status)):
        recorded.page()
    assert recorded.naps == []


@pytest.mark.parametrize("value", ["7", format_datetime(NOW + timedelta(seconds=7), usegmt=True)])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_as_seconds_and_as_a_date(value: str, status: int) -> None:
    recorded = site(httpx.Response(status, headers={"retry-after": value}), ok())
    assert recorded.page() == "fine"
    assert 7.0 in recorded.naps


def test_retry_after_parks_the_host_for_every_request() -> None:
    recorded = site(*[httpx.Response(503, headers={"retry-after": "30"})] * fetch.ATTEMPTS, ok())
    with pytest.raises(Rejection):
        recorded.page()
    clock = recorded.clock
    assert recorded.image() == b"fine"
    assert recorded.clock - clock == pytest.approx(30)


def test_a_host_that_asks_for_hours_is_left_alone() -> None:
    recorded = site(httpx.Response(429, headers={"retry-after": "86400"}))
    with pytest.raises(Unreachable, match="86400"):
        recorded.page()
    assert recorded.naps == []


@pytest.mark.parametrize("value", ["soon", "", "-3", "Mon, 99 Foo 2025"])
def test_senseless_retry_after_leaves_the_ordinary_backoff(value: str) -> None:
    recorded = site(httpx.Response(429, headers={"retry-after": value}), ok())
    assert recorded.page() == "fine"
    assert max(recorded.naps) <= 1.0


def four_at_once(access: Access, seconds: float) -> tuple[list[float], int]:
    """Start times of four requests made at once (and of two for leave), and how many were in flight together."""
    starts: list[float] = []
    in_flight = most = 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        starts.append(time.monotonic())
        await asyncio.sleep(seconds)
        in_flight -= 1
        return streamed(httpx.Response(200 if request.url.path == "/page" else 404, text="x"))

    async def four() -> None:
        async with Fetcher(access, user_agent="facetopix/1", transport=httpx.MockTransport(slow)) as client:
            await asyncio.gather(*(client.page(Request(URL)) for _ in range(4)))

    asyncio.run(four())
    return starts, most


def test_requests_to_one_host_are_spaced() -> None:
    starts, _ = four_at_once(Access(ACCESS.hosts, https=True, delay=0.08, backoff=0.1), seconds=0.0)
    assert len(starts) == 6
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) > 0.07


def test_requests_to_one_host_never_overlap() -> None:
    assert four_at_once(ACCESS, seconds=0.02)[1] == 1


def test_crawl_delay_spaces_the_first_page_too() -> None:
    recorded = site(ok(), robots=ok("User-agent: *\nCrawl-delay: 0.2"))
    began = time.monotonic()
    recorded.page()
    assert time.monotonic() - began > 0.19


@pytest.mark.parametrize("name", ["X-Robots-Tag", "x-robots-tag"])
def test_opted_out_image_is_refused_before_its_body_is_read(name: str) -> None:
    class Unread(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            raise AssertionError("the body was read")
            yield b""

    recorded = site(httpx.Response(200, headers={name: "NoAI, noindex"}, stream=Unread()))
    with pytest.raises(Rejection, match="noai"):
        recorded.image()


@pytest.mark.parametrize("content", ["noai", "index, NOIMAGEAI", "noml"])
def test_page_that_opts_out_in_a_meta_is_refused(content: str) -> None:
    recorded = site(ok(f"<html><head><META NAME='Robots' content='{content}'></head></html>"))
    with pytest.raises(Rejection, match="noai"):
        recorded.page()


def test_robots_that_opts_out_of_training_is_a_refusal() -> None:
    recorded = site(robots=ok("User-agent: *\nContent-Signal: ai-train=no\nAllow: /"))
    with pytest.raises(Rejection, match="noai"):
        recorded.page()
    assert recorded.paths == ["/robots.txt"]


@pytest.mark.parametrize(
    "url",
    ["https://elsewhere.test/a", "ftp://site.test/a", "https://user:pass@site.test/a", "https://[bad/a", "nothing"],
)
def test_addresses_off_the_allowed_hosts_are_never_asked(url: str) -> None:
    recorded = site()
    with pytest.raises(Rejection, match="off_host"):
        recorded.image(url)
    assert recorded.requests == []


def test_redirect_off_the_allowed_hosts_is_not_followed() -> None:
    recorded = site(httpx.Response(302, headers={"location": "https://elsewhere.test/a.png"}))
    with pytest.raises(Rejection, match="off_host"):
        recorded.image()
    assert all(request.url.host == "site.test" for request in recorded.requests)


def test_redirect_to_another_allowed_host_meets_that_hosts_robots() -> None:
    recorded = site(httpx.Response(301, headers={"location": "//cdn.test/b.png"}), ok("image"))
    assert recorded.image() == b"image"
    assert [str(request.url) for request in recorded.requests][2:] == [
        "https://cdn.test/robots.txt",
        "https://cdn.test/b.png",
    ]


def test_endless_redirects_end() -> None:
    recorded = site(*[httpx.Response(302, headers={"location": "/page"})] * 6)
    with pytest.raises(Rejection, match="server"):
        recorded.page()


@pytest.mark.parametrize(("status", "method"), [(301, "POST"), (308, "POST"), (303, "GET")])
def test_post_keeps_its_form_through_a_moved_address(status: int, method: str) -> None:
    recorded = site(httpx.Response(status, headers={"location": "/gallery2"}), ok())
    recorded.page(Request("https://site.test/gallery", method="POST", form=(("skip", "32"),)))
    last = recorded.requests[-1]
    assert (last.url.path, last.method) == ("/gallery2", method)
    assert last.content == (b"skip=32" if method == "POST" else b"")


def test_http_addresses_are_asked_by_https() -> None:
    recorded = site(ok("image"))
    recorded.image("http://site.test/a.png")
    assert {request.url.scheme for request in recorded.requests} == {"https"}


def test_cookies_stay_with_the_listing_and_survive_a_restart() -> None:
    recorded = site(ok(set_cookie="v=av=&ob=date&pg=1; path=/"), ok(), ok(), ok())
    jar = Cookies()
    recorded.page(cookies=jar)
    recorded.page()
    restarted = Cookies(jar.dump())
    recorded.page(Request(URL, cookies=(("v", "mine"), ("w", "1"))), restarted)
    sent = [request.headers.get("cookie") for request in recorded.requests if request.url.path == "/page"]
    assert sent[:2] == [None, None]
    assert sorted(str(sent[2]).split("; ")) == ["v=av=&ob=date&pg=1", "w=1"]


def test_cookie_of_a_request_serves_where_the_site_set_none() -> None:
    recorded = site(ok())
    recorded.page(Request(URL, cookies=(("v", "ob=date&pg=2"),)), Cookies())
    assert recorded.requests[-1].headers["cookie"] == "v=ob=date&pg=2"


def test_images_are_asked_for_without_compression() -> None:
    recorded = site(ok("image"))
    recorded.image()
    assert recorded.requests[-1].headers["accept-encoding"] == "identity"


def test_compressed_pages_are_inflated() -> None:
    body = gzip.compress(b"fine")
    assert (
        site(httpx.Response(200, stream=httpx.ByteStream(body), headers={"content-encoding": "gzip"})).page() == "fine"
    )


def test_compression_bomb_is_refused() -> None:
    body = gzip.compress(b"\x00" * (fetch.PAGE_BYTES + 1))
    recorded = site(httpx.Response(200, stream=httpx.ByteStream(body), headers={"content-encoding": "gzip"}))
    with pytest.raises(Rejection, match="too_large"):
        recorded.page()


@pytest.mark.parametrize("headers", [{}, {"content-length": str(fetch.IMAGE_BYTES + 1)}])
def test_body_over_the_cap_is_refused(headers: dict[str, str]) -> None:
    stream = httpx.ByteStream(b"x" * (fetch.IMAGE_BYTES + 1))
    with pytest.raises(Rejection, match="too_large"):
        site(httpx.Response(200, stream=stream, headers=headers)).image()


def test_body_shorter_than_announced_is_asked_for_again() -> None:
    short = httpx.Response(200, stream=httpx.ByteStream(b"ima"), headers={"content-length": "5"})
    assert site(short, ok("image")).image() == b"image"


def test_image_that_decodes_as_truncated_is_asked_for_again() -> None:
    recorded = site(ok("half"), ok("whole"))

    def decode(data: bytes) -> int:
        if data == b"half":
            raise Rejection("truncated", "half")
        return len(data)

    assert asyncio.run(recorded.fetcher.image("https://site.test/a.png", decode)) == FetchedImage(b"whole", 5)


def test_page_can_be_asked_for_on_condition_that_it_changed() -> None:
    tagged = {"etag": '"a"', "last-modified": "Mon, 03 Mar 2025 09:00:00 GMT"}
    fresh = httpx.Response(200, text="fine", headers=tagged)
    recorded = site(fresh, httpx.Response(304), httpx.Response(200, text="new"))

    async def three_times() -> list[Page]:
        first = await recorded.fetcher.page(Request(URL))
        return [first, *[await recorded.fetcher.page(Request(URL), None, first.validators) for _ in range(2)]]

    first, second, third = asyncio.run(three_times())
    assert first.validators == {"If-None-Match": '"a"', "If-Modified-Since": tagged["last-modified"]}
    assert (second.unchanged, second.validators) == (True, first.validators)
    assert (third.unchanged, third.text, third.validators) == (False, "new", {})
    assert [request.headers.get("if-none-match") for request in recorded.requests] == [None, None, '"a"', '"a"']


def test_unchanged_page_that_nobody_knows_is_a_failure() -> None:
    with pytest.raises(Rejection, match="server"):
        site(httpx.Response(304)).page()


@pytest.mark.parametrize(
    ("answer", "robots", "opt_out"),
    [
        (httpx.Response(200, text="x", headers={"x-robots-tag": "noai"}), None, "X-Robots-Tag: noai"),
        (ok("<meta name=robots content='noai, index'>"), None, "meta robots: noai, index"),
        (ok(), ok("User-agent: *\nContent-Usage: train-ai=n"), "robots.txt opts out of training"),
        (ok(), None, None),
    ],
)
def test_overridden_opt_out_is_handed_on(answer: Answer, robots: Answer | None, opt_out: str | None) -> None:
    recorded = site(answer, robots=robots, access=replace(ACCESS, ignore_opt_outs=True))
    assert asyncio.run(recorded.fetcher.page(Request(URL))).opt_out == opt_out


def test_answer_that_drips_for_longer_than_the_patience_is_given_up() -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            while True:
                yield b"x"
                await asyncio.sleep(0.01)

    drips = [httpx.Response(200, stream=Drip()) for _ in range(fetch.ATTEMPTS)]
    recorded = site(*drips, access=replace(ACCESS, timeout=0.05))
    with pytest.raises(Rejection, match="network"):
        recorded.image()
    assert recorded.answers == []


def test_allowed_name_that_leads_to_this_machine_is_not_asked() -> None:
    access = Access(frozenset({"localhost"}), https=True, delay=0.0, backoff=0.01, public=True)
    fetcher = Fetcher(access, user_agent="facetopix/1")
    with pytest.raises(Refused, match="no public address"):
        asyncio.run(fetcher.page(Request("https://localhost/page")))


def test_waits_that_a_host_causes_are_told_with_their_cause() -> None:
    waits: list[tuple[float, str]] = []
    recorded = site(httpx.Response(429, headers={"retry-after": "7"}), ok())
    clock = Clock(recorded.sleep, lambda: recorded.clock, lambda seconds, why: waits.append((seconds, why)))
    fetcher = Fetcher(ACCESS, user_agent="x", transport=httpx.MockTransport(recorded.answer), clock=clock)
    asyncio.run(fetcher.page(Request(URL)))
    assert waits[0] == (7.0, "429")


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<b><div>", "<div/>", "<!--</div>--><div>", "<div title='</div>'>", "<div><script></div></script>"],
)
def test_page_whose_tags_stand_inside_one_another_without_end_is_refused(piece: str) -> None:
    with pytest.raises(Rejection, match="too_large"):
        site(ok(piece * (fetch.MAX_DEPTH + 1))).page()


@pytest.mark.parametrize(
    "piece", ["<div><a href=/x><img></a></div>", "<li><p>x<br>", "<tr><td>x", "<svg><path/></svg>"]
)
def test_page_may_have_any_number_of_tags_side_by_side(piece: str) -> None:
    text = piece * (fetch.MAX_DEPTH + 1)
    assert site(ok(text)).page() == text


def test_crawl_delay_that_no_crawl_could_keep_is_a_refusal() -> None:
    recorded = site(ok(), robots=ok("User-agent: *\nCrawl-delay: 100000"))
    with pytest.raises(Refused, match="100000 s"):
        recorded.page()
    assert recorded.paths == ["/robots.txt"]


def test_pictures_are_decoded_beside_the_event_loop() -> None:
    """The decoder waits for something that only the loop does."""
    recorded, goes_on = site(ok("image")), threading.Event()

    async def run() -> bool:
        asking = asyncio.create_task(recorded.fetcher.image("https://site.test/a.png", lambda _: goes_on.wait(30)))
        while not recorded.requests or recorded.answers:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        goes_on.set()
        return (await asking).facts

    assert asyncio.run(run())


@pytest.mark.parametrize(
    ("robots", "status", "body", "asked"),
    [
        (None, 200, b'[{"location": "/", "tdm-reservation": 1}]', 2),
        (None, 200, b'[{"location": "/*.png$", "tdm-reservation": 1}]', 3),
        (None, 200, b'[{"location": "/private", "tdm-reservation": 1}]', 4),
        (None, 200, b"<html>no such page</html>", 4),
        (None, 403, b'[{"location": "/", "tdm-reservation": 1}]', 4),
        (ok("User-agent: *\nDisallow: /.well-known/"), 200, b'[{"location": "/", "tdm-reservation": 1}]', 3),
        (ok("User-agent: *\nDisallow: /"), 200, b"[]", 1),
    ],
)
def test_reservations_are_asked_for_once_where_robots_txt_allows(
    robots: Answer | None, status: int, body: bytes, asked: int
) -> None:
    recorded = site(ok(), ok("image"), robots=robots)
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return recorded.answer(request)

    recorded.reservations = httpx.Response(status, content=body)
    fetcher = Fetcher(ACCESS, user_agent="x", transport=httpx.MockTransport(answer))

    async def page_and_image() -> None:
        await fetcher.page(Request(URL))
        await fetcher.image("https://site.test/a.png", bytes)

    if asked == 4 or (robots is not None and asked == 3):
        asyncio.run(page_and_image())
    else:
        with pytest.raises(Rejection, match="robots" if asked == 1 else "noai"):
            asyncio.run(page_and_image())
    assert paths == ["/robots.txt", RESERVATIONS_PATH, "/page", "/a.png"][:asked] or paths == [
        "/robots.txt", "/page", "/a.png"
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["1", "0, 1"])
def test_reservation_in_a_header_is_an_opt_out(value: str) -> None:
    with pytest.raises(Rejection, match="noai"):
        site(ok(tdm_reservation=value)).page()


@pytest.mark.parametrize("charset", ["undefined", "utf-7", "unicode_escape", "idna", "rot13", "zlib", "x" * 99, "%s"])
def test_charset_that_the_web_does_not_know_is_none(charset: str) -> None:
    text, headers = "caf\u00e9 +AGE- \\x41", {"content-type": f"text/html; charset={charset}"}
    assert site(httpx.Response(200, content=text.encode(), headers=headers)).page() == text


@pytest.mark.parametrize(
    ("data", "content_type", "text"),
    [
        ("caf\u00e9".encode("latin-1"), "text/html; charset=ISO_8859-1:1987", "caf\u00e9"),
        ("\u65e5\u672c".encode("cp932"), "text/html; charset='Shift_JIS'", "\u65e5\u672c"),
        ("\u65e5\u672c".encode("cp932") + b"\x80", "text/html; charset=sjis", "\u65e5\u672c\x80"),
        ("\u4f60".encode("gb18030"), "text/html; charset=gb2312", "\u4f60"),
        ("\u0434\u0430".encode("koi8-r"), "text/html;charset=koi8-r", "\u0434\u0430"),
        ("caf\u00e9".encode("utf-16"), "text/html; charset=utf-8", "caf\u00e9"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=iso-8859-1", "caf\u00e9"),
        (b"<meta charset=utf-16>caf\xc3\xa9", "text/html", "<meta charset=utf-16>caf\u00e9"),
        (
            b"<meta charset=cp1251>\xe4\xe0",
            "text/html; charset=undefined",
            "<meta charset=cp1251>\u0434\u0430",
        ),
        (b"caf\xe9 \x80", "text/html", "caf\u00e9 \u20ac"),
    ],
)
def test_page_is_read_in_its_charset(data: bytes, content_type: str, text: str) -> None:
    answer = httpx.Response(200, content=data, headers={"content-type": content_type})
    assert site(answer).page() == text
