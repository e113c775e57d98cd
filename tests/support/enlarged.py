"""Pictures whose native cell is known, and the detector with the default parameters."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.cells import detect as cells
from pipeline.curate.params import Grid

PARAMS = Grid(max_cell=16, min_confidence=0.55)


def detect(rgb: np.ndarray) -> cells.Cell:
    return cells.detect(np.ascontiguousarray(rgb[..., :3]), PARAMS.max_cell, PARAMS.min_confidence)


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(rgb[..., :3]).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def portrait(size: int = 32) -> np.ndarray:
    """A face-like native work: flat areas with outlines, a few colours, no repetition."""
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    rgb = np.full((size, size, 3), (143, 163, 184), np.uint8)
    rgb[(x / 0.8) ** 2 + y**2 < (size * 0.42) ** 2] = (40, 26, 50)
    rgb[(x / 0.75) ** 2 + (y - 2) ** 2 < (size * 0.34) ** 2] = (236, 188, 150)
    rgb[(abs(x) - size / 7) ** 2 + (y - 1) ** 2 < (size / 14) ** 2] = (60, 110, 190)
    rgb[(abs(x) < size / 9) & (abs(y - size / 4) < 1)] = (190, 70, 80)
    rgb[(x + y > size * 0.45)] = (90, 60, 120)
    return rgb
