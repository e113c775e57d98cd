"""Stage `train`: generators from faces to the pixel art of the train split.

Out: `<dst>/<generator>/` with `a2b.safetensors` (averaged weights), `b2a.safetensors` of a CycleGAN,
`samples/inputs.png`, `samples/epoch-NNN.png` (one row of fixed faces each), `pairs.png` (some of the pairs, where they
take part), `training.json` (facts, readings of every epoch, alarms, the last point of the curves), `activations.png`
and `activations.json` (every convolution on the first of those faces); `<plots>/<generator>/` with DVCLive's curves; in
`<metrics>` the epochs of every generator.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import sys
from collections.abc import Iterator, Mapping
from logging.handlers import QueueHandler
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

from models.cyclegan.distributed import Workers
from pipeline.cyclegan.checkpoints import Checkpoint
from pipeline.cyclegan.job import Job
from pipeline.cyclegan.params import Train
from pipeline.cyclegan.processes import join_processes
from pipeline.cyclegan.training import Orphaned, Training
from pipeline.errors import OutOfMemory, PipelineError
from pipeline.runtime.devices import pick_device
from pipeline.runtime.files import output_dir
from pipeline.runtime.manifest import write_json
from pipeline.runtime.progress import Progress, silent
from pipeline.runtime.settings import Executor, Resize


def run(
    split: Path,
    grid: Path,
    dst: Path,
    plots: Path,
    metrics: Path,
    *,
    params: Train,
    resize: Resize,
    epochs: int,
    seed: int,
    executor: Executor,
    state: Path = Path(".state"),
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train every generator of `params.generators`; a run that was killed goes on from its last saved state.

    On a CPU up to `executor.n_jobs` generators are trained at once, each in a process of its own with
    `params.threads` threads: small networks gain more from that than from more threads. Results do not depend on it.

    Under torchrun all its processes train one generator after another, each with its share of every batch
    (`batch_size` is that of all together); the first writes. Same result but for the order of sums.

    Raises:
        BadParams: a batch that the processes cannot share evenly, or more of them than GPUs.
        BadInput: no pictures to train on, or the loss diverged.
        PipelineError: a training process was killed; its state is saved.
    """
    device = pick_device(device)

    def jobs(out: Path, curves: Path) -> list[Job]:
        return [
            Job(
                generator=name, split=split, grid=grid, out=out / name, curves=curves / name, state=state,
                params=params, resize=resize, epochs=epochs, seed=seed, device=device,
            )
            for name in dict.fromkeys(params.generators)
        ]  # fmt: skip

    figures: dict[str, Any] = {name: {"epochs": epochs} for name in dict.fromkeys(params.generators)}
    with join_processes(device) as workers:
        if workers.rank > 0:
            _train_together(jobs(dst, plots), workers, silent)
            return figures
        with output_dir(dst) as out, output_dir(plots) as curves:
            at_once = executor.n_jobs if device == "cpu" else 1
            checkpoints = _train_all(jobs(out, curves), at_once, workers, progress)
        write_json(metrics, figures)
        for checkpoint in checkpoints:
            checkpoint.discard()
    return figures


class ProgressMessage(NamedTuple):
    """The progress of a training in another process, as `Progress` takes it."""

    task: str
    done: int
    total: int
    text: str = ""


def _train_all(jobs: list[Job], at_once: int, workers: Workers, progress: Progress) -> list[Checkpoint]:
    if workers.size > 1:
        return _train_together(jobs, workers, progress)
    if min(len(jobs), at_once) > 1:
        return _train_side_by_side(jobs, at_once, progress)
    return [Training(job).run(progress) for job in jobs]


def _train_together(jobs: list[Job], workers: Workers, progress: Progress) -> list[Checkpoint]:
    """Train with all processes of torchrun, one generator after another; without torchrun they end."""
    parent = os.getppid()
    try:
        return [Training(job, workers).run(progress, lambda: os.getppid() == parent) for job in jobs]
    except Orphaned:
        os._exit(1)  # the others wait in a sum that never comes


def _train_side_by_side(jobs: list[Job], at_once: int, progress: Progress) -> list[Checkpoint]:
    """Train in a process a job, `at_once` at a time; the first failure ends them all."""
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    waiting, running = list(jobs), dict[str, SpawnProcess]()
    checkpoints: list[Checkpoint] = []
    try:
        while len(checkpoints) < len(jobs):
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[job.generator] = context.Process(target=_train_in_child, args=(job, messages), daemon=True)
                running[job.generator].start()
            for name, checkpoint in _receive(messages, running, progress):
                checkpoints.append(checkpoint)
                running.pop(name).join()
    finally:
        for process in running.values():
            process.terminate()
            process.join()
    return checkpoints


def _receive(
    messages: Any, running: Mapping[str, SpawnProcess], progress: Progress
) -> Iterator[tuple[str, Checkpoint]]:
    """Pass on one message of a child; yields its generator and checkpoint when it has ended."""
    try:
        message = messages.get(timeout=0.5)
    except queue.Empty:
        for name, process in running.items():
            if process.exitcode is not None and messages.empty():
                raise PipelineError(
                    f"the training of {name} was killed (exit code {process.exitcode}); "
                    "run the same command again, it goes on"
                ) from None
        return
    if isinstance(message, PipelineError):
        raise message
    if isinstance(message, ProgressMessage):
        progress(*message)
    elif isinstance(message, logging.LogRecord):
        logging.getLogger(message.name).handle(message)
    else:
        yield message


def _train_in_child(job: Job, messages: Any) -> None:
    logging.basicConfig(handlers=[QueueHandler(messages)], format="%(message)s")
    parent = multiprocessing.parent_process()
    assert parent is not None
    try:
        checkpoint = Training(job).run(lambda *state: messages.put(ProgressMessage(*state)), parent.is_alive)
        messages.put((job.generator, checkpoint))
    except PipelineError as error:
        messages.put(error)
    except (MemoryError, RuntimeError) as error:
        if (out_of_memory := OutOfMemory.of(error)) is None:
            raise
        messages.put(out_of_memory)
    except Orphaned:
        os._exit(1)  # nobody reads the queue any more: do not wait for it
    except KeyboardInterrupt:
        sys.exit(130)
