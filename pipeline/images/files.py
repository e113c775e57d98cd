"""Image files read into arrays of integers, and written from them."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput

Pixels = NDArray[np.uint8]
Words = NDArray[np.uint32]

WORD = np.dtype("<u4")  # an RGBA pixel as one number, alpha in the highest byte, red in the lowest
VISIBLE = 1 << 24  # least word whose alpha is not 0
PNG = b"\x89PNG\r\n\x1a\n"
AS_IT_IS, LIKE_ABOVE = 0, 2  # PNG's filters None and Up
COLOUR_TYPES = {3: 2, 4: 6}  # PNG's numbers for so many channels
ART_LEVEL = 3  # of zlib; from 4 on it also tries what comes after a match: three times the time, files 20 % smaller

MAX_PIXELS = 16_000_000  # per frame; a gallery's largest legitimate artwork is far below
FORMATS = ("PNG", "GIF", "WEBP", "JPEG", "BMP")
DAMAGED = (  # what Pillow raises over bytes that are no whole image; the last two of a torn animated GIF
    OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, IndexError, struct.error,
)  # fmt: skip


@contextmanager
def open_image(source: Path | bytes, name: str = "image") -> Iterator[Image.Image]:
    """Open an image file, or the bytes of one, by its magic bytes, whatever its name says.

    Args:
        name: of bytes, for errors; a file is called by its path.

    Raises:
        BadInput: not one of FORMATS, more than MAX_PIXELS, or damaged (also while the block reads it).
    """
    file, name = (source, str(source)) if isinstance(source, Path) else (BytesIO(source), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF, which no pixel depends on
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BadInput(f"{name}: {image.width}x{image.height} pixels, the limit is {MAX_PIXELS}")
                yield image
    except DAMAGED as error:
        raise BadInput(f"{name}: not a readable {'/'.join(FORMATS)} image: {error}") from error


def read_rgba(source: Path | bytes, name: str = "image") -> Pixels:
    """First frame as uint8 (H, W, 4); colours under alpha 0 are set to 0, so that they cannot leak."""
    with open_image(source, name) as image:
        return _rgba(image)


def decode_words(data: bytes, name: str = "image") -> Words:
    """First frame of a file's bytes, (H, W), a WORD a pixel; colours under alpha 0 are still there. Read-only."""
    with open_image(data, name) as image:
        return _words(image)


def _words(image: Image.Image) -> Words:
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    return np.frombuffer(rgba.tobytes(), WORD).reshape(rgba.height, rgba.width)


def _rgba(image: Image.Image) -> Pixels:
    words = _words(image)
    hidden = words.min() < VISIBLE
    visible = words * (words >= VISIBLE) if hidden else words.copy()  # no branches: ten times a mask's speed
    return visible.view(np.uint8).reshape(*words.shape, 4)


def read_rgb(source: Path | bytes, name: str = "image") -> Pixels:
    """An opaque image as uint8 (H, W, 3).

    Raises:
        BadInput: the image has an alpha channel with anything but 255 in it: flatten first.
    """
    with open_image(source, name) as image:
        if image.mode == "RGB" and "transparency" not in image.info:
            return np.array(image)
        rgba = _rgba(image)
    if (rgba[..., 3] != 255).any():
        name = str(source) if isinstance(source, Path) else name
        raise BadInput(f"{name}: expected an opaque image, found transparency: flatten it first")
    return without_alpha(rgba)


def without_alpha(rgba: Pixels) -> Pixels:
    """uint8 (H, W, 4) -> (H, W, 3), plane by plane: four times as fast as a copy of the slice."""
    rgb = np.empty((*rgba.shape[:2], 3), np.uint8)
    for channel in range(3):
        rgb[..., channel] = rgba[..., channel]
    return rgb


def encode_png(pixels: Pixels) -> bytes:
    """uint8 (H, W, 3) or (H, W, 4) as a lossless PNG."""
    data = BytesIO()
    Image.fromarray(pixels).save(data, format="PNG", compress_level=6)
    return data.getvalue()


def encode_art_png(pixels: Pixels) -> bytes:
    """`encode_png` for pixel art: a row that repeats the one above says so (filter Up), any other stands as it is.

    Art repeats rows and colours: no filter makes it simpler, and zlib's fast levels find what there is to find. A
    third of the time of `encode_png`; files of 128 x 128 are 95 to 113 % as large (means over sets of real tiles,
    faces, characters, scenes). Only gradients grow, by half and more.
    """
    height, width, channels = pixels.shape
    flat = pixels.reshape(height, width * channels)
    new = np.ones((height, 1), np.bool_)
    np.any(flat[1:] != flat[:-1], axis=1, keepdims=True, out=new[1:])
    lines = np.empty((height, 1 + width * channels), np.uint8)
    lines[:, :1] = np.where(new, AS_IT_IS, LIKE_ABOVE)
    np.multiply(flat, new.view(np.uint8), out=lines[:, 1:])  # a fifth of the time that it takes with truth values
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    packed = zlib.compress(lines.data, ART_LEVEL)
    return PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def write_png(path: Path, pixels: Pixels) -> None:
    """`encode_png` into a file. Durable only with the folder it is part of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
