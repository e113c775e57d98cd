"""What an answer is worth, without a client: its status, Retry-After, size and encoding."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from pipeline.scrape.sites.gallery import Rejection

T = TypeVar("T")

PASSING = frozenset({408, 425, 429})  # and every 5xx: another request may succeed
BODILESS = frozenset({204, 304})
MISSING = frozenset({404, 410})
FOREVER = 366 * 24 * 3600.0  # seconds; a wait beyond it is cut to it
MAX_RETRY_AFTER = 900.0  # seconds; a host that wants more is left alone
SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:s|secs?|seconds?)?", re.IGNORECASE)
GZIP, DEFLATE = frozenset({"gzip", "x-gzip"}), frozenset({"deflate", "x-deflate"})
FOREIGN = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip"})  # not asked for
GZIP_MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 500  # of a gzip body; each costs a copy of what follows


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
    """The headers with which a page can be asked for again on condition that it changed (RFC 9110 section 13.1).

    A value that no request may carry, or that a server would find too long, is no condition.
    """
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    values = {condition: headers.get(name, "").strip() for condition, name in pairs}
    return {condition: value for condition, value in values.items() if re.fullmatch(r"[ -~]{1,500}", value)}


def may_pass(status: int) -> bool:
    """Whether an answer of this status is a failure for now."""
    return status in PASSING or status >= 500


def check(answer: Answer) -> None:
    """Raises Rejection unless the answer is a success; a part (206), which nobody asked for, is none."""
    if answer.status in MISSING:
        raise Rejection("not_found", f"{answer.url} answers {answer.status}")
    if answer.status == 206:
        raise Retry("server", f"{answer.url} answers 206, a part, though the whole was asked for")
    if not 200 <= answer.status < 300:
        raise Rejection("server", f"{answer.url} answers {answer.status}")


def retry_after(value: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, as a number or as an HTTP date; 0 where it says nothing."""
    numbers = [SECONDS.fullmatch(part.strip()) for part in value.split(",")]
    seconds = [float(match[1]) for match in numbers if match]
    if len(seconds) == len(numbers):
        return min(max(seconds), FOREVER)
    try:
        date = parsedate_to_datetime(value.strip())
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return min(max(0.0, (date - now).total_seconds()), FOREVER)
    except (ValueError, OverflowError, TypeError, IndexError):  # of years, days and zones that no calendar has
        return 0.0


async def read(chunks: AsyncIterator[bytes], status: int, headers: Mapping[str, str], limit: int) -> bytes:
    """The body of an answer, inflated; never more than `limit` bytes, before or after inflating.

    Raises:
        Rejection: too_large; server for an encoding that was not asked for.
        Retry: truncated, fewer bytes than the answer announced.
    """
    framed = "transfer-encoding" not in headers and status not in BODILESS  # by a Content-Length
    announced = headers.get("content-length", "") if framed else ""
    expected = int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
    if expected is not None and expected > limit:
        raise Rejection("too_large", f"{announced} bytes announced, the limit is {limit}")
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise Rejection("too_large", f"more than {limit} bytes")
    if expected is not None and len(body) != expected:
        raise Retry("truncated", f"{len(body)} of {announced} bytes arrived")
    encoding = headers.get("content-encoding", "") if body and 200 <= status < 300 else ""
    return decoded(bytes(body), encoding, limit)


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """A body without its content encodings, the last of which was applied last.

    Names that are no encoding (`none`, `UTF-8`, `aws-chunked`) say nothing of the bytes, as for browsers.

    Raises:
        Rejection: too_large; server for an encoding that was not asked for, or one that does not apply.
        Retry: truncated.
    """
    names = [name for part in encoding.lower().split(",") if (name := part.strip("\t \"'"))]
    if foreign := [name for name in names if name in FOREIGN]:
        raise Rejection("server", f"content encoding {foreign[0]!r} was not asked for")
    applied = [name for name in names if name in GZIP | DEFLATE]
    for name in reversed(applied):
        try:
            body = _gunzipped(body, limit) if name in GZIP else _deflated(body, limit)
        except (zlib.error, EOFError) as error:
            if len(applied) > 1:
                raise Rejection("server", f"content encoding {encoding!r} is not that of the body: {error}") from error
            raise Retry("truncated", f"{name} body: {error}") from error
        if len(body) > limit:
            raise Rejection("too_large", f"more than {limit} bytes once inflated")
    return body


def _gunzipped(body: bytes, limit: int) -> bytes:
    """The members of a gzip file, one after the other; what follows the last and is none is passed over."""
    text, rest = bytearray(), body
    for _ in range(MAX_MEMBERS):
        inflater = zlib.decompressobj(wbits=47)  # takes zlib data under this name too
        text += inflater.decompress(rest, limit + 1 - len(text))
        if len(text) > limit:
            return bytes(text)
        if not inflater.eof:
            raise EOFError("without its end")
        rest = inflater.unused_data
        if not rest.startswith(GZIP_MAGIC):
            return bytes(text)
    raise Rejection("too_large", f"more than {MAX_MEMBERS} gzip members")


def _deflated(body: bytes, limit: int) -> bytes:
    """The text of deflate data with the zlib header that the standard asks for, or without, as some servers send it."""
    has_header = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
    try:
        return _inflated(body, limit, 15 if has_header else -15)
    except zlib.error:
        return _inflated(body, limit, -15 if has_header else 15)


def _inflated(body: bytes, limit: int, wbits: int) -> bytes:
    inflater = zlib.decompressobj(wbits)
    text = inflater.decompress(body, limit + 1)
    if not inflater.eof and len(text) <= limit:
        raise EOFError("without its end")
    return text
