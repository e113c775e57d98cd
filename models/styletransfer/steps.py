"""The steps of an optimisation: their losses per pair, and when a pair is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class OptimisationStep:
    """Losses of all pairs before weighting, measured just before step `iteration`; those of the last one are final.

    A pair that is done keeps the losses of its result.
    """

    iteration: int
    style: tuple[float, ...]
    content: tuple[float, ...]
    done: tuple[bool, ...]


OnStep = Callable[[OptimisationStep], None]


class StepLog:
    """Hands each evaluation of the losses to `on_step`, for all pairs, those that are done included."""

    def __init__(self, pairs: int, on_step: OnStep) -> None:
        self.on_step = on_step
        self.iteration = 0
        self.style, self.content = torch.zeros(pairs), torch.zeros(pairs)
        self.done = torch.zeros(pairs, dtype=torch.bool)

    def resume(self) -> None:
        """Count every pair as running again, for the next size."""
        self.done[:] = False

    def note(self, pairs: Tensor, style: Tensor, content: Tensor) -> None:
        """Record one evaluation of these pairs, and report it."""
        self._set(pairs, style, content)
        self.report()
        self.iteration += 1

    def settle(self, pairs: Tensor, style: Tensor, content: Tensor) -> None:
        """Record the losses of the results of these pairs, which are done."""
        self._set(pairs, style, content)
        self.done[pairs] = True

    def report(self) -> None:
        """Hand the present losses of all pairs to `on_step`."""
        style, content, done = (tuple(values.tolist()) for values in (self.style, self.content, self.done))
        self.on_step(OptimisationStep(iteration=self.iteration, style=style, content=content, done=done))

    def _set(self, pairs: Tensor, style: Tensor, content: Tensor) -> None:
        self.style[pairs], self.content[pairs] = style.float().cpu(), content.float().cpu()


class Plateau:
    """Compares the mean total loss of two windows of `patience` iterations, pair by pair."""

    def __init__(self, least_fall: float | None, patience: int, pairs: int) -> None:
        self.least_fall, self.patience = least_fall, patience
        self.totals = torch.empty(0, pairs)

    def note(self, total: Tensor) -> None:
        """Add the total losses (N,) of one iteration."""
        self.totals = torch.cat([self.totals, total.cpu()[None]])[-2 * self.patience :]

    def flat(self) -> Tensor:
        """True for every pair (N,) whose loss no longer falls."""
        if self.least_fall is None or len(self.totals) < 2 * self.patience:
            return torch.zeros(self.totals.shape[1], dtype=torch.bool)
        before, now = self.totals[: self.patience].mean(dim=0), self.totals[self.patience :].mean(dim=0)
        falls: Tensor = now < (1 - self.least_fall) * before
        return ~falls  # also True for a loss that is no number

    def keep(self, pairs: Tensor) -> None:
        """Forget all pairs but these."""
        self.totals = self.totals[:, pairs]
