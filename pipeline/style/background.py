"""The ground around what an artwork shows: it fills a file, but no artist drew it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.images.colour import distinct
from pipeline.images.files import Pixels

BORDER = 0.5  # of the outermost pixels: a colour that holds less is part of the artwork
LEAST = 0.05  # of the pixels: a smaller figure is no figure, and everything counts


def figure(rgb: Pixels) -> NDArray[np.bool_]:
    """(H, W): False where the commonest colour of the border reaches in from it; all True where there is no ground."""
    ring = np.concatenate([rgb[0], rgb[-1], rgb[1:-1, 0], rgb[1:-1, -1]])
    colours, _, counts = distinct(ring)
    everything = np.ones(rgb.shape[:2], np.bool_)
    if counts.max() < BORDER * len(ring):
        return everything
    shown: NDArray[np.bool_] = ~_reaching_in((rgb == colours[counts.argmax()]).all(axis=2))
    return shown if shown.mean() >= LEAST else everything


def _reaching_in(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of the mask that touch the border of the picture; corners do not connect."""
    parts, _ = ndimage.label(mask)
    outer = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return np.isin(parts, outer[outer > 0])
