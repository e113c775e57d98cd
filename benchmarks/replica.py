"""A gallery of any size on loopback, quick enough to measure crawlers against: every answer is a string put together.

    python benchmarks/replica.py --source lospec --items 20000     # prints its base address, serves until it is killed

The markup is that of the sketches from which the parsers were written. Works are PNG files of 32 to 64 pixels a side,
no two of the same bytes. `GET /replica/asked` tells what was asked since the last such request, and forgets it.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import random
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import uvicorn
from PIL import Image
from starlette.types import Receive, Scope, Send

RESERVATIONS = "/.well-known/tdmrep.json"  # TDMRep (W3C): asked for once, as robots.txt is
NOT_FOUND = "text/plain", b"not found", 404
BATCH = {"lospec": 32, "pixiehaus": 30}
SLICE = 200  # requests
SIDES = range(32, 65, 4)  # pixels
IHDR_END = 33  # bytes: signature and first chunk of a PNG
SKIP = re.compile(r"(?:^|&)skip=(\d+)")
NUMBER = re.compile(r"[?&]page=(\d+)")
PIECE = re.compile(r"/gallery/artist-\d+/piece-(\d+)")
FILE = {
    "lospec": re.compile(r"/gallery/piece-(\d+)-\d{6}\.png"),
    "pixiehaus": re.compile(r"/sprites/(\d{8})[0-9a-f]{24}\.png"),
}

PlannedRequest = tuple[str, str, str]  # method, path and query, form
Answer = tuple[str, bytes, int]  # content type, body, status


@dataclass
class Log:
    """What the server saw since the log was last read."""

    requests: int = 0
    checksum: int = 0  # over every request, whatever their order
    shortest_gap: float | None = None  # seconds between the arrivals of two requests
    last: float | None = None  # seconds, monotonic
    marks: list[float] = field(default_factory=list)  # the same, of each SLICE-th request

    def add(self, request: PlannedRequest) -> None:
        now = time.monotonic()
        if self.last is not None:
            self.shortest_gap = min(now - self.last, self.shortest_gap or float("inf"))
        self.last = now
        self.requests += 1
        if self.requests % SLICE == 0:
            self.marks.append(now)
        self.checksum += fingerprint(request)


def fingerprint(request: PlannedRequest) -> int:
    """Of method, path, query and `skip`: crawlers may send further filters."""
    method, target, form = request
    skip = SKIP.search(form)
    return zlib.crc32(f"{method} {target} {skip[1] if skip else ''}".encode())


def plan(source: str, items: int) -> Iterator[PlannedRequest]:
    """What a crawl asks for: each page of the listing, then the works on it, up to the page that holds none."""
    yield "GET", "/robots.txt", ""
    yield "GET", RESERVATIONS, ""
    for first in range(0, items, BATCH[source]):
        yield _page(source, first)
        for index in range(first, min(first + BATCH[source], items)):
            if source == "lospec":
                yield "GET", piece_path(index), ""
            yield "GET", image_path(source, index), ""
    yield _page(source, items)


def _page(source: str, first: int) -> PlannedRequest:
    number = -(-first // BATCH[source]) + 1
    if source == "lospec":
        return "POST", "/gallery", f"page={number}&skip={first}"
    return "GET", f"/gallery?page={number}", ""


def piece_path(index: int) -> str:
    return f"/gallery/artist-{index % 997}/piece-{index}"


def image_path(source: str, index: int) -> str:
    if source == "lospec":
        return f"/gallery/piece-{index}-{index * 7919 % 10**6:06d}.png"
    return f"/sprites/{index:08d}{zlib.crc32(b'%d' % index):08x}4abc8def01234567.png"


class Site:
    """One gallery: what it answers to a request."""

    def __init__(self, source: str, items: int, delay: float) -> None:
        self._source, self._items = source, items
        self._robots = "User-agent: *\nDisallow: /private/\n" + (f"Crawl-delay: {delay}\n" if delay else "")
        self._pictures = [_picture(side, mode) for side in SIDES for mode in ("RGBA", "P")]
        self._log = Log()

    def answer(self, request: PlannedRequest) -> Answer:
        if request[1] == "/replica/asked":
            log, self._log = self._log, Log()
            return "application/json", json.dumps(asdict(log)).encode(), 200
        self._log.add(request)
        return self._page(request)

    def _page(self, request: PlannedRequest) -> Answer:
        method, target, form = request
        if match := FILE[self._source].fullmatch(target):
            return self._work(int(match[1]), target)
        if match := PIECE.fullmatch(target):
            return "text/html; charset=utf-8", _piece(int(match[1])).encode(), 200
        if target == "/robots.txt":
            return "text/plain", self._robots.encode(), 200
        if target == RESERVATIONS:
            return "application/json", b"[]", 200
        if method == "POST" and (skip := SKIP.search(form)):
            tiles = "".join(map(_tile, self._indices(int(skip[1]))))
            return "application/json", json.dumps({"success": True, "html": tiles}).encode(), 200
        if number := NUMBER.search(target):
            cards = "".join(map(_card, self._indices((int(number[1]) - 1) * BATCH[self._source])))
            return "text/html; charset=utf-8", _document(f"<main>{cards}</main>").encode(), 200
        return NOT_FOUND

    def _indices(self, first: int) -> range:
        return range(first, min(first + BATCH[self._source], self._items))

    def _work(self, index: int, target: str) -> Answer:
        if index >= self._items or target != image_path(self._source, index):
            return NOT_FOUND
        picture = self._pictures[index % len(self._pictures)]
        return "image/png", picture[:IHDR_END] + _comment(index) + picture[IHDR_END:], 200


def _picture(side: int, mode: str) -> bytes:
    """A PNG of random blocks of 4 pixels a side in 16 colours, one of them transparent in mode RGBA."""
    rng = random.Random(side)
    colours = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(16)]
    cells = Image.new(mode, (side // 4, side // 4))
    if mode == "P":
        cells.putpalette([channel for colour in colours for channel in colour])
    places = [(x, y) for x in range(cells.width) for y in range(cells.height)]
    for place in places:
        number = rng.randrange(16)
        cells.putpixel(place, number if mode == "P" else (*colours[number], 255 * (number > 0)))
    file = io.BytesIO()
    cells.resize((side, side), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def _comment(index: int) -> bytes:
    """A tEXt chunk: different bytes, the same pixels."""
    body = b"tEXtComment\0work %d" % index
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _tile(index: int) -> str:
    small = f"/thumbnails/gallery/artist-{index % 997}/piece-{index}-default.png"
    return (
        f'<a class="gallery-thumbnail" href="{piece_path(index)}"><img class="thumbnail" src="{small}">'
        f'<div class="title">Piece {index}</div>'
        '<div class="engagement"><svg></svg> 4 <svg></svg> 1</div><div class="medium">pixel art</div></a>'
    )


def _card(index: int) -> str:
    path = image_path("pixiehaus", index)
    return (
        f'<div class="card"><a href="/sprite/{index}"><img loading="lazy" src="{path}" alt="Piece {index}"></a></div>'
    )


def _piece(index: int) -> str:
    image, artist = image_path("lospec", index), f"artist-{index % 997}"
    colours = "".join(f'<color data-tooltip="#{index * 7 + place * 4099:06x}"></color>' for place in range(16))
    tags = "".join(f'<a class="text-link" href="/gallery/tags:tag-{n}">#tag-{n}</a>' for n in (index % 50, 50, 51))
    body = (
        f"<header><h1>Piece {index}</h1><date>March {index % 28 + 1}, 2024</date></header>"
        f'<display><img class="fullsize" src="{image}"></display>'
        f'<category><a href="#">pixel art</a> <a href="#">hand-pixelled</a></category><tags>{tags}</tags>'
        "<info><wrapper><specs><spec><svg></svg> 64 64 px</spec></specs></wrapper></info>"
        f'<detail><specs><spec class="flex">16 <palette>{colours}</palette></spec></specs></detail>'
        f'<artist><profile><a href="/{artist}"><img src="/{artist}.png"></a><info><name>{artist}</name>'
        f"<slug>@{artist}</slug></info></profile><bio>Draws by numbers.</bio></artist>"
    )
    return _document(body, f'<meta property="og:image" content="{image}">')


def _document(body: str, head: str = "") -> str:
    menu = "".join(f'<li><a class="menu" href="/section-{number}">Section {number}</a></li>' for number in range(20))
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>Gallery</title>{head}</head>'
        f"<body><nav><ul>{menu}</ul></nav>{body}<footer>{'<p>Small print.</p>' * 5}</footer></body></html>"
    )


async def respond(site: Site, scope: Scope, receive: Receive, send: Send) -> None:
    """One request of an ASGI server."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    query = scope["query_string"].decode()
    request = scope["method"], scope["path"] + (f"?{query}" if query else ""), body.decode()
    kind, answer, status = site.answer(request)
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def serve(source: str, items: int, delay: float) -> None:
    site = Site(source, items, delay)
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # told TCP, asyncio switches Nagle off
    listener.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    app = functools.partial(respond, site)
    config = uvicorn.Config(
        app, interface="asgi3", http="h11", ws="none", lifespan="off", log_config=None, access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", choices=sorted(BATCH), default="lospec")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--delay", type=float, default=0.0, help="Crawl-delay of its robots.txt, in seconds")
    options = parser.parse_args()
    serve(options.source, options.items, options.delay)


if __name__ == "__main__":
    main()
