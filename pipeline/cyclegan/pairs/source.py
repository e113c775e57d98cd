"""Batches of pairs for a training: windows on the training artworks at several numbers of cells, each rendered once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cyclegan.pairs.render import Pair, commonest_on_border, render_pair
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, read_rgb
from pipeline.runtime import manifest
from pipeline.runtime.seeds import generator

PORTRAITS = frozenset({"portrait", "portraits", "face", "faces", "head", "heads", "bust", "avatar", "mugshot"})
PREFERENCE = 3.0  # a portrait is drawn so many times as often as another work
HEADROOM = 0.12  # of the cells: at most so much lies above a work whose top is shown
FROM_TOP = 0.7  # share of windows on tall works that show their top, where heads are
WHOLE = 1.5  # windows on works whose longer side is more than so many windows come less often, by the square
SMALLEST = 12  # cells a side of a window


def read_natives(split: Path, grid: Path, limit: int | None = None) -> tuple[list[Pixels], list[float]]:
    """The native pictures of the training artworks, sorted by id, and how often each should be drawn, in any unit.

    Args:
        split: has `manifest.jsonl`, which tells the artworks of the train split.
        grid: has `images/<id>.png`, one pixel a cell.
        limit: how many of them at most, the first ones by id.

    Raises:
        BadInput: no artwork to train on, or one that the grid stage does not have.
    """
    natives: dict[str, tuple[Pixels, float]] = {}
    for row in manifest.stream_kept(split):
        if row["domain"] != "pixel" or row["split"] != "train":
            continue
        name = next((key for key in (row["id"], row.get("parent")) if key and _file(grid, key).is_file()), None)
        if name is None:
            missing = _file(grid, row["id"])
            raise BadInput(f"{missing}: no native picture of a training artwork; run the stage grid first")
        natives.setdefault(name, (read_rgb(_file(grid, name)), PREFERENCE if is_portrait(row) else 1.0))
    if not natives:
        raise BadInput(f"{split}: no artworks to make pairs of; see the funnel in data/*/stats.json")
    pictures, weights = zip(*(natives[key] for key in sorted(natives)[:limit]), strict=True)
    return list(pictures), list(weights)


def _file(grid: Path, name: str) -> Path:
    return grid / "images" / f"{name}.png"


def is_portrait(row: Mapping[str, Any]) -> bool:
    """Whether the tags or the title of a work say that it shows a head."""
    text = " ".join([row.get("title") or "", *(row.get("tags") or ())])
    words = set(re.findall(r"[a-z]+", text.lower()))
    return not PORTRAITS.isdisjoint(words)


class PairSource:
    """A pool of pairs, rendered when they are first drawn; what is drawn depends on seed and place alone.

    Args:
        natives: artworks, uint8 (rows, columns, 3), one pixel a cell.
        weights: how often each is drawn.
        factor: pixels a side of a cell of the smooth pictures.
        cells: numbers of cells a side of the pairs; each batch has one of them.
        pool: pairs in all, at least one for each number of cells.
        batch_size: pairs a step.
        seed: of everything.
    """

    def __init__(
        self, natives: Sequence[Pixels], weights: Sequence[float], *, factor: int, cells: Sequence[int], pool: int,
        batch_size: int, seed: int,
    ) -> None:  # fmt: skip
        self.natives, self.factor, self.cells, self.seed = list(natives), factor, list(cells), seed
        self.weights = np.asarray(weights, np.float64)
        self.longer_sides = np.array([max(native.shape[:2]) for native in self.natives])
        self.each, self.batch_size = max(1, pool // len(self.cells)), batch_size
        self.rendered: dict[tuple[int, int], Pair] = {}

    def __call__(self, step: int, share: slice) -> tuple[Pixels, Pixels]:
        """A share of the pairs of a step: smooth (N, side * factor, side * factor, 3) and native (N, side, side, 3)."""
        rng = generator(self.seed, "pairs", "batch", step)
        side = int(rng.choice(self.cells))
        places = rng.integers(0, self.each, self.batch_size)
        flips = rng.random(self.batch_size) < 0.5
        pairs = [self.pair(side, int(place)) for place in places[share]]
        mirrored = [
            Pair(*(picture[:, ::-1] for picture in pair)) if flip else pair
            for pair, flip in zip(pairs, flips[share], strict=True)
        ]
        return np.stack([pair.smooth for pair in mirrored]), np.stack([pair.native for pair in mirrored])

    def pair(self, side: int, number: int) -> Pair:
        """The `number`-th pair of `side` x `side` cells; a training draws the first `each`."""
        if (side, number) not in self.rendered:
            rng = generator(self.seed, "pairs", side, number)
            self.rendered[side, number] = render_pair(self._window(side, rng), self.factor, rng)
        return self.rendered[side, number]

    def _window(self, side: int, rng: np.random.Generator) -> Pixels:
        """A part of an artwork, or the whole on its ground; four windows where a work is small enough."""
        chances = self.weights * np.minimum(1, (WHOLE * side / self.longer_sides) ** 2)
        native = self.natives[int(rng.choice(len(self.natives), p=chances / chances.sum()))]
        half = side // 2
        if max(native.shape[:2]) <= half and half >= SMALLEST and side % 2 == 0:
            others = [self._window(half, rng) for _ in range(3)]
            return np.block([[[_place(native, half, rng)], [others[0]]], [[others[1]], [others[2]]]])
        return _place(native, side, rng)


def _place(native: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """A window of `side` x `side` cells on an artwork; where it reaches beyond, the ground goes on."""
    height, width = native.shape[:2]
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = commonest_on_border(native)
    if height > side and rng.random() < FROM_TOP:
        top = int(rng.integers(-round(HEADROOM * side), max(1, (height - side) // 3)))
    else:
        top = _start(height, side, rng)
    left = _start(width, side, rng)
    rows, columns = _overlap(top, height, side), _overlap(left, width, side)
    canvas[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = native[rows, columns]
    return canvas


def _start(length: int, side: int, rng: np.random.Generator) -> int:
    """Where a window begins on an axis: anywhere within a longer work, or around a shorter one."""
    free = length - side
    return int(rng.integers(min(free, 0), max(free, 0) + 1))


def _overlap(start: int, length: int, side: int) -> slice:
    return slice(max(0, start), min(length, start + side))
