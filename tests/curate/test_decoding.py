"""Decoding against pictures composed by hand and a reader of PNG of our own."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sprites import COLOURS

from pipeline.decoding import REASONS, Undecodable, choosing, decode
from pipeline.decoding.canvas import Patch, compose
from pipeline.io import MAX_PIXELS, Pixels

RED, GREEN, BLUE, OPEN = (228, 59, 68, 255), (62, 137, 72, 255), (0, 149, 233, 255), (0, 0, 0, 0)
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ALL_KINDS = [(0, d) for d in (1, 2, 4, 8, 16)] + [(3, d) for d in (1, 2, 4, 8)] + list(product((2, 4, 6), (8, 16)))
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # x y dx dy


def first(data: bytes) -> Pixels:
    return decode(data, "x", frames="first", most=1).frames[0].rgba


def reason(data: bytes, frames: str = "first") -> str:
    with pytest.raises(Undecodable, match=r"^name: ") as caught:
        decode(data, "name", frames=frames, most=4)
    assert caught.value.reason in REASONS
    return caught.value.reason


# PNG, written and read by the specification


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
    parts = [filtered(packed_rows(one, depth), step, rng) for one in passes if one.size]
    return zlib.compress(b"".join(parts))


def png(samples: np.ndarray, kind: int, depth: int, *extra: bytes, interlaced: bool = False, seed: int = 0) -> bytes:
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    data = compressed(samples, depth, interlaced, np.random.default_rng(seed))
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def looks(samples: np.ndarray, kind: int, depth: int, palette: np.ndarray, key: tuple[int, ...] | None) -> Pixels:
    """What the samples mean, in plain loops."""
    rgba = np.zeros((*samples.shape[:2], 4), np.uint8)
    largest = 2**depth - 1
    for y, x in np.ndindex(samples.shape[:2]):
        sample = tuple(int(value) for value in samples[y, x])
        scaled = [int(value * 255 / largest + 0.5) for value in sample]
        if kind == 3:
            rgba[y, x] = palette[sample[0]]
        elif kind in (0, 2):
            rgba[y, x] = [*(scaled * 3)[:3], 0 if sample == key else 255]
        else:
            rgba[y, x] = [*(scaled[:-1] * 3)[:3], scaled[-1]]
        if rgba[y, x, 3] == 0:
            rgba[y, x] = 0
    return rgba


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(("kind", "depth"), ALL_KINDS)
@pytest.mark.parametrize(("height", "width"), [(11, 13), (1, 1), (3, 2)])
def test_png_of_every_colour_type_depth_and_transparency(kind, depth, keyed, interlaced, height, width) -> None:
    rng = np.random.default_rng(depth + 100 * kind)
    samples = rng.integers(0, 2**depth, (height, width, CHANNELS[kind]))
    palette = rng.integers(0, 256, (2**depth if kind == 3 else 0, 4), dtype=np.uint8)
    extra, key = [], None
    if kind == 3:
        extra.append(chunk(b"PLTE", palette[:, :3].tobytes()))
        kept = len(palette) // 2 if keyed else 0  # entries beyond tRNS are opaque
        palette[kept:, 3] = 255
        extra += [chunk(b"tRNS", palette[:kept, 3].tobytes())] if keyed else []
    elif keyed and kind in (0, 2):
        key = tuple(int(value) for value in samples[0, 0])
        extra.append(chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))
    data = png(samples, kind, depth, *extra, interlaced=interlaced)
    assert np.array_equal(first(data), looks(samples, kind, depth, palette, key))


def test_sixteen_bits_made_from_eight_are_exact_and_others_go_to_the_nearest() -> None:
    eight = np.arange(256).reshape(16, 16, 1)
    assert np.array_equal(first(png(eight * 257, 0, 16))[..., 0], eight[..., 0])
    deep = np.arange(65536).reshape(256, 256, 1)
    assert np.abs(first(png(deep, 0, 16))[..., 0].astype(int) * 257 - deep[..., 0]).max() == 128


def test_a_sixteen_bit_key_is_compared_in_all_its_bits() -> None:
    samples = np.array([[[0x1234, 5, 6], [0x1200, 5, 6], [0x1234, 5, 6]]])
    data = png(samples, 2, 16, chunk(b"tRNS", struct.pack(">3H", 0x1234, 5, 6)))
    assert first(data)[0, :, 3].tolist() == [0, 255, 0]


def test_a_pixel_beyond_its_palette_is_no_colour_by_chance() -> None:
    data = png(np.full((2, 2, 1), 3), 3, 2, chunk(b"PLTE", bytes(9)))
    assert reason(data) == "unreadable"
    assert reason(png(np.zeros((2, 2, 1), int), 3, 8)) == "unreadable"


def test_colours_under_alpha_zero_are_gone_in_every_format_that_can_hide_some() -> None:
    hidden = Image.new("RGBA", (4, 4), (255, 0, 255, 0))
    hidden.putpixel((1, 1), (1, 2, 3, 255))
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        data = encoded(hidden, kind, **options)
        assert first(data).any(axis=2).sum() == 1, kind


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# animations, composed by hand: one letter a pixel, `.` open


def art(text: str) -> Pixels:
    return np.array([[COLOURS[letter] for letter in row] for row in text.split("/")], np.uint8)


def letters(rgba: Pixels) -> str:
    names = {colour: letter for letter, colour in COLOURS.items()}
    return "/".join("".join(names[tuple(int(value) for value in pixel)] for pixel in row) for row in rgba)


def played(data: bytes) -> list[str]:
    """Every frame as text, exact repeats too."""
    from pipeline.decoding import _reader

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


LETTERS = "RGBYWSK."
KEY = LETTERS.index(".")
TABLE = b"".join(bytes(COLOURS[letter][:3]) for letter in LETTERS)


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


DISPOSAL_CASES = {
    0: ["RRR/RRR", "RRR/RGR", "BRR/RGR"],
    1: ["RRR/RRR", "RRR/RGR", "BRR/RGR"],
    2: ["RRR/RRR", "RRR/RGR", "BRR/R.R"],
    3: ["RRR/RRR", "RRR/RGR", "BRR/RRR"],
    4: ["RRR/RRR", "RRR/RGR", "BRR/RRR"],
}


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("disposal", DISPOSAL_CASES)
def test_gif_disposal(disposal: int, transparent: bool) -> None:
    """Also where no colour is declared transparent: what was cleared is open, whatever background is named."""
    frames = [gif_frame("RRR/RRR", 0, 0, 1), gif_frame("G", 1, 1, disposal), gif_frame("B", 0, 0, 1)]
    if not transparent:
        frames = [
            gif_frame("RRR/RRR", 0, 0, 1, transparent=False), gif_frame("G", 1, 1, disposal, transparent=False),
            gif_frame("B", 0, 0, 1, transparent=False),
        ]  # fmt: skip
    assert played(gif(3, 2, *frames, background=3)) == DISPOSAL_CASES[disposal]


@pytest.mark.parametrize("transparent", [True, False])
def test_a_first_gif_frame_smaller_than_the_canvas_leaves_the_rest_open(transparent: bool) -> None:
    data = gif(4, 3, gif_frame("RG", 1, 1, 1, transparent=transparent), gif_frame("B", 3, 2, 1))
    assert played(data) == ["..../.RG./....", "..../.RG./...B"]
    assert decode(data, "x", frames="first", most=1).facts.has_alpha


@pytest.mark.parametrize(("disposal", "then"), [(2, ".../..B"), (3, ".../..B"), (1, "RGR/..B")])
def test_the_first_gif_frame_can_be_disposed_of_too(disposal: int, then: str) -> None:
    assert played(gif(3, 2, gif_frame("RGR", 0, 0, disposal), gif_frame("B", 2, 1)))[1] == then


def test_transparent_gif_pixels_leave_what_is_there() -> None:
    data = gif(3, 2, gif_frame("RRR/RRR"), gif_frame("G.G/.G.", 0, 0, 3), gif_frame(".Y./Y.Y", 0, 0, 2), gif_frame("W"))
    assert played(data) == ["RRR/RRR", "GRG/RGR", "RYR/YRY", "W../..."]


def test_a_frame_with_its_own_table_and_interlace_beyond_the_canvas() -> None:
    shifted = TABLE[3:] + TABLE[:3]
    rows = "R/G/B/Y/W/S/K/R/G"
    data = gif(1, 9, gif_frame(rows, interlaced=True), gif_frame("RY/RY", 0, 8, table=shifted, transparent=False))
    assert played(data) == [rows, "R/G/B/Y/W/S/K/R/G"[:-1] + "G"]
    grown = gif(1, 1, gif_frame("RG/BY"), gif_frame("KKK", 1, 1))
    assert played(grown) == ["RG/BY", "RG/BK"]


def test_a_key_colour_that_is_only_meant_stays_a_colour() -> None:
    magenta = bytes((255, 0, 255)) * 8
    data = gif(1, 1, gif_frame("R", table=magenta, transparent=False))
    assert first(data).tolist() == [[[255, 0, 255, 255]]]


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


@pytest.mark.parametrize(
    ("dispose", "over", "expected"),
    [
        (0, 0, ["RRR/RRR", "R.G/RRR", "R.G/RRB"]),
        (0, 1, ["RRR/RRR", "RRG/RRR", "RRG/RRB"]),
        (1, 0, ["RRR/RRR", "R.G/RRR", "R../RRB"]),
        (1, 1, ["RRR/RRR", "RRG/RRR", "R../RRB"]),
        (2, 0, ["RRR/RRR", "R.G/RRR", "RRR/RRB"]),
        (2, 1, ["RRR/RRR", "RRG/RRR", "RRR/RRB"]),
    ],
)
def test_apng_disposal_and_blending(dispose: int, over: int, expected: list[str]) -> None:
    frames = [
        {"rgba": art("RRR/RRR")},
        {"rgba": art(".G"), "left": 1, "dispose": dispose, "over": over},
        {"rgba": art("B"), "left": 2, "top": 1},
    ]
    assert played(apng(3, 2, frames)) == expected


def test_the_picture_that_an_apng_shows_in_its_place_is_not_a_frame() -> None:
    frames = [{"rgba": art("RR")}, {"rgba": art("G"), "left": 1}]
    data = apng(2, 1, frames, default=art("WW"))
    assert played(data) == ["RR", "RG"]
    decoded = decode(data, "x", frames="first", most=1)
    assert (letters(decoded.frames[0].rgba), decoded.facts.frames) == ("RR", 2)


def test_disposing_of_the_first_apng_frame_to_what_was_before_opens_it() -> None:
    frames = [{"rgba": art("RR"), "dispose": 2}, {"rgba": art("G"), "left": 1}]
    assert played(apng(2, 1, frames)) == ["RR", ".G"]


@given(st.lists(st.integers(0, 255), min_size=8, max_size=8))
def test_partly_transparent_pixels_are_mixed_by_the_over_operator(values: list[int]) -> None:
    ground, source = np.array(values, np.uint8).reshape(2, 1, 1, 4)
    for rgba in (ground, source):
        rgba[rgba[..., 3] == 0] = 0
    patches = [Patch(ground.copy(), 0, 0, False, "keep"), Patch(source, 0, 0, True, "keep")]
    *_, mixed = compose(1, 1, patches)
    front, back = source[0, 0, 3] / 255, ground[0, 0, 3] / 255 * (1 - source[0, 0, 3] / 255)
    assert mixed[0, 0, 3] == pytest.approx((front + back) * 255, abs=0.51)
    if front + back:
        expected = (source[0, 0, :3] * front + ground[0, 0, :3] * back) / (front + back)
        assert mixed[0, 0, :3] == pytest.approx(expected, abs=0.51)


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


def test_webp_disposal_and_blending() -> None:
    base = (art("RRRR/RRRR"), 0, 0, 0)
    for flags, expected in (
        (0, ["RRGR/RRRR", "BRGR/RRRR"]),
        (1, ["RRGR/RRRR", "BR../RRRR"]),
        (2, ["RRG./RRRR", "BRG./RRRR"]),
        (3, ["RRG./RRRR", "BR../RRRR"]),
    ):
        data = webp((4, 2), [base, (art("G."), 2, 0, flags), (art("B"), 0, 0, 0)], alpha=True)
        assert played(data) == ["RRRR/RRRR", *expected], flags


def test_a_webp_without_alpha_has_an_open_canvas_all_the_same() -> None:
    data = webp((4, 2), [(art("RG"), 2, 0, 1), (art("B"), 0, 0, 0)], alpha=False)
    assert played(data) == ["..RG/....", "B.../...."]
    assert decode(data, "x", frames="first", most=1).facts.has_alpha


# the other formats


def test_lossless_formats_are_exact_and_lossy_ones_close() -> None:
    rng = np.random.default_rng(3)
    rgb = np.kron(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    image = Image.fromarray(rgb)
    for data in (encoded(image, "BMP"), encoded(image, "WEBP", lossless=True), encoded(image.quantize(16), "BMP")):
        assert np.array_equal(first(data)[..., :3], rgb)
    for data in (encoded(image, "JPEG", quality=95, subsampling=0), encoded(image, "WEBP", quality=95)):
        assert np.abs(first(data)[..., :3].astype(int) - rgb).mean() < 8
        assert not decode(data, "x", frames="first", most=1).facts.lossless
    grey = encoded(image.convert("L"), "JPEG", quality=95)
    assert np.array_equal(*(first(grey)[..., channel] for channel in (0, 2)))


def test_cmyk_is_read_as_browsers_do() -> None:
    """Adobe writes inks inverted and says so; one that does not say so means them as they are."""
    inks = np.full((16, 16, 4), (0, 100, 200, 50), np.uint8)
    paper = (255 - inks[0, 0, :3].astype(int)) * (255 - 50) / 255
    data = encoded(Image.frombytes("CMYK", (16, 16), inks.tobytes()), "JPEG")
    assert first(data)[8, 8, :3] == pytest.approx(paper, abs=3)
    assert first(data)[8, 8, 3] == 255


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_turned_as_their_exif_says(kind: str, turn: int) -> None:
    from PIL import ImageOps

    rng = np.random.default_rng(turn)
    image = Image.fromarray(rng.integers(0, 256, (5, 9, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = decode(data, "x", frames="first", most=1)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(decoded.frames[0].rgba[..., :3], np.asarray(expected.convert("RGB")))
    assert (decoded.facts.width, decoded.facts.height) == expected.size


def test_damaged_exif_does_not_matter() -> None:
    data = encoded(Image.new("RGB", (3, 2), (9, 9, 9)), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff\xff")
    assert first(data).shape == (2, 3, 4)


# which frames


def moving(*texts: str) -> bytes:
    return gif(len(texts[0]), 1, *(gif_frame(text, disposal=2) for text in texts))


def chosen(data: bytes, frames: str, most: int = 4) -> list[int]:
    return [frame.index for frame in decode(data, "x", frames=frames, most=most).frames]


def test_the_frames_that_differ_most_are_taken_first() -> None:
    data = moving("RRRR", "RRRG", "RRGG", "BBBB", "RRRR", "BBBY")
    assert chosen(data, "first") == [0]
    assert chosen(data, "distinct", 1) == [0]
    assert chosen(data, "distinct", 2) == [0, 3]
    assert chosen(data, "distinct", 3) == [0, 2, 3]
    assert chosen(data, "distinct", 4) == [0, 1, 2, 3]
    assert chosen(data, "distinct", 9) == [0, 1, 2, 3, 5]
    assert chosen(data, "all") == [0, 1, 2, 3, 5]
    assert chosen(moving("RR", "RR", "RR"), "distinct") == [0]
    assert letters(decode(data, "x", frames="distinct", most=2).frames[1].rgba) == "BBBB"


@given(st.lists(st.text("RGB.", min_size=3, max_size=3), min_size=1, max_size=7), st.integers(1, 6))
@settings(max_examples=60)
def test_distinct_frames_are_a_greedy_choice(texts: list[str], most: int) -> None:
    def distance(one: int, other: int) -> int:
        return sum(a != b for a, b in zip(texts[one], texts[other], strict=True))

    expected = [0]
    while len(expected) < most:
        reach = [min(distance(index, taken) for taken in expected) for index in range(len(texts))]
        if not max(reach):
            break
        expected.append(reach.index(max(reach)))
    assert chosen(moving(*texts), "distinct", most) == sorted(expected)


def test_long_animations_are_played_anew_and_not_held(monkeypatch) -> None:
    """1,000 frames of 200x200 are 160 MB."""
    texts = [
        gif_frame("RG"[number % 2] if number != 700 else "B" * 20, number % 200, number // 5, 1)
        for number in range(1000)
    ]
    data = gif(200, 200, *texts)
    monkeypatch.setattr(choosing, "HELD", 0)
    tracemalloc.start()
    few = chosen(data, "distinct", 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000, peak
    monkeypatch.undo()
    assert chosen(data, "distinct", 3) == few


# what cannot be decoded


def test_a_name_lies_and_bytes_do_not() -> None:
    assert decode(moving("RG", "GR"), "x.png", frames="first", most=1).facts.format == "GIF"
    for data in (b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0", b"II*\0", b"RIFF\0\0\0\0WAVE"):
        assert reason(data) == "not_an_image"


def test_bombs_are_refused_before_they_go_off() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    png_bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    inner = gif(4, 4, gif_frame("R"), gif_frame("R").replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 9999, 9999)))
    for data in (
        png_bomb, gif(9999, 9999, gif_frame("R")), encoded(Image.new("1", (side, side)), "BMP"),
        encoded(Image.new("L", (side, side)), "JPEG"),
    ):  # fmt: skip
        assert reason(data) == "too_large"
    assert reason(inner, "all") == "too_large"
    assert first(inner).shape == (4, 4, 4)


def test_too_many_frames() -> None:
    assert reason(gif(1, 1, *[gif_frame("R")] * 10_001)) == "too_many_frames"
    wide = gif(4000, 4000, *[gif_frame("R")] * 20)
    assert reason(wide, "all") == reason(wide, "distinct") == "too_many_frames"
    assert first(wide).shape == (4000, 4000, 4)


def samples_of_all_formats() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (10, 12, 4), dtype=np.uint8))
    yield "png", encoded(noise, "PNG")
    yield "png16", png(rng.integers(0, 65536, (9, 7, 4)), 6, 16, interlaced=True)
    yield "apng", apng(3, 2, [{"rgba": art("RRR/RRR")}, {"rgba": art(".G"), "left": 1, "dispose": 2, "over": 1}])
    yield "gif", gif(3, 2, gif_frame("RGB/BGR"), gif_frame("Y.", 1, 1, 3), gif_frame("W"))
    yield "webp", encoded(noise, "WEBP", lossless=True)
    yield "lossy", encoded(noise, "WEBP", quality=60)
    yield "anim", webp((4, 2), [(art("RRRR/RRRR"), 0, 0, 0), (art("G."), 2, 0, 1)], alpha=True)
    yield "jpeg", encoded(noise.convert("RGB"), "JPEG")
    yield "bmp", encoded(noise.convert("RGB"), "BMP")


FILES = dict(samples_of_all_formats())


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_anywhere_is_never_a_picture(name: str) -> None:
    """Every byte but trailing ones counts, also where all pixels are there."""
    data = FILES[name]
    whole = decode(data, "x", frames="all", most=9)
    assert len(whole.frames) == whole.facts.frames
    for length in range(len(data)):
        why = reason(data[:length], "all")
        assert why in ("truncated", "unreadable") or length < 12, length


@pytest.mark.parametrize("name", FILES)
@given(st.data())
@settings(max_examples=150)
def test_damage_ends_in_a_reason_or_in_a_picture_of_the_size_that_is_told(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode(bytes(damaged), "x", frames=data.draw(st.sampled_from(["first", "distinct", "all"])), most=3)
    except Undecodable:
        return
    shapes = {frame.rgba.shape for frame in decoded.frames}
    assert shapes == {(decoded.facts.height, decoded.facts.width, 4)}


@pytest.mark.parametrize("name", ["png", "png16", "apng"])
@given(st.data())
@settings(max_examples=150)
def test_a_flipped_bit_never_changes_a_png_in_silence(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    damaged[data.draw(st.integers(8, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = decode(bytes(damaged), "x", frames="all", most=9)
    except Undecodable:
        return
    true = decode(FILES[name], "x", frames="all", most=9)
    assert [frame.rgba.tolist() for frame in found.frames] == [frame.rgba.tolist() for frame in true.frames]


# real files


@pytest.mark.shared
@pytest.mark.parametrize(
    "tar", ["decoders", "pixel_faces", "pixel_chars", "pixel_tiles", "pixel_scenes", "cartoon_faces"]
)
def test_real_files_look_as_pillow_shows_them(shared_files, tar: str) -> None:
    """Where Pillow is known to be exact: not in 16 bits. Also of all frames of the real animations."""
    for name, data in shared_files(tar, 201).items():
        decoded = decode(data, name, frames="all", most=1)
        if data[24:25] == b"\x10" and data[1:4] == b"PNG":
            continue
        with Image.open(io.BytesIO(data)) as image:
            assert decoded.facts.frames == getattr(image, "n_frames", 1), name
            for frame in decoded.frames if image.width * image.height < 250_000 else decoded.frames[:2]:
                image.seek(frame.index)
                expected = np.array(image.convert("RGBA"))
                expected[expected[..., 3] == 0] = 0
                assert np.array_equal(frame.rgba, expected), (name, frame.index)


@pytest.mark.shared
def test_sprites_that_are_gifs_under_the_name_of_png(shared_tar) -> None:
    import tarfile

    with tarfile.open(shared_tar("pixel_chars")) as tar:
        members = [member for member in tar if member.name.endswith(".png")]
        files = {member.name: tar.extractfile(member).read() for member in members}
    liars = [name for name, data in files.items() if not data.startswith(b"\x89PNG")]
    assert len(liars) == 8
    assert {decode(files[name], name, frames="first", most=1).facts.format for name in liars} == {"GIF"}
