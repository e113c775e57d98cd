"""Learning curves as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from markupsafe import Markup

from pipeline.errors import BadInput

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 26  # margins
MOST_POINTS = 300


def read_curve(path: Path) -> list[tuple[float, float]]:
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


def curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Metric -> points, for every TSV below `folder`."""
    found = {path.relative_to(folder).with_suffix("").as_posix(): read_curve(path) for path in folder.rglob("*.tsv")}
    return {name: found[name] for name in sorted(found) if found[name]}


def line_chart(title: str, series: Mapping[str, Points]) -> Markup:
    """An SVG with a line per series; the class `series-<position>` colours it. A series may be empty, not all."""
    shown = [thinned(points) for points in series.values()]
    xs = [x for points in shown for x, _ in points]
    ys = [y for points in shown for _, y in points]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 5), ticks(min(ys), max(ys), 4)
    x_range, y_range = (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1])
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_described(title, series))}">']
    parts += [_rule(y, _place(y, y_range, HEIGHT - BOTTOM, TOP)) for y in y_ticks]
    parts += [_mark(x, _place(x, x_range, LEFT, WIDTH - RIGHT)) for x in x_ticks]
    parts += [_line(position, points, x_range, y_range) for position, points in enumerate(shown) if points]
    return Markup("".join([*parts, "</svg>"]))  # every text in it is escaped above


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers that enclose [low, high]: steps of 1, 2 or 5 times a power of ten, at least two."""
    size = max(abs(low), abs(high), 1e-9)
    span = high - low if high - low > 1e-9 * size else max(size, 1e-3)  # a constant curve still needs a scale
    magnitude = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor * wanted >= span * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def thinned(points: Points) -> Points:
    """At most MOST_POINTS + 1 of the points, the last always among them."""
    stride = max(1, -(-len(points) // MOST_POINTS))
    kept = list(points[::stride])
    return [*kept, points[-1]] if kept[-1:] != list(points[-1:]) else kept


def _described(title: str, series: Mapping[str, Points]) -> str:
    ends = [f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in series.items() if points]
    return f"{title}: {'; '.join(ends)}"


def _place(value: float, bounds: tuple[float, float], start: float, end: float) -> float:
    return start + (value - bounds[0]) / (bounds[1] - bounds[0]) * (end - start)


def _rule(value: float, y: float) -> str:
    line = f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'


def _mark(value: float, x: float) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{value:g}</text>'


def _line(position: int, points: Points, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    placed = " ".join(
        f"{_place(x, x_range, LEFT, WIDTH - RIGHT):.1f},{_place(y, y_range, HEIGHT - BOTTOM, TOP):.1f}"
        for x, y in points
    )
    return f'<polyline class="series-{position}" points="{placed}"/>'
