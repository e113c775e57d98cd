"""GIF: blocks and frames are ours, the LZW codes inside are left to Pillow.

Pillow's own frames are not exact: where no transparent colour is declared it fills the open canvas and what was
cleared with a palette colour, where every browser shows transparency. Choices where the specification is silent or
nobody follows it: the canvas is the logical screen, grown to a first frame that reaches beyond (later ones are cut);
it starts transparent; disposal 2 clears to transparency, not to the background colour; disposal 4 means 3.
A key colour that is only meant (magenta, say) is left as the colour that it is: nothing in the file tells it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.images.files import Pixels
from pipeline.images.formats.animation import Disposal, Patch, compose
from pipeline.images.formats.container import Facts, Source, Undecodable, check_frames, check_size
from pipeline.images.formats.raster import coloured, table_of

DISPOSALS: dict[int, Disposal] = {2: "clear", 3: "restore", 4: "restore"}
EXTENSION, IMAGE, TRAILER, CONTROL = 0x21, 0x2C, 0x3B, 0xF9
INTERLACED, TABLE = 0x40, 0x80


class Shot(NamedTuple):
    """One image of the file, not yet decoded."""

    left: int
    top: int
    width: int
    height: int
    table: bytes  # its colours, 3 bytes each
    key: int | None  # the index that is transparent
    disposal: Disposal
    interlaced: bool
    codes: bytes  # code size and data blocks

    def covers(self, width: int, height: int) -> bool:
        """Whether it leaves nothing open of a canvas of this size."""
        return self.left == self.top == 0 and self.width >= width and self.height >= height


def read(data: bytes) -> Source:
    """Read the blocks of a GIF file.

    Raises:
        Undecodable: truncated, unreadable, too_large, too_many_frames.
    """
    try:
        shots = list(_shots(data))
    except (IndexError, struct.error) as error:
        raise Undecodable("truncated", f"a GIF file that ends in the middle, after {len(data)} bytes") from error
    if not shots:
        raise Undecodable("unreadable", "a GIF file without an image")
    first = shots[0]
    width, height = struct.unpack_from("<HH", data, 6)
    width, height = max(width, first.left + first.width), max(height, first.top + first.height)
    check_size(width, height)
    has_alpha = not first.covers(width, height) or first.key is not None or any(map(_opens, shots, shots[1:]))
    facts = Facts("GIF", width, height, len(shots), has_alpha, lossless=True)
    oversize = sum(max(0, shot.width * shot.height - width * height) for shot in shots)
    return Source(facts, partial(_play, shots, width, height), oversize)


def _opens(shot: Shot, after: Shot) -> bool:
    """Whether what `shot` clears away may be seen through the next one."""
    covered = after.left <= shot.left and after.top <= shot.top
    covered &= after.left + after.width >= shot.left + shot.width
    covered &= after.top + after.height >= shot.top + shot.height
    return shot.disposal == "clear" and (after.key is not None or not covered)


def _shots(data: bytes) -> Iterator[Shot]:
    """The images of a file; IndexError or struct.error where it ends early."""
    flags, at = data[10], 13
    table, at = _table(data, at, flags)
    key, disposal, frames = None, 0, 0
    while (kind := data[at]) != TRAILER:
        if kind == EXTENSION:
            if data[at + 1] == CONTROL and data[at + 2] >= 4:
                packed, transparent = data[at + 3], data[at + 6]
                key, disposal = transparent if packed & 1 else None, packed >> 2 & 7
            at = _skip(data, at + 2)
        elif kind == IMAGE:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, at + 1)
            local, start = _table(data, at + 10, flags)
            at = _skip(data, start + 1)
            yield Shot(
                left, top, width, height, local or table, key, DISPOSALS.get(disposal, "keep"),
                bool(flags & INTERLACED), data[start:at],
            )  # fmt: skip
            key, disposal, frames = None, 0, frames + 1
            check_frames(frames)
        else:
            raise Undecodable("unreadable", f"byte {at} of a GIF file: expected a block, found {kind:#04x}")


def _table(data: bytes, at: int, flags: int) -> tuple[bytes, int]:
    """The colour table that begins at a byte, if there is one, and where it ends."""
    end = at + (3 << (flags & 7) + 1) if flags & TABLE else at
    return data[at:end], end


def _skip(data: bytes, at: int) -> int:
    """The end of the data blocks that begin at a byte."""
    while size := data[at]:
        at += size + 1
    return at + 1


def _play(shots: list[Shot], width: int, height: int) -> Iterator[Pixels]:
    patches = (Patch(_pixels(shot), shot.left, shot.top, over=True, disposal=shot.disposal) for shot in shots)
    return compose(width, height, patches)


def _pixels(shot: Shot) -> Pixels:
    """uint8 (h, w, 4) of one image."""
    check_size(shot.width, shot.height)
    indices = np.array(
        Image.frombytes("P", (shot.width, shot.height), shot.codes[1:], "gif", shot.codes[0], shot.interlaced)
    )
    table = table_of(shot.table)
    if shot.key is not None:
        if shot.key >= len(table):
            table = np.vstack([table, np.zeros((shot.key + 1 - len(table), 4), np.uint8)])
        table[shot.key] = 0
    return coloured(indices, table)
