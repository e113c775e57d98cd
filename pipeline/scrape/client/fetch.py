"""The one polite client: robots.txt, pace, retries, caps and refusals. The only module that knows httpx and tenacity.

What may improve by waiting is asked again; a challenge, a login and a page's 401 or 403 end the crawl; every other
failure is raised at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import httpx
import tenacity

from pipeline.errors import Refused, Unreachable
from pipeline.scrape.client import answers, challenge, robots
from pipeline.scrape.client.answers import Answer, FetchedImage, Page, Retry
from pipeline.scrape.client.challenge import Blocked
from pipeline.scrape.client.pace import Access, Clock, HostThrottle
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import Rejection, Request, printable

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

ATTEMPTS = 4
MAX_BACKOFF = 60.0  # seconds
MAX_REDIRECTS = 5  # RFC 9309 asks for five
PAGE_BYTES = 16 * 2**20
IMAGE_BYTES = 16 * 2**20
MAX_DEPTH = 20_000  # tags inside one another, which take quadratic time; side by side there may be any number
MAX_CRAWL_DELAY = 900.0  # seconds; at more a crawl would not end
EXTENSIONS = {"timeout": httpx.Timeout(30.0, connect=15.0).as_dict()}
HAS_ROBOTS_META = re.compile(r"<meta[^>]{0,300}(?:robots|facetopix)", re.IGNORECASE)
KEPT_HEADERS = ("user-agent", "accept", "accept-encoding", "content-type", "if-none-match", "if-modified-since")


class Cookies:
    """The cookie jar of one listing, which can be saved and loaded."""

    def __init__(self, saved: list[list[str]] | None = None) -> None:
        self.jar = httpx.Cookies()
        for name, value, domain, path in saved or []:
            self.jar.set(name, value, domain, path)

    def dump(self) -> list[list[str]]:
        """The cookies as JSON can hold them."""
        return [[cookie.name, cookie.value or "", cookie.domain, cookie.path] for cookie in self.jar.jar]

    def add_missing(self, request: Request) -> None:
        """Set a request's own cookies where the site has set none of that name."""
        names = {cookie.name for cookie in self.jar.jar}
        for name, value in request.cookies:
            if name not in names:
                self.jar.set(name, value, httpx.URL(request.url).host, "/")


class LoopbackTransport(httpx.AsyncHTTPTransport):
    """Sends requests for certain host names to ports of this machine."""

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


class PublicTransport(httpx.AsyncHTTPTransport):
    """Refuses host names that lead into a private network, or back to this machine."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
            addresses = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise httpx.ConnectError(f"{url.host}: {error.strerror}") from error
        for *_, address in addresses:
            _require_public(url.host, str(address[0]))
        response = await super().handle_async_request(request)
        peer = response.extensions["network_stream"].get_extra_info("server_addr")
        if peer:
            _require_public(url.host, str(peer[0]))  # the name may lead elsewhere by now
        return response


def _require_public(host: str, address: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise Refused(f"{host} leads to {address}, which is no public address: nothing is asked there")


class Fetcher:
    """The HTTP client of one crawl. `now` serves to read HTTP dates only."""

    def __init__(
        self,
        access: Access,
        *,
        user_agent: str,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport or (
            PublicTransport() if access.public else httpx.AsyncHTTPTransport(trust_env=False)
        )
        self._access, self._clock, self._now = access, clock or Clock(), now
        self._headers = {"User-Agent": user_agent, "Accept": "*/*"}
        self._throttles: dict[str, HostThrottle] = {}
        self._robots_cache = robots.RobotsCache(self._fetch_robots, self._clock.monotonic)

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.aclose()

    async def page(
        self, request: Request, cookies: Cookies | None = None, validators: Mapping[str, str] | None = None
    ) -> Page:
        """A page as text; with the `validators` of an earlier answer it may come back as unchanged, without text.

        Raises:
            Rejection: not this page.
            Refused, Unreachable: no page of this site, for it answers 401, 403 or a challenge, or asks to wait too
                long.
        """
        answer = await self._ask(self._page, request, cookies, validators or {})
        if answer.status == 304:
            return Page(answer.url, "", answer.opt_out, validators or {}, unchanged=True)
        text = html.decode(answer.body, answer.headers.get("content-type", ""))
        if (depth := html.depth(text)) > MAX_DEPTH:
            raise Rejection("too_large", f"{depth} tags inside one another at {answer.url}, the limit is {MAX_DEPTH}")
        metas = html.robots_meta(text) if HAS_ROBOTS_META.search(text) else []
        directive = robots.directives_opt_out(metas)
        opt_out = self._check_opt_out(f"meta robots: {directive}", answer.url) if directive else answer.opt_out
        return Page(answer.url, text, opt_out, answers.validators(answer.headers), status=answer.status)

    async def _page(self, request: Request, cookies: Cookies | None, validators: Mapping[str, str]) -> Answer:
        headers = {**self._headers, "Accept-Encoding": "gzip, deflate", **validators}
        built = _build(request.method, request.url, headers, form=dict(request.form) or None)
        if cookies is not None:
            cookies.add_missing(request)
        answer = await self._follow(built, PAGE_BYTES, cookies)
        if not (answer.status == 304 and validators):
            answers.check(answer)
        return answer

    async def image(self, url: str, decode: Callable[[bytes], T]) -> FetchedImage[T]:
        """The bytes at an address and what `decode` makes of them; what `decode` calls truncated is asked for again."""
        return await self._ask(self._image, url, decode)

    async def _image(self, url: str, decode: Callable[[bytes], T]) -> FetchedImage[T]:
        request = _build("GET", url, {**self._headers, "Accept-Encoding": "identity"})
        try:
            answer = await self._follow(request, IMAGE_BYTES, None)
        except Blocked as error:
            if error.status is None:
                raise
            raise Rejection("forbidden", f"{url} answers {error.status}") from error
        answers.check(answer)
        try:
            return FetchedImage(answer.body, decode(answer.body), answer.opt_out)
        except Rejection as error:
            if error.reason == "not_an_image":
                challenge.check_image(url, answer.status, html.decode(answer.body[: challenge.READ]))
            raise (Retry(error.reason, error.detail) if error.reason == "truncated" else error) from error

    async def rules(self, url: str) -> robots.Rules:
        """The robots.txt of an address's origin; see `robots.RobotsCache.rules`."""
        address = httpx.URL(url)
        rules = await self._robots_cache.rules(f"{address.scheme}://{address.netloc.decode('ascii')}")
        if rules.delay > MAX_CRAWL_DELAY:
            raise Refused(f"{address.host}: robots.txt asks for {rules.delay:.0f} s between two requests")
        await self._throttle(address).slow_down(rules.delay)
        return rules

    async def _fetch_robots(self, origin: str) -> tuple[int, bytes]:
        request = _build("GET", origin + "/robots.txt", {**self._headers, "Accept-Encoding": "gzip, deflate"})
        answer = await self._ask(self._follow, request, PAGE_BYTES, None, of_robots=True)
        return answer.status, answer.body

    def _check_opt_out(self, opt_out: str, url: str) -> str:
        """Raises Rejection, unless the user overrides training opt-outs: then it is logged and returned."""
        opt_out = printable(opt_out)
        if not self._access.ignore_opt_outs:
            raise Rejection("noai", f"{opt_out} at {url}")
        logger.warning("training opt-out overridden at the user's word: %s at %s", opt_out, url)
        return opt_out

    async def _ask(self, send: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        """Send a request, and again what may improve, waiting longer each time and never less than the host wants."""
        backoff = tenacity.wait_exponential_jitter(
            multiplier=self._access.backoff, max=MAX_BACKOFF, jitter=self._access.backoff
        )
        cause = ""

        def wait(state: tenacity.RetryCallState) -> float:
            nonlocal cause
            error = state.outcome.exception() if state.outcome else None
            cause, seconds = (error.cause, error.wait) if isinstance(error, Retry) else ("", 0.0)
            return max(backoff(state), seconds)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Retry),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=wait,
            sleep=lambda seconds: self._clock.wait(seconds, cause),
            reraise=True,
        )
        answer: T = await retrying(send, *args, **options)
        return answer

    async def _follow(
        self, request: httpx.Request, limit: int, cookies: Cookies | None, *, of_robots: bool = False
    ) -> Answer:
        """Send a request and follow its redirects; each hop is checked against hosts, robots.txt and opt-outs."""
        opt_out = None
        for _ in range(MAX_REDIRECTS + 1):
            request = self._check_host(request)
            if not of_robots:
                opt_out = await self._check_rules(str(request.url)) or opt_out
            if cookies is not None:
                cookies.jar.set_cookie_header(request)
            throttle = self._throttle(request.url)
            async with throttle.turn(self._access.delay):
                with _translate_errors(request.url, throttle):
                    answer = await self._exchange(request, throttle, limit, cookies, of_robots)
            if not (httpx.codes.is_redirect(answer.status) and "location" in answer.headers):
                return replace(answer, opt_out=answer.opt_out or opt_out)
            redirected = _redirected(request, answer.status, answer.headers["location"])
            if not of_robots:
                challenge.check_redirect(str(request.url), str(redirected.url))
            request = redirected
        raise Rejection("server", f"more than {MAX_REDIRECTS} redirects, last to {request.url}")

    def _check_host(self, request: httpx.Request) -> httpx.Request:
        url = request.url
        if url.scheme == "http" and self._access.https:
            url = url.copy_with(scheme="https")
        if url.scheme not in ("http", "https") or url.host not in self._access.hosts or url.userinfo:
            raise Rejection("off_host", f"{url} is not an address of {', '.join(sorted(self._access.hosts))}")
        return request if url == request.url else _build(request.method, str(url), request.headers, request.content)

    async def _check_rules(self, url: str) -> str | None:
        rules = await self.rules(url)
        if not rules.allows(url):
            problem = "could not be had" if rules.closed else "disallows it"
            raise Rejection("robots", f"{url}: robots.txt {problem}", passing=rules.closed)
        return self._check_opt_out("robots.txt opts out of training", url) if rules.opts_out(url) else None

    async def _exchange(
        self, request: httpx.Request, throttle: HostThrottle, limit: int, cookies: Cookies | None, of_robots: bool
    ) -> Answer:
        began = time.monotonic()
        async with asyncio.timeout(self._access.timeout):
            response = await self._transport.handle_async_request(request)
            response.request = request
            try:
                if cookies is not None:
                    cookies.jar.extract_cookies(response)
                opt_out = None if of_robots else self._check_headers(response)
                if is_error := response.status_code >= 400 and not of_robots:
                    await _check_error(response)
                self._retry_later(response, throttle)
                with _translate_errors(request.url, throttle, cut="truncated"):
                    body = b"" if is_error else await answers.read(response.aiter_raw(), response.headers, limit)
            finally:
                await response.aclose()
        throttle.observe(time.monotonic() - began)
        return Answer(str(request.url), response.status_code, dict(response.headers), body, opt_out)

    def _check_headers(self, response: httpx.Response) -> str | None:
        """Raises on a refusal or an opt-out before the body is read; returns an opt-out that is overridden.

        robots.txt itself is exempt.
        """
        url = response.request.url
        challenge.check_headers(str(url), response.headers)
        if response.status_code in challenge.REFUSALS:
            return None
        opt_out = robots.headers_opt_out(response.headers)
        return self._check_opt_out(opt_out, str(url)) if opt_out else None

    def _retry_later(self, response: httpx.Response, throttle: HostThrottle) -> None:
        if response.status_code not in answers.RETRYABLE:
            return
        status, url = response.status_code, response.request.url
        wait = answers.retry_after(response.headers.get("retry-after", ""), self._now())
        if wait > answers.MAX_RETRY_AFTER:
            raise Unreachable(f"{url}: the host asks to wait {wait:.0f} s; come back later")
        throttle.park(wait, f"{status}")
        throttle.struggle()
        raise Retry("server", f"{url} answers {status}", wait, cause=f"{status}")

    def _throttle(self, url: httpx.URL) -> HostThrottle:
        throttle = HostThrottle(self._clock, adaptive=self._access.delay > 0)
        return self._throttles.setdefault(url.netloc.decode("ascii"), throttle)


@contextmanager
def _translate_errors(url: httpx.URL, throttle: HostThrottle, cut: str = "network") -> Iterator[None]:
    """Turn the client's errors into ours; `cut` is the reason for a broken-off answer."""
    try:
        yield
    except (httpx.RemoteProtocolError, httpx.TimeoutException, httpx.NetworkError, TimeoutError) as error:
        throttle.struggle()
        reason = cut if isinstance(error, httpx.RemoteProtocolError) else "network"
        raise Retry(reason, f"{url}: {str(error) or type(error).__name__}") from error


async def _check_error(response: httpx.Response) -> None:
    """Raises Blocked for an error that refuses, or whose page is a challenge; what cannot be read says nothing."""
    try:
        body = await answers.read(response.aiter_raw(), response.headers, PAGE_BYTES)
    except (Rejection, httpx.HTTPError):
        body = b""
    url, text = str(response.request.url), html.decode(body[: challenge.READ])
    challenge.check_error(url, response.status_code, text)


def _build(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None = None,
    form: Mapping[str, str] | None = None,
) -> httpx.Request:
    try:
        return httpx.Request(method, url, headers=headers, data=form, content=content, extensions=EXTENSIONS)
    except (httpx.InvalidURL, ValueError) as error:
        raise Rejection("off_host", f"{url!r} is no address: {error}") from error


def _redirected(request: httpx.Request, status: int, location: str) -> httpx.Request:
    """A POST stays a POST on 301, 307 and 308, so that a redirect to https keeps the form."""
    method = "GET" if status in (302, 303) else request.method
    headers = {name: value for name, value in request.headers.items() if name in KEPT_HEADERS}
    if method == "GET":
        headers.pop("content-type", None)
    content = request.content if method != "GET" else None
    return _build(method, html.resolve(str(request.url), location), headers, content)
