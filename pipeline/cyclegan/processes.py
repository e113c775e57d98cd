"""The processes that torchrun has started for one training; one alone where it has not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed

from models.cyclegan.workers import ALONE, Workers
from pipeline.errors import BadParams

Value = TypeVar("Value")


@contextmanager
def joined(device: str) -> Iterator[Workers]:
    """Meet the other processes: gloo on CPUs, NCCL besides on GPUs, one of them a process.

    After an error they are not waited for: torchrun ends them all.

    Raises:
        BadParams: more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device == "cuda":
        place, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= there:
            raise BadParams(f"torchrun --nproc-per-node: expected at most {there}, the number of GPUs here")
        torch.cuda.set_device(place)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    yield Workers(rank=distributed.get_rank(), size=size)
    distributed.destroy_process_group()


def from_first(value: Value | None, workers: Workers) -> Value | None:
    """What the first process holds, in every process."""
    if workers.size == 1:
        return value
    shared = [value]
    distributed.broadcast_object_list(shared, src=0)
    return shared[0]
