"""PNG and APNG: chunks, samples and frames are ours; inflating and unfiltering are left to Pillow's codec.

Pillow's own reading is not exact: it cuts 16 bits off (and clips 16-bit grey), compares the transparent grey of depths
below 8 with scaled samples, blends partly transparent frames wrongly, counts a default picture that is no part of
the animation as its first frame, looks at no checksum of the pixels, and leaves rows open that their stream lacks. Here
every chunk that pixels depend on must have the right CRC (others are left out without it), and a file without its end
or with a row too few is truncated. 16 bits become 8 by the nearest value (PNG specification, 13.12): exact where the
file was made from 8 bits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.files import PNG, Pixels
from pipeline.images.formats.animation import Disposal, Patch, compose
from pipeline.images.formats.container import Facts, Source, Undecodable, check_frames, check_size
from pipeline.images.formats.raster import coloured, orientation, table_of, upright, without_hidden

DISPOSALS: tuple[Disposal, ...] = ("keep", "clear", "restore")
GREY, RGB, INDEXED, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), INDEXED: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
CHANNELS = {GREY: 1, RGB: 3, INDEXED: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
NOTHING = 91  # in the first channel of what was not drawn; few pictures have just that there
INFLATED = 1 << 20  # bytes at a time
TRUE_COLOUR = {RGB: ("RGBX", "RGB"), GREY_ALPHA: ("RGBA", "LA"), RGB_ALPHA: ("RGBA", "RGBA")}  # Pillow's mode, layout
Samples = Callable[[str, str], NDArray[Any]]  # Pillow's mode and layout -> samples, (H, W) or (H, W, channels)
REMARKS = frozenset(  # chunks that no pixel depends on, but for a turn that cannot be believed
    b"tEXt zTXt iTXt tIME pHYs gAMA cHRM sRGB iCCP cICP mDCV cLLI sBIT sPLT bKGD hIST oFFs sCAL pCAL eXIf".split()
)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # x y dx dy
INDICES = {1: "P;1", 2: "P;2", 4: "P;4", 8: "P"}  # layouts that give samples as they are, of grey too


@dataclass
class Control:
    """An fcTL chunk, and the compressed pixels that follow it."""

    width: int
    height: int
    left: int
    top: int
    disposal: Disposal
    over: bool
    parts: list[bytes] = field(default_factory=list)

    @property
    def place(self) -> tuple[int, int, int, int]:
        """left, top, width, height."""
        return self.left, self.top, self.width, self.height


class Chunks:
    """The chunks of a file that its pixels depend on.

    Raises:
        Undecodable: truncated, unreadable, too_many_frames.
    """

    def __init__(self, data: bytes) -> None:
        self.parts: list[bytes] = []  # contents of IDAT
        self.table = self.exif = b""
        self.key: bytes | None = None  # contents of tRNS
        self.animated = 0  # frames that acTL tells of; 0 = a still picture
        self.controls: list[Control] = []
        self.sequence = 0
        chunks = _chunks(data)
        name, header = next(chunks, (b"IEND", b""))
        if name != b"IHDR" or len(header) != 13:
            raise Undecodable("unreadable", f"a PNG file that begins with {name!r}, expected IHDR")
        self.width, self.height, self.depth, self.kind, *_, self.interlaced = struct.unpack(">IIBBBBB", header)
        for name, content in chunks:
            self._take(name, content)

    def _take(self, name: bytes, content: bytes) -> None:
        if name == b"IDAT":
            self.parts.append(content)
        elif name == b"PLTE":
            self.table = content
        elif name == b"tRNS":
            self.key = content
        elif name == b"eXIf":
            self.exif = content
        elif name == b"acTL" and not self.parts:
            self.animated = int.from_bytes(content[:4])
            check_frames(self.animated)
        elif name in (b"fcTL", b"fdAT"):
            self._animate(name, content)

    def _animate(self, name: bytes, content: bytes) -> None:
        if int.from_bytes(content[:4]) != self.sequence:
            raise Undecodable("unreadable", f"an APNG file whose {name.decode()} number {self.sequence} is missing")
        self.sequence += 1
        if name == b"fdAT" and self.controls:
            self.controls[-1].parts.append(content[4:])
        elif name == b"fcTL":
            self.controls.append(_control(content))
            if not self.parts:  # before IDAT: the picture of all viewers is the first frame
                self.controls[-1].parts = self.parts


def read(data: bytes) -> Source:
    """Read the chunks of a PNG or APNG file.

    Raises:
        Undecodable: truncated, unreadable, too_large, too_many_frames; what Pillow raises (files.DAMAGED).
    """
    chunks = Chunks(data)
    check_size(chunks.width, chunks.height)
    if chunks.depth not in DEPTHS.get(chunks.kind, ()) or chunks.interlaced > 1:
        raise Undecodable("unreadable", f"a PNG file of colour type {chunks.kind} and depth {chunks.depth}")
    turn = orientation(chunks.exif) if chunks.exif else 1
    size = (chunks.width, chunks.height) if turn < 5 else (chunks.height, chunks.width)
    has_alpha = chunks.kind >= GREY_ALPHA or chunks.key is not None
    if not chunks.animated:
        rgba = upright(_pixels(chunks, chunks.width, chunks.height, chunks.parts), turn)
        return Source(Facts("PNG", *size, 1, has_alpha, lossless=True), lambda: iter((rgba,)))
    _check(chunks)
    has_alpha = has_alpha or any(control.disposal == "clear" for control in chunks.controls)
    facts = Facts("PNG", *size, chunks.animated, has_alpha, lossless=True)
    return Source(facts, partial(_play, chunks, turn))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of all chunks up to IEND; of a damaged one not even the name is known."""
    at, end = len(PNG), len(data)
    while at + 12 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        after = at + 8 + size
        if after + 4 > end:
            break
        if zlib.crc32(data[at + 4 : after]) != int.from_bytes(data[after : after + 4]):
            if name in REMARKS:
                at = after + 4
                continue
            raise Undecodable("unreadable", f"byte {at} of a PNG file: the {name!r} chunk is damaged")
        if name == b"IEND":
            return
        yield name, data[at + 8 : after]
        at = after + 4
    raise Undecodable("truncated", f"a PNG file without its end, {len(data)} bytes")


def _control(content: bytes) -> Control:
    if len(content) != 26 or content[24] >= len(DISPOSALS) or content[25] > 1:
        raise Undecodable("unreadable", f"an APNG file with an odd fcTL chunk: {content.hex()}")
    width, height, left, top = struct.unpack_from(">4I", content, 4)
    return Control(width, height, left, top, DISPOSALS[content[24]], bool(content[25]))


def _check(chunks: Chunks) -> None:
    """Compare the frames of an animation with what the file declares of them."""
    controls, width, height = chunks.controls, chunks.width, chunks.height
    if len(controls) < chunks.animated:
        raise Undecodable("truncated", f"an APNG file with {len(controls)} of {chunks.animated} frames")
    if len(controls) > chunks.animated or not all(control.parts for control in controls):
        raise Undecodable("unreadable", f"an APNG file of {chunks.animated} frames with other frames in it")
    for control in controls:
        check_size(control.width, control.height)
        if control.left + control.width > width or control.top + control.height > height:
            raise Undecodable("unreadable", f"an APNG frame reaches beyond the canvas of {width}x{height}")
    if controls[0].parts is chunks.parts and controls[0].place != (0, 0, width, height):
        raise Undecodable("unreadable", f"the first APNG frame does not fill the canvas of {width}x{height}")


def _play(chunks: Chunks, turn: int) -> Iterator[Pixels]:
    def patches() -> Iterator[Patch]:
        for control in chunks.controls:
            rgba = _pixels(chunks, control.width, control.height, control.parts)
            yield Patch(rgba, control.left, control.top, control.over, control.disposal)

    for canvas in compose(chunks.width, chunks.height, patches()):
        yield upright(canvas, turn)


def _pixels(chunks: Chunks, width: int, height: int, parts: list[bytes]) -> Pixels:
    """uint8 (height, width, 4), zero under alpha 0."""

    def samples(mode: str, layout: str) -> NDArray[Any]:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        image = Image.new(mode, (width, height), NOTHING)
        image.frombytes(data, "zip", (layout, chunks.interlaced))
        array = np.array(image)
        if chunks.interlaced or array[-1].flat[0] == NOTHING:  # perhaps a row that never came
            _require_rows(chunks, width, height, data)
        return array

    if chunks.depth == 16:
        deep = _deep(chunks, samples)
        return without_hidden(((deep * 510 + 65535) // 131070).astype(np.uint8, order="C"))  # the nearest values
    if chunks.kind in (GREY, INDEXED):
        return coloured(samples("P", INDICES[chunks.depth]), _colours(chunks))
    rgba: Pixels = samples(*TRUE_COLOUR[chunks.kind])
    if chunks.kind == RGB:
        if chunks.key is None:
            return rgba
        key = struct.unpack(">3H", chunks.key)
        rgba[(rgba[..., :3] == [value & 255 for value in key]).all(axis=2)] = 0
        return rgba
    return without_hidden(rgba)


def _require_rows(chunks: Chunks, width: int, height: int, data: bytes) -> None:
    """Refuse pixels of which rows are missing, though their stream has an end."""
    bits = CHANNELS[chunks.kind] * chunks.depth
    parts = [(width, height)]
    if chunks.interlaced:
        parts = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in PASSES]
    missing = sum((1 + (columns * bits + 7) // 8) * rows for columns, rows in parts if columns > 0 and rows > 0)
    stream = zlib.decompressobj()
    while missing > 0 and (rows := stream.decompress(data, min(missing, INFLATED))):
        missing, data = missing - len(rows), stream.unconsumed_tail
    if missing > 0:
        raise Undecodable("truncated", f"a PNG file without {missing} bytes of its pixels")


def _colours(chunks: Chunks) -> Pixels:
    """(N, 4): what each sample of a grey or indexed picture looks like."""
    if chunks.kind == GREY:
        largest = (1 << chunks.depth) - 1
        grey = np.arange(largest + 1) * 255 // largest
        table = table_of(np.repeat(grey.astype(np.uint8), 3).tobytes())
        if chunks.key is not None:
            table[int.from_bytes(chunks.key[:2]) & largest] = 0
        return table
    if len(chunks.table) % 3 or len(chunks.table) > 768:
        raise Undecodable("unreadable", f"a PNG palette of {len(chunks.table)} bytes")
    table = table_of(chunks.table)
    if chunks.key:
        alpha = np.frombuffer(chunks.key, np.uint8)[: len(table)]
        table[: len(alpha), 3] = alpha
        table = without_hidden(table)
    return table


def _deep(chunks: Chunks, samples: Samples) -> NDArray[np.int64]:
    """(H, W, 4), 0..65535. Pillow's codec gives 8 bits of a colour sample at a time: the high ones, then the low."""
    if chunks.kind == GREY:
        colours = samples("I;16", "I;16B").astype(np.int64)[..., None]
    elif chunks.kind == GREY_ALPHA:  # the bytes of its pixels, as if they were those of RGBA
        four = samples("RGBA", "RGBA").astype(np.int64)
        colours = four[..., 0::2] << 8 | four[..., 1::2]
    else:
        mode = "RGB" if chunks.kind == RGB else "RGBA"
        colours = samples(mode, mode + ";16B").astype(np.int64) << 8 | samples(mode, mode + ";16L")
    if chunks.kind in (GREY, RGB):
        key = np.frombuffer(chunks.key or b"", ">u2").astype(np.int64)
        hidden = (colours == key).all(axis=2) if len(key) == colours.shape[2] else np.zeros(colours.shape[:2], bool)
        colours = np.dstack([colours, np.where(hidden, 0, 65535)])
    if colours.shape[2] == 2:
        colours = colours[..., [0, 0, 0, 1]]
    return colours
