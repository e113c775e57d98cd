"""How a stage tells how far it is, without knowing whether anybody looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with what is being done, how much of it is done, and a few words on its state."""

    def __call__(self, task: str, done: int, total: int, text: str = "") -> None: ...


def silent(task: str, done: int, total: int, text: str = "") -> None:
    """Nobody looks."""
