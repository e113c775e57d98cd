"""What images are compared by at first, of however many: little in memory, the rest in unnamed files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels
from pipeline.runtime.scratch import Records
from pipeline.similarity.hamming import Index

Floats = NDArray[np.float32]

GROUNDS = (255, 0, 128)  # grey levels under transparency: a copy may have been flattened on any
THUMBNAIL = 16
GIST, SKETCH = 2, 8  # cells a side of what they are sifted by, first and then
SKETCHED = 1 << 9  # thumbnails that are sketched at a time: about 3 MB
HELD = 1 << 14  # images of one shape up to which their sketches are held in memory: 4 MB
LAID = np.dtype([("hashes", "<u8", 3), ("foreground", "<f4"), ("opaque", "?"), ("gist", "u1", (4, GIST**2))])


@dataclass(frozen=True)
class Look:
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


class Looks:
    """The looks of many images: of each the aspect in memory, all else in unnamed files.

    Args:
        expected: images for which there is room at once; more are moved to a larger array.
        folder: on whose disk the files are; None = that of temporary files.
    """

    def __init__(self, expected: int = 0, folder: Path | None = None) -> None:
        self.aspect = np.ones(expected, np.float32)
        self.laid = Records(LAID.itemsize, folder)
        self.thumbnails = Records(THUMBNAIL**2 * 4, folder)
        self.sketches = Records(SKETCH**2 * 4, folder)

    def append(self, look: Look) -> None:
        index = len(self.thumbnails)
        if index == len(self.aspect):
            self.aspect = np.concatenate([self.aspect, np.ones(max(64, index // 4), np.float32)])
        self.aspect[index] = look.aspect
        gist = _means(look.thumbnail[None], GIST)[0]
        self.laid.append(np.array((look.hashes, look.foreground, look.opaque, gist), LAID).tobytes())
        self.thumbnails.append(look.thumbnail.tobytes())

    def thumbnails_of(self, indices: Index) -> Pixels:
        """(len(indices), 16, 16, 4)."""
        return self.thumbnails.take(indices).reshape(-1, THUMBNAIL, THUMBNAIL, 4)

    def sketches_of(self, indices: Index) -> Pixels:
        """(len(indices), 4, 64): means of R, G, B (multiplied by alpha) and alpha over each of 8 x 8 cells."""
        for start in range(len(self.sketches), len(self.thumbnails), SKETCHED):
            small = self.thumbnails.between(start, start + SKETCHED).reshape(-1, THUMBNAIL, THUMBNAIL, 4)
            self.sketches.append(_means(small, SKETCH).tobytes())
        return self.sketches.take(indices).reshape(-1, 4, SKETCH**2)


class Some:
    """Some of many looks, by their place among `numbers`; their sketches are held where they are not many."""

    def __init__(self, looks: Looks, numbers: Index) -> None:
        self._looks, self._numbers = looks, numbers
        laid = looks.laid.take(numbers).view(LAID)[:, 0]
        self.hashes, self._gist = laid["hashes"], laid["gist"]
        self.foreground, self.opaque, self.aspect = laid["foreground"], laid["opaque"], looks.aspect[numbers]
        self._sketches = looks.sketches_of(numbers) if len(numbers) <= HELD else None

    def thumbnails_of(self, places: Index) -> Pixels:
        """(len(places), 16, 16, 4)."""
        return self._looks.thumbnails_of(self._numbers[places])

    def gists_of(self, places: Index) -> Pixels:
        """(len(places), 4, 4): as `sketches_of`, over each of 2 x 2 cells."""
        return self._gist[places]

    def sketches_of(self, places: Index) -> Pixels:
        """(len(places), 4, 64): see `Looks.sketches_of`."""
        held = self._sketches
        return self._looks.sketches_of(self._numbers[places]) if held is None else held[places]


def on_grounds(thumbnails: Pixels) -> Floats:
    """uint8 (N, 16, 16, 4), premultiplied -> float (N, grounds, 16, 16, 3)."""
    clear = 1 - thumbnails[..., 3:].astype(np.float32) / 255
    levels = np.array(GROUNDS, np.float32)[:, None, None, None]
    on_each = thumbnails[:, None, ..., :3] + levels * clear[:, None]
    return on_each.astype(np.float32, copy=False)


def _means(thumbnails: Pixels, side: int) -> Pixels:
    """(N, 16, 16, 4) -> (N, 4, side * side): means over equal cells, rounded."""
    cell = THUMBNAIL // side
    cells = thumbnails.reshape(-1, side, cell, side, cell, 4).mean(axis=(2, 4), dtype=np.float32).round()
    means: Pixels = np.ascontiguousarray(cells.astype(np.uint8).reshape(-1, side**2, 4).swapaxes(1, 2))
    return means
