"""Charts as inline SVG, coloured by the page's style sheet, with their numbers in the text alternative."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from markupsafe import Markup

from pipeline.errors import BadInput

Bins = list[tuple[str, int]]  # label and count, in order
Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 26  # margins of a line chart
SIDE, ABOVE, BELOW = 8, 24, 30  # margins of a bar chart
BAR_SHARE = 0.78  # of the width between two centres that a bar fills
MAX_POINTS = 300


def bar_chart(title: str, bins: Bins) -> Markup:
    """One upright bar per bin, its count above and its label below; an empty list is an empty frame."""
    largest = max((count for _, count in bins), default=0)
    numbers = ", ".join(f"{label}: {count}" for label, count in bins) or "nothing to count"
    bars = [_bar(index, len(bins), label, count, largest) for index, (label, count) in enumerate(bins)]
    return _svg(f"{title}: {numbers}", [*bars, _rule(SIDE, WIDTH - SIDE, f"{HEIGHT - BELOW}")])


def _bar(index: int, number: int, label: str, count: int, largest: int) -> str:
    pitch = (WIDTH - 2 * SIDE) / number
    centre = SIDE + (index + 0.5) * pitch
    height = max(1.0, (HEIGHT - ABOVE - BELOW) * count / largest) if count else 0.0
    top = HEIGHT - BELOW - height
    rect = f'<rect class="bar" x="{centre - pitch * BAR_SHARE / 2:.1f}" y="{top:.1f}" width="{pitch * BAR_SHARE:.1f}"'
    texts = f'<text x="{centre:.1f}" y="{HEIGHT - BELOW + 14}" text-anchor="middle">{escape(label)}</text>'
    texts += f'<text class="count" x="{centre:.1f}" y="{top - 5:.1f}" text-anchor="middle">{count}</text>'
    return f'{rect} height="{height:.1f}"/>{texts}'


def histogram(values: Iterable[float], edges: Sequence[float]) -> Bins:
    """Counts of whole numbers in [edge, next edge), labelled like `16-31`, `8` or, for the open last bin, `64+`.

    Empty bins at either end are left out.
    """
    numbers = list(values)
    ranges = list(pairwise([*edges, math.inf]))
    bins = [(_label(low, high), sum(low <= value < high for value in numbers)) for low, high in ranges]
    filled = [index for index, (_, count) in enumerate(bins) if count]
    return bins[filled[0] : filled[-1] + 1] if filled else []


def _label(low: float, high: float) -> str:
    if high == math.inf:
        return f"{low:g}+"
    return f"{low:g}" if high == low + 1 else f"{low:g}-{high - 1:g}"


def line_chart(title: str, series: Mapping[str, Points]) -> Markup:
    """One line per series; the class `series-<position>` colours it. A series may be empty, not all."""
    lines = [thin(points) for points in series.values()]
    xs = [x for points in lines for x, _ in points]
    ys = [y for points in lines for _, y in points]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 5), ticks(min(ys), max(ys), 4)
    ends = [f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in series.items() if points]
    parts = []
    for value in y_ticks:
        y = _y(value, y_ticks)
        parts.append(_rule(LEFT, WIDTH - RIGHT, f"{y:.1f}"))
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts += [f'<text x="{_x(x, x_ticks):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{x:g}</text>' for x in x_ticks]
    for position, points in enumerate(lines):
        if points:
            pairs = " ".join(f"{_x(x, x_ticks):.1f},{_y(y, y_ticks):.1f}" for x, y in points)
            parts.append(f'<polyline class="series-{position}" points="{pairs}"/>')
    return _svg(f"{title}: {'; '.join(ends)}", parts)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that enclose [low, high]: steps of 1, 2 or 5 times a power of ten, at least two."""
    size = max(abs(low), abs(high), 1e-9)
    span = high - low if high - low > 1e-9 * size else max(size, 1e-3)  # a constant curve still needs a scale
    magnitude = 10.0 ** math.floor(math.log10(span / count))
    step = next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor * count >= span * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def thin(points: Points) -> Points:
    """At most MAX_POINTS + 1 of the points, the last always among them."""
    stride = max(1, -(-len(points) // MAX_POINTS))
    return [*points[:-1:stride], *points[-1:]]


def _x(value: float, ticks: Sequence[float]) -> float:
    return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - RIGHT - LEFT)


def _y(value: float, ticks: Sequence[float]) -> float:
    return HEIGHT - BOTTOM + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (TOP - HEIGHT + BOTTOM)


def _rule(left: int, right: int, y: str) -> str:
    return f'<line class="rule" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'


def _svg(description: str, parts: Iterable[str]) -> Markup:
    """The picture of `parts`, whose texts are escaped already."""
    frame = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">'
    return Markup("".join([frame, *parts, "</svg>"]))


def read_curves(folder: Path) -> dict[str, Points]:
    """Metric -> points, for every TSV below `folder` that has any."""
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.tsv")}
    curves = {name: read_curve(paths[name]) for name in sorted(paths)}
    return {name: points for name, points in curves.items() if points}


def read_curve(path: Path) -> Points:
    """(step, value) rows of a DVCLive TSV; rows that are not finite numbers are left out.

    Raises:
        BadInput: the file has no `step` column followed by a value.
    """
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file, delimiter="\t")) or [[]]
    if len(header) != 2 or header[0] != "step":
        raise BadInput(f"{path}: expected the columns 'step' and one metric, found {header}")
    points = [(float(step), float(value)) for step, value in rows if step and value]
    return [point for point in points if all(map(math.isfinite, point))]
