"""How near the colours of a finished artwork are to a palette: a value of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.images import canonical
from pipeline.images.colour import distinct, nearest_indices, to_oklab
from pipeline.images.files import Pixels, read_rgb
from pipeline.runtime import cache
from pipeline.runtime.manifest import Row


def facts_of(row: Row, palette: Pixels) -> dict[str, Any]:
    """What `examine` is told beside the picture."""
    return {
        "background": row.get("background"),
        "padded": row.get("pad") is not None,
        "transparent": bool(row.get("transparent_share")),
        "palette": [canonical.format_colour(colour) for colour in palette],
    }


def examine(data: bytes, facts: Mapping[str, Any]) -> bytes:
    """Compute the distance of one picture from a palette, as a value of the cache; `distance` reads it.

    Args:
        facts: background; padded, transparent (whether the background was put beside or behind the work); palette.
    """
    try:
        rgb = read_rgb(data, "")
    except BadInput as error:
        return cache.pack([str(error).removeprefix(": "), None])
    palette = np.array([canonical.parse_colour(colour) for colour in facts["palette"]], np.uint8)
    return cache.pack([None, mean_distance(_own_pixels(rgb, facts), palette)])


def distance(value: bytes, place: str) -> float:
    """The mean OKLab distance of a picture's own pixels from their nearest colours of the palette, to four digits.

    Raises:
        BadInput: no picture, or one with transparency.
    """
    (fault, found), _ = cache.unpack(value)
    if fault is not None:
        raise BadInput(f"{place}: {fault}")
    return float(found)


def mean_distance(pixels: Pixels, palette: Pixels) -> float:
    """The mean OKLab distance of pixels (..., 3) from their nearest colours of a palette (k, 3), to four digits."""
    colours, _, counts = distinct(pixels)
    lab, entries = to_oklab(colours), to_oklab(palette)
    distances = np.sqrt(((lab - entries[nearest_indices(lab, entries)]) ** 2).sum(axis=1))
    return round(float((distances * counts).sum() / counts.sum()), 4)


def _own_pixels(rgb: Pixels, facts: Mapping[str, Any]) -> Pixels:
    """The pixels (N, 3) of the work itself: no padding, and no ground that flatten put behind it."""
    if facts["background"] is None:
        return rgb.reshape(-1, 3)
    drawn = (rgb != np.array(canonical.parse_colour(facts["background"]), np.uint8)).any(axis=2)
    if not drawn.any():
        return rgb.reshape(-1, 3)
    if facts["transparent"]:
        own: Pixels = rgb[drawn]
        return own
    if facts["padded"]:
        rgb = rgb[_within(drawn.any(axis=1)), _within(drawn.any(axis=0))]
    return rgb.reshape(-1, 3)


def _within(drawn: NDArray[np.bool_]) -> slice:
    """From the first to the last row or column that is more than ground."""
    places = np.flatnonzero(drawn)
    return slice(int(places[0]), int(places[-1]) + 1)
