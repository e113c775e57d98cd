"""The figure of activation maps, as in the report: rows are layers, columns are channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.cyclegan.activations.recorder import Layer, stretch
from pipeline.images.files import Pixels
from pipeline.images.resample import enlarge

GAP = 2  # pixels between maps
MARGIN = 170  # pixels for the words on a layer
LETTERS = 11  # pixels
GROUND, INK, DIM = 24, 236, 168  # grey levels
STEP = 8  # grey levels told apart: 32 of them, a third of the bytes


def draw_figure(layers: Sequence[Layer], *, channels: int, side: int) -> Pixels:
    """Draw the maps of some layers, each stretched over all greys: uint8 (rows, columns, 3).

    Args:
        layers: the rows.
        channels: columns; a layer with more shows evenly spaced ones.
        side: pixels of a map: a smaller one is enlarged by nearest neighbour, of a larger one its middle is shown, so
            that no tile is lost to shrinking.
    """
    step = side + GAP
    page = Image.new("L", (MARGIN + channels * step + GAP, len(layers) * step + GAP), GROUND)
    pen = ImageDraw.Draw(page)
    for index, layer in enumerate(layers):
        top = GAP + index * step
        _label(pen, layer, top)
        for column, channel in enumerate(spread(len(layer.maps), channels)):
            tile = fit(stretch(layer.maps[channel]), side)
            page.paste(Image.fromarray(tile), (MARGIN + GAP + column * step, top))
    return np.repeat(np.array(page)[..., None], 3, axis=2)


def _label(pen: ImageDraw.ImageDraw, layer: Layer, top: int) -> None:
    count, height, width = layer.maps.shape
    comb = "" if layer.comb_db is None else f"   comb {layer.comb_db:+.1f} dB"
    font = ImageFont.load_default(LETTERS)
    pen.text((6, top + 4), layer.name, INK, font)
    pen.text((6, top + 4 + LETTERS + 3), f"{layer.kind} {layer.kernel}x{layer.kernel} /{layer.stride}", DIM, font)
    pen.text((6, top + 4 + 2 * (LETTERS + 3)), f"{count} x {height} x {width}{comb}", DIM, font)


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spaced."""
    return list(range(count)) if count <= most else [index * count // most for index in range(most)]


def fit(plane: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """The greys (side, side) of a map (H, W) of levels: enlarged by a whole number, or its middle."""
    greys = np.minimum(plane // STEP * STEP + STEP // 2, 255).astype(np.uint8)
    large = enlarge(greys, max(1, side // max(plane.shape)))
    top, left = (max(0, length - side) // 2 for length in large.shape)
    middle = large[top : top + side, left : left + side]
    tile = np.full((side, side), GROUND, np.uint8)
    tile[: middle.shape[0], : middle.shape[1]] = middle
    return tile
