"""Sprites as integers: their canonical form, digests and colours. Nothing here creates a colour."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels, Words

Mask = NDArray[np.bool_]
Packed = NDArray[np.uint32]  # one integer per pixel, its channels as bytes, the first the highest


@dataclass(frozen=True)
class CanonicalForm:
    """The canonical form of a sprite and where it was found.

    Attributes:
        core: what stays when padding and exact enlargement are undone.
        factor: of the enlargement.
        canvas: width and height around the core, in pixels of the core.
        place: left and top of the core on that canvas.
    """

    core: Pixels
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]


def canonical_form(rgba: Pixels) -> CanonicalForm:
    """What stays of a uint8 (H, W, 4) sprite when padding and exact enlargement are undone, and where it lies.

    Crops transparent margins, then uniform opaque borders, until neither is left. A one-colour or fully transparent
    image becomes 1x1.
    """
    height, width = rgba.shape[:2]
    rgba = rgba.copy()
    rgba[rgba[..., 3] == 0] = 0
    left = top = 0
    while (cut := _crop_once(rgba)) is not None:
        rows, columns = cut
        top, left = top + rows.start, left + columns.start
        rgba = rgba[rows, columns]
    factor = _exact_factor(rgba)
    core = np.ascontiguousarray(rgba[::factor, ::factor])
    return CanonicalForm(core, factor, (width / factor, height / factor), (left / factor, top / factor))


def _crop_once(rgba: Pixels) -> tuple[slice, slice] | None:
    """Rows and columns inside the margin; None where there is no margin."""
    content = rgba[..., 3] > 0
    corners = rgba[[0, 0, -1, -1], [0, -1, 0, -1]]
    if content.all() and (corners == corners[0]).all():
        content = (rgba != corners[0]).any(axis=2)
    if not content.any():
        return (slice(0, 1), slice(0, 1)) if content.size > 1 else None
    rows, columns = np.flatnonzero(content.any(axis=1)), np.flatnonzero(content.any(axis=0))
    cut = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return None if (cut[0].stop - cut[0].start, cut[1].stop - cut[1].start) == rgba.shape[:2] else cut


def _exact_factor(rgba: Pixels) -> int:
    rows = np.flatnonzero((rgba[1:] != rgba[:-1]).any(axis=(1, 2))) + 1
    columns = np.flatnonzero((rgba[:, 1:] != rgba[:, :-1]).any(axis=(0, 2))) + 1
    return int(np.gcd.reduce([*rgba.shape[:2], *rows, *columns]))


def digest(pixels: NDArray[Any]) -> str:
    """Hex sha256 of shape and values."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def kinship_digest(rgba: Pixels) -> str:
    """A digest that a sprite, its mirrored and turned images and their recolours share: of numbered colours.

    Colours are numbered by first appearance. Of fewer than three nothing but the silhouette would be left: then the
    colours themselves count.
    """
    packed = pack(rgba)
    colours, labels = np.unique(packed, return_inverse=True)
    labels = labels.reshape(packed.shape)
    turned = (labels, labels.T)
    views = [view[::down, ::across] for view in turned for down in (1, -1) for across in (1, -1)]
    if len(colours) <= 2:
        return min(digest(colours[view].astype(np.int64)) for view in views)
    return min(digest(_numbered(view, colours)) for view in views)


def _numbered(labels: NDArray[np.intp], colours: Packed) -> NDArray[np.unsignedinteger[Any]]:
    flat = labels.ravel()
    first = np.empty(len(colours), np.int64)
    first[flat[::-1]] = np.arange(len(flat))[::-1]
    number = np.empty(len(colours), np.min_scalar_type(len(colours)))
    number[np.argsort(first)] = np.arange(1, len(colours) + 1)
    number[colours == 0] = 0  # transparency is no colour: it does not swap with one
    numbered: NDArray[np.unsignedinteger[Any]] = number[flat].reshape(labels.shape)
    return numbered


def pack(pixels: Pixels) -> Packed:
    """Pixels as one integer each: uint8 (..., 3 or 4) -> (...)."""
    channels = pixels.shape[-1]
    padded = np.zeros((*pixels.shape[:-1], 4), np.uint8)
    for channel in range(channels):  # plane by plane: twice as fast as a copy of the slice, or as shifts
        padded[..., 4 - channels + channel] = pixels[..., channel]
    return padded.view(">u4")[..., 0].astype(np.uint32)


def unpack(packed: Packed) -> Pixels:
    """The inverse of `pack` for opaque pixels: (N,) -> uint8 (N, 3)."""
    return packed.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]


def colour_count(pixels: Pixels) -> int:
    """Number of distinct colours, alpha included."""
    return len(np.unique(pack(pixels)))


def common_colours(colours: Pixels, count: int) -> Pixels:
    """The `count` most frequent of uint8 (N, 3) colours, first the most frequent, of equals the darkest."""
    return _common(pack(colours), count)


def common_words(pixels: Words, count: int) -> Pixels:
    """`common_colours` of opaque pixels, (N,), as `words` has them."""
    return _common(pixels.byteswap() >> np.uint32(8), count)


def _common(packed: Packed, count: int) -> Pixels:
    ordered = np.sort(packed)
    changes = (ordered[1:] != ordered[:-1]).nonzero()[0] + 1
    starts, ends = np.concatenate([[0], changes]), np.concatenate([changes, [len(ordered)]])
    best = ordered[starts[np.argsort(starts - ends, kind="stable")[:count]]]
    return unpack(best)


def border(image: Pixels | Words) -> NDArray[Any]:
    """Pixels of the outermost frame of (H, W, C) or (H, W): (N, C) or (N,)."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def parse_colour(text: str) -> tuple[int, int, int]:
    """A colour written as '#rrggbb' -> (r, g, b)."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def format_colour(colour: NDArray[np.uint8] | tuple[int, int, int]) -> str:
    """A colour (r, g, b), each 0..255 -> '#rrggbb'."""
    return "#" + "".join(f"{int(value):02x}" for value in colour)
