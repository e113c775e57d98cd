"""The steps of an optimisation: their losses per pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """The parts of a loss of N pictures, (N,) each; style and content before weighting."""

    style: Tensor
    content: Tensor
    total: Tensor


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

    def record(self, pairs: Tensor, terms: Terms) -> None:
        """Take the present losses of these pairs."""
        self.style[pairs], self.content[pairs] = terms.style.float().cpu(), terms.content.float().cpu()

    def report(self) -> None:
        """Hand the present losses of all pairs to `on_step`."""
        style, content, done = (tuple(values.tolist()) for values in (self.style, self.content, self.done))
        self.on_step(OptimisationStep(iteration=self.iteration, style=style, content=content, done=done))
        self.iteration += 1
