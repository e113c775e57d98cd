"""What is seen of an optimisation while it runs: losses per pair, and when a pair is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The losses before weighting, one per pair, as seen before step `iteration`; the last one is the result's.

    A pair that is done keeps the losses of its result.
    """

    iteration: int
    style: tuple[float, ...]
    content: tuple[float, ...]
    done: tuple[bool, ...]


Report = Callable[[Progress], None]


class Log:
    """Reports each evaluation for all pairs, those that are done included."""

    def __init__(self, pairs: int, report: Report) -> None:
        self.report = report
        self.iteration = 0
        self.style, self.content = torch.zeros(pairs), torch.zeros(pairs)
        self.done = torch.zeros(pairs, dtype=torch.bool)

    def resume(self) -> None:
        self.done[:] = False

    def note(self, pairs: Tensor, style: Tensor, content: Tensor) -> None:
        self._set(pairs, style, content)
        self._tell()
        self.iteration += 1

    def settle(self, pairs: Tensor, style: Tensor, content: Tensor) -> None:
        self._set(pairs, style, content)
        self.done[pairs] = True

    def finish(self) -> None:
        self._tell()

    def _set(self, pairs: Tensor, style: Tensor, content: Tensor) -> None:
        self.style[pairs], self.content[pairs] = style.float().cpu(), content.float().cpu()

    def _tell(self) -> None:
        style, content, done = (tuple(values.tolist()) for values in (self.style, self.content, self.done))
        self.report(Progress(iteration=self.iteration, style=style, content=content, done=done))


class Plateau:
    """Compares the mean total loss of two windows of `patience` iterations, per pair."""

    def __init__(self, least_fall: float | None, patience: int, pairs: int) -> None:
        self.least_fall, self.patience = least_fall, patience
        self.totals = torch.empty(0, pairs)

    def note(self, total: Tensor) -> None:
        self.totals = torch.cat([self.totals, total.cpu()[None]])[-2 * self.patience :]

    def flat(self) -> Tensor:
        """(N,): True where the loss no longer falls."""
        if self.least_fall is None or len(self.totals) < 2 * self.patience:
            return torch.zeros(self.totals.shape[1], dtype=torch.bool)
        before, now = self.totals[: self.patience].mean(dim=0), self.totals[self.patience :].mean(dim=0)
        falls: Tensor = now < (1 - self.least_fall) * before
        return ~falls  # also True for a loss that is no number

    def keep(self, pairs: Tensor) -> None:
        self.totals = self.totals[:, pairs]
