"""Transparency onto a stated background: alpha is thresholded, never blended, so no colour is invented."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import manifest, pixels, seeds
from pipeline.errors import BadInput
from pipeline.executor import parallel_map
from pipeline.io import Pixels, output_dir, read_rgba, write_png
from pipeline.manifest import Row
from pipeline.params import Executor, Flatten

CONTRAST = 48.0  # RGB distance from every common outline colour that a background should have
OUTLINE_COLOURS = 3
CARRIED = ("frames", "frame")


def run(src: Path, dst: Path, params: Flatten, executor: Executor) -> dict[str, Any]:
    """RGBA works -> opaque RGB works with `background` and `transparent_share` in the manifest.

    Reasons: unreadable, mostly_transparent.
    """
    rows = manifest.read_kept(src)
    with output_dir(dst) as out:
        (out / "images").mkdir()
        work = partial(_flatten, src=src / "images", out=out / "images", params=params)
        return manifest.write(out, parallel_map(work, rows, executor), inputs=[row["id"] for row in rows])


def _flatten(row: Row, src: Path, out: Path, params: Flatten) -> Row:
    try:
        rgba = read_rgba(src / f"{row['id']}.png")
    except BadInput:
        return manifest.failed(row, "unreadable")
    facts = {key: row[key] for key in CARRIED if key in row}
    solid = rgba[..., 3] >= params.alpha_threshold
    share = round(float(1 - solid.mean()), 4)
    if share > params.max_transparent or not solid.any():
        return manifest.dropped(row, "mostly_transparent", transparent_share=share, **facts)
    background = choose_background(rgba, solid, params.backgrounds, row["id"])
    write_png(out / f"{row['id']}.png", flatten(rgba, solid, background))
    return manifest.kept(row, background=background, transparent_share=share, **facts)


def flatten(rgba: Pixels, solid: pixels.Mask, background: str) -> Pixels:
    """(H, W, 4) -> (H, W, 3): the artist's colour where solid, the background elsewhere."""
    rgb = np.where(solid[..., None], rgba[..., :3], np.array(pixels.parse_colour(background), np.uint8))
    return np.ascontiguousarray(rgb)


def choose_background(rgba: Pixels, solid: pixels.Mask, candidates: list[str], work: str) -> str:
    """The colour that surrounds a work, as '#rrggbb'.

    Opaque works have one: their border's most common colour. Others get the first candidate, in an order hashed from
    the id, that is more than CONTRAST away from their common outline colours; the first of all if none is.
    """
    if solid.all():
        return pixels.format_colour(pixels.common_colours(pixels.border(rgba[..., :3]), 1)[0])
    ordered = sorted(candidates, key=lambda colour: seeds.derive(0, "background", work, colour))
    outline = pixels.common_colours(rgba[pixels.outline(solid)][:, :3], OUTLINE_COLOURS).astype(np.float64)
    for colour in ordered:
        if np.linalg.norm(outline - pixels.parse_colour(colour), axis=1).min() > CONTRAST:
            return colour
    return ordered[0]
