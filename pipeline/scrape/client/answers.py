"""What an answer is worth, without a client: its status, Retry-After, size and encoding."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from pipeline.scrape.sites.gallery import Rejection

T = TypeVar("T")

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
MISSING = frozenset({404, 410})
MAX_RETRY_AFTER = 900.0  # seconds; a host that wants more is left alone


class Retry(Rejection):
    """A rejection for now: another request, at least `wait` seconds later, may succeed; `cause` in a word or two."""

    def __init__(self, reason: str, detail: str, wait: float = 0.0, cause: str = "") -> None:
        super().__init__(reason, detail)
        self.wait, self.cause = wait, cause or reason


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with its body; header names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    opt_out: str | None = None  # the training opt-out that was met and overridden


@dataclass(frozen=True)
class Page:
    """The text of a page that may be used."""

    url: str  # final address
    text: str
    opt_out: str | None = None
    validators: Mapping[str, str] = field(default_factory=dict)  # headers of a conditional request for this page
    unchanged: bool = False  # 304: as it was when the validators were given; there is no text
    status: int = 200


@dataclass(frozen=True)
class FetchedImage(Generic[T]):
    """The bytes of an image that may be used."""

    data: bytes
    facts: T  # what the decoder made of the bytes
    opt_out: str | None = None


def validators(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with which a page can be asked for again on condition that it changed (RFC 9110 section 13.1)."""
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    return {condition: headers[name] for condition, name in pairs if headers.get(name)}


def check(answer: Answer) -> None:
    """Raises Rejection unless the answer is a success."""
    if answer.status in MISSING:
        raise Rejection("not_found", f"{answer.url} answers {answer.status}")
    if not 200 <= answer.status < 300:
        raise Rejection("server", f"{answer.url} answers {answer.status}")


def retry_after(value: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, as a number or as an HTTP date; 0 where it says nothing."""
    value = value.strip()
    if value.isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


async def read(chunks: AsyncIterator[bytes], headers: Mapping[str, str], limit: int) -> bytes:
    """The body of an answer, inflated; never more than `limit` bytes, before or after inflating.

    Raises:
        Rejection: too_large; server for an encoding that was not asked for.
        Retry: truncated, fewer bytes than the answer announced.
    """
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise Rejection("too_large", f"{announced} bytes announced, the limit is {limit}")
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise Rejection("too_large", f"more than {limit} bytes")
    if announced.isdecimal() and len(body) != int(announced):
        raise Retry("truncated", f"{len(body)} of {announced} bytes arrived")
    return _inflate(bytes(body), headers.get("content-encoding", "identity").strip().lower(), limit)


def _inflate(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "deflate"):
        raise Rejection("server", f"content encoding {encoding!r} was not asked for")
    inflater = zlib.decompressobj(wbits=47 if encoding == "gzip" else 15)
    try:
        text = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Retry("truncated", f"{encoding} body: {error}") from error
    if len(text) > limit:
        raise Rejection("too_large", f"more than {limit} bytes once inflated")
    if not inflater.eof:
        raise Retry("truncated", f"{encoding} body without its end")
    return text
