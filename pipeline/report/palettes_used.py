"""The colours of a data set: how many a work has, and which are the most common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.images import canonical, files
from pipeline.report import census
from pipeline.report.bars import Bins, binned
from pipeline.runtime.manifest import Row

MOST_WORKS = 1000  # pictures read; of more, evenly spaced ones
SWATCHES = 32


@dataclass(frozen=True)
class Swatch:
    """A colour, the mean share of a work's own pixels that have it, and the number of works with it."""

    colour: str
    share: float
    works: int


@dataclass(frozen=True)
class Colours:
    """`looked_at` works, one pixel per cell, without the ground that flatten put under transparency."""

    counts: Bins
    swatches: list[Swatch]
    looked_at: int


def read(data: Path, rows: Sequence[Row]) -> Colours:
    """Of the works of `rows`, as the grid stage left them; works without a picture there are passed over."""
    files = {(row.get("parent") or row["id"]): row for row in rows}
    found = [(data / "grid" / "images" / f"{name}.png", row) for name, row in sorted(files.items())]
    there = [(path, row) for path, row in found if path.is_file()]
    step = max(1, -(-len(there) // MOST_WORKS))
    shares = [own for path, row in there[::step] if (own := _shares(path, row))]
    counts = binned((len(own) for own in shares), census.COLOURS)
    return Colours(counts, _swatches(shares), len(shares))


def _shares(path: Path, row: Row) -> dict[int, float]:
    """Packed colour -> share of the artist's own pixels."""
    packed = canonical.pack(files.read_rgba(path)[..., :3]).ravel()
    if row.get("transparent_share") and row.get("background"):
        red, green, blue = canonical.parse_colour(row["background"])
        packed = packed[packed != (red << 16 | green << 8 | blue)]
    colours, counts = np.unique(packed, return_counts=True)
    return {int(colour): float(count) / len(packed) for colour, count in zip(colours, counts, strict=True)}


def _swatches(shares: Sequence[dict[int, float]]) -> list[Swatch]:
    total: Counter[int] = Counter()
    works: Counter[int] = Counter()
    for own in shares:
        total.update(own)
        works.update(own.keys())
    best = sorted(total, key=lambda colour: (-total[colour], colour))[:SWATCHES]
    return [Swatch(f"#{colour:06x}", total[colour] / len(shares), works[colour]) for colour in best]
