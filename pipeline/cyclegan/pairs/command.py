"""`facetopix pairs`: a sheet of the pairs that a training would learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cyclegan.pairs.source import PairSource, read_natives
from pipeline.errors import BadParams
from pipeline.images import sheet
from pipeline.images.files import Pixels
from pipeline.runtime.seeds import derive

OPAQUE = 255


def run(split: Path, grid: Path, out: Path, *, cells: list[int], factor: int, count: int, seed: int) -> dict[str, Any]:
    """Write a sheet of `count` pairs, smooth and native side by side, the numbers of cells in turn.

    Args:
        split: tells the training artworks.
        grid: has their native pictures.
        out: a PNG file, replaced if it exists.
        cells: numbers of cells a side.
        factor: pixels a side of a cell of the smooth pictures.
        count: of pairs.
        seed: of the run; the pairs are those of the generator `cell`.

    Returns:
        The sheet's path, the pairs on it, and how many artworks they are drawn from.

    Raises:
        BadInput: no artworks, or no native pictures of them.
        BadParams: cells of a size that the generator cannot have.
    """
    if factor < 1 or factor & (factor - 1):
        raise BadParams(f"resize.size / resize.cells: expected a power of two for the cell generator, got {factor}")
    natives, weights = read_natives(split, grid)
    source = PairSource(
        natives, weights, factor=factor, cells=cells, pool=count * len(cells), batch_size=1,
        seed=derive(seed, "train", "cell") % 2**31,
    )  # fmt: skip
    entries = []
    for number in range(count):
        side = cells[number % len(cells)]
        pair = source.pair(side, number)
        pictures = tuple(sheet.thumbnail(_opaque(picture)) for picture in pair)
        entries.append(sheet.Entry(pictures, ((f"{side} cells, number {number}", sheet.INK),)))
    sheet.write(out, entries, f"{count} pairs of {len(natives)} artworks: smooth, and as it was drawn")
    return {"sheet": str(out), "pairs": count, "artworks": len(natives)}


def _opaque(rgb: Pixels) -> Pixels:
    return np.dstack([rgb, np.full(rgb.shape[:2], OPAQUE, np.uint8)])
