"""WebP: libwebp decodes and composes, through Pillow.

Its canvas is transparent at first and where a frame was disposed of; the file's background colour is ignored, as
browsers do. A file that declares no alpha has such places all the same, which Pillow would hand out as black.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pipeline.images.files import Pixels
from pipeline.images.formats import stills
from pipeline.images.formats.container import Facts, Source, Undecodable, check_frames, refuse_page
from pipeline.images.formats.raster import upright

FLAGS = 20  # where the flags of a VP8X chunk are, which comes first
ANIMATED, ALPHA = 0x02, 0x10


def read(data: bytes) -> Source:
    """Read the chunks of a WebP file; a still one is decoded.

    Raises:
        Undecodable: truncated, too_large, too_many_frames; what Pillow raises (files.DAMAGED).
    """
    if len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise Undecodable("truncated", f"a WebP file without its end, {len(data)} bytes")
    parts = list(_parts(data))
    lossless = all(name != b"VP8 " for name, _ in parts)
    if data[12:16] != b"VP8X" or not data[FLAGS] & ANIMATED:
        still = stills.read(data, "WEBP")
        return Source(replace(still.facts, lossless=lossless), still.play)
    rectangles = [content for name, content in parts if name == b"ANMF"]
    check_frames(len(rectangles))
    if not rectangles:
        raise Undecodable("unreadable", "an animated WebP file without frames")
    facts = _facts(data, rectangles)
    transparent = data[:FLAGS] + bytes([data[FLAGS] | ALPHA]) + data[FLAGS + 1 :]
    return Source(replace(facts, lossless=lossless), partial(_play, transparent, facts.frames))


def _parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and first 16 bytes of each chunk, those of animation frames included."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        yield name, data[at + 8 : at + 24]
        if name in (b"VP8 ", b"VP8L", b"ALPH"):
            refuse_page(data, at + 8, at + 8 + size)
        at += 24 if name == b"ANMF" else 8 + size + size % 2  # ANMF: 16 bytes of its own, then chunks


def _facts(data: bytes, rectangles: list[bytes]) -> Facts:
    image = stills.opened(data, "WEBP")
    width, height = image.size
    turned = stills.turn_of(image) >= 5
    partial_frames = any(_covered(rectangle) != (0, 0, width, height) for rectangle in rectangles)
    has_alpha = bool(data[FLAGS] & ALPHA) or partial_frames
    return Facts("WEBP", *((height, width) if turned else (width, height)), len(rectangles), has_alpha, lossless=True)


def _covered(rectangle: bytes) -> tuple[int, int, int, int]:
    """left, top, width, height of an ANMF chunk."""
    left, top, width, height = (int.from_bytes(rectangle[at : at + 3], "little") for at in (0, 3, 6, 9))
    return 2 * left, 2 * top, width + 1, height + 1


def _play(data: bytes, frames: int) -> Iterator[Pixels]:
    image = stills.opened(data, "WEBP")
    turn = stills.turn_of(image)
    for number in range(frames):
        image.seek(number)
        yield upright(stills.as_array(image.convert("RGBA")), turn)
