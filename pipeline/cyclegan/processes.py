"""The processes that torchrun has started for one training; a single one without torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from models.cyclegan.distributed import ALONE, Workers
from pipeline.errors import BadParams


@contextmanager
def join_processes(device: str) -> Iterator[Workers]:
    """Connect to the other processes: gloo on CPUs, NCCL besides on GPUs, a GPU for each process.

    After an error they are not waited for: torchrun ends them all.

    Raises:
        BadParams: more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device == "cuda":
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise BadParams(f"torchrun --nproc-per-node: expected at most {count}, the number of GPUs here")
        torch.cuda.set_device(number)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    yield Workers(rank=distributed.get_rank(), size=size)
    distributed.destroy_process_group()


def broadcast_from_first(data: bytes | None, workers: Workers) -> bytes | None:
    """Send the first process's data to every process; the others' are ignored."""
    if workers.size == 1:
        return data
    shared = [data]
    distributed.broadcast_object_list(shared, src=0)
    return shared[0]
