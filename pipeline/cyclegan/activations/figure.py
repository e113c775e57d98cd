"""The report's figure: activation maps, rows are layers, columns are channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.cyclegan.activations.layers import Layer, levels
from pipeline.images.files import Pixels

GAP = 2  # pixels between maps
MARGIN = 170  # pixels for the words on a layer
LETTERS = 11  # pixels
GROUND, INK, DIM = 24, 236, 168  # grey levels
STEP = 8  # grey levels told apart: 32 of them, a third of the bytes


def figure(found: Sequence[Layer], *, channels: int, side: int) -> Pixels:
    """uint8 (rows, columns, 3). Maps are stretched over all greys, each by itself.

    Args:
        found: the rows.
        channels: columns; a layer with more shows evenly spaced ones.
        side: pixels of a map: a smaller one is enlarged by nearest neighbour, of a larger one its middle is shown, so
            that no tile is lost to shrinking.
    """
    place = side + GAP
    page = Image.new("L", (MARGIN + channels * place + GAP, len(found) * place + GAP), GROUND)
    pen = ImageDraw.Draw(page)
    for index, layer in enumerate(found):
        top = GAP + index * place
        _label(pen, layer, top)
        for column, channel in enumerate(spaced(len(layer.maps), channels)):
            tile = fitted(levels(layer.maps[channel]), side)
            page.paste(Image.fromarray(tile), (MARGIN + GAP + column * place, top))
    return np.repeat(np.array(page)[..., None], 3, axis=2)


def _label(pen: ImageDraw.ImageDraw, layer: Layer, top: int) -> None:
    count, height, width = layer.maps.shape
    comb = "" if layer.comb_db is None else f"   comb {layer.comb_db:+.1f} dB"
    font = ImageFont.load_default(LETTERS)
    pen.text((6, top + 4), layer.name, INK, font)
    pen.text((6, top + 4 + LETTERS + 3), f"{layer.kind} {layer.kernel}x{layer.kernel} /{layer.stride}", DIM, font)
    pen.text((6, top + 4 + 2 * (LETTERS + 3)), f"{count} x {height} x {width}{comb}", DIM, font)


def spaced(there: int, wanted: int) -> list[int]:
    """At most `wanted` of `there` indices, evenly spaced."""
    return list(range(there)) if there <= wanted else [index * there // wanted for index in range(wanted)]


def fitted(plane: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """(H, W) levels -> (side, side) greys: enlarged by an integer, or its middle."""
    zoom = max(1, side // max(plane.shape))
    large = plane.repeat(zoom, axis=0).repeat(zoom, axis=1)
    top, left = (max(0, length - side) // 2 for length in large.shape)
    middle = large[top : top + side, left : left + side]
    whole = np.full((side, side), GROUND, np.uint8)
    whole[: middle.shape[0], : middle.shape[1]] = np.minimum(middle // STEP * STEP + STEP // 2, 255)
    return whole
