"""What is in a folder of pictures: format, size, colours, native cell size; as data and as a contact sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import cells, pictures, pixels
from pipeline.errors import BadInput, PipelineError
from pipeline.io import Pixels, read_rgba, write_png

MAX_CELL = 16
MIN_CONFIDENCE = 0.55
SOLID = 128  # alpha from here on is opaque
GROUND = (72, 76, 88)  # under transparency and between the pictures of a sheet
SLOT = 96  # pixels a side of a picture's place on the sheet
GAP = 4
MAX_SHOWN = 1600


def inspect(
    paths: Sequence[Path], *, max_cell: int = MAX_CELL, min_confidence: float = MIN_CONFIDENCE
) -> dict[str, Any]:
    """`images`: one entry a file, folders searched recursively; `counts`: totals.

    An entry holds path, format, width, height, frames, has_alpha, colors (of the first frame), cell (1 = native,
    fractional where the enlargement was, null = unknown), native_width, native_height, confidence; or path and error.

    Raises:
        BadInput: a path that does not exist.
    """
    images = [_entry(path, max_cell, min_confidence) for path in files_of(paths)]
    return {"images": images, "counts": _counts(images)}


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the candidate images below the folders, in the order given."""
    if missing := [path for path in paths if not path.exists()]:
        raise BadInput(f"{missing[0]}: no such file or folder")
    return [file for path in paths for file in (pictures.files_below(path) if path.is_dir() else [path])]


def _entry(path: Path, max_cell: int, min_confidence: float) -> dict[str, Any]:
    try:
        facts, rgba = pictures.describe(path), read_rgba(path)
    except PipelineError as error:
        return {"path": str(path), "error": str(error)}
    cell = cells.detect(_on_ground(rgba), max_cell, min_confidence)
    return {
        "path": str(path),
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "frames": facts.frames,
        "has_alpha": facts.has_alpha,
        "colors": pixels.colour_count(rgba),
        "cell": _number(cell.size),
        "native_width": cell.native_width,
        "native_height": cell.native_height,
        "confidence": cell.confidence,
    }


def _number(size: float | None) -> float | int | None:
    """Whole sizes as integers: `1`, not `1.0`, in JSON."""
    return int(size) if size is not None and size.is_integer() else size if size is None else round(size, 4)


def _counts(images: Iterable[dict[str, Any]]) -> dict[str, int]:
    counts = Counter("unreadable" if "error" in image else _kind(image["cell"]) for image in images)
    return {"files": counts.total(), **{kind: counts[kind] for kind in ("native", "enlarged", "unknown", "unreadable")}}


def _kind(cell: float | None) -> str:
    return "unknown" if cell is None else "native" if cell == 1 else "enlarged"


def contact_sheet(paths: Sequence[Path], out: Path) -> int:
    """A PNG of the readable pictures among `paths`, at most MAX_SHOWN; returns how many it shows.

    Each is enlarged by the integer that fits its place best; one larger than that shows every n-th pixel.

    Raises:
        BadInput: no readable picture.
    """
    shown = [picture for path in files_of(paths)[:MAX_SHOWN] if (picture := _thumbnail(path)) is not None]
    if not shown:
        raise BadInput("no readable picture to put on a contact sheet")
    across = math.ceil(math.sqrt(len(shown)))
    down = math.ceil(len(shown) / across)
    sheet = np.empty((down * (SLOT + GAP) + GAP, across * (SLOT + GAP) + GAP, 3), np.uint8)
    sheet[:] = GROUND
    for number, picture in enumerate(shown):
        height, width = picture.shape[:2]
        top = GAP + number // across * (SLOT + GAP) + (SLOT - height) // 2
        left = GAP + number % across * (SLOT + GAP) + (SLOT - width) // 2
        sheet[top : top + height, left : left + width] = picture
    write_png(out, sheet)
    return len(shown)


def _thumbnail(path: Path) -> Pixels | None:
    """At most SLOT x SLOT; None for an unreadable file, which `inspect` lists."""
    try:
        rgb = _on_ground(read_rgba(path))
    except PipelineError:
        return None
    longer = max(rgb.shape[:2])
    step, zoom = math.ceil(longer / SLOT), max(1, SLOT // longer)
    return rgb[::step, ::step].repeat(zoom, axis=0).repeat(zoom, axis=1)


def _on_ground(rgba: Pixels) -> Pixels:
    solid = rgba[..., 3:] >= SOLID
    return np.ascontiguousarray(np.where(solid, rgba[..., :3], np.array(GROUND, np.uint8)))
