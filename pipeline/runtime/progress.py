"""Progress of a long task, reported to whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the name of a task, how much of it is done, and a few words on its state."""

    def __call__(self, task: str, done: int, total: int, text: str = "") -> None: ...


def silent(task: str, done: int, total: int, text: str = "") -> None:
    """A `Progress` that shows nothing."""
