from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pipeline.sample.galleries import encodings
from pipeline.scrape import sniff
from pipeline.scrape.sites.gallery import Rejection

ART = np.random.default_rng(5).integers(0, 2, (9, 7, 4), np.uint8) * 255
ART[..., 3] = 255
CLEAR = ART.copy()
CLEAR[0, 0] = 0
KINDS = {"png": "png", "png-palette": "png", "gif": "gif", "webp": "webp", "jpg": "jpeg"}


@pytest.mark.parametrize("kind", KINDS)
def test_format_and_size_come_from_the_bytes(kind: str) -> None:
    assert sniff.identify(encodings.encode([ART], kind)) == sniff.ImageFacts(KINDS[kind], 7, 9, 1, False)


@pytest.mark.parametrize("kind", ["png", "png-palette", "gif", "webp"])
def test_a_single_transparent_pixel_is_alpha(kind: str) -> None:
    assert sniff.identify(encodings.encode([CLEAR], kind)).has_alpha


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_frames_are_counted_and_their_alpha_seen(kind: str) -> None:
    facts = sniff.identify(encodings.encode([ART, ART[::-1], CLEAR], kind))
    assert (facts.frames, facts.has_alpha) == (3, True)


CUTS = [(kind, cut) for kind in ("png", "png-palette", "gif", "webp", "jpg") for cut in (1, 2, 12, 40)]


@pytest.mark.parametrize(("kind", "cut"), [case for case in CUTS if case != ("gif", 1)])  # only its trailer
def test_a_cut_file_is_truncated_wherever_it_was_cut(kind: str, cut: int) -> None:
    frames = [ART, ART[::-1], CLEAR] if kind in ("gif", "webp") else [ART]
    with pytest.raises(Rejection, match="truncated"):
        sniff.identify(encodings.encode(frames, kind)[:-cut])


@pytest.mark.parametrize("data", [b"<html></html>", b"\x00" * 64, b"%!PS-Adobe-3.0 EPSF"])
def test_other_bytes_are_not_an_image(data: bytes) -> None:
    with pytest.raises(Rejection, match="not_an_image"):
        sniff.identify(data)


def test_a_pixel_bomb_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(file, "PNG")
    with pytest.raises(Rejection, match="too_large"):
        sniff.identify(file.getvalue())


def gif(side: int, *frames: int) -> bytes:
    """A GIF of a canvas side x side and square frames of these sides, of a few bytes each."""
    images = b"".join(
        b"\x2c\x00\x00\x00\x00" + struct.pack("<HH", frame, frame) + b"\x00\x02\x02\x44\x01\x00" for frame in frames
    )
    return b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\x00\x00" + bytes(3) + b"\xff" * 3 + images + b"\x3b"


@pytest.mark.parametrize(
    "data",
    [
        gif(1, 1, 20_000),
        gif(1, 20_000),
        gif(20_000, 1),
        gif(1, 1, *[4_000] * 400),
        gif(4_000, *[4_000] * 400),
        gif(1, *[1] * 1025),
    ],
    ids=[
        "a later frame",
        "the first frame",
        "the canvas",
        "frames beyond the canvas",
        "all frames",
        "their number",
    ],
)
def test_limits_hold_for_every_frame_before_any_is_unpacked(data: bytes) -> None:
    """A file of 2 kB that asks for gigabytes."""
    tracemalloc.start()
    try:
        with pytest.raises(Rejection, match="too_large"):
            sniff.identify(data)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_picture_without_palette_is_damaged(depth: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, depth, 3, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    with pytest.raises(Rejection, match="truncated"):
        sniff.identify(png)


def test_pictures_may_be_identified_in_several_threads_at_once() -> None:
    files = [encodings.encode([ART, ART[::-1]], kind) for kind in ("gif", "webp")] * 20
    filters = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        facts = list(pool.map(sniff.identify, files))
    assert {fact.frames for fact in facts} == {2}
    assert warnings.filters == filters
