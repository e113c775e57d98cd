"""How much of a picture a drawing of it keeps: each cell beside the artwork's own, or the face's it was drawn from.

Pictures are native: uint8 (rows, columns, 3), one pixel a cell; colours are OKLab. Around a cell at the edge, the
nearest cells inside stand for those outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.images.colour import to_oklab
from pipeline.images.files import Pixels
from pipeline.metrics.pixel_art import Array

NEAR = 0.05  # OKLab: two colours that near are one to the eye, unless they touch
LINE = 0.12  # OKLab lightness by which a line is darker than the mean around it
LINE_WINDOW = 5  # cells a side
ACCENT = 0.06  # OKLab chroma by which an accent is above the median around it
ACCENT_WINDOW = 7  # cells a side
NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


@dataclass(frozen=True)
class Recovery:
    """Sums over the cells of one drawing and its truth; added, those of several.

    So every figure of several pictures counts each cell, each line cell and each unit of accents' chroma alike (micro
    mean): a picture with three line cells does not weigh as much as one with three hundred, and one without any needs
    no rule. For pictures of equal size error, within and lone are the mean of the pictures' own figures as well. An
    interval comes from drawing pictures, adding their sums, and reading the figure of the total.
    """

    cells: int = 0
    distance: float = 0.0  # OKLab, of all cells together
    near: int = 0  # cells within NEAR of the truth
    true_lines: int = 0
    drawn_lines: int = 0
    shared_lines: int = 0  # cells that are lines in both
    accents_chroma: float = 0.0  # OKLab, of the truth's accents together
    drawn_chroma: float = 0.0  # the part of it that is drawn
    drawn_lone: int = 0
    true_lone: int = 0

    def __add__(self, other: Recovery) -> Recovery:
        return Recovery(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def error(self) -> float:
        """Mean OKLab distance of a cell from the truth's."""
        return self.distance / self.cells

    @property
    def within(self) -> float:
        """Share of cells whose distance is at most NEAR."""
        return self.near / self.cells

    @property
    def lines(self) -> float | None:
        """F1 of the drawing's line cells as a guess of the truth's; None where neither has one."""
        both = self.true_lines + self.drawn_lines
        return 2 * self.shared_lines / both if both else None

    @property
    def accents(self) -> float | None:
        """Share of the truth's accent chroma that is drawn; None where the truth has no accent."""
        return self.drawn_chroma / self.accents_chroma if self.accents_chroma else None

    @property
    def lone(self) -> float:
        """Share of the drawing's cells that equal none of their neighbours."""
        return self.drawn_lone / self.cells

    @property
    def lone_truth(self) -> float:
        """The same share of the truth."""
        return self.true_lone / self.cells


def compare(drawn: Pixels, truth: Pixels) -> Recovery:
    """Compare a drawing with its truth, cell by cell.

    Args:
        truth: the artwork that a smooth version was made from. For a face, which has no truth, the mean colour of
            each cell (`pipeline.images.resample.box`): then `accents` and `lone` say something of the drawing, and the
            other figures only how far it went from the means.

    Raises:
        ValueError: pictures of different shape, or without a cell.
    """
    if drawn.shape != truth.shape or drawn.size == 0:
        raise ValueError(f"expected two pictures of one shape, at least one cell, got {drawn.shape} and {truth.shape}")
    lab, true_lab = to_oklab(drawn), to_oklab(truth)
    distance = np.sqrt(((lab - true_lab) ** 2).sum(axis=-1))
    drawn_lines, true_lines = _lines(lab), _lines(true_lab)
    drawn_chroma, chroma = _accents(lab, true_lab)
    return Recovery(
        cells=distance.size,
        distance=float(distance.sum()),
        near=int((distance <= NEAR).sum()),
        true_lines=int(true_lines.sum()),
        drawn_lines=int(drawn_lines.sum()),
        shared_lines=int((true_lines & drawn_lines).sum()),
        accents_chroma=chroma,
        drawn_chroma=drawn_chroma,
        drawn_lone=int(lone_cells(drawn).sum()),
        true_lone=int(lone_cells(truth).sum()),
    )


def total(recoveries: Iterable[Recovery]) -> Recovery:
    """The sums of several pictures together, at least one: figures of none have no value."""
    return sum(recoveries, Recovery())


def line_cells(native: Pixels) -> NDArray[np.bool_]:
    """Which cells are dark lines: at least LINE darker than the mean of the 5x5 around and with them."""
    return _lines(to_oklab(native))


def lone_cells(native: Pixels) -> NDArray[np.bool_]:
    """Which cells have the very colour of none of their (at most eight) neighbours."""
    rows, columns = native.shape[:2]
    alone = np.ones((rows, columns), np.bool_)
    for y, x in NEIGHBOURS:
        here = np.s_[max(-y, 0) : rows - max(y, 0), max(-x, 0) : columns - max(x, 0)]
        there = np.s_[max(y, 0) : rows - max(-y, 0), max(x, 0) : columns - max(-x, 0)]
        alone[here] &= (native[here] != native[there]).any(axis=-1)
    return alone


def _lines(lab: Array) -> NDArray[np.bool_]:
    lightness = lab[..., 0]
    return np.asarray(ndimage.uniform_filter(lightness, LINE_WINDOW, mode="nearest") - lightness >= LINE)


def _accents(lab: Array, true_lab: Array) -> tuple[float, float]:
    """Chroma of the truth's accents: how much of it is drawn, and how much there is.

    An accent is a cell whose chroma (length of its vector a, b) is at least ACCENT above the median of the 7x7 around
    it. Drawn is the part of the drawing's chroma that points in the accent's hue: at least none, at most all of it,
    cell by cell, so that one accent does not make up for another.
    """
    vector, true_vector = lab[..., 1:], true_lab[..., 1:]
    chroma = np.sqrt((true_vector**2).sum(axis=-1))
    accents = chroma - ndimage.median_filter(chroma, ACCENT_WINDOW, mode="nearest") >= ACCENT
    chroma, along = chroma[accents], (vector[accents] * true_vector[accents]).sum(axis=-1)
    return float(np.clip(along / chroma, 0, chroma).sum()), float(chroma.sum())
