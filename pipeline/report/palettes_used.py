"""The colours of a data set: how many a work has, and which are the most common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipeline.images import canonical, files
from pipeline.report import census, charts
from pipeline.runtime.manifest import Row

TITLE = "Colours of a work"  # of the chart
MAX_WORKS = 1000  # pictures read; of more, evenly spaced ones
SWATCHES = 32


@dataclass(frozen=True)
class Swatch:
    """A colour, the mean share of a work's own pixels that have it, and the number of works with it."""

    colour: str
    share: float
    works: int


@dataclass(frozen=True)
class Colours:
    """Colours of `works` pictures at one pixel per cell, without the ground that flatten put under transparency."""

    chart: Markup  # works by their number of colours
    swatches: list[Swatch]
    works: int


def read(data: Path, rows: Sequence[Row]) -> Colours:
    """The colours of the works of `rows`, as the grid stage left them; works without a picture are passed over."""
    by_work = {(row.get("parent") or row["id"]): row for row in rows}
    paths = [(data / "grid" / "images" / f"{name}.png", row) for name, row in sorted(by_work.items())]
    pictures = [(path, row) for path, row in paths if path.is_file()]
    step = max(1, -(-len(pictures) // MAX_WORKS))
    shares = [share for path, row in pictures[::step] if (share := _shares(path, row))]
    counts = charts.histogram((len(share) for share in shares), census.COLOURS)
    return Colours(charts.bar_chart(TITLE, counts), _swatches(shares), len(shares))


def _shares(path: Path, row: Row) -> dict[int, float]:
    """Packed colour -> share of the artist's own pixels."""
    packed = canonical.pack(files.read_rgba(path)[..., :3]).ravel()
    if row.get("transparent_share") and row.get("background"):
        red, green, blue = canonical.parse_colour(row["background"])
        packed = packed[packed != (red << 16 | green << 8 | blue)]
    colours, counts = np.unique(packed, return_counts=True)
    return {int(colour): float(count) / len(packed) for colour, count in zip(colours, counts, strict=True)}


def _swatches(shares: Sequence[dict[int, float]]) -> list[Swatch]:
    """The colours with the largest mean share, largest first."""
    total: Counter[int] = Counter()
    works: Counter[int] = Counter()
    for share in shares:
        total.update(share)
        works.update(share.keys())
    best = sorted(total, key=lambda colour: (-total[colour], colour))[:SWATCHES]
    return [Swatch(f"#{colour:06x}", total[colour] / len(shares), works[colour]) for colour in best]
