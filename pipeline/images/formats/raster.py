"""From the samples of a codec to the pixels of a frame: palettes, hidden colours, orientation."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

from pipeline.images.files import DAMAGED, Pixels
from pipeline.images.formats.container import Undecodable

# EXIF orientation -> steps through the rows and columns, after they have been swapped from 5 on
BLACK = (0, 0, 0, 255)
TURNS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}


def table_of(rgb: bytes) -> Pixels:
    """A palette of 3 bytes a colour as opaque (N, 4)."""
    colours = np.frombuffer(rgb, np.uint8).reshape(-1, 3)
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    return table


def coloured(indices: Pixels, table: Pixels) -> Pixels:
    """Colours of indices: uint8 (H, W) and a palette (N, 4) -> (H, W, 4); beyond a palette is black, as browsers do.

    Raises:
        Undecodable: unreadable, where there is no palette at all.
    """
    if not len(table):
        raise Undecodable("unreadable", "a picture of palette colours without a palette")
    if len(table) < 256 and int(indices.max()) >= len(table):
        table = np.vstack([table, np.full((256 - len(table), 4), BLACK, np.uint8)])
    return table.view(np.uint32)[:, 0][indices].view(np.uint8).reshape(*indices.shape, 4)


def without_hidden(rgba: Pixels) -> Pixels:
    """Clear the colours under alpha 0, in place."""
    packed = rgba.view("<u4")
    packed *= packed >= 1 << 24  # alpha is the highest byte
    return rgba


def orientation(exif: bytes) -> int:
    """The orientation of EXIF data, 1 to 8; 1 (upright) where there is none or the data are damaged."""
    try:
        tags = Image.Exif()
        tags.load(exif)
        value = tags.get(ExifTags.Base.Orientation)
    except DAMAGED:
        return 1
    return value if isinstance(value, int) and value in TURNS else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn (H, W, C) as its orientation says and browsers show it: pixels are moved, never mixed."""
    if orientation == 1:
        return pixels
    rows, columns = TURNS[orientation]
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    return np.ascontiguousarray(turned[::rows, ::columns])
