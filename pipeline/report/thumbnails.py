"""Pictures for the page: small PNGs as data URIs, shown at integer zoom and never smoothed."""

from __future__ import annotations

import base64
import io as streams
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images import files
from pipeline.images.colour import distinct
from pipeline.images.files import Pixels

LONGEST = 128  # pixels that a picture may take on the page


@dataclass(frozen=True)
class Thumbnail:
    """An embedded picture; width and height are those to show it at, a whole multiple of its own."""

    uri: str
    width: int
    height: int
    alt: str
    caption: str = ""


def thumbnail(path: Path, alt: str, caption: str = "", longest: int = LONGEST) -> Thumbnail:
    """The first frame: enlarged by an integer, or every k-th pixel of it, to at most `longest` pixels.

    Raises:
        BadInput: not a readable image.
    """
    small, zoom = fit(files.read_rgba(path), longest)
    return Thumbnail(png_uri(small), small.shape[1] * zoom, small.shape[0] * zoom, alt, caption)


def fit(pixels: Pixels, longest: int) -> tuple[Pixels, int]:
    """Every k-th pixel, so that no side is longer than `longest`; and the whole factor by which to enlarge the rest."""
    side = max(pixels.shape[:2])
    step = -(-side // longest)
    return pixels[step // 2 :: step, step // 2 :: step], max(1, longest // side)


def strip(path: Path, alt: str, caption: str = "") -> Thumbnail:
    """A whole row of pictures at its own size, in at most 256 colours.

    Raises:
        BadInput: not a readable image.
    """
    rgb = files.read_rgba(path)[..., :3]
    few = Image.fromarray(rgb).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return Thumbnail(png_uri(np.array(few.convert("RGB"))), rgb.shape[1], rgb.shape[0], alt, caption)


def png_uri(pixels: Pixels) -> str:
    """uint8 (H, W, 3 or 4) as a lossless `data:` URI; a palette PNG where 256 colours suffice."""
    if pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.shape[2] == 3:
        colours, indices, _ = distinct(pixels)
        if len(colours) <= 256:
            image = Image.fromarray(indices.reshape(pixels.shape[:2]).astype(np.uint8)).convert("P")
            image.putpalette(colours.tobytes())
    return "data:image/png;base64," + base64.b64encode(encode_png(image)).decode()


def encode_png(image: Image.Image) -> bytes:
    """A picture as the smallest PNG that Pillow makes of it."""
    buffer = streams.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
