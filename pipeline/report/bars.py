"""Counts as inline SVG bars, coloured by the page's style sheet, with every number in the text alternative."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from markupsafe import Markup

Bins = Sequence[tuple[str, int]]  # label and count, in order

WIDTH, HEIGHT = 360, 190
SIDE, TOP, BOTTOM = 8, 24, 30  # margins
SHARE = 0.78  # of its place that a bar fills


def chart(title: str, bins: Bins) -> Markup:
    """One upright bar per bin, its count above and its label below; an empty list is an empty frame."""
    most = max((count for _, count in bins), default=0)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described(title, bins))}">']
    parts += [_bar(index, len(bins), label, count, most) for index, (label, count) in enumerate(bins)]
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="rule" x1="{SIDE}" x2="{WIDTH - SIDE}" y1="{base}" y2="{base}"/></svg>')
    return Markup("".join(parts))  # every text in it is escaped


def described(title: str, bins: Bins) -> str:
    """The chart in words."""
    return f"{title}: " + (", ".join(f"{label}: {count}" for label, count in bins) or "nothing to count")


def _bar(index: int, number: int, label: str, count: int, most: int) -> str:
    place = (WIDTH - 2 * SIDE) / number
    centre = SIDE + (index + 0.5) * place
    full = HEIGHT - TOP - BOTTOM
    height = max(1.0, full * count / most) if count else 0.0
    top = HEIGHT - BOTTOM - height
    rect = f'<rect class="bar" x="{centre - place * SHARE / 2:.1f}" y="{top:.1f}" width="{place * SHARE:.1f}"'
    texts = f'<text x="{centre:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{escape(label)}</text>'
    texts += f'<text class="count" x="{centre:.1f}" y="{top - 5:.1f}" text-anchor="middle">{count}</text>'
    return f'{rect} height="{height:.1f}"/>{texts}'


def binned(values: Iterable[float], edges: Sequence[float]) -> list[tuple[str, int]]:
    """Counts of whole numbers in [edge, next edge), the last bin open; labels like `16-31`, one number alone, `64+`."""
    ordered = list(values)
    bins = [
        (_label(low, high), sum(low <= value < high for value in ordered))
        for low, high in pairwise([*edges, float("inf")])
    ]
    return trimmed(bins)


def _label(low: float, high: float) -> str:
    if high == float("inf"):
        return f"{low:g}+"
    return f"{low:g}" if high == low + 1 else f"{low:g}-{high - 1:g}"


def trimmed(bins: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Without the empty bins before the first and after the last that holds something."""
    filled = [index for index, (_, count) in enumerate(bins) if count]
    return bins[filled[0] : filled[-1] + 1] if filled else []
