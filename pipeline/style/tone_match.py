"""The tones of a face, brought near those of an artwork, before its cells choose among the artwork's colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.colour import Lab, from_oklab, to_oklab
from pipeline.images.files import Pixels

SATURATION = (1.0, 1.5)  # least and most that chroma is multiplied by
FLAT = 1e-6  # deviation or chroma below which there is nothing to stretch


def match_tones(face: Pixels, artwork: Pixels, share: float, areas: NDArray[np.float64] | None = None) -> Pixels:
    """A face (H, W, 3) on the way to the lightness (mean, deviation) and the saturation of an artwork (P, 3).

    Hues stay, and so does the order of lightness; in OKLab, clipped to sRGB.

    Args:
        face: its pixels.
        artwork: its pixels.
        share: of the way; 0 leaves the face as it is.
        areas: what each pixel of the artwork counts, (P,), in any unit; all the same when left out.
    """
    if share == 0:
        return face
    lab, target = to_oklab(face), to_oklab(artwork)
    lightness = lab[..., :1]
    middle = np.average(target[..., 0], weights=areas)
    deviation = np.sqrt(np.average((target[..., 0] - middle) ** 2, weights=areas))
    stretch = deviation / max(float(lightness.std()), FLAT)
    saturation = np.clip(_chroma(target, areas) / max(_chroma(lab), FLAT), *SATURATION)
    matched = np.concatenate([(lightness - lightness.mean()) * stretch + middle, lab[..., 1:] * saturation], axis=-1)
    return from_oklab((1 - share) * lab + share * matched)


def _chroma(lab: Lab, areas: NDArray[np.float64] | None = None) -> float:
    """Root of the mean square of the distance from grey."""
    return float(np.sqrt(np.average((lab[..., 1:] ** 2).sum(axis=-1), weights=areas)))
