"""Figures and their bounds, for every benchmark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """A figure, and the bound that it has to keep; None where it is only reported."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def bound(self) -> str:
        if self.least is not None:
            return f">= {self.least:.3g}"
        return "" if self.most is None else f"<= {self.most:.3g}"


def table(demands: Iterable[Demand]) -> str:
    """Markdown, a figure a row."""
    lines = ["| figure | value | demanded | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.value:.3g} | {row.bound} | {'' if row.met else 'MISSED'} |" for row in demands]
    return "\n".join(lines) + "\n"
