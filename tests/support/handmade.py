"""Image files written byte by byte after their specifications, one letter a pixel (`.` is open)."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sprites import COLOURS

from pipeline.images.files import Pixels
from pipeline.images.formats import REASONS, Undecodable, _reader, decode

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # x y dx dy
LETTERS = "RGBYWSK."
KEY = LETTERS.index(".")
TABLE = b"".join(bytes(COLOURS[letter][:3]) for letter in LETTERS)


def first(data: bytes) -> Pixels:
    return decode(data, "x", frames="first", most=1).frames[0].rgba


def reason(data: bytes, frames: str = "first") -> str:
    with pytest.raises(Undecodable, match=r"^name: ") as caught:
        decode(data, "name", frames=frames, most=4)
    assert caught.value.reason in REASONS
    return caught.value.reason


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def packed_rows(samples: np.ndarray, depth: int) -> list[bytes]:
    """(h, w, channels) samples -> the bytes of each scan line, unfiltered."""
    flat = samples.reshape(samples.shape[0], -1)
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in flat]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in flat]
    bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]


def filtered(rows: list[bytes], step: int, rng: np.random.Generator) -> bytes:
    """Scan lines, each with a filter of its own by chance (PNG specification, 9.2)."""
    data, above = b"", bytes(len(rows[0]) if rows else 0)
    for row in rows:
        kind = int(rng.integers(5))
        line = bytearray(row)
        for at in range(len(row)):
            a = row[at - step] if at >= step else 0
            c = above[at - step] if at >= step else 0
            line[at] = (row[at] - (0, a, above[at], (a + above[at]) // 2, paeth(a, above[at], c))[kind]) & 255
        data, above = data + bytes([kind]) + bytes(line), row
    return data


def paeth(a: int, b: int, c: int) -> int:
    return min((a, b, c), key=lambda value: abs(a + b - c - value))


def compressed(samples: np.ndarray, depth: int, interlaced: bool, rng: np.random.Generator) -> bytes:
    step = max(1, samples.shape[2] * depth // 8)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [samples]
    parts = [filtered(packed_rows(part, depth), step, rng) for part in passes if part.size]
    return zlib.compress(b"".join(parts))


def png(samples: np.ndarray, kind: int, depth: int, *extra: bytes, interlaced: bool = False, seed: int = 0) -> bytes:
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    data = compressed(samples, depth, interlaced, np.random.default_rng(seed))
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def art(text: str) -> Pixels:
    return np.array([[COLOURS[letter] for letter in row] for row in text.split("/")], np.uint8)


def letters(rgba: Pixels) -> str:
    names = {colour: letter for letter, colour in COLOURS.items()}
    return "/".join("".join(names[tuple(int(value) for value in pixel)] for pixel in row) for row in rgba)


def played(data: bytes) -> list[str]:
    """Every frame as text, exact repeats too."""
    return [letters(frame) for frame in _reader(data)(data).play()]


def lzw(indices: list[int], bits: int = 8) -> bytes:
    """GIF's codes without compression: a clear code before the table would grow."""
    clear, codes = 1 << bits, []
    for at, index in enumerate(indices):
        codes += [clear, index] if at % (clear - 2) == 0 else [index]
    codes.append(clear + 1)
    number = sum(code << (bits + 1) * at for at, code in enumerate(codes))
    data = number.to_bytes(((bits + 1) * len(codes) + 7) // 8, "little")
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return bytes([bits]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif_frame(text: str, left=0, top=0, disposal=0, *, transparent=True, interlaced=False, table=b"") -> bytes:
    rows = [[LETTERS.index(letter) for letter in row] for row in text.split("/")]
    height, width = len(rows), len(rows[0])
    if interlaced:
        rows = [rows[y] for start, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(start, height, step)]
    control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | transparent, 10, KEY, 0)
    flags = (0x80 | 2 if table else 0) | (0x40 if interlaced else 0)
    place = struct.pack("<BHHHHB", 0x2C, left, top, width, height, flags)
    return control + place + table + lzw([index for row in rows for index in row])


def gif(width: int, height: int, *frames: bytes, background: int = 0) -> bytes:
    head = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0x80 | 2, background, 0)
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    return head + TABLE + loop + b"".join(frames) + b";"


def apng_frame(rgba: Pixels, number: int, left=0, top=0, *, dispose=0, over=0, still=False) -> tuple[int, bytes]:
    """The next sequence number, and the chunks."""
    height, width = rgba.shape[:2]
    control = struct.pack(">5IHHBB", number, width, height, left, top, 1, 10, dispose, over)
    data = compressed(rgba.astype(int), 8, False, np.random.default_rng(number))
    half = len(data) // 2
    if still:
        return number + 1, chunk(b"fcTL", control) + chunk(b"IDAT", data[:half]) + chunk(b"IDAT", data[half:])
    parts = [
        chunk(b"fdAT", struct.pack(">I", number + at + 1) + part) for at, part in ((0, data[:half]), (1, data[half:]))
    ]
    return number + 3, chunk(b"fcTL", control) + b"".join(parts)


def apng(width: int, height: int, frames: list[dict], default: Pixels | None = None) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body, number = b"", 0
    if default is not None:
        body = chunk(b"IDAT", compressed(default.astype(int), 8, False, np.random.default_rng(0)))
    for at, frame in enumerate(frames):
        number, chunks = apng_frame(**frame, number=number, still=default is None and at == 0)
        body += chunks
    count = chunk(b"acTL", struct.pack(">II", len(frames), 0))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + count + body + chunk(b"IEND", b"")


def webp(canvas: tuple[int, int], frames: list[tuple[Pixels, int, int, int]], *, alpha: bool) -> bytes:
    """Frames (picture, left, top, flags: 1 = clear afterwards, 2 = in place of) as ANMF chunks of lossless WebP."""

    def riff(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    def three(value: int) -> bytes:
        return value.to_bytes(3, "little")

    body = riff(b"VP8X", bytes([0x02 | 0x10 * alpha, 0, 0, 0]) + three(canvas[0] - 1) + three(canvas[1] - 1))
    body += riff(b"ANIM", bytes((255, 0, 255, 255)) + b"\0\0")
    for rgba, left, top, flags in frames:
        still = encoded(Image.fromarray(rgba if alpha else rgba[..., :3]), "WEBP", lossless=True, exact=True)
        place = three(left // 2) + three(top // 2) + three(rgba.shape[1] - 1) + three(rgba.shape[0] - 1)
        bits = still[still.index(b"VP8L") :]
        body += riff(b"ANMF", place + three(100) + bytes([flags]) + bits)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
