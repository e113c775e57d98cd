"""The same networks, compiled. Results differ by rounding alone.

Not here: convolutions in channels-last order. PyTorch's instance norm answers in the other order, so that every
convolution would be copied twice, and on CPUs its gradient is wrong for one picture whose gradient comes channels last
(seen with torch 2.15).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from models.cyclegan.losses import System
from models.cyclegan.networks import CellGenerator

MOST_VARIANTS = 64  # of one piece of code: four networks, one or two pictures, with gradients and without


def compiled(system: System, mode: str, backend: str = "inductor") -> System:
    """Let `torch.compile` translate all four networks when they are first called; state dicts keep their names.

    Args:
        system: changed in place, on its device already.
        mode: `default`, or `reduce-overhead`, which records CUDA graphs on a GPU.
        backend: of `torch.compile`; `inductor` needs a C++ compiler.
    """
    torch._dynamo.config.recompile_limit = MOST_VARIANTS
    for net in system.nets().values():
        net.compile(mode=mode, backend=backend)
    if not isinstance(system.a2b, CellGenerator):
        return system
    return replace(system, paint=torch.compile(system.a2b.paint, mode=mode, backend=backend))


def cannot_compile(error: RuntimeError) -> bool:
    """Whether it comes from the compiler: none is there, or what it cannot translate."""
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)
