"""Square crops of smooth pictures (photographs, drawings): upright, on white, never padded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.cascade import Square
from pipeline.images.files import Pixels
from pipeline.images.folders import first_frame


def read_upright(path: Path) -> Image.Image:
    """Read the first frame of an image file as RGB: turned as its EXIF says, transparency on white.

    Raises:
        BadInput: not a readable image.
    """
    drawn = Image.fromarray(first_frame(path))
    return Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")


def centre(width: int, height: int) -> Square:
    """The largest square in the middle of a picture."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def around(box: Square, margin: float, width: int, height: int) -> Square:
    """A box widened by `margin` times its side on every side, moved and, where it must, shrunk into the picture."""
    left, top, side = box
    widened = min(round(side * (1 + 2 * margin)), width, height)
    x, y = left + (side - widened) // 2, top + (side - widened) // 2
    return min(max(x, 0), width - widened), min(max(y, 0), height - widened), widened


def cut(image: Image.Image, square: Square, size: int) -> Pixels:
    """Cut a square out as uint8 (size, size, 3), by LANCZOS: such pictures are smooth, art is never filtered."""
    left, top, side = square
    part = image.crop((left, top, left + side, top + side))
    return np.asarray(part.resize((size, size), Image.Resampling.LANCZOS))
