"""Contact sheets: the pictures of a folder side by side, on as many PNG pages as it takes; for a person's eyes only."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput, PipelineError
from pipeline.images import sheet
from pipeline.images.files import Pixels
from pipeline.images.folders import first_frame
from pipeline.images.resample import nearest
from pipeline.images.sheet import ALARM, DIM, INK, SLOT
from pipeline.inspect.command import printable

ACROSS, DOWN = 16, 16  # places of a full page
MAX_PAGES = 25

Image = Mapping[str, Any]  # an entry of `inspect`


def write(images: Sequence[Image], out: Path, max_pages: int = MAX_PAGES) -> list[Path]:
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
    place = os.path.commonpath([Path(image["path"]).parent for image in images]) or "."
    paths = [out if not start else out.with_name(f"{out.stem}-{start // full + 1}.png") for start in starts]
    for start, path in zip(starts, paths, strict=True):
        page = images[start : start + full]
        title = printable(f"{place}: {_title(start, len(page), len(images), max_pages)}")
        sheet.write(path, list(map(_entry, page)), title, min(ACROSS, math.ceil(math.sqrt(1.3 * len(page)))))
    return paths


def _title(start: int, count: int, total: int, max_pages: int) -> str:
    if count == total:
        return f"{total} picture{'s' if total > 1 else ''}"
    last = start // (ACROSS * DOWN) + 1 == max_pages
    more = total - start - count
    rest = f"; the other {more} are not shown" if last and more else ""
    return f"{start + 1} to {start + count} of {total} pictures{rest}"


def _entry(image: Image) -> sheet.Entry:
    try:
        rgba = _pixels(image)
        picture, step = sheet.thumbnail(rgba), sheet.step_of(rgba)
    except PipelineError:  # also a file that went since it was inspected
        picture, step = None, 1
    name = (image.get("ids") or [Path(image["path"]).name])[0]
    texts = [name, *image.get("artists", [])[:1], ", ".join(_facts(image, step))]
    inks = [INK, DIM, DIM] if "error" not in image else [ALARM] * 3
    lines = [(printable(text).replace(" ", "  "), ink) for text, ink in zip(texts, inks, strict=False)]
    return sheet.Entry((picture,), tuple(lines))


def _pixels(image: Image) -> Pixels:
    """The first frame; one that is too large for its place at its native size, where that is known."""
    rgba = first_frame(Path(image["path"]))
    if max(rgba.shape) > SLOT and image.get("cell"):
        return nearest(rgba, (image["native_height"], image["native_width"]))
    return rgba


def _facts(image: Image, step: int) -> Iterator[str]:
    """A few words on a picture; `step`: of how many of its pixels one is shown."""
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
