"""Pages and files of the three galleries as the hostile server gives them, a few pixels and nodes each."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from hostile import Rule
from PIL import Image

CDN = "http://127.0.0.1:@port1@"  # a second origin of the same host
HTML = (("Content-Type", "text/html; charset=utf-8"),)
PNG = (("Content-Type", "image/png"),)
JSON = (("Content-Type", "application/json"),)
ALLOW_ALL = Rule("/robots.txt", body=b"User-agent: *\nAllow: /\n", headers=(("Content-Type", "text/plain"),))
FRAME = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"


def png(seed: int, side: int = 4, padding: int = 0) -> bytes:
    """Another image for each seed, with so many bytes more than it needs."""
    colours = zlib.crc32(str(seed).encode()).to_bytes(4, "big")[:3]
    image = Image.new("RGB", (side, side), tuple(colours))
    image.putpixel((seed % side, 0), (seed % 251, seed // 251 % 251, 7))
    data = _saved(image, "PNG")
    return data[:-12] + _chunk(b"paDd", bytes(padding)) * bool(padding) + data[-12:]


def jpeg() -> bytes:
    return _saved(Image.effect_noise((32, 32), 90), "JPEG")


def animation(kind: str, frames: int = 3) -> bytes:
    """GIF or WEBP."""
    images = [Image.new("RGB", (4, 4), (80 * number, 10, 10)) for number in range(frames)]
    return _saved(images[0], kind, save_all=True, append_images=images[1:], duration=100, lossless=True)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def long_gif(frames: int, side: int = 1) -> bytes:
    """side x side pixels, each frame after the first with one pixel of its own."""
    size = struct.pack("<HH", side, side)
    return b"GIF89a" + size + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff" + FRAME * frames + b"\x3b"


def text_bomb(mebibytes: int) -> bytes:
    """A small image with so much text as a compressed comment."""
    data = png(0)
    return data[:33] + _chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(mebibytes * 2**20))) + data[33:]


def huge_png(side: int) -> bytes:
    """side x side pixels of one bit in a file of a few kilobytes."""
    deflate = zlib.compressobj()
    row = b"\x00" * (1 + (side + 7) // 8)
    data = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(mebibytes: int) -> bytes:
    """So much nothing as gzip."""
    deflate = zlib.compressobj(9, wbits=31)
    return b"".join(deflate.compress(bytes(2**20)) for _ in range(mebibytes)) + deflate.flush()


def gzipped(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=31)
    return deflate.compress(data) + deflate.flush()


@dataclass(frozen=True)
class Piece:
    """A work of lospec; the rules in `page` and `image` come before its ordinary answers."""

    slug: str
    number: int = 0
    artist: str = "artist-a"
    page: tuple[Rule, ...] = ()
    image: tuple[Rule, ...] = ()
    image_url: str = ""  # as its page gives it; the address of the CDN when empty
    head: str = ""  # markup at the top of its page
    tags: Sequence[str] = field(default=("demo",))

    @property
    def source_id(self) -> str:
        return f"{self.artist}/{self.slug}"

    @property
    def page_path(self) -> str:
        return f"/gallery/{self.artist}/{self.slug}"

    @property
    def image_path(self) -> str:
        return f"/gallery/{self.slug or 'untitled'}-{self.number:06d}.png"


def tile(piece: Piece) -> str:
    thumbnail = f"{CDN}/thumbnails/gallery/{piece.artist}/{piece.slug}-default.png"
    return (
        f'<a class="gallery-thumbnail" href=\'{piece.page_path}\'><img class=thumbnail src="{thumbnail}">'
        f'<div class="title">{piece.slug}</div><div class="engagement"><svg></svg> 4</div>'
        '<div class="medium">pixel art</div></a>'
    )


def batch(pieces: Sequence[Piece]) -> bytes:
    return json.dumps({"success": True, "html": "".join(map(tile, pieces))}).encode()


def lospec_page(piece: Piece) -> bytes:
    image = piece.image_url or CDN + piece.image_path
    tags = "".join(f'<a class="text-link" href="/gallery/tags:{tag}">#{tag}</a>' for tag in piece.tags)
    return f"""<!doctype html><html><head><meta property="og:image" content="{image}">{piece.head}</head><body>
<header><h1>{piece.slug} <span>masterpiece</span></h1><date>March 3rd</date></header>
<display><img class='fullsize' src='{image}'></display>
<category><a href="#">pixel art</a> <a href="#">hand-pixelled</a></category><tags>{tags}</tags>
<info><wrapper><specs><spec><svg></svg> 4 4 px</spec></specs></wrapper></info>
<detail><specs><spec class="flex">2 <palette><color data-tooltip="#112233"></color>
<color data-tooltip="#445566"></color></palette></spec></specs></detail>
<artist><profile><a href="/{piece.artist}"><img src="/a.png"></a><info><name>{piece.artist}</name>
<slug>@{piece.artist}</slug></info></profile><bio>text</bio></artist></body></html>""".encode()


def lospec_listing(pieces: Sequence[Piece], *, clamped: bool = False) -> list[Rule]:
    """32 a batch; past the end nothing, or the last batch again."""
    batches = [batch(pieces[start : start + 32]) for start in range(0, len(pieces), 32)]
    rules = [
        Rule("/gallery", 200, body, JSON, method="POST", containing=rf"\bskip={32 * number}\b")
        for number, body in enumerate(batches)
    ]
    return [*rules, Rule("/gallery", 200, batches[-1] if clamped else batch(()), JSON, method="POST")]


def lospec(pieces: Sequence[Piece], *, clamped: bool = False) -> list[Rule]:
    """The gallery of these works; robots.txt allows everything."""
    rules = [ALLOW_ALL, *lospec_listing(pieces, clamped=clamped)]
    for piece in pieces:
        rules += [*piece.page, Rule(piece.page_path, 200, lospec_page(piece), HTML, port=0)]
        rules += [*piece.image, Rule(piece.image_path, 200, png(piece.number), PNG)]
    return rules


def pieces(count: int) -> list[Piece]:
    """Ordinary works."""
    return [Piece(f"piece-{number}", number) for number in range(count)]


def entry(number: int | str, title: str = "", href: str = "") -> str:
    """A work on a listing page of pixeljoint, with the quotes as they come there."""
    href = href or f"/pixelart/{number}.htm"
    return (
        f"<div class='imgbox' id='bx{number}'><a class='imglink' href='{href}'>"
        f"<img src='/files/icons/small_{number}.gif'></a></div>\n<div class=\"tooltip\"><strong>"
        f"<a href='{href}'>{title or f'Work {number}'}</a></strong><br>by <a href='/p/71.htm'>artist71</a></div>\n"
    )


def pixeljoint_listing(
    entries: Sequence[str], page: int = 1, pages: int = 1, heading: str = "Newest Pixel Art"
) -> bytes:
    """In windows-1252, with a sidebar that holds a decoy; `pages` 0: without a pager."""
    numbers = ((number, " selected" * (number == page)) for number in range(1, pages + 1))
    options = "".join(f'<option value="{number}"{chosen}>{number}</option>' for number, chosen in numbers)
    select = f"<span class='pager-select-holder'>Page <select>{options}</select> of {pages}</span>"
    pager = f'<div class="pager">{select} <a href="/pixels/new_icons.asp?q=1&pg={page + 1}">next</a></div>' * bool(
        pages
    )
    inside = "".join(entries) or "No icons found."
    return f"""<html><body><div id="leftblockspan"><h1>{heading}</h1><div class="bx"><div>{pager}
{inside}{pager}</div></div></div>
<div id="rightblock"><div class="bx"><div class="imgbox imgboxhome"><a class='imglink' href="/pixelart/1.htm">
<img src="/files/icons/full/decoy.png"></a></div></div></div></body></html>""".encode("cp1252")


def pixeljoint_page(number: int | str, title: str = "", image: str = "") -> bytes:
    image = image or f"/files/icons/full/work_{number}__r1{number}.png"
    return f"""<html><head><meta property="og:image" content="{image}" /></head><body>
<div id="leftblockspan"><h1>Pixel Art Details</h1><div class='bx'><div><table><tr><td><table>
<tr><td><strong>Title:</strong></td><td>{title or f"Work {number}"}</td></tr>
<tr><td><strong>Pixel Artist:</strong></td><td><a href='/p/71.htm'>artist71</a></td></tr>
<tr><td><strong>Posted:</strong></td><td>3/20/2023 02:07</td></tr>
<tr><td colspan="2">Free text.</td></tr></table></td></tr></table>
<div class="img-holder"><img id='mainimg' src="{image}"></div></div></div></div></body></html>""".encode("cp1252")


REMOVED = b"<html><body><div id='leftblockspan'><h1>ACHTUNG! PIXEL ART INACTIVE!</h1></div></body></html>"


def pixiehaus_listing(files: Sequence[str], extra: str = "") -> bytes:
    cards = "".join(f'<div class="card"><a href="/sprite/{n}"><img src="{f}"></a></div>' for n, f in enumerate(files))
    furniture = '<img src="/special/coin.png"><img src="/static/uploads/some-prompt__1a2b3c4d.webp">'
    return f"<html><body><main id='gallery'>{cards}{extra}</main><aside>{furniture}</aside></body></html>".encode()


def sprite(number: int) -> str:
    """Address of a work of pixie.haus."""
    return f"/sprites/{number:032x}.png"


def pixiehaus(files: Sequence[str], extra: str = "") -> list[Rule]:
    """One page of works, then one without; robots.txt allows everything."""
    first = Rule(r"/gallery\?page=1", body=pixiehaus_listing(files, extra), headers=HTML)
    second = Rule(r"/gallery\?page=\d+", body=pixiehaus_listing(()), headers=HTML)
    images = [Rule(file, body=png(number), headers=PNG) for number, file in enumerate(files)]
    return [ALLOW_ALL, first, second, *images]
