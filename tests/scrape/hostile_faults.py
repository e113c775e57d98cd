"""The fault matrix of one crawl: what goes wrong at the image or at the page of a work, and how that work must end."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import hostile_pages as pages
from hostile import Rule
from hostile_pages import HTML, PNG, Piece

PICTURE = pages.png(1)
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LATE = "Fri, 31 Dec 99999999 23:59:59 GMT"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    """Answers at one address, and the end that they lead to."""

    reason: str | None  # None: kept
    asks: int  # requests for the address
    answers: tuple[dict[str, Any], ...]  # fields of rules; then the ordinary answer, where these are used up
    facts: dict[str, Any]  # of the row


def ends(reason: str | None, asks: int, *answers: dict[str, Any], **facts: Any) -> Fault:
    return Fault(reason, asks, answers, facts)


def image(body: bytes = PICTURE, *headers: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return {"body": body, "headers": headers or PNG, **fields}


def page(body: bytes = b"", *headers: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return {"body": body, "headers": headers or HTML, **fields}


def raw(body: bytes, **fields: Any) -> dict[str, Any]:
    return {"body": body, "raw": True, **fields}


def moved(status: int, to: str) -> dict[str, Any]:
    return {"status": status, "headers": (("Location", to),)}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


IMAGES = {
    "html-as-png": ends("not_an_image", 1, image(b"<html><body>Sorry!</body></html>")),
    "text-as-png": ends("not_an_image", 1, image(b"not found")),
    "gif-named-png": ends(None, 1, image(pages.animation("GIF")), format="gif", frames=3),
    "webp-named-png": ends(None, 1, image(pages.animation("WEBP")), format="webp", frames=3),
    "png-typed-text": ends(None, 1, image(pages.png(901), ("Content-Type", "text/plain")), format="png"),
    "empty": ends("truncated", 4, image(b"")),
    "empty-once": ends(None, 2, image(b"", times=1)),
    "no-content": ends("truncated", 4, image(b"", status=204)),
    "file-cut": ends("truncated", 4, image(PICTURE[:-20])),
    "file-cut-once": ends(None, 2, image(PICTURE[:-20], times=1)),
    "jpeg-cut": ends("truncated", 4, image(pages.jpeg()[:-2], ("Content-Type", "image/jpeg"))),
    "file-damaged": ends("truncated", 4, image(PICTURE[:45] + b"\xff" * 8 + PICTURE[53:])),
    "dropped": ends("truncated", 4, image(cut=30)),
    "dropped-at-once": ends("truncated", 4, image(cut=0)),
    "dropped-once": ends(None, 2, image(cut=30, times=1)),
    "reset": ends("network", 4, image(cut=30, reset=True)),
    "no-answer": ends("network", 4, raw(b"")),
    "no-http": ends("network", 4, raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")),
    "headers-without-end": ends("network", 4, raw(b"HTTP/1.1 200 OK\r\n" + b"X-Pad: %s\r\n" % (b"p" * 2**20))),
    "length-too-long": ends("truncated", 4, image(length=len(PICTURE) + 9)),
    "length-too-short": ends("truncated", 4, image(length=len(PICTURE) - 9)),
    "length-negative": ends("network", 4, image(length=-5)),
    "answer-smuggled": ends(None, 1, image(pages.png(902) + SMUGGLED, length=len(pages.png(902)))),
    "chunked": ends(None, 1, raw(CHUNKED + chunk(pages.png(903)) + chunk(b""))),
    "chunks-cut": ends("truncated", 4, raw(CHUNKED + chunk(PICTURE))),
    "chunk-too-long": ends("truncated", 4, raw(CHUNKED + b"9999\r\n" + PICTURE)),
    "until-close": ends(None, 1, raw(UNTIL_CLOSE + pages.png(904))),
    "until-close-cut": ends("truncated", 4, raw(UNTIL_CLOSE + PICTURE[:-9])),
    "hints-first": ends(None, 1, raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" + UNTIL_CLOSE + pages.png(905))),
    "not-found": ends("not_found", 1, image(status=404)),
    "gone-for-good": ends("not_found", 1, image(status=410)),
    "teapot": ends("server", 1, image(status=418)),
    "not-modified": ends("server", 1, image(b"", status=304)),
    "error-for-ever": ends("server", 4, image(b"oops", status=500)),
    "unavailable-for-ever": ends("server", 4, image(b"oops", status=503)),
    "unavailable-twice": ends(None, 3, image(b"oops", status=503, times=2)),
    "gateway-once": ends(None, 2, image(b"oops", status=502, times=1)),
    "gzip-cut": ends("truncated", 4, image(pages.gzipped(PICTURE)[:-9], ("Content-Encoding", "gzip"))),
    "gzip-bomb": ends("too_large", 1, image(pages.bomb(64), ("Content-Encoding", "gzip"))),
    "gzip-in-gzip": ends("server", 1, image(pages.gzipped(PICTURE), ("Content-Encoding", "gzip, gzip"))),
    "brotli": ends("server", 1, image(PICTURE, ("Content-Encoding", "br"))),
    "announced-huge": ends("too_large", 1, image(length=10**9)),
    "endless": ends("too_large", 1, raw(UNTIL_CLOSE + bytes(2**20), repeat=200)),
    "pixel-bomb": ends("too_large", 1, image(pages.huge_png(5_000))),
    "pixel-bomb-of-400-million": ends("too_large", 1, image(pages.huge_png(20_000))),
    "frame-bomb": ends("too_large", 1, image(pages.long_gif(3_000))),
    "frame-bomb-of-5-billion": ends("too_large", 1, image(pages.long_gif(300, 4_000))),
    "text-bomb": ends(None, 1, image(pages.text_bomb(64))),  # text that nobody unpacks
    "redirect": ends(None, 1, moved(302, "/moved-000001.png")),
    "redirect-other-port": ends(None, 1, moved(307, "http://127.0.0.1:@port0@/moved-000002.png")),
    "redirect-loop": ends("server", 6, moved(302, "@itself@")),
    "redirect-off-host": ends("off_host", 1, moved(302, "http://localhost:@port1@/x.png")),
    "redirect-to-metadata": ends("off_host", 1, moved(301, "http://169.254.169.254/latest/x.png")),
    "redirect-to-loopback": ends("off_host", 1, moved(308, "//127.0.0.2:@port1@/x.png")),
    "redirect-to-a-file": ends("off_host", 1, moved(302, "file:///etc/passwd")),
    "redirect-with-password": ends("off_host", 1, moved(302, "http://a:b@127.0.0.1:@port1@/x.png")),
    "redirect-to-nonsense": ends("off_host", 1, moved(302, "http://[::bad/")),
    "noai": ends("noai", 1, image(PICTURE, ("X-Robots-Tag", "NoAI"))),
    "noimageai-in-a-list": ends("noai", 1, image(PICTURE, ("x-robots-tag", "index,follow, NOIMAGEAI"))),
    "noai-in-a-second-header": ends("noai", 1, image(PICTURE, ("X-Robots-Tag", "index"), ("X-Robots-Tag", "noai"))),
    "content-signal": ends("noai", 1, image(PICTURE, ("Content-Signal", "search=yes, ai-train=no"))),
    "content-usage": ends("noai", 1, image(PICTURE, ("Content-Usage", "train-ai=n"))),
    "reserved": ends("noai", 1, image(PICTURE, ("tdm-reservation", "1"))),
    "part": ends("server", 4, image(PICTURE, ("Content-Range", "bytes 0-9/99"), status=206)),
    "error-of-a-proxy": ends("server", 4, image(b"oops", status=522)),
    "retry-in-no-year": ends(None, 2, image(b"", ("Retry-After", LATE), status=503, times=1)),
    "encoded-as-nothing": ends(None, 1, image(pages.png(906), ("Content-Encoding", "aws-chunked"))),
    "blank-before-a-colon": ends(None, 1, raw(b"HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n" + pages.png(907))),
    "chunked-and-length": ends(
        None, 1, raw(CHUNKED[:-2] + b"Content-Length: 9\r\n\r\n" + chunk(pages.png(908)) + chunk(b""))
    ),
}  # fmt: skip


def ordinary(slug: str, head: str = "") -> bytes:
    return pages.lospec_page(Piece(slug, 990, head=head, image_url=f"/of-{slug}-000007.png"))


PAGES = {
    "page-not-found": ends("not_found", 1, page(b"no", status=404)),
    "page-error": ends("server", 4, page(b"no", status=500)),
    "page-error-once": ends(None, 2, page(b"no", status=500, times=1)),
    "page-empty": ends("markup", 1, page()),
    "page-of-something": ends("markup", 1, page(b"<html><h1>Welcome</h1></html>")),
    "page-is-an-image": ends("markup", 1, page(PICTURE)),
    "page-dropped": ends("truncated", 4, page(ordinary("a"), cut=100)),
    "page-bomb": ends("too_large", 1, page(pages.bomb(32), ("Content-Encoding", "gzip"))),
    "page-gzip": ends(None, 1, page(pages.gzipped(ordinary("b")), ("Content-Encoding", "gzip"))),
    "page-huge": ends("too_large", 1, page(length=10**9)),
    "page-bad-utf8": ends(None, 1, page(ordinary("c").replace(b"March", b"M\xe4rz \xc3\x28\xff"))),
    "page-charset-undefined": ends(None, 1, page(ordinary("j"), ("Content-Type", "text/html; charset=undefined"))),
    "page-raw-deflate": ends(None, 1, page(zlib.compress(ordinary("k"))[2:-4], *HTML, ("Content-Encoding", "deflate"))),
    "page-reserved": ends("noai", 1, page(ordinary("l", '<meta content="1" name="tdm-reservation">'))),
    "page-nul": ends(None, 1, page(ordinary("d").replace(b"March", b"M\x00rz"))),
    "page-noai": ends("noai", 1, page(ordinary("e"), ("X-Robots-Tag", "noai, noimageai"))),
    "page-moved": ends(None, 1, moved(301, "/elsewhere")),
    "page-off-host": ends("off_host", 1, moved(301, "http://localhost:@port0@/x")),
    "meta-noai": ends("noai", 1, page(ordinary("f", '<META NAME="Robots" CONTENT="NoAI">'))),
    "meta-noimageai": ends("noai", 1, page(ordinary("g", "<meta content='index, noimageai' name=robots>"))),
    "meta-for-us": ends("noai", 1, page(ordinary("h", '<meta name="facetopix" content="noai">'))),
}

ADDRESSES = {
    "image-at-another-site": ("off_host", "https://cdn.example.com/gallery/x-000001.png"),
    "image-at-a-file": ("off_host", "file:///etc/passwd"),
    "image-in-the-page": ("off_host", "data:image/png;base64,iVBORw0KGgo="),
    "image-by-script": ("off_host", "javascript:alert(1)"),
    "image-at-metadata": ("off_host", "http://169.254.169.254/latest/x.png"),
    "image-at-nonsense": ("off_host", "http://[::bad/x.png"),
    "image-root-relative": (None, "/form-000003.png"),
    "image-page-relative": (None, "../../form-000004.png"),
    "image-without-scheme": (None, "//127.0.0.1:@port1@/form-000005.png"),
    "image-between-blanks": (None, "  /form-000006.png\n"),
}

REASONS = {
    **{slug: fault.reason for slug, fault in (IMAGES | PAGES).items()},
    **{slug: reason for slug, (reason, _) in ADDRESSES.items()},
}
ELSEWHERE = [
    Rule("/elsewhere", body=ordinary("i"), headers=HTML),
    *(Rule(rf"/of-{letter}-.*", body=pages.png(seed), headers=PNG) for letter, seed in (("j", 991), ("k", 992))),
    Rule(r"/(moved|form|of-\w)-(?P<number>\d+)\.png", body=pages.png(990), headers=PNG),
]


def gallery() -> list[Rule]:
    """Every fault at a work of its own, with a sound work after each."""
    works = []
    for number, slug in enumerate(REASONS):
        works += [_faulty(slug, 2 * number), Piece(f"sound-{number}", 2 * number + 1)]
    return [*ELSEWHERE, *pages.lospec(works)]


def sound() -> set[str]:
    return {f"artist-a/sound-{number}" for number in range(len(REASONS))}


def address(slug: str) -> str:
    """The path where the fault is."""
    plain = Piece(slug, 2 * list(REASONS).index(slug), "artist-b")
    return plain.image_path if slug in IMAGES else plain.page_path


def _faulty(slug: str, number: int) -> Piece:
    plain = Piece(slug, number, "artist-b")
    at_image = tuple(Rule(f"(?P<itself>{plain.image_path})", **fields) for fields in _answers(IMAGES, slug))
    at_page = tuple(Rule(plain.page_path, **fields) for fields in _answers(PAGES, slug))
    _, image_url = ADDRESSES.get(slug, (None, ""))
    return Piece(slug, number, "artist-b", page=at_page, image=at_image, image_url=image_url)


def _answers(faults: dict[str, Fault], slug: str) -> tuple[dict[str, Any], ...]:
    return faults[slug].answers if slug in faults else ()
