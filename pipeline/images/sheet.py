"""Sheets: pages of pictures for a person's eyes, each picture in a place of its own with lines of text below.

Pictures are sampled by nearest neighbour and enlarged by integers, never smoothed and never cropped; transparency is a
checkerboard.
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
from pipeline.images.resample import enlarge

SLOT = 160  # pixels a side of a picture's place: 10 x 16, 5 x 32, 2 x 80; the longest id fits below it
ACROSS = 4  # entries of a row, at most, unless the caller has another wish
GAP, LINE, HEADER = 8, 14, 28  # pixels between places, of a line of text, above the first row
SMALL, LARGE = 10, 13  # pixels of the letters of lines and of the title
CHECK = 8  # pixels a side of a check
CHECKS = np.array([[112, 112, 116], [144, 144, 148]], np.uint8)
GROUND, PLACE = (48, 50, 58), (60, 63, 72)
INK, DIM, ALARM = (236, 236, 240), (168, 172, 184), (232, 120, 104)

Ink = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Entry:
    """Pictures side by side and the lines below them.

    Attributes:
        pictures: as `thumbnail` makes them; None is crossed out. The same number in every entry of a sheet.
        lines: text and colour of each line.
    """

    pictures: tuple[Pixels | None, ...]
    lines: tuple[tuple[str, Ink], ...]


def pair(left: Path, right: Path, caption: str) -> Entry:
    """Two image files with a caption and the names of both."""
    pictures = thumbnail(read_rgba(left)), thumbnail(read_rgba(right))
    return Entry(pictures, ((caption, INK), (left.stem, DIM), (right.stem, DIM)))


def write(path: Path, entries: Sequence[Entry], title: str, across: int = ACROSS) -> None:
    """One PNG with all entries in their order, at most `across` in a row."""
    across = min(across, len(entries))
    beside = len(entries[0].pictures)
    lines = max(len(entry.lines) for entry in entries)
    width, height = beside * SLOT + (beside - 1) * (GAP // 2), SLOT + 4 + LINE * lines
    stride, rows = width + beside * GAP, math.ceil(len(entries) / across)
    page = Image.new("RGB", (GAP + across * stride, HEADER + rows * (height + GAP)), GROUND)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, 8), fitting(title, font(LARGE), page.width - 2 * GAP), INK, font(LARGE))
    for number, entry in enumerate(entries):
        left, top = GAP + number % across * stride, HEADER + number // across * (height + GAP)
        for place, picture in enumerate(entry.pictures):
            _place(page, draw, picture, (left + place * (SLOT + GAP // 2), top))
        for line, (text, ink) in enumerate(entry.lines):
            draw.text((left, top + SLOT + 2 + LINE * line), fitting(text, font(SMALL), width), ink, font(SMALL))
    write_png(path, np.asarray(page))


def _place(page: Image.Image, draw: ImageDraw.ImageDraw, picture: Pixels | None, corner: tuple[int, int]) -> None:
    """A picture in the middle of its place, or a cross."""
    left, top = corner
    right, bottom = left + SLOT - 1, top + SLOT - 1
    draw.rectangle((left, top, right, bottom), PLACE)
    if picture is None:
        draw.line((left, top, right, bottom), ALARM)
        draw.line((left, bottom, right, top), ALARM)
        return
    height, width = picture.shape[:2]
    page.paste(Image.fromarray(picture), (left + (SLOT - width) // 2, top + (SLOT - height) // 2))


def thumbnail(rgba: Pixels) -> Pixels:
    """(H, W, 4) -> at most (SLOT, SLOT, 3): enlarged by an integer, or every n-th pixel (see `step_of`), on checks."""
    step = step_of(rgba)
    rows, columns = (slice(min(step // 2, length - 1), None, step) for length in rgba.shape[:2])
    rgba = rgba[rows, columns]
    rgba = enlarge(rgba, SLOT // max(rgba.shape[:2]))
    odd = np.add.outer(*(np.arange(length) // CHECK for length in rgba.shape[:2])) % 2
    alpha = rgba[..., 3:].astype(np.uint16)
    shown: Pixels = ((rgba[..., :3] * alpha + CHECKS[odd] * (255 - alpha)) // 255).astype(np.uint8)
    return shown


def step_of(rgba: Pixels) -> int:
    """Of how many pixels of a picture its thumbnail shows one, along each axis."""
    return -(-int(max(rgba.shape[:2])) // SLOT)


@cache
def font(size: int) -> Font:
    """Pillow's own font, the same on every machine."""
    return ImageFont.load_default(size)


def fitting(text: str, font: Font, width: int) -> str:
    """The text, or as much of its two ends as fits."""
    shown, count = text, len(text)
    while count and (length := font.getlength(shown)) > width:
        count = min(count - 1, int(len(shown) * width / length))
        shown = text[: count // 2] + "…" + text[len(text) - (count - count // 2) :]
    return shown
