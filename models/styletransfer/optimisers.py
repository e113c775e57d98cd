"""Optimisers that move the leaves of a canvas: torch's Adam for a batch of pairs, and its L-BFGS for one pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.styletransfer.canvases import Canvas
from models.styletransfer.steps import Terms

Evaluate = Callable[[], Terms]  # the losses of the present state; adds their gradients to the leaves

HISTORY = 20  # steps that L-BFGS remembers
STEPS = 20  # it takes at once, before pairs and sizes may change


class Adam:
    """One step an evaluation. Its result is an average of the iterates, bias-corrected, where `ema` is not 0."""

    def __init__(self, canvas: Canvas, ema: float) -> None:
        self.canvas, self.ema = canvas, ema
        self.optimiser = torch.optim.Adam(canvas.leaves)
        self.averages = [torch.zeros_like(leaf) for leaf in canvas.leaves]
        self.steps = 0

    def step(self, evaluate: Evaluate, lr: float, most: int) -> list[Terms]:  # noqa: ARG002
        """Move the canvas once; the losses before."""
        self.optimiser.param_groups[0]["lr"] = lr
        self.optimiser.zero_grad()
        terms = evaluate()
        self.optimiser.step()
        self.canvas.project()
        self.steps += 1
        if self.ema:
            for average, leaf in zip(self.averages, self.canvas.leaves, strict=True):
                average.lerp_(leaf.detach(), 1 - self.ema)
        return [terms]

    def result(self, pairs: Tensor) -> Sequence[Tensor]:
        """What the leaves of these pairs should become."""
        if not self.ema:
            return [leaf.detach()[pairs] for leaf in self.canvas.leaves]
        return [average[pairs] / (1 - self.ema**self.steps) for average in self.averages]

    def keep(self, canvas: Canvas, pairs: Tensor) -> None:
        """Go on with these pairs alone, whose leaves are now those of `canvas`."""
        former, self.optimiser = self.optimiser, torch.optim.Adam(canvas.leaves)
        for old, new in zip(self.canvas.leaves, canvas.leaves, strict=True):
            state = former.state[old]
            self.optimiser.state[new] = {name: v[pairs] if v.ndim else v for name, v in state.items()}
        self.averages = [average[pairs] for average in self.averages]
        self.canvas = canvas


class Lbfgs:
    """Several steps at once, with a strong-Wolfe line search; best for Gatys et al. 2016 (CVPR, sec. 2)."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.optimiser = torch.optim.LBFGS(
            canvas.leaves, history_size=HISTORY, line_search_fn="strong_wolfe", tolerance_grad=0, tolerance_change=0
        )

    def step(self, evaluate: Evaluate, lr: float, most: int) -> list[Terms]:  # noqa: ARG002
        """Move the canvas by at most so many evaluations; the line search finds the length, `lr` has no part in it."""
        evaluations = []

        def closure() -> Tensor:
            self.optimiser.zero_grad()
            self.canvas.project()
            evaluations.append(evaluate())
            return evaluations[-1].total.sum()

        self.optimiser.param_groups[0].update(max_iter=min(STEPS, most), max_eval=min(STEPS * 5 // 4, most))
        self.optimiser.step(closure)  # type: ignore[no-untyped-call]
        self.canvas.project()
        return evaluations

    def result(self, pairs: Tensor) -> Sequence[Tensor]:
        """What the leaves of these pairs should become."""
        return [leaf.detach()[pairs] for leaf in self.canvas.leaves]

    def keep(self, canvas: Canvas, pairs: Tensor) -> None:
        """Do nothing: a single pair has no rest to go on with."""
