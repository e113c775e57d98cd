"""The ground around the figure of an artwork: it fills a file, but no artist drew it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.images.colour import distinct
from pipeline.images.files import Pixels

BORDER = 0.5  # of the outermost pixels: a colour that holds less is part of the artwork
LEAST = 0.05  # of the pixels: a smaller figure is no figure, and everything counts


def figure_mask(rgb: Pixels) -> NDArray[np.bool_]:
    """The figure of an artwork as True in (H, W); all of it where there is no ground.

    The ground is what the commonest colour of the border reaches from there.
    """
    ring = np.concatenate([rgb[0], rgb[-1], rgb[1:-1, 0], rgb[1:-1, -1]])
    colours, _, counts = distinct(ring)
    everything = np.ones(rgb.shape[:2], np.bool_)
    if counts.max() < BORDER * len(ring):
        return everything
    parts, _ = ndimage.label((rgb == colours[counts.argmax()]).all(axis=2))  # corners do not connect
    outer = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    figure = ~np.isin(parts, outer[outer > 0])
    return figure if figure.mean() >= LEAST else everything
