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
from pipeline.images import canonical
from pipeline.images.canonical import Mask
from pipeline.images.files import VISIBLE, Pixels, Words, decode_words, encode_art_png, without_alpha
from pipeline.runtime import manifest, per_image, seeds
from pipeline.runtime.cached_map import Facts
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import Outcome
from pipeline.runtime.settings import Executor

CONTRAST = 48.0  # RGB distance from every common outline colour that a background should have
OUTLINE_COLOURS = 3
OPAQUE = 255 * VISIBLE  # least word of an opaque pixel
CARRIED = ("frames", "frame")


def run(src: Path, dst: Path, params: Flatten, executor: Executor, state: Path | None = None) -> dict[str, Any]:
    """Flatten RGBA works to opaque RGB works.

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
    """Flatten one work, given its file's bytes and its id."""
    verdict, rgb = judge(decode_words(data), facts["id"], params)
    return [Outcome(verdict, None if rgb is None else encode_art_png(rgb))]


def judge(words: Words, work_id: str, params: Flatten) -> tuple[manifest.Verdict, Pixels | None]:
    """The verdict on a work, (H, W), and its opaque picture if it is kept. Of what is not solid only alpha counts."""
    if words.min() >= OPAQUE:
        shares: dict[str, Any] = {"transparent_share": 0.0, "partial_share": 0.0}
        return manifest.verdict("kept", background=surroundings(words), **shares), _rgb(words)
    solid = words >= np.uint32(params.alpha_threshold * VISIBLE)
    visible, opaque = (int(np.count_nonzero(words >= np.uint32(least))) for least in (VISIBLE, OPAQUE))
    shares = {
        "transparent_share": _share(words.size - int(np.count_nonzero(solid)), words.size),
        "partial_share": _share(visible - opaque, words.size),
    }
    if shares["transparent_share"] > params.max_transparent or shares["transparent_share"] == 1:
        return manifest.verdict("dropped", "mostly_transparent", **shares), None
    background = choose_background(words, solid, params, work_id)
    return manifest.verdict("kept", background=background, **shares), onto(words, solid, background)


def _share(count: int, total: int) -> float:
    """Rounded to 4 digits, but to 0 and 1 only what is exactly that."""
    return count / total if count in (0, total) else min(max(round(count / total, 4), 0.0001), 0.9999)


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


def onto(words: Words, solid: Mask, background: str) -> Pixels:
    """The artist's colour where a work is solid, the background elsewhere: (H, W) -> uint8 (H, W, 3)."""
    red, green, blue = canonical.parse_colour(background)
    ground = np.uint32(red | green << 8 | blue << 16)
    filled = words - ground
    filled *= solid  # no branches: a dithered mask would cost np.where five times as much
    filled += ground
    return _rgb(filled)


def _rgb(words: Words) -> Pixels:
    return without_alpha(words.view(np.uint8).reshape(*words.shape, 4))


def choose_background(words: Words, solid: Mask, params: Flatten, work_id: str) -> str:
    """The colour that surrounds a work, as '#rrggbb'; rule in the module docstring."""
    if solid.all():
        return surroundings(words)
    if params.policy == "solid":
        return params.backgrounds[0]
    ordered = sorted(params.backgrounds, key=lambda colour: seeds.derive(0, "background", work_id, colour))
    outline = canonical.common_words(outline_of(words, solid), OUTLINE_COLOURS).tolist()
    return next((colour for colour in ordered if _stands_out(colour, outline)), ordered[0])


def outline_of(words: Words, solid: Mask) -> Words:
    """Solid pixels beside one that is not, above, below, left or right, as (N,); outside the canvas none is."""
    outline = solid.copy()
    outline[1:-1, 1:-1] &= ~(solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:])
    return words.ravel()[np.flatnonzero(outline)]  # many times as fast as by mask


def surroundings(words: Words) -> str:
    """The most common colour of the border, as '#rrggbb'."""
    return canonical.format_colour(canonical.common_words(canonical.border(words), 1)[0])


def _stands_out(colour: str, outline: Sequence[Sequence[int]]) -> bool:
    return all(math.dist(canonical.parse_colour(colour), drawn) > CONTRAST for drawn in outline)
