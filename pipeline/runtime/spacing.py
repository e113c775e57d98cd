"""A few of many, evenly spaced: what stands for a whole list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], count: int | None) -> list[Item]:
    """At most `count` of the items in their order, the first among them; None = all."""
    number = len(items) if count is None else min(count, len(items))
    return [items[index * len(items) // number] for index in range(number)]
