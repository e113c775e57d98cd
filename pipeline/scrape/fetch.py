"""The one polite client: robots.txt, pace, retries, caps and refusals. The only module that knows httpx and tenacity.

What may improve by waiting is asked again; a 401 or 403 ends the crawl; everything else is told to the caller once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

import httpx
import tenacity

from pipeline.errors import Refused, Unreachable
from pipeline.scrape import answers, html, robots
from pipeline.scrape.answers import Again, Answer, Page
from pipeline.scrape.gallery import Rejected, Request
from pipeline.scrape.pace import Access, Lane

T = TypeVar("T")

ATTEMPTS = 4
MAX_BACKOFF = 60.0  # seconds
MAX_REDIRECTS = 5  # RFC 9309 asks for five
REQUEST_SECONDS = 120.0  # one request with its whole body
PAGE_BYTES = 8 * 2**20
IMAGE_BYTES = 16 * 2**20
TIMEOUT = httpx.Timeout(30.0, connect=15.0)


class Cookies:
    """The cookie jar of one listing."""

    def __init__(self, saved: list[list[str]] | None = None) -> None:
        self.jar = httpx.Cookies()
        for name, value, domain, path in saved or []:
            self.jar.set(name, value, domain, path)

    def dump(self) -> list[list[str]]:
        return [[cookie.name, cookie.value or "", cookie.domain, cookie.path] for cookie in self.jar.jar]

    def add_missing(self, request: Request) -> None:
        known = {cookie.name for cookie in self.jar.jar}
        for name, value in request.cookies:
            if name not in known:
                self.jar.set(name, value, httpx.URL(request.url).host, "/")


class Loopback(httpx.AsyncHTTPTransport):
    """Answers for given host names come from ports of this machine."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        super().__init__()
        self._ports = dict(ports)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        port = self._ports.get(request.url.host)
        if port is not None:
            url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
            request = httpx.Request(
                request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        return await super().handle_async_request(request)


class Fetcher:
    """Asks on behalf of one crawl. `now` serves to read HTTP dates only."""

    def __init__(
        self,
        access: Access,
        *,
        user_agent: str,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._access = access
        self._client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False)
        self._headers = {"User-Agent": user_agent, "Accept": "*/*"}
        self._sleep, self._monotonic, self._now = sleep, monotonic, now
        self._lanes: dict[str, Lane] = {}
        self._rules: dict[str, robots.Rules | Rejected] = {}
        self._robots_lock = asyncio.Lock()

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def page(self, request: Request, cookies: Cookies | None = None) -> Page:
        """A page as text.

        Raises:
            Rejected: not this page.
            Refused, Unreachable: no page of this site, for it answers 401 or 403, or asks to wait too long.
        """
        answer = await self._ask(lambda: self._page(request, cookies))
        text = html.decode(answer.body, answer.headers.get("content-type", ""))
        if robots.directives_opt_out(html.robots_meta(text)):
            raise Rejected("noai", f"meta robots at {answer.url}")
        return Page(answer.url, text)

    async def _page(self, request: Request, cookies: Cookies | None) -> Answer:
        headers = {**self._headers, "Accept-Encoding": "gzip, deflate"}
        built = _build(request.method, request.url, headers, dict(request.form) or None)
        if cookies is not None:
            cookies.add_missing(request)
        answer = await self._follow(built, PAGE_BYTES, cookies)
        answers.check(answer)
        return answer

    async def image(self, url: str, decode: Callable[[bytes], T]) -> tuple[bytes, T]:
        """The bytes at an address and what `decode` makes of them; what `decode` calls truncated is asked for again."""
        return await self._ask(lambda: self._image(url, decode))

    async def _image(self, url: str, decode: Callable[[bytes], T]) -> tuple[bytes, T]:
        request = _build("GET", url, {**self._headers, "Accept-Encoding": "identity"})
        answer = await self._follow(request, IMAGE_BYTES, None)
        answers.check(answer)
        try:
            return answer.body, decode(answer.body)
        except Rejected as error:
            raise (Again(error.reason, error.detail) if error.reason == "truncated" else error) from error

    async def rules(self, url: str) -> robots.Rules:
        """The robots.txt of an address's origin, asked for once.

        Raises:
            Rejected: network, the origin does not answer: nothing of it may be asked.
        """
        origin = _origin(httpx.URL(url))
        async with self._robots_lock:
            if origin not in self._rules:
                try:
                    self._rules[origin] = await self._fetch_rules(origin)
                except Rejected as error:
                    self._rules[origin] = error
        found = self._rules[origin]
        if isinstance(found, Rejected):
            raise found
        return found

    async def _fetch_rules(self, origin: str) -> robots.Rules:
        """2xx are rules, other 4xx mean that there are none, all else that nothing is allowed (RFC 9309 2.3.1)."""
        request = _build("GET", origin + "/robots.txt", {**self._headers, "Accept-Encoding": "gzip, deflate"})
        try:
            answer = await self._ask(lambda: self._follow(request, PAGE_BYTES, None, permit=self._check_host))
        except Rejected as error:
            if error.reason == "network":
                raise
            return robots.nothing()
        if answer.status >= 500:
            return robots.nothing()
        rules = robots.read(answer.body) if answer.status < 300 else robots.everything()
        await self._lane(httpx.URL(origin)).slow_down(rules.delay)
        return rules

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, and ask again what may improve, waiting longer each time and never less than the host wants."""
        backoff = tenacity.wait_exponential_jitter(
            multiplier=self._access.backoff, max=MAX_BACKOFF, jitter=self._access.backoff
        )

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(backoff(state), error.wait if isinstance(error, Again) else 0.0)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Again),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await ask()
        raise AssertionError("tenacity gave up without raising")

    async def _follow(
        self,
        request: httpx.Request,
        limit: int,
        cookies: Cookies | None,
        permit: Callable[[httpx.Request], Awaitable[httpx.Request]] | None = None,
    ) -> Answer:
        """One request through its redirects, each hop permitted anew."""
        for _ in range(MAX_REDIRECTS + 1):
            request = await (permit or self._permit)(request)
            if cookies is not None:
                cookies.jar.set_cookie_header(request)
            answer, location = await self._send(request, limit, cookies, opt_outs=permit is None)
            if location is None:
                return answer
            request = _redirected(request, answer.status, location)
        raise Rejected("server", f"more than {MAX_REDIRECTS} redirects, last to {request.url}")

    async def _check_host(self, request: httpx.Request) -> httpx.Request:
        url = request.url
        if url.scheme == "http" and self._access.https:
            url = url.copy_with(scheme="https")
        if url.scheme not in ("http", "https") or url.host not in self._access.hosts or url.userinfo:
            raise Rejected("off_host", f"{url} is not an address of {', '.join(sorted(self._access.hosts))}")
        return _build(request.method, str(url), request.headers, content=request.content)

    async def _permit(self, request: httpx.Request) -> httpx.Request:
        request = await self._check_host(request)
        rules = await self.rules(str(request.url))
        if not rules.allows(str(request.url)):
            why = "could not be had" if rules.closed else "disallows it"
            raise Rejected("robots", f"{request.url}: robots.txt {why}")
        if rules.opts_out(str(request.url)):
            raise Rejected("noai", f"{request.url}: robots.txt opts out of training")
        return request

    async def _send(
        self, request: httpx.Request, limit: int, cookies: Cookies | None, opt_outs: bool
    ) -> tuple[Answer, str | None]:
        turn = self._lane(request.url).turn(self._access.delay)
        async with turn as lane, _translated(request.url), asyncio.timeout(REQUEST_SECONDS):
            response = await self._client.send(request, stream=True)
            try:
                if cookies is not None:
                    cookies.jar.extract_cookies(response)
                self._judge(response, lane, opt_outs)
                async with _translated(request.url, cut="truncated"):
                    body = await answers.read(response.aiter_raw(), response.headers, limit)
            finally:
                await response.aclose()
        location = response.headers.get("location") if response.is_redirect else None
        return Answer(str(request.url), response.status_code, dict(response.headers), body), location

    def _judge(self, response: httpx.Response, lane: Lane, opt_outs: bool) -> None:
        """By status and headers, before the body is read. robots.txt itself is not judged by opt-outs and 403."""
        url = response.request.url
        if opt_outs and response.status_code in (401, 403):
            raise Refused(f"{url}: the site answers {response.status_code}; the crawl ends here")
        if opt_outs and robots.headers_opt_out(response.headers):
            raise Rejected("noai", f"response headers at {url}")
        if response.status_code in answers.RETRYABLE:
            wait = answers.retry_after(response.headers.get("retry-after", ""), self._now())
            if wait > answers.MAX_RETRY_AFTER:
                raise Unreachable(f"{url}: the host asks to wait {wait:.0f} s; come back later")
            lane.park(wait)
            raise Again("server", f"{url} answers {response.status_code}", wait)

    def _lane(self, url: httpx.URL) -> Lane:
        return self._lanes.setdefault(url.netloc.decode("ascii"), Lane(self._sleep, self._monotonic))


@asynccontextmanager
async def _translated(url: httpx.URL, cut: str = "network") -> AsyncIterator[None]:
    """The one seam where the client's errors become ours; `cut` is the reason for a broken-off answer."""
    try:
        yield
    except httpx.RemoteProtocolError as error:
        raise Again(cut, f"{url}: {error}") from error
    except (httpx.TimeoutException, httpx.NetworkError, TimeoutError) as error:
        raise Again("network", f"{url}: {error or type(error).__name__}") from error


def _build(
    method: str,
    url: str,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Request:
    try:
        return httpx.Request(method, url, headers=headers, data=form, content=content)
    except (httpx.InvalidURL, ValueError) as error:
        raise Rejected("off_host", f"{url!r} is no address: {error}") from error


def _redirected(request: httpx.Request, status: int, location: str) -> httpx.Request:
    """A POST stays a POST on 301, 307 and 308, so that a redirect to https keeps the form."""
    method = "GET" if status in (302, 303) else request.method
    headers = {name: value for name, value in request.headers.items() if name in KEPT_HEADERS}
    if method == "GET":
        headers.pop("content-type", None)
    content = request.content if method != "GET" else None
    return _build(method, html.resolve(str(request.url), location), headers, content=content)


KEPT_HEADERS = ("user-agent", "accept", "accept-encoding", "content-type")


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
