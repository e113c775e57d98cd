"""Bodies as careless servers send them, read as browsers read them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from pipeline.scrape.client import answers
from pipeline.scrape.client.answers import Answer, Retry
from pipeline.scrape.sites.gallery import Rejection

TEXT = b"User-agent: *\nDisallow: /x\n" * 9
GZIP, ZLIB = gzip.compress(TEXT), zlib.compress(TEXT)
NOW = datetime(2025, 3, 1, tzinfo=UTC)
LIMIT = 4096


def read(body: bytes, status: int = 200, **headers: str) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 50):
            yield body[start : start + 50]

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(answers.read(chunks(), status, named, LIMIT))


@pytest.mark.parametrize(
    "encoding",
    ["", "identity", "none", "UTF-8", "aws-chunked", "binary", "8bit", "text/html", "iso-8859-1", ", ,", "*"],
)
def test_encoding_that_is_none_leaves_the_body_alone(encoding: str) -> None:
    assert read(TEXT, content_encoding=encoding) == TEXT


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", GZIP),
        ("x-gzip", GZIP),
        (" GZip ", GZIP),
        ('"gzip"', GZIP),
        ("aws-chunked, gzip", GZIP),
        ("gzip, identity", GZIP),
        ("gzip,utf-8", GZIP),
        ("gzip, gzip", gzip.compress(GZIP)),
        ("deflate, x-gzip", gzip.compress(ZLIB)),
        ("gzip", gzip.compress(TEXT[:30]) + gzip.compress(TEXT[30:])),
        ("gzip", gzip.compress(b"") + gzip.compress(TEXT) + gzip.compress(b"")),
        ("gzip", GZIP + bytes(512)),
        ("gzip", GZIP + b"<!-- served by x -->"),
        ("gzip", ZLIB),
        ("deflate", ZLIB),
        ("deflate", ZLIB[2:-4]),
        ("deflate", zlib.compress(TEXT, 9)[2:-4]),
    ],
)
def test_encoded_body_is_decoded(encoding: str, body: bytes) -> None:
    assert read(body, content_encoding=encoding, content_length=str(len(body))) == TEXT


@pytest.mark.parametrize(
    ("encoding", "body", "reason", "again"),
    [
        ("gzip", GZIP[:-9], "truncated", True),
        ("gzip", GZIP + GZIP[:-9], "truncated", True),
        ("gzip", TEXT, "truncated", True),
        ("deflate", ZLIB[:-9], "truncated", True),
        ("deflate", ZLIB[2:-20], "truncated", True),
        ("br", TEXT, "server", False),
        ("zstd, gzip", GZIP, "server", False),
        ("gzip, gzip", GZIP, "server", False),
        ("gzip", gzip.compress(bytes(LIMIT + 1)), "too_large", False),
        ("gzip", gzip.compress(bytes(LIMIT // 2 + 1)) * 2, "too_large", False),
        ("deflate", zlib.compress(bytes(LIMIT + 1))[2:-4], "too_large", False),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(LIMIT + 1))), "too_large", False),
        ("gzip", gzip.compress(b"") * 600, "too_large", False),
    ],
)
def test_body_that_cannot_be_decoded_is_a_failure(encoding: str, body: bytes, reason: str, again: bool) -> None:
    with pytest.raises(Rejection) as caught:
        answers.decoded(body, encoding, LIMIT)
    assert (caught.value.reason, isinstance(caught.value, Retry)) == (reason, again)


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (b"", 304, {"content_length": "5120", "content_encoding": "gzip"}),
        (b"", 204, {"content_length": "7"}),
        (b"", 301, {"content_length": "0", "content_encoding": "gzip"}),
        (b"moved", 302, {"content_encoding": "gzip"}),
        (b"gone", 404, {"content_encoding": "br"}),
        (b"whole", 200, {"content_length": "99999999", "transfer_encoding": "chunked"}),
        (b"", 200, {"content_encoding": "gzip", "content_length": "0"}),
    ],
)
def test_length_and_encoding_count_only_where_there_is_a_body(
    body: bytes, status: int, headers: dict[str, str]
) -> None:
    assert read(body, status, **headers) == body


def test_part_that_nobody_asked_for_is_a_failure_for_now() -> None:
    with pytest.raises(Retry, match="206"):
        answers.check(Answer("https://site.test/a.png", 206, {}, b"half"))


@pytest.mark.parametrize(
    ("value", "kept"), [('W/"a-1"', True), ("caf\u00e9", False), ("a\x00b", False), ("x" * 501, False), (" ", False)]
)
def test_condition_is_what_a_request_can_carry(value: str, kept: bool) -> None:
    assert answers.validators({"etag": value}) == ({"If-None-Match": value} if kept else {})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), ("1.5", 1.5), ("120, 300", 300), ("7 seconds", 7), ("Sat, 01 Mar 2025 00:02:00 GMT", 120),
        ("Sat, 01 Mar 2025 00:02:00", 120), ("Fri, 28 Feb 2025 00:00:00 GMT", 0), ("9" * 400, answers.FOREVER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", answers.FOREVER), ("Fri, 31 Dec 99999999999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 1 23:59:59 +9999", 0), ("Sat, 01 Mar 2025 00:02:00 +9999999999", 0), ("\u0661\u0662", 12),
        ("-1", 0), ("soon", 0), ("", 0), ("nan", 0), ("1e9", 0), (",", 0), ("0x10", 0), ("Sat, 01 Foo 2025", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_whatever_stands_there(value: str, seconds: float) -> None:
    assert answers.retry_after(value, NOW) == seconds
