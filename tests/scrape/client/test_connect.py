"""Connections to real servers on loopback, and to addresses that must not be connected to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.scrape.client.connect import clean_head, is_public
from pipeline.scrape.client.cookies import MAX_ALL, MAX_COOKIES, Cookies
from pipeline.scrape.client.fetch import MAX_CRAWL_DELAY, Fetcher, LoopbackTransport
from pipeline.scrape.client.pace import Access
from pipeline.scrape.sites.gallery import Rejection, Request

NOT_THERE = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
PUBLIC = "93.184.215.14"


@dataclass
class Server:
    """Answers /page with bytes as they are; keeps the heads of requests, and counts connections."""

    answer: bytes
    port: int = 0
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    talks: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.talks.append(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await self.exchange(reader, writer)
        writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.heads.append(head)
            answer = self.answer if b"/page" in head.split(b"\r\n")[0] else NOT_THERE
            for start in range(0, len(answer), 7):  # also in the middle of a line
                writer.write(answer[start : start + 7])
                await writer.drain()
            if b"Content-Length" not in answer and b"chunked" not in answer and b" 304 " not in answer:
                break


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[Server]:
    server = Server(answer)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            await asyncio.gather(*server.talks)


def fetched(answer: bytes, ask: Callable[[Fetcher, str], Any]) -> tuple[Any, Server]:
    """What a request for the page of a server gets; the name of the host leads to it."""

    async def run() -> tuple[Any, Server]:
        access = Access(frozenset({"site.test"}), https=False, delay=0.0, backoff=0.001)
        async with serving(answer) as server:
            transport = LoopbackTransport({"site.test": server.port})
            async with Fetcher(access, user_agent="facetopix/1", transport=transport) as client:
                return await ask(client, "http://site.test/page"), server

    return asyncio.run(run())


def text_of(answer: bytes) -> str:
    return str(fetched(answer, lambda client, url: client.page(Request(url)))[0].text)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length : 4\r\n\r\nfine",
        OK + b"X-A\t : b\r\nContent-Length  :4\r\n\r\nfine",
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding : Chunked\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity, chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nfine",
        OK + b"no header at all\r\n: nor this\r\nX A: nor that\r\n folded\r\nContent-Length: 4\r\n\r\nfine",
        OK + b"X-Nul: a\x00b\x0bc\r\nX-Long: a\r\n\tb\r\nContent-Length: 4\r\n\r\nfine",
        b"HTTP/1.1 200\nContent-Length: 4\n\nfine",
        b"http/1.1  200  OK \x00\r\nContent-Length: 4\r\n\r\nfine",
        b"HTTP/2 200\r\nContent-Length: 4\r\n\r\nfine",
        b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
        b"HTTP/1.1 103 Hints\r\nLink : a\r\n\r\nHTTP/1.1 100 Go on\r\n\r\n" + OK + b"Content-Length : 4\r\n\r\nfine",
        OK + b"\r\nfine",
    ],
)
def test_sloppy_answers_are_read_as_browsers_do(answer: bytes) -> None:
    assert text_of(answer) == "fine"


def test_sound_head_is_left_as_it_is() -> None:
    head = OK + b"Content-Length: 4\r\nSet-Cookie: a=b; Path=/\r\nX: caf\xe9\r\n\r\n"
    assert clean_head(head) == head


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 099 Odd\r\n\r\n",
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nfine", OK + b"Content-Length: 4x\r\n\r\nfine",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nfine", OK + b"X: " + b"x" * 200_000, b"",
    ],
)  # fmt: skip
def test_answer_that_makes_no_sense_is_a_failure_of_this_request(answer: bytes) -> None:
    with pytest.raises(Rejection) as caught:
        text_of(answer)
    assert caught.value.reason in ("network", "truncated")


def test_unchanged_page_may_tell_its_length_and_the_connection_serves_on() -> None:
    async def thrice(client: Fetcher, url: str) -> list[bool]:
        known = {"If-None-Match": '"a"'}
        return [(await client.page(Request(url), None, known)).unchanged for _ in range(3)]

    unchanged, server = fetched(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5120\r\nETag : x\r\n\r\n", thrice)
    assert (unchanged, server.connections) == ([True] * 3, 1)


def test_connection_outlives_the_longest_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, skipped = time.monotonic, [0.0]

    async def seldom(client: Fetcher, url: str) -> None:
        for _ in range(3):
            await client.page(Request(url))
            skipped[0] += MAX_CRAWL_DELAY + 60

    monkeypatch.setattr(time, "monotonic", lambda: clock() + skipped[0])
    _, server = fetched(OK + b"Content-Length: 4\r\n\r\nfine", seldom)
    assert (len(server.heads), server.connections) == (5, 1)


def test_host_name_stays_in_the_request_where_another_address_is_asked() -> None:
    _, server = fetched(OK + b"Content-Length: 4\r\n\r\nfine", lambda client, url: client.page(Request(url)))
    assert all(b"\r\nHost: site.test\r\n" in head for head in server.heads)


def jar_after(*set_cookies: bytes) -> Cookies:
    jar = Cookies()
    lines = b"".join(b"Set-Cookie: " + line + b"\r\n" for line in set_cookies)
    fetched(OK + lines + b"Content-Length: 4\r\n\r\nfine", lambda client, url: client.page(Request(url), jar))
    return jar


def test_cookies_are_limited_in_number_and_size_and_the_latest_stay() -> None:
    many = jar_after(*(b"n%d=%d" % (number, number) for number in range(300)))
    assert len(many.dump()) == MAX_COOKIES
    assert ["n299", "299", "site.test", "/"] in many.dump()
    large = jar_after(b"v=list", b"huge=" + b"x" * 5000, *(b"n%d=" % number + b"y" * 3000 for number in range(9)))
    assert sum(len(name) + len(value) + 1 for name, value, *_ in large.dump()) <= MAX_ALL
    assert "huge" not in {name for name, *_ in large.dump()}


def test_state_that_is_set_anew_each_time_outlives_a_flood() -> None:
    jar = Cookies()

    async def pages(client: Fetcher, url: str) -> None:
        for _ in range(3):
            await client.page(Request(url), jar)

    flood = b"".join(b"Set-Cookie: a%d=%s\r\n" % (number, b"z" * 900) for number in range(60))
    fetched(OK + flood + b"Set-Cookie: v=ob=date; path=/\r\nContent-Length: 4\r\n\r\nfine", pages)
    assert "v" in {name for name, *_ in jar.dump()}


def test_cookie_with_a_date_that_is_none_costs_no_other() -> None:
    jar = jar_after(
        b"v=1; expires=Wed, 21 Obt 2026 07:28:00 GMT", b"w=\x01\xff 2", b"gone=1; expires=Thu, 01 Jan 1970 00:00:00 GMT"
    )
    assert {name for name, *_ in jar.dump()} == {"v", "w"}


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("240.0.0.1", False), ("255.255.255.255", False), ("192.168.1.1%eth0", False), ("::1", False),
        ("fe80::1%lo", False), ("fd00::1", False), ("fec0::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        (f"::ffff:{PUBLIC}", True), ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False), ("64:ff9b::5db8:d70e", True),
    ],
)  # fmt: skip
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("later", ["127.0.0.1", "::1", "10.0.0.7"])
def test_name_that_leads_elsewhere_at_the_second_look_gets_no_request(
    monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    """A rebinding name server: the first answer is public, all that follow are not."""
    asked: list[str] = []
    tried: list[Any] = []

    async def run() -> int:
        loop = asyncio.get_running_loop()

        async def resolve(host: Any, port: Any, **_: Any) -> list[Any]:
            asked.append(str(host))
            address = str(host) if str(host) == PUBLIC else PUBLIC if asked.count(str(host)) == 1 else later
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        async def connect(_: Any, address: Any) -> None:
            tried.append(address[0])
            raise ConnectionRefusedError("nobody there")

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        monkeypatch.setattr(loop, "sock_connect", connect)
        async with serving(OK) as server:
            access = Access(frozenset({"rebind.test"}), https=True, delay=0.0, backoff=0.001, public=True)
            client = Fetcher(access, user_agent="facetopix/1")
            with pytest.raises((Rejection, Refused)):
                await client.page(Request(f"https://rebind.test:{server.port}/page"))
            return server.connections

    assert asyncio.run(run()) == 0
    assert set(tried) <= {PUBLIC}
    assert asked[0] == "rebind.test"
