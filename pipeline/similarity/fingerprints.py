"""Fingerprints: small summaries by which any two of many images are compared without their pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels

Floats = NDArray[np.float32]

GROUNDS = (255, 0, 128)  # grey levels under transparency: a copy may have been flattened on any
THUMBNAIL = 16
GIST, SKETCH = 2, 8  # cells a side of what pairs are sifted by, first and then
FINGERPRINT = np.dtype(  # 1.3 KB an image
    [
        ("hashes", "<u8", len(GROUNDS)),  # 64-bit pHash on each of GROUNDS
        ("foreground", "<f4"),  # share of the canvas that is neither transparent nor the border's colour, 0..1
        ("aspect", "<f4"),  # width / height
        ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL, 4)),  # box-filtered, colours multiplied by alpha; to compare only
        ("sketch", "u1", (4, SKETCH**2)),  # of the thumbnail: means of each channel over each of 8 x 8 cells
        ("gist", "u1", (4, GIST**2)),  # over each of 2 x 2 cells
        ("opaque", "?"),  # no transparency
    ],
    align=True,
)
Fingerprint = np.void  # what is compared of one image, a FINGERPRINT
Fingerprints = NDArray[np.void]  # (N,)


def on_grounds(thumbnails: Pixels) -> Floats:
    """Thumbnails on each grey level: uint8 (N, 16, 16, 4), premultiplied -> float (N, grounds, 16, 16, 3)."""
    clear = 1 - thumbnails[..., 3:].astype(np.float32) / 255
    levels = np.array(GROUNDS, np.float32)[:, None, None, None]
    on_each = thumbnails[:, None, ..., :3] + levels * clear[:, None]
    return on_each.astype(np.float32, copy=False)


def cell_means(thumbnail: Pixels, side: int) -> Pixels:
    """Rounded means of a thumbnail over side x side equal cells: (16, 16, 4) -> (4, side * side)."""
    cell = THUMBNAIL // side
    cells = thumbnail.reshape(side, cell, side, cell, 4).mean(axis=(1, 3), dtype=np.float32).round()
    means: Pixels = cells.astype(np.uint8).reshape(side**2, 4).T
    return means
