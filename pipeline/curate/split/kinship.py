"""Digests that a finished picture shares with its equals, mirror images and recolours: a value of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.images import canonical
from pipeline.images.files import Pixels, read_rgb
from pipeline.runtime import cache

MIN_SIDE = 8  # cells: a picture with a shorter side is too simple to know its recolours by


def examine(data: bytes, facts: Mapping[str, Any]) -> bytes:
    """Compute the digests of one picture, as a value of the cache; `digests` reads it.

    Args:
        facts: recolours (whether mirror images and recolours are looked for on any ground), background.
    """
    try:
        rgb = read_rgb(data, "")
    except BadInput as error:
        return cache.pack([str(error).removeprefix(": "), None, None])
    same = min(canonical.digest(view) for view in (rgb, np.ascontiguousarray(rgb[:, ::-1])))
    return cache.pack([None, same, _kinship(rgb, facts["background"]) if facts["recolours"] else None])


def digests(value: bytes, place: str) -> tuple[str, str | None]:
    """Digest of the pixels, of a picture or its mirror image; and of its recolours, None where it is too simple.

    Raises:
        BadInput: no picture, or one with transparency.
    """
    (fault, same, kinship), _ = cache.unpack(value)
    if fault is not None:
        raise BadInput(f"{place}: {fault}")
    return same, kinship


def _kinship(rgb: Pixels, background: str | None) -> str | None:
    ground = (
        rgb[..., 0] < 0
        if background is None
        else (rgb == np.array(canonical.parse_colour(background), np.uint8)).all(axis=2)
    )
    core = canonical.canonical_form(np.dstack([rgb, np.where(ground, 0, 255).astype(np.uint8)])).core
    return canonical.kinship_digest(core) if min(core.shape[:2]) >= MIN_SIDE else None
