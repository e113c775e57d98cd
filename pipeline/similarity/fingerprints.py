"""Fingerprints: small summaries by which any two of many images are compared without their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels
from pipeline.runtime.growing import GrowingRows

Floats = NDArray[np.float32]

GROUNDS = (255, 0, 128)  # grey levels under transparency: a copy may have been flattened on any
THUMBNAIL = 16
GIST, SKETCH = 2, 8  # cells a side of what pairs are sifted by, first and then
ROW = np.dtype(
    [
        ("hashes", "<u8", len(GROUNDS)),
        ("foreground", "<f4"),
        ("aspect", "<f4"),
        ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL, 4)),
        ("sketch", "u1", (4, SKETCH**2)),
        ("gist", "u1", (4, GIST**2)),
        ("opaque", "?"),
    ],
    align=True,
)


@dataclass(frozen=True)
class Fingerprint:
    """What is compared of one image.

    Attributes:
        hashes: 64-bit pHash on each of GROUNDS.
        thumbnail: uint8 (16, 16, 4), box-filtered, colours multiplied by alpha; for comparison only.
        foreground: share of the canvas that is neither transparent nor the border's colour, 0..1.
        opaque: no transparency.
        aspect: width / height.
    """

    hashes: tuple[int, ...]
    thumbnail: Pixels
    foreground: float
    opaque: bool
    aspect: float

    @property
    def thumbnails(self) -> Pixels:
        """uint8 (grounds, 16, 16, 3): the thumbnail on each of GROUNDS."""
        thumbnails: Pixels = on_grounds(self.thumbnail[None])[0].round().astype(np.uint8)
        return thumbnails


class FingerprintTable(GrowingRows):
    """The fingerprints of many images in columns, 1.3 KB an image.

    Beside the fields of a fingerprint each row has a `sketch` (4, 64) and a `gist` (4, 4): means of red, green, blue
    (multiplied by alpha) and alpha over each of 8 x 8 and of 2 x 2 cells.
    """

    def __init__(self, expected: int = 0) -> None:
        super().__init__(ROW, expected)

    def add(self, fingerprint: Fingerprint) -> None:
        """Append the fingerprint of one more image."""
        small = fingerprint.thumbnail
        facts = fingerprint.hashes, fingerprint.foreground, fingerprint.aspect
        self.append((*facts, small, _means(small, SKETCH), _means(small, GIST), fingerprint.opaque))


def on_grounds(thumbnails: Pixels) -> Floats:
    """Thumbnails on each grey level: uint8 (N, 16, 16, 4), premultiplied -> float (N, grounds, 16, 16, 3)."""
    clear = 1 - thumbnails[..., 3:].astype(np.float32) / 255
    levels = np.array(GROUNDS, np.float32)[:, None, None, None]
    on_each = thumbnails[:, None, ..., :3] + levels * clear[:, None]
    return on_each.astype(np.float32, copy=False)


def _means(thumbnail: Pixels, side: int) -> Pixels:
    """(16, 16, 4) -> (4, side * side): means over equal cells, rounded."""
    cell = THUMBNAIL // side
    cells = thumbnail.reshape(side, cell, side, cell, 4).mean(axis=(1, 3), dtype=np.float32).round()
    means: Pixels = cells.astype(np.uint8).reshape(side**2, 4).T
    return means
