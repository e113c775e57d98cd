"""How much a set of pictures differs: the measure of collapse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.images.files import Pixels
from pipeline.images.resample import box

POOLED = (8, 8)
COLLAPSED = 0.3  # a spread ratio below is collapse: everything has become one picture


def spread(pictures: Sequence[Pixels]) -> float:
    """Mean distance between all pairs of two or more pictures, in 8x8 pooled sRGB levels."""
    pooled = np.stack([box(picture, POOLED).astype(np.float64).ravel() for picture in pictures])
    distances = [np.sqrt(((pooled[i + 1 :] - pooled[i]) ** 2).sum(axis=1)) for i in range(len(pooled) - 1)]
    return float(np.concatenate(distances).mean())


def spread_ratio(outputs: Sequence[Pixels], inputs: Sequence[Pixels]) -> float:
    """Spread of the outputs over the spread of their own inputs; below COLLAPSED is collapse.

    Inputs that do not differ at all give 0.
    """
    of_inputs = spread(inputs)
    return spread(outputs) / of_inputs if of_inputs > 0 else 0.0
