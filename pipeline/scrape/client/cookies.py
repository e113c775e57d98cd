"""The cookies of one listing, as many and as large as a site needs."""

from __future__ import annotations

from http.cookiejar import Cookie, http2time  # type: ignore[attr-defined]

import httpx

from pipeline.scrape.sites.gallery import Request

MAX_COOKIES = 50  # browsers keep as many of a site
MAX_COOKIE = 4096  # bytes of name and value; browsers take no larger one
MAX_ALL = 8192  # bytes of all together: many servers refuse longer headers


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

    def take(self, response: httpx.Response) -> None:
        """Set what an answer sets, but nothing oversized; where there are too many, those go that were set first."""
        before = {id(cookie): cookie for cookie in self.jar.jar}
        lines = [("set-cookie", _readable(line)) for line in response.headers.get_list("set-cookie")]
        headers = httpx.Headers(lines, encoding="utf-8")
        self.jar.extract_cookies(httpx.Response(response.status_code, headers=headers, request=response.request))
        oldest_first = sorted(self.jar.jar, key=lambda cookie: id(cookie) not in before)
        total = 0
        for number, cookie in enumerate(reversed(oldest_first)):
            total += _size(cookie)
            if number >= MAX_COOKIES or _size(cookie) > MAX_COOKIE or total > MAX_ALL:
                self.jar.jar.clear(cookie.domain, cookie.path, cookie.name)
                total -= _size(cookie)


def _readable(line: str) -> str:
    """A Set-Cookie without dates that are none, over which `http.cookiejar` would lose every cookie of the answer."""
    return ";".join(part for part in line.split(";") if not _bad_date(part))


def _bad_date(part: str) -> bool:
    name, _, value = part.partition("=")
    if name.strip().lower() != "expires":
        return False
    try:
        return http2time(value.strip(" \"'")) is None
    except (ValueError, OverflowError):
        return True


def _size(cookie: Cookie) -> int:
    return len(f"{cookie.name}={cookie.value or ''}".encode("utf-8", "surrogateescape"))
