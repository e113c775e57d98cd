"""BMP, still WebP and JPEG, through Pillow.

Samples count as they are: no colour management (ICC, gamma), so that a palette stays a palette. CMYK becomes RGB by
(255 - C)(255 - K) / 255, without an ink profile, as browsers do.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageFile

from pipeline.images.files import Pixels
from pipeline.images.formats.container import Facts, Source, check_size
from pipeline.images.formats.raster import orientation, upright, without_hidden


def read(data: bytes, format: str) -> Source:
    """Decode a still picture of one of Pillow's formats.

    Raises:
        Undecodable: too_large; what Pillow raises (files.DAMAGED).
    """
    image = opened(data, format)
    turn, has_alpha = turn_of(image), image.has_transparency_data
    drawn = image.convert("RGBA")
    del image  # its memory serves the array: a third faster for large pictures
    rgba = upright(as_array(drawn) if has_alpha else np.array(drawn), turn)
    facts = Facts(format, rgba.shape[1], rgba.shape[0], 1, has_alpha, lossless=format != "JPEG")
    return Source(facts, lambda: iter((rgba,)))


def opened(data: bytes, format: str) -> ImageFile.ImageFile:
    """Open a picture that is not too large; nothing is decoded yet."""
    image = Image.open(BytesIO(data), formats=(format,))
    check_size(*image.size)
    return image


def turn_of(image: ImageFile.ImageFile) -> int:
    """The EXIF orientation of a picture, 1 to 8."""
    exif = image.info.get("exif")
    return orientation(exif) if exif else 1


def as_array(rgba: Image.Image) -> Pixels:
    """The pixels of a picture, uint8 (H, W, 4), zero under alpha 0."""
    return without_hidden(np.array(rgba))
