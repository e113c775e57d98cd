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

from pipeline import manifest, per_image, pixels, seeds
from pipeline.errors import BadInput
from pipeline.io import VISIBLE, Pixels, Words, decode_rgba, encode_art_png, without_alpha, words
from pipeline.manifest import Row
from pipeline.params import Executor, Flatten
from pipeline.per_image import Outcome
from pipeline.recall import Facts

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
        rgba = decode_rgba(data)
    except BadInput:
        return [Outcome(manifest.verdict("failed", "unreadable"))]
    said, rgb = judge(rgba, facts["id"], params)
    return [Outcome(said, None if rgb is None else encode_art_png(rgb))]


def judge(rgba: Pixels, work: str, params: Flatten) -> tuple[manifest.Verdict, Pixels | None]:
    """What is said of a work, and its opaque picture if it is kept."""
    whole = words(rgba)
    if whole.min() >= OPAQUE:
        nothing: dict[str, Any] = {"transparent_share": 0.0, "partial_share": 0.0}
        return manifest.verdict("kept", background=surroundings(rgba), **nothing), without_alpha(rgba)
    solid = whole >= params.alpha_threshold * VISIBLE
    shares = _shares(whole, solid)
    if shares["transparent_share"] > params.max_transparent or shares["transparent_share"] == 1:
        return manifest.verdict("dropped", "mostly_transparent", **shares), None
    background = choose_background(rgba, solid, params, work)
    return manifest.verdict("kept", background=background, **shares), flatten(rgba, solid, background)


def _shares(whole: Words, solid: pixels.Mask) -> dict[str, Any]:
    """Rounded to 4 digits, but to 0 and 1 only what is exactly that."""
    full, some = (int(np.count_nonzero(whole >= least)) for least in (OPAQUE, VISIBLE))
    return {
        "transparent_share": _share(solid.size - int(np.count_nonzero(solid)), solid.size),
        "partial_share": _share(some - full, solid.size),
    }


def _share(part: int, whole: int) -> float:
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


def flatten(rgba: Pixels, solid: pixels.Mask, background: str) -> Pixels:
    """(H, W, 4) -> (H, W, 3): the artist's colour where solid, the background elsewhere."""
    red, green, blue = pixels.parse_colour(background)
    ground = np.uint32(red | green << 8 | blue << 16)
    whole = words(rgba) - ground
    whole *= solid  # no branches: a dithered mask would cost np.where five times as much
    whole += ground
    return without_alpha(whole.view(np.uint8).reshape(rgba.shape))


def choose_background(rgba: Pixels, solid: pixels.Mask, params: Flatten, work: str) -> str:
    """The colour that surrounds a work, as '#rrggbb'; rule in the module docstring."""
    if solid.all():
        return surroundings(rgba)
    if params.policy == "solid":
        return params.backgrounds[0]
    ordered = sorted(params.backgrounds, key=lambda colour: seeds.derive(0, "background", work, colour))
    outline = pixels.common_colours(_colours(rgba, pixels.outline(solid)), OUTLINE_COLOURS).tolist()
    return next((colour for colour in ordered if _stands_out(colour, outline)), ordered[0])


def surroundings(rgba: Pixels) -> str:
    """Most common colour of the border."""
    return pixels.format_colour(pixels.common_colours(pixels.border(rgba[..., :3]), 1)[0])


def _colours(rgba: Pixels, mask: pixels.Mask) -> Pixels:
    """(N, 3) of those pixels; taken by place and as whole numbers, many times as fast as by mask and channel."""
    colours: Pixels = words(rgba).ravel()[np.flatnonzero(mask)].view(np.uint8).reshape(-1, 4)[:, :3]
    return colours


def _stands_out(colour: str, outline: Sequence[Sequence[int]]) -> bool:
    return all(math.dist(pixels.parse_colour(colour), other) > CONTRAST for other in outline)
