"""The one polite client: robots.txt, pace, retries, caps and refusals.

What may improve by waiting is asked again; a challenge, a login and a page's 401 or 403 end the crawl; every other
failure is raised at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import httpx
import tenacity

from pipeline.errors import Refused, Unreachable
from pipeline.scrape.client import answers, challenge, optouts, robots
from pipeline.scrape.client.answers import Answer, FetchedImage, Page, Retry
from pipeline.scrape.client.challenge import Blocked
from pipeline.scrape.client.connect import Transport
from pipeline.scrape.client.cookies import Cookies
from pipeline.scrape.client.host_file import HostFile
from pipeline.scrape.client.pace import Access, Clock, HostThrottle, TurnedAway
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
KEPT_HEADERS = ("user-agent", "accept", "accept-encoding", "content-type", "if-none-match", "if-modified-since")


class LoopbackTransport(Transport):
    """Sends requests for certain host names to ports of this machine."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        super().__init__(ports=ports)


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
        self._transport = transport or Transport(public=access.public)
        self._access, self._clock, self._now = access, clock or Clock(), now
        self._headers = {"User-Agent": user_agent, "Accept": "*/*"}
        self._throttles: dict[str, HostThrottle] = {}
        self._last: HostThrottle | None = None  # of the last request that was no question for leave
        self._robots = robots.OriginCache(self._fetch_robots, self._clock.monotonic)
        self._reservations = robots.OriginCache(self._fetch_reservations, self._clock.monotonic)

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._transport.aclose()
        if self._last is not None and (error is None or isinstance(error, TurnedAway)):
            self._last.end(error)

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
        meta = optouts.metas_opt_out(html.metas(text))
        opt_out = self._check_opt_out(meta, answer.url) if meta else answer.opt_out
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
            return FetchedImage(answer.body, await asyncio.to_thread(decode, answer.body), answer.opt_out)
        except Rejection as error:
            if error.reason == "not_an_image":
                challenge.check_image(url, answer.status, html.decode(answer.body[: challenge.READ]))
            raise (Retry(error.reason, error.detail) if error.reason == "truncated" else error) from error

    async def rules(self, url: str) -> robots.Rules:
        """The robots.txt of an address's origin.

        Raises:
            Rejection: network, the origin does not answer: nothing of it may be asked.
        """
        address = httpx.URL(url)
        rules = await self._robots.of(_origin(address))
        if rules.delay > MAX_CRAWL_DELAY:
            raise Refused(f"{address.host}: robots.txt asks for {rules.delay:.0f} s between two requests")
        await self._throttle(address).slow_down(rules.delay)
        return rules

    async def _fetch_robots(self, origin: str) -> robots.Rules:
        url = origin + "/robots.txt"
        try:
            answer = await self._ask_site_file(url)
        except Rejection as error:
            error.passing = True
            if error.reason == "network":
                raise
            return robots.allow_none()
        challenge.check_robots(url, answer.url, answer.status, answer.headers, answer.body)
        return robots.of_answer(answer.status, answer.body)

    async def _fetch_reservations(self, origin: str) -> optouts.Patterns:
        """The TDM reservations of an origin; one that gives no such file reserves nothing."""
        url = origin + optouts.RESERVATIONS_PATH
        if not (await self.rules(url)).allows(url):
            return optouts.Patterns(())
        try:
            answer = await self._ask_site_file(url)
        except Rejection as error:
            logger.info("no TDM reservations: %s", error)
            return optouts.Patterns(())
        return optouts.reservations(answer.body if answer.status == 200 else b"[]", url)

    async def _ask_site_file(self, url: str) -> Answer:
        request = _build("GET", url, {**self._headers, "Accept-Encoding": "gzip, deflate"})
        return await self._ask(self._follow, request, PAGE_BYTES, None, of_robots=True)

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
                self._last = self._last if of_robots else throttle
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
        if rules.opts_out(url):
            return self._check_opt_out("robots.txt opts out of training", url)
        reserved = (await self._reservations.of(_origin(httpx.URL(url)))).refuse(url)
        return self._check_opt_out(f"{optouts.RESERVATIONS_PATH} reserves it", url) if reserved else None

    async def _exchange(
        self, request: httpx.Request, throttle: HostThrottle, limit: int, cookies: Cookies | None, of_robots: bool
    ) -> Answer:
        began = time.monotonic()
        async with asyncio.timeout(self._access.timeout):
            response = await self._transport.handle_async_request(request)
            response.request = request
            try:
                if cookies is not None:
                    cookies.take(response)
                opt_out = None if of_robots else self._check_headers(response)
                if is_error := response.status_code >= 400 and not of_robots:
                    await _check_error(response)
                self._retry_later(response, throttle)
                with _translate_errors(request.url, throttle, cut="truncated"):
                    raw, status = response.aiter_raw(), response.status_code
                    body = b"" if is_error else await answers.read(raw, status, response.headers, limit)
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
        opt_out = optouts.headers_opt_out(response.headers)
        return self._check_opt_out(opt_out, str(url)) if opt_out else None

    def _retry_later(self, response: httpx.Response, throttle: HostThrottle) -> None:
        if not answers.may_pass(response.status_code):
            return
        status, url = response.status_code, response.request.url
        wait = answers.retry_after(response.headers.get("retry-after", ""), self._now())
        if wait > answers.MAX_RETRY_AFTER:
            throttle.close(wait, f"{status}")
            raise Unreachable(f"{url}: the host asks to wait {wait:.0f} s; come back later")
        throttle.park(wait, f"{status}")
        throttle.struggle()
        raise Retry("server", f"{url} answers {status}", wait, cause=f"{status}")

    def _throttle(self, url: httpx.URL) -> HostThrottle:
        host = url.netloc.decode("ascii")
        if host not in self._throttles:
            memory = self._access.memory
            file = HostFile(memory, host, lambda: self._now().timestamp()) if memory else None
            self._throttles[host] = HostThrottle(self._clock, adaptive=self._access.delay > 0, file=file)
        return self._throttles[host]


@contextmanager
def _translate_errors(url: httpx.URL, throttle: HostThrottle, cut: str = "network") -> Iterator[None]:
    """Turn the client's errors into ours; `cut` is the reason for a broken-off answer."""
    try:
        yield
    except (httpx.TransportError, TimeoutError) as error:
        throttle.struggle()
        reason = cut if isinstance(error, httpx.RemoteProtocolError) else "network"
        raise Retry(reason, f"{url}: {str(error) or type(error).__name__}") from error


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


async def _check_error(response: httpx.Response) -> None:
    """Raises Blocked for an error that refuses, or whose page is a challenge; what cannot be read says nothing."""
    try:
        body = await answers.read(response.aiter_raw(), response.status_code, response.headers, PAGE_BYTES)
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
