"""Damaged pictures and answers, made from sound ones by a seeded generator: nothing but a Rejection comes of them.

python tests/scrape/test_fuzz.py SECONDS [SEED]     the same for longer
"""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import numpy as np
from PIL import Image

from pipeline.sample.galleries import encodings
from pipeline.scrape import dates, sniff
from pipeline.scrape.client import answers, optouts, robots
from pipeline.scrape.client.connect import clean_head
from pipeline.scrape.client.cookies import Cookies
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import Rejection

NOW = datetime(2025, 3, 1, tzinfo=UTC)
LIMIT = 2**20
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html; charset=shift_jis\r\nContent-Encoding: @\r\n"
    b"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nSet-Cookie: v=ob=date&pg=1; path=/; expires=Wed, 21 Oct 2026 "
    b'07:28:00 GMT\r\nX-Robots-Tag: noai\r\nETag: "a"\r\nContent-Usage: /a*$ train-ai=n\r\n'
    b"Transfer-Encoding: chunked\r\n\r\n"
)
PAGE = (
    b"<html><head><meta charset=utf-16><meta name=robots content='index, no&#97;i'></head><p>caf\xe9 3 days ago "
    b'20. M\xc3\xa4rz 2024<script>{"a": 1}</script></html>'
)
DEFLATED = zlib.compress(PAGE)
BODIES = [  # Content-Encoding, body
    (b"UTF-8", PAGE), (b"gzip", gzip.compress(PAGE)), (b"x-gzip", gzip.compress(PAGE) * 2), (b"deflate", DEFLATED),
    (b"deflate", DEFLATED[2:-4]), (b"deflate, gzip", gzip.compress(DEFLATED)),
]  # fmt: skip
ROBOTS = b"User-agent: facetopix/0.1\nDisallow: /*.png$\nCrawl-delay: 2\nContent-Usage: /a train-ai=n\n" * 3
TDM = b'[{"location": "/a/*.png$", "tdm-reservation": 1}, {"location": null, "tdm-reservation": "0"}]'
SPLICES = (
    b"\x00",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"%s" * 9,
    b"9" * 400,
    b"\r\n",
    b",",
    b"\x3b",
)


def pictures() -> list[bytes]:
    """A small one of every format and manner of writing it."""
    pixels = np.random.default_rng(5).integers(0, 2, (9, 7, 4), np.uint8) * 255
    frames = [pixels, pixels[::-1], np.roll(pixels, 3, axis=1)]
    files = [encodings.encode([pixels], kind) for kind in ("png", "png-palette", "gif", "webp", "jpg")]
    files += [encodings.encode(frames, kind) for kind in ("gif", "webp")]
    ways: list[tuple[str, str, dict[str, object]]] = [
        ("BMP", "RGB", {}), ("BMP", "P", {}), ("PNG", "1", {}), ("PNG", "I;16", {}), ("PNG", "LA", {}),
        ("JPEG", "L", {"progressive": True}), ("JPEG", "CMYK", {}), ("WEBP", "RGBA", {"lossless": True}),
        ("PNG", "P", {"transparency": 3}), ("GIF", "P", {"interlace": 1}),
    ]  # fmt: skip
    for form, mode, options in ways:
        file = io.BytesIO()
        image = Image.fromarray(pixels)
        image = Image.new("I;16", (9, 7), 999) if mode == "I;16" else image.convert("RGB").convert(mode)
        image.save(file, form, **options)
        files.append(file.getvalue())
    file = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(file, "PNG", save_all=True, append_images=others)
    return [*files, file.getvalue()]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut, doubled, put in or put elsewhere, one to eight times; chunk checksums of PNG made right."""
    text = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at, size = rng.randrange(len(text) + 1), rng.choice((1, 1, 2, 4, 16))
        match rng.randrange(6):
            case 0:
                text[at : at + size] = rng.randbytes(len(text[at : at + size]))
            case 1:
                del text[at : at + size]
            case 2:
                text[at:at] = rng.choice(SPLICES)
            case 3:
                text[at : at + size] = rng.choice(SPLICES)[:size]
            case 4:
                text[at:at] = text[rng.randrange(len(text) + 1) :][: rng.randrange(64)]
            case _:
                if at < len(text):
                    text[at] ^= 1 << rng.randrange(8)
    if text.startswith(b"\x89PNG") and rng.random() < 0.8:
        return with_checksums(bytes(text))
    return bytes(text)


def with_checksums(png: bytes) -> bytes:
    """The same chunks, so that a decoder looks into them."""
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        size = min(int.from_bytes(png[at : at + 4]), len(png) - at - 12)
        chunk = png[at + 4 : at + 8 + size]
        out += size.to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
        at += 12 + size
    return bytes(out)


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


def read_answer(head: bytes, body: bytes) -> None:
    """All that becomes of an answer, from its head to the text of a page."""
    lines = [line.partition(b":") for line in clean_head(head).split(b"\r\n")[1:] if line]
    response = httpx.Response(200, headers=[(name, value.strip()) for name, _, value in lines])
    response.request = httpx.Request("GET", "https://site.test/a")
    Cookies().take(response)
    headers = dict(response.headers)
    answers.retry_after(headers.get("retry-after", ""), NOW)
    optouts.headers_opt_out(headers)
    httpx.Request("GET", "https://site.test/a", headers=answers.validators(headers))
    body = asyncio.run(answers.read(chunks(body), 200, {**headers, "content-length": str(len(body))}, LIMIT))
    text = html.decode(body, headers.get("content-type", ""))
    optouts.metas_opt_out(html.metas(text))
    dates.read(text[-80:], NOW)


def trials(rng: random.Random, files: list[bytes]) -> Counter[str]:
    """One damaged picture, one answer, one robots.txt, one tdmrep.json; what became of them."""
    outcomes: Counter[str] = Counter()
    encoding, body = rng.choice(BODIES)
    head = HEAD.replace(b"@", encoding)
    jobs: list[Callable[[], object]] = [
        lambda: sniff.identify(mutated(rng.choice(files), rng)),
        lambda: read_answer(mutated(head, rng), mutated(body, rng)),
        lambda: robots.parse(mutated(ROBOTS, rng)).opts_out("https://site.test/a/b.png"),
        lambda: optouts.reservations(mutated(TDM, rng), "https://site.test").refuse("https://site.test/a/b.png"),
    ]
    for job in jobs:
        try:
            job()
            outcomes["read"] += 1
        except Rejection as error:
            outcomes[error.reason] += 1
    return outcomes


def test_nothing_but_a_rejection_comes_of_damage() -> None:
    rng, files = random.Random(11), pictures()
    outcomes: Counter[str] = Counter()
    for _ in range(400):
        outcomes += trials(rng, files)
    assert set(outcomes) <= {"read", "truncated", "not_an_image", "too_large", "server"}
    assert outcomes["truncated"] > 100, "damage that nobody notices"


def main(seconds: float, seed: int) -> None:
    rng, files, outcomes = random.Random(seed), pictures(), Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = rng.getstate()
        try:
            outcomes += trials(rng, files)
        except Exception as error:
            sys.stderr.write(f"{error!r} {hash(state)}\n")
            raise
    sys.stdout.write(f"{sum(outcomes.values())} inputs, seed {seed}: {dict(outcomes)}\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0)
