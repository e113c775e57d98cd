"""The tones of a face, brought near those of an artwork, before its cells choose among the artwork's colours."""

from __future__ import annotations

import numpy as np

from pipeline.colour import Lab, from_oklab, to_oklab
from pipeline.io import Pixels

SATURATION = (1.0, 1.5)  # least and most that chroma is multiplied by
FLAT = 1e-6  # deviation or chroma below which there is nothing to stretch


def toned(face: Pixels, artwork: Pixels, share: float) -> Pixels:
    """`face` (H, W, 3) on the way to the lightness (mean, deviation) and the saturation of `artwork` (P, 3).

    Hues stay, and so does the order of lightness; in OKLab, clipped to sRGB.

    Args:
        face: what is toned.
        artwork: its colours, by area.
        share: of the way; 0 leaves the face as it is.
    """
    if share == 0:
        return face
    lab, goal = to_oklab(face), to_oklab(artwork)
    return from_oklab((1 - share) * lab + share * _matched(lab, goal))


def _matched(lab: Lab, goal: Lab) -> Lab:
    lightness, wanted = lab[..., :1], goal[..., 0]
    stretch = wanted.std() / max(float(lightness.std()), FLAT)
    saturation = np.clip(_chroma(goal) / max(_chroma(lab), FLAT), *SATURATION)
    return np.concatenate(
        [(lightness - lightness.mean()) * stretch + wanted.mean(), lab[..., 1:] * saturation], axis=-1
    )


def _chroma(lab: Lab) -> float:
    """Root of its mean square."""
    return float(np.sqrt((lab[..., 1:] ** 2).sum(axis=-1).mean()))
