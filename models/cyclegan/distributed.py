"""Several processes at one training: each computes its share of every batch, and all take the very same steps.

Gradients are averaged in one flat bucket instead of through DistributedDataParallel: the generators' step runs every
net two or three times with the critics frozen, which the wrapper has to be talked into, its overlap of sums with the
backward pass gains little at some millions of parameters, and state dicts keep their names.

What is drawn at random is addressed by the place in the whole batch, so the number of processes changes no picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Workers:
    """The place of this process among those of the default process group; alone, it talks to nobody."""

    rank: int = 0
    size: int = 1

    def share(self, batch_size: int) -> slice:
        """The part of a batch that this process computes; `size` divides `batch_size`."""
        count = batch_size // self.size
        return slice(self.rank * count, (self.rank + 1) * count)

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace float tensors by their means over all processes: one message, the same bits everywhere."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        means = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, images: Tensor) -> Tensor:
        """The images (n * size, C, H, W) of all processes, by rank, from those of each (n, C, H, W); no gradient."""
        if self.size == 1:
            return images.detach()
        message = images.detach().float().contiguous()
        parts = [torch.empty_like(message) for _ in range(self.size)]
        distributed.all_gather(parts, message)
        return torch.cat(parts).to(images.dtype)


ALONE = Workers()


class Diverged(RuntimeError):
    """A training cannot go on: a loss is NaN or infinite, or the gradients were so again and again."""


class Descent:
    """An optimiser whose steps are guarded: gradients that are not finite change nothing, and are counted.

    A loss that is not finite means that the weights are spoilt, so it ends the training. With a finite loss it is one
    batch that met a singularity: the step is left out, as under loss scaling, and MOST_SKIPPED in a row end it too.
    """

    MOST_SKIPPED = 10

    def __init__(self, optimiser: torch.optim.Optimizer, workers: Workers = ALONE) -> None:
        self.optimiser, self.workers = optimiser, workers
        self.skipped = self.in_a_row = 0

    def __call__(self, total: Tensor) -> Tensor:
        """Go down the gradients of a scalar loss, already computed, and clear them; returns their norm.

        Raises:
            Diverged: see above; no weight has changed.
        """
        loss = total.detach().clone()
        parameters = itertools.chain.from_iterable(group["params"] for group in self.optimiser.param_groups)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.workers.average_([*gradients, loss])  # the loss too: all processes stop at the same step
        norm = nn.utils.get_total_norm(gradients)
        loss_is_finite, norm_is_finite = torch.isfinite(torch.stack([loss, norm])).tolist()
        if not loss_is_finite:
            raise Diverged(f"the loss is {float(loss)}")
        if norm_is_finite:
            self.in_a_row = 0
            self.optimiser.step()
        else:
            self.skipped += 1
            self.in_a_row += 1
            if self.in_a_row >= self.MOST_SKIPPED:
                raise Diverged(f"the gradients were not finite {self.in_a_row} times in a row")
        self.optimiser.zero_grad(set_to_none=True)
        return norm

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state and the counts."""
        return {"optimiser": self.optimiser.state_dict(), "skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]
