"""Contact sheets: the pictures of a folder side by side, on as many PNG pages as it takes.

A person's view, for eyes only. Pictures are sampled by nearest neighbour and enlarged by integers, never smoothed and
never cropped; transparency is a checkerboard.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import BadInput, PipelineError
from pipeline.images.files import Pixels, write_png
from pipeline.images.folders import first_frame
from pipeline.inspect.command import printable

SOLID = 128  # alpha from here on is opaque
SLOT = 160  # pixels a side of a picture's place: 10 x 16, 5 x 32, 2 x 80; the longest id fits below it
LINE = 14  # pixels of a line of the caption
SMALL, LARGE = 10, 13  # pixels of the letters of captions and titles
HEADER = 28
GAP = 8
ACROSS, DOWN = 16, 16  # places of a full page
MAX_PAGES = 25
CHECKS = np.array([[112, 112, 116], [144, 144, 148]], np.uint8)
CHECK = 8  # pixels a side of a check
GROUND, PLACE = (48, 50, 58), (60, 63, 72)
INK, DIM, ALARM = (236, 236, 240), (168, 172, 184), (232, 120, 104)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Entry = Mapping[str, Any]  # of `inspect`


def write(images: Sequence[Entry], out: Path, max_pages: int = MAX_PAGES) -> list[Path]:
    """The pages of a sheet: `out`, then `<stem>-2.png` and so on beside it; the last one tells how many do not fit.

    Args:
        images: entries of `inspect`, shown in their order; unreadable ones are crossed out.

    Raises:
        BadInput: no readable picture.
    """
    if all("error" in image for image in images):
        raise BadInput("no readable picture to put on a contact sheet")
    full = ACROSS * DOWN
    starts = range(0, len(images), full)[:max_pages]
    place = os.path.commonpath([Path(image["path"]).parent for image in images])
    paths = [out if not start else out.with_name(f"{out.stem}-{start // full + 1}.png") for start in starts]
    for start, path in zip(starts, paths, strict=True):
        page = images[start : start + full]
        write_png(path, _page(page, f"{place}: {_title(start, len(page), len(images), max_pages)}"))
    return paths


def _title(start: int, shown: int, total: int, max_pages: int) -> str:
    if shown == total:
        return f"{total} picture{'s' if total > 1 else ''}"
    last = start // (ACROSS * DOWN) + 1 == max_pages
    left = total - start - shown
    rest = f"; the other {left} are not shown" if last and left else ""
    return f"{start + 1} to {start + shown} of {total} pictures{rest}"


def _page(images: Sequence[Entry], title: str) -> Pixels:
    captions = 4 + LINE * (3 if any(image.get("artists") for image in images) else 2)
    across = min(ACROSS, math.ceil(math.sqrt(1.3 * len(images))))
    down = math.ceil(len(images) / across)
    page = Image.new("RGB", (GAP + across * (SLOT + GAP), HEADER + down * (SLOT + captions + GAP)), GROUND)
    draw = ImageDraw.Draw(page)
    font = _font(LARGE)
    draw.text((GAP, 8), _fitting(printable(title), font, page.width - 2 * GAP), INK, font)
    for number, image in enumerate(images):
        corner = GAP + number % across * (SLOT + GAP), HEADER + number // across * (SLOT + captions + GAP)
        step = _place(page, draw, image, corner)
        _caption(draw, image, step, (corner[0], corner[1] + SLOT + 2))
    return np.asarray(page)


def _place(page: Image.Image, draw: ImageDraw.ImageDraw, image: Entry, corner: tuple[int, int]) -> int:
    """Draw one picture in the middle of its place; returns of how many of its (native) pixels one is shown."""
    left, top = corner
    draw.rectangle((left, top, left + SLOT - 1, top + SLOT - 1), PLACE)
    try:
        picture, step = _thumbnail(image)
    except PipelineError:  # also a file that went since it was inspected
        draw.line((left, top, left + SLOT - 1, top + SLOT - 1), ALARM)
        draw.line((left, top + SLOT - 1, left + SLOT - 1, top), ALARM)
        return 1
    height, width = picture.shape[:2]
    page.paste(Image.fromarray(picture), (left + (SLOT - width) // 2, top + (SLOT - height) // 2))
    return step


def _thumbnail(image: Entry) -> tuple[Pixels, int]:
    """At most SLOT x SLOT, and of how many pixels one is shown.

    What is too large for its place is shown at its native size, where that is known, and if it is still too large,
    every n-th pixel of that.
    """
    rgba = first_frame(Path(image["path"]))
    height, width = rgba.shape[:2]
    step = 1
    if max(height, width) > SLOT:
        if image.get("cell"):
            height, width = image["native_height"], image["native_width"]
        step = math.ceil(max(height, width) / SLOT)
        rgba = rgba[_centres(rgba.shape[0], math.ceil(height / step))]
        rgba = rgba[:, _centres(rgba.shape[1], math.ceil(width / step))]
    zoom = SLOT // max(rgba.shape[:2])
    return _on_checks(rgba.repeat(zoom, axis=0).repeat(zoom, axis=1)), step


def _centres(length: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The pixels in the middle of `count` equal parts of `length`."""
    return (2 * np.arange(count) + 1) * length // (2 * count)


def _on_checks(rgba: Pixels) -> Pixels:
    height, width = rgba.shape[:2]
    odd = (np.arange(height)[:, None] // CHECK + np.arange(width)[None, :] // CHECK) % 2
    return np.where(rgba[..., 3:] >= SOLID, rgba[..., :3], CHECKS[odd])


def _caption(draw: ImageDraw.ImageDraw, image: Entry, step: int, corner: tuple[int, int]) -> None:
    font = _font(SMALL)
    name = (image.get("ids") or [Path(image["path"]).name])[0]
    told = [name, *image.get("artists", [])[:1], ", ".join(_facts(image, step))]
    for number, text in enumerate(told):
        ink = ALARM if "error" in image else DIM if number else INK
        shown = _fitting(printable(text).replace(" ", "  "), font, SLOT)
        draw.text((corner[0], corner[1] + LINE * number), shown, ink, font)


def _facts(image: Entry, step: int) -> Iterator[str]:
    if "error" in image:
        yield "unreadable"
        return
    yield f"{image['width']}x{image['height']}"
    if image["cell"] != 1:
        yield f"cell {image['cell'] or '?'}"
    if image["frames"] > 1:
        yield f"{image['frames']} frames"
    if len(image.get("ids", [])) > 1:
        yield f"{len(image['ids'])} works"
    if step > 1:
        yield f"1:{step}"


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _fitting(text: str, font: Font, width: int) -> str:
    """The text, or as much of its two ends as fits."""
    shown, left = text, len(text)
    while left and (length := font.getlength(shown)) > width:
        left = min(left - 1, int(len(shown) * width / length))
        shown = text[: left // 2] + "…" + text[len(text) - (left - left // 2) :]
    return shown
