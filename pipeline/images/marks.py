"""Short dark marks that a drawing on cells has lost: a mouth is a thin line of two or three cells, and a mean of skin.

What draws cells leaves out strokes as thin as strands of hair, and the mouth of a small face is no thicker. What sets
it apart is that it lies, alone, on an area that is calm in the drawing, while strands hang. Marks are found in the
picture by a black top-hat (closing minus picture; Serra 1982, Image Analysis and Mathematical Morphology) and drawn as
clearly as an artist of cells would.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pipeline.images.colour import from_oklab, to_oklab
from pipeline.images.files import Pixels

Floats = NDArray[np.float64]

FINE = 4  # pixels a side of a cell that is searched
THICK = 7  # pixels: a line that is thinner is a mark
DARKEST = 4  # pixels of a cell's 16 that say what its mark is like: a line of one pixel across it
FAINTEST = 0.035  # of [0, 1]: grey levels of them below what is around
CLEAR = 2.0  # times a mark stands above what most cells within NEAR have, or it is grain
STROKE, BUSY = 0.06, 0.25  # where more than that share of cells within NEAR have so strong ones, they are hair
NEAR = 11  # cells a side
DRAWN = 0.14  # OKLab: a drawing that differs by so much from what is around a cell shows its mark already
CELLS = (2, 6)  # of a mark
INSIDE = 3  # cells between a mark and the border, at least
BESIDE = (2, 3)  # cells above and below, and left and right of a mark, that must be calm:
CALM, ALIKE = 0.15, 0.06  # at most that share of them differs from their median by more than this
DARKER = 0.18  # OKLab lightness, by so much at least a mark becomes darker than what is around


def keep_marks(drawn: Pixels, picture: Pixels) -> Pixels:
    """Draw the short dark marks that lie in a picture and that its drawing on cells has lost, such as mouths.

    Args:
        drawn: uint8 (rows, columns, 3), one pixel a cell, in any number of colours.
        picture: uint8 (H, W, 3), what it shows; any size of about the same proportions.

    Returns:
        uint8 (rows, columns, 3): the drawing, other in the cells of lost marks alone.
    """
    rows, columns = drawn.shape[:2]
    fine = Image.fromarray(picture).resize((columns * FINE, rows * FINE), Image.Resampling.BICUBIC)
    grey = np.asarray(fine.convert("L"))
    closed = ndimage.minimum_filter(ndimage.maximum_filter(grey, THICK), THICK)
    depths = _by_cell(closed - grey)[..., 0]
    strengths: Floats = np.sort(depths, axis=2)[..., -DARKEST:].mean(axis=2) / 255
    lab = to_oklab(drawn)
    labels, _ = ndimage.label(_lost(strengths, lab), np.ones((3, 3)))
    pixels, kept = _by_cell(np.asarray(fine)), drawn.copy()
    for number, (down, across) in enumerate(ndimage.find_objects(labels), 1):
        cells = np.argwhere(labels[down, across] == number) + np.array([down.start, across.start])
        height, width = np.ptp(cells, axis=0)
        to_border = np.minimum(cells, np.array([rows - 1, columns - 1]) - cells).min()
        if not CELLS[0] <= len(cells) <= CELLS[1] or height >= width or to_border < INSIDE:
            continue
        beside = _beside(lab, cells)
        ground = np.median(beside, axis=0)
        if (np.linalg.norm(beside - ground, axis=1) > ALIKE).mean() <= CALM:
            at = tuple(cells.T)
            step = _darkest_minus_lightest(to_oklab(pixels[at]), depths[at])
            kept[at] = from_oklab((ground + np.minimum(step, [-DARKER, np.inf, np.inf]))[None, None])[0, 0]
    return kept


def _by_cell(fine: Pixels) -> Pixels:
    """(rows * FINE, columns * FINE[, k]) -> (rows, columns, FINE * FINE, k)."""
    rows, columns = fine.shape[0] // FINE, fine.shape[1] // FINE
    return fine.reshape(rows, FINE, columns, FINE, -1).swapaxes(1, 2).reshape(rows, columns, FINE * FINE, -1)


def _lost(strengths: Floats, lab: Floats) -> NDArray[np.bool_]:
    """The cells (rows, columns) on the crest of a dark line of the picture of which the drawing shows nothing."""
    padded = np.pad(strengths, 1)
    above, below, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    crest = (strengths >= np.maximum(above, below)) | (strengths >= np.maximum(left, right))
    lost = np.asarray(crest & (strengths >= FAINTEST))
    busy = ndimage.uniform_filter((strengths >= STROKE).astype(np.float64), NEAR, mode="nearest")
    lost &= busy <= BUSY
    at = np.nonzero(lost)
    if lost.any():
        usual = np.quantile(_windows(strengths[..., None], NEAR)[at], 0.6, axis=(1, 2, 3))
        around = _windows(lab, 5)[at]
        differences = around[:, :, 1:4, 1:4] - np.median(around, axis=(2, 3), keepdims=True)
        shown = np.linalg.norm(differences, axis=1).max(axis=(1, 2))
        lost[at] = (strengths[at] >= CLEAR * usual) & (shown < DRAWN)
    return lost


def _windows(values: Floats, side: int) -> Floats:
    """What is around each cell, (rows, columns, k) -> (rows, columns, k, side, side)."""
    reach = side // 2
    padded = np.pad(values, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return sliding_window_view(padded, (side, side), axis=(0, 1))


def _beside(lab: Floats, cells: NDArray[np.intp]) -> Floats:
    """The colours (n, 3) of the cells around a mark, without its own and those that touch it."""
    (top, left), (bottom, right) = cells.min(axis=0), cells.max(axis=0)
    first = max(0, top - BESIDE[0]), max(0, left - BESIDE[1])
    part = lab[first[0] : bottom + BESIDE[0] + 1, first[1] : right + BESIDE[1] + 1]
    mark = np.zeros(part.shape[:2], np.bool_)
    mark[tuple((cells - first).T)] = True
    beside: Floats = part[~ndimage.binary_dilation(mark)]
    return beside


def _darkest_minus_lightest(pixels: Floats, depths: Floats) -> Floats:
    """The mean step (3,) from the lightest to the darkest pixels of cells (n, FINE * FINE, 3)."""
    order = np.argsort(depths, axis=1, kind="stable")[..., None]
    ordered = np.take_along_axis(pixels, order, axis=1)
    step: Floats = (ordered[:, -DARKEST:] - ordered[:, :DARKEST]).mean(axis=(0, 1))
    return step
