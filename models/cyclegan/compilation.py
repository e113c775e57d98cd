"""The same networks, compiled by `torch.compile`; results may differ in rounding.

CUDA graphs (`mode="reduce-overhead"`) are not for this step: it runs two backward passes between forward ones, and what
a graph has written is lost at the next pass after a backward one, the first half's gradients included.

Convolutions in channels-last order are not here either. PyTorch's instance norm answers in the other order, so every
convolution would be copied twice, and on CPUs its gradient is wrong for one picture whose gradient comes channels last
(seen with torch 2.15).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from models.cyclegan.cycle_losses import System

RECOMPILE_LIMIT = 64  # four networks share code: each for one or two sizes of batch, frozen or not


def compile_system(system: System, backend: str | Callable[..., Any] = "inductor") -> None:
    """Put `torch.compile` before all four networks of a system. State dicts keep their names.

    Shapes are static: what a graph is does not depend on which batch came first, so a training that was stopped goes on
    with the same bits.

    Args:
        system: its networks are changed in place; compiled when they are first called, on the device they are on then.
        backend: of `torch.compile`; `inductor` needs a C++ compiler.
    """
    torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
    for net in system.nets().values():
        net.compile(backend=backend, dynamic=False)


def cannot_compile(error: RuntimeError) -> bool:
    """Whether an error comes from the compiler: none is installed, or it cannot translate a network."""
    return isinstance(error, torch._dynamo.exc.TorchDynamoException)
