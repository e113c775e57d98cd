"""A strip of pairs for the report page: smooth pictures above the pixel art that they should become."""

from __future__ import annotations

import numpy as np

from pipeline.cyclegan.pairs.source import PairSource
from pipeline.images.files import Pixels
from pipeline.images.resample import enlarge

SIDE = 128  # pixels of a place, unless a smooth picture is larger
GAP = 4  # pixels between places
PAPER = 255


def draw_strip(source: PairSource, count: int) -> Pixels:
    """Draw the first pairs of a source side by side, at most all, the numbers of cells in turn: uint8 (H, W, 3).

    Both sides of a pair are enlarged by whole numbers to the same size, and stand in the middle of their places.
    """
    place = max(SIDE, source.factor * max(source.cells))
    step = place + GAP
    count = min(count, source.each * len(source.cells))
    canvas = np.full((2 * step - GAP, count * step - GAP, 3), PAPER, np.uint8)
    for number in range(count):
        side = source.cells[number % len(source.cells)]
        pair = source.pair(side, number // len(source.cells))
        zoom = place // (side * source.factor)
        for row, picture in enumerate((enlarge(pair.smooth, zoom), enlarge(pair.native, zoom * source.factor))):
            size = picture.shape[0]
            top, left = (index * step + (place - size) // 2 for index in (row, number))
            canvas[top : top + size, left : left + size] = picture
    return canvas
