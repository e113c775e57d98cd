"""Periodic tiles, the mark of uneven upscaling, as energy at the harmonics of their period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.colour import LUMA_WEIGHTS
from pipeline.images.files import Pixels

Array = NDArray[np.float64]


def comb_db(rgb: Pixels, cell: int) -> float:
    """Spectral energy at the harmonics of the cell grid against its surroundings, in dB.

    Pixel art enlarged by nearest has zeros exactly there; the periodic tiles of a generator have peaks there. The
    largest ratio of P(bin) to the mean of P over the ring two and three bins away, over (0, k), (k, 0), (k, k),
    k = multiples of side / cell up to side / 2; P = squared magnitude of the Fourier transform of luminance in 8-bit
    levels, plus 1, so that a perfect zero stays finite: true art comes out near -40.

    Args:
        rgb: uint8 (H, W, 3).
        cell: pixels a side of a cell, at least 2.
    """
    return plane_comb_db(rgb.astype(np.float64) @ LUMA_WEIGHTS, cell)


def plane_comb_db(plane: Array, cell: int) -> float:
    """`comb_db` of one plane (H, W) of values that range over some 256 levels."""
    power = np.abs(np.fft.fft2(plane)) ** 2 + 1
    harmonics = [(plane.shape[0] * k // cell, plane.shape[1] * k // cell) for k in range(1, cell // 2 + 1)]
    bins = [(a * h, b * w) for a, b in ((0, 1), (1, 0), (1, 1)) for h, w in harmonics]
    return float(max(10 * np.log10(power[y, x] / _ring_mean(power, y, x)) for y, x in bins))


def _ring_mean(power: Array, y: int, x: int) -> float:
    """Mean of the bins whose larger offset is two or three; the transform is periodic, so indices wrap."""
    around = np.arange(-3, 4)
    window = power[np.ix_((y + around) % power.shape[0], (x + around) % power.shape[1])]
    return float((window.sum() - window[2:5, 2:5].sum()) / (49 - 9))
