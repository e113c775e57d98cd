"""Colours: OKLab (Ottosson 2020), in which equal distances look equally large, the nearest and the distinct ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.canonical import pack, unpack
from pipeline.images.files import Pixels

Lab = NDArray[np.float64]

LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue in brightness (Rec. 601)
LEVELS = np.arange(256) / 255  # of sRGB
LINEAR = np.where(LEVELS <= 0.04045, LEVELS / 12.92, ((LEVELS + 0.055) / 1.055) ** 2.4)  # their linear light
OPAQUE = 128  # least alpha that counts as opaque, where a pixel is one or the other

LMS_FROM_RGB = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
LAB_FROM_LMS = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


def to_oklab(rgb: Pixels) -> Lab:
    """OKLab of sRGB colours: uint8 (..., 3) -> L in [0, 1], a and b within about [-0.4, 0.4], float64 (..., 3)."""
    return _dot(np.cbrt(_dot(LINEAR[rgb], LMS_FROM_RGB)), LAB_FROM_LMS)


def from_oklab(lab: Lab) -> Pixels:
    """The nearest sRGB uint8 colours; what lies outside sRGB is clipped per channel."""
    lms = _dot(lab, np.linalg.inv(LAB_FROM_LMS)) ** 3
    linear = np.clip(_dot(lms, np.linalg.inv(LMS_FROM_RGB)), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


def nearest_indices(lab: Lab, palette: Lab) -> NDArray[np.intp]:
    """Index of the nearest palette colour, the first of equals: (n, 3) against (k, 3) -> (n,)."""
    best = np.zeros(len(lab), np.intp)
    smallest = np.full(len(lab), np.inf)
    for index, colour in enumerate(palette):  # one pass a colour: memory stays at n, whatever k
        distance = ((lab - colour) ** 2).sum(axis=1)
        closer = distance < smallest
        best[closer], smallest[closer] = index, distance[closer]
    return best


def distinct(rgb: Pixels) -> tuple[Pixels, NDArray[np.intp], NDArray[np.intp]]:
    """The distinct colours (k, 3) of (..., 3) in sorted order, each pixel's index (n,), and their counts (k,)."""
    packed, indices, counts = np.unique(pack(rgb).ravel(), return_inverse=True, return_counts=True)
    return unpack(packed), indices, counts


def _dot(colours: Lab, matrix: Lab) -> Lab:
    """(..., 3) times a 3x3 matrix in a fixed order of addition, so that the last bit does not depend on the BLAS."""
    x, y, z = colours[..., 0], colours[..., 1], colours[..., 2]
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], axis=-1)
