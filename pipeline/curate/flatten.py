"""Transparency onto a stated background: alpha is thresholded, never blended, so no colour is invented.

The background of a transparent work is, by `policy`,
solid: the first of the candidates, the same behind every work;
contrast: the first candidate, in an order hashed from the id, that is more than CONTRAST away from the work's common
outline colours; the first in that order if none is.
An opaque work has a background already: the most common colour of its border, noted for later padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.curate.params import Flatten
from pipeline.errors import BadInput
from pipeline.images import canonical
from pipeline.images.files import VISIBLE, Pixels, Words, decode_words, encode_art_png
from pipeline.runtime import manifest, per_image, seeds
from pipeline.runtime.cached_map import Facts
from pipeline.runtime.compiled import compiled
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import Outcome
from pipeline.runtime.settings import Executor

CONTRAST = 48.0  # RGB distance from every common outline colour that a background should have
OUTLINE_COLOURS = 3
OPAQUE = 255 * VISIBLE  # least word of an opaque pixel
CARRIED = ("frames", "frame")


def run(src: Path, dst: Path, params: Flatten, executor: Executor, state: Path | None = None) -> dict[str, Any]:
    """RGBA works -> opaque RGB works.

    Adds `background`, `transparent_share` (of the pixels: alpha below the threshold) and `partial_share` (alpha neither
    0 nor 255); stats.json counts works by `alpha` (opaque, binary, partial) and by tenths of `transparent_share`.
    Reasons: unreadable, mostly_transparent. `state`: where the cache is; None = none.
    """
    stage = per_image.Stage(
        name="flatten",
        module=__name__,
        step=step,
        params=params,
        reads=("id",),
        carried=CARRIED,
        binned={"alpha": _kind, "transparent_share": _tenth},
    )
    return per_image.run(stage, src, dst, executor, state)


def step(data: bytes, facts: Facts, params: Flatten) -> list[Outcome]:
    """One work, by its file's bytes and its id."""
    try:
        whole = decode_words(data)
    except BadInput:
        return [Outcome(manifest.verdict("failed", "unreadable"))]
    said, rgb = judge(whole, facts["id"], params)
    return [Outcome(said, None if rgb is None else encode_art_png(rgb))]


def judge(whole: Words, work: str, params: Flatten) -> tuple[manifest.Verdict, Pixels | None]:
    """What is said of a work, (H, W), and its opaque picture if it is kept. Of what is not solid only alpha counts."""
    least = np.uint32(params.alpha_threshold * VISIBLE)
    solid, visible, full = _survey(whole.ravel(), least)
    if full == whole.size:
        nothing: dict[str, Any] = {"transparent_share": 0.0, "partial_share": 0.0}
        return manifest.verdict("kept", background=surroundings(whole), **nothing), onto(whole, least, "#000000")
    shares: dict[str, Any] = {
        "transparent_share": _share(whole.size - solid, whole.size),
        "partial_share": _share(visible - full, whole.size),
    }
    if shares["transparent_share"] > params.max_transparent or not solid:
        return manifest.verdict("dropped", "mostly_transparent", **shares), None
    background = surroundings(whole) if solid == whole.size else choose_background(whole, least, params, work)
    return manifest.verdict("kept", background=background, **shares), onto(whole, least, background)


@compiled
def _survey(whole: Words, least: np.uint32) -> tuple[int, int, int]:
    """How many pixels are solid, that is `least` and more, how many visible at all, how many opaque."""
    solid = visible = full = 0
    for place in range(len(whole)):
        solid += whole[place] >= least
        visible += whole[place] >= np.uint32(VISIBLE)
        full += whole[place] >= np.uint32(OPAQUE)
    return solid, visible, full


def _share(part: int, whole: int) -> float:
    """Rounded to 4 digits, but to 0 and 1 only what is exactly that."""
    return part / whole if part in (0, whole) else min(max(round(part / whole, 4), 0.0001), 0.9999)


def _kind(row: Row) -> str | None:
    if "partial_share" not in row:
        return None
    return "partial" if row["partial_share"] else "binary" if row["transparent_share"] else "opaque"


def _tenth(row: Row) -> str | None:
    """'0', '0.0-0.1' (more than 0, at most 0.1), ... '0.9-1.0'."""
    if "transparent_share" not in row:
        return None
    upper = math.ceil(round(row["transparent_share"] * 10, 3))
    return f"{(upper - 1) / 10}-{upper / 10}" if upper else "0"


def onto(whole: Words, least: np.uint32, background: str) -> Pixels:
    """(H, W) -> uint8 (H, W, 3): the artist's colour where solid, the background elsewhere."""
    red, green, blue = canonical.parse_colour(background)
    rgb = np.empty((*whole.shape, 3), np.uint8)
    _fill(whole.ravel(), least, np.uint32(red | green << 8 | blue << 16), rgb.ravel())
    return rgb


@compiled
def _fill(whole: Words, least: np.uint32, ground: np.uint32, rgb: Pixels) -> None:
    for place in range(len(whole)):
        word = whole[place] if whole[place] >= least else ground
        rgb[3 * place], rgb[3 * place + 1], rgb[3 * place + 2] = word & 255, word >> 8 & 255, word >> 16 & 255


def choose_background(whole: Words, least: np.uint32, params: Flatten, work: str) -> str:
    """The colour behind a work that is not all solid, as '#rrggbb'; rule in the module docstring."""
    if params.policy == "solid":
        return params.backgrounds[0]
    ordered = sorted(params.backgrounds, key=lambda colour: seeds.derive(0, "background", work, colour))
    outline = canonical.common_words(outline_of(whole, least), OUTLINE_COLOURS).tolist()
    return next((colour for colour in ordered if _stands_out(colour, outline)), ordered[0])


def outline_of(whole: Words, least: np.uint32) -> Words:
    """Solid pixels with one above, below, left or right that is not, in a row; outside the canvas none is."""
    found = np.empty(whole.size, np.uint32)
    return found[: _trace(whole, least, found)]


@compiled
def _trace(whole: Words, least: np.uint32, found: Words) -> int:
    """Enter the pixels of the outline; returns how many they are."""
    height, width = whole.shape
    count = 0
    for y in range(height):
        for x in range(width):
            if whole[y, x] >= least and (
                min(x, y) == 0
                or y + 1 == height
                or x + 1 == width
                or min(whole[y - 1, x], whole[y + 1, x], whole[y, x - 1], whole[y, x + 1]) < least
            ):
                found[count] = whole[y, x]
                count += 1
    return count


def surroundings(whole: Words) -> str:
    """Most common colour of the border."""
    return canonical.format_colour(canonical.common_words(canonical.border(whole), 1)[0])


def _stands_out(colour: str, outline: Sequence[Sequence[int]]) -> bool:
    return all(math.dist(canonical.parse_colour(colour), other) > CONTRAST for other in outline)
