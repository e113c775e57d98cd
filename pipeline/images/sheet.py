"""A sheet of pairs of pictures side by side, for a person who judges decisions about them.

Pictures are sampled by nearest neighbour and enlarged by integers, never smoothed; transparency is a checkerboard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.images.files import Pixels, read_rgba, write_png

SLOT = 160  # pixels a side of a picture's place
ACROSS = 4  # pairs
GAP, LINE, HEADER = 8, 14, 28
SMALL, LARGE = 10, 13  # pixels of the letters
CHECK = 8  # pixels a side of a check
CHECKS = np.array([[112, 112, 116], [144, 144, 148]], np.uint8)
GROUND, PLACE = (48, 50, 58), (60, 63, 72)
INK, DIM = (236, 236, 240), (168, 172, 184)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Shown:
    """Two pictures and what is said below them."""

    one: Path
    other: Path
    caption: str


def write(path: Path, shown: Sequence[Shown], title: str) -> None:
    """One PNG with all pairs in their order, each with the names of its files and its caption."""
    across = min(ACROSS, max(1, len(shown)))
    slot = 2 * SLOT + GAP // 2, SLOT + 3 * LINE + 4
    size = GAP + across * (slot[0] + 2 * GAP), HEADER + math.ceil(len(shown) / across) * (slot[1] + GAP)
    page = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, 8), _fitting(title, _font(LARGE), page.width - 2 * GAP), INK, _font(LARGE))
    for number, pair in enumerate(shown):
        left = GAP + number % across * (slot[0] + 2 * GAP)
        top = HEADER + number // across * (slot[1] + GAP)
        for picture, start in ((pair.one, left), (pair.other, left + SLOT + GAP // 2)):
            _place(page, draw, picture, (start, top))
        for line, (text, ink) in enumerate([(pair.caption, INK), (pair.one.stem, DIM), (pair.other.stem, DIM)]):
            corner = left, top + SLOT + 2 + LINE * line
            draw.text(corner, _fitting(text, _font(SMALL), slot[0]), ink, _font(SMALL))
    write_png(path, np.asarray(page))


def _place(page: Image.Image, draw: ImageDraw.ImageDraw, picture: Path, corner: tuple[int, int]) -> None:
    left, top = corner
    draw.rectangle((left, top, left + SLOT - 1, top + SLOT - 1), PLACE)
    shown = _thumbnail(read_rgba(picture))
    height, width = shown.shape[:2]
    page.paste(Image.fromarray(shown), (left + (SLOT - width) // 2, top + (SLOT - height) // 2))


def _thumbnail(rgba: Pixels) -> Pixels:
    """At most SLOT x SLOT: enlarged by an integer, or every n-th pixel."""
    step = math.ceil(max(rgba.shape[:2]) / SLOT)
    rgba = rgba[step // 2 :: step, step // 2 :: step] if step > 1 else rgba
    zoom = max(1, SLOT // max(rgba.shape[:2]))
    return _on_checks(rgba.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _on_checks(rgba: Pixels) -> Pixels:
    height, width = rgba.shape[:2]
    odd = (np.arange(height)[:, None] // CHECK + np.arange(width)[None, :] // CHECK) % 2
    alpha = rgba[..., 3:].astype(np.uint16)
    shown: Pixels = ((rgba[..., :3] * alpha + CHECKS[odd] * (255 - alpha)) // 255).astype(np.uint8)
    return shown


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _fitting(text: str, font: Font, width: int) -> str:
    """The text, or as much of its start as fits."""
    while text and font.getlength(text) > width:
        text = text[: max(0, len(text) - 2)].removesuffix("…") + "…" if len(text) > 2 else ""
    return text
