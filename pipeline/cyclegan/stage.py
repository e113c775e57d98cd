"""Stage `train`: CycleGANs between the faces and the pixel art of the train split.

Out: `<dst>/<generator>/` with `a2b.safetensors` (averaged weights), `b2a.safetensors`, `samples/inputs.png`,
`samples/epoch-NNN.png` (one row of fixed faces each), `training.json` (facts, readings of every epoch, alarms),
`activations.png` and `activations.json` (every convolution on the first of those faces); `<plots>/<generator>/` with
DVCLive's curves.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

from models.cyclegan.workers import Workers
from pipeline.cyclegan.checkpoints import Checkpoint
from pipeline.cyclegan.params import Train
from pipeline.cyclegan.processes import joined
from pipeline.cyclegan.training import Job, Orphaned, Training
from pipeline.errors import OutOfMemory, PipelineError
from pipeline.runtime.devices import pick_device
from pipeline.runtime.files import output_dir
from pipeline.runtime.manifest import write_json
from pipeline.runtime.progress import Progress, silent
from pipeline.runtime.settings import Executor, Resize

logger = logging.getLogger(__name__)


def run(
    split: Path,
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
    (`params.batch_size` is that of all together); the first writes. Same result but for the order of sums.

    Raises:
        BadParams: a batch that the processes cannot share evenly, or more of them than GPUs.
        BadInput: no pictures to train on, or the loss diverged.
        PipelineError: a training process was killed; its state is saved.
    """
    chosen = pick_device(device)

    def jobs(out: Path, curves: Path) -> list[Job]:
        return [
            Job(
                generator=name, split=split, out=out / name, curves=curves / name, state=state, params=params,
                resize=resize, epochs=epochs, seed=seed, device=chosen,
            )
            for name in dict.fromkeys(params.generators)
        ]  # fmt: skip

    with joined(chosen) as workers:
        if workers.rank > 0:
            return _summary(_together(jobs(dst, plots), workers, silent))
        with output_dir(dst) as out, output_dir(plots) as curves:
            at_once = executor.n_jobs if chosen == "cpu" else 1
            results = _all(jobs(out, curves), at_once, workers, progress)
        write_json(metrics, _summary(results))
        for _, checkpoint in results.values():
            checkpoint.discard()
    return _summary(results)


Result = tuple[dict[str, Any], Checkpoint]
Results = dict[str, Result]  # by generator


def _summary(results: Results) -> dict[str, Any]:
    return {name: result for name, (result, _) in results.items()}


def _all(jobs: list[Job], at_once: int, workers: Workers, progress: Progress) -> Results:
    if workers.size > 1:
        return _together(jobs, workers, progress)
    if min(len(jobs), at_once) > 1:
        return _side_by_side(jobs, at_once, progress)
    return {job.generator: _here(Training(job), progress) for job in jobs}


def _here(training: Training, progress: Progress, wanted: Callable[[], bool] = lambda: True) -> Result:
    name = training.job.generator
    result = training.run(
        lambda done, total, text: progress(f"train {name}", done, total, text), partial(_say, name), wanted
    )
    return result, training.checkpoint


def _together(jobs: list[Job], workers: Workers, progress: Progress) -> Results:
    """All processes of torchrun at one generator after another; without torchrun they end."""
    parent = os.getppid()
    try:
        return {job.generator: _here(Training(job, workers), progress, lambda: os.getppid() == parent) for job in jobs}
    except Orphaned:
        os._exit(1)  # the others wait in a sum that never comes


def _say(generator: str, line: str) -> None:
    logger.warning(f"train {generator}: {line}")


def _side_by_side(jobs: list[Job], at_once: int, progress: Progress) -> Results:
    """A process a job, `at_once` at a time; the first failure ends them all."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    waiting, running = list(jobs), dict[str, SpawnProcess]()
    results: Results = {}
    try:
        while len(results) < len(jobs):
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[job.generator] = context.Process(target=_there, args=(job, told), daemon=True)
                running[job.generator].start()
            for name, result in _listen(told, running, progress):
                results[name] = result
                running.pop(name).join()
    finally:
        for process in running.values():
            process.terminate()
            process.join()
    return {job.generator: results[job.generator] for job in jobs}


def _listen(told: Any, running: Mapping[str, SpawnProcess], progress: Progress) -> Iterator[tuple[str, Result]]:
    """Pass on what a process tells; yields a generator's result when it has ended."""
    try:
        name, content = told.get(timeout=0.5)
    except queue.Empty:
        for name, process in running.items():
            if process.exitcode is not None and told.empty():
                raise PipelineError(
                    f"the training of {name} was killed (exit code {process.exitcode}); "
                    "run the same command again, it goes on"
                ) from None
        return
    if isinstance(content, PipelineError):
        raise content
    if isinstance(content, str):
        _say(name, content)
    elif isinstance(content, Told):
        progress(f"train {name}", *content)
    else:
        yield name, content


class Told(NamedTuple):
    """One message of a training to the process that shows its progress; a line for the person is a plain string."""

    done: int
    total: int
    text: str


def _there(job: Job, told: Any) -> None:
    try:
        training = Training(job)
        parent = multiprocessing.parent_process()
        assert parent is not None
        result = training.run(
            lambda *state: told.put((job.generator, Told(*state))),
            lambda line: told.put((job.generator, line)),
            parent.is_alive,
        )
        told.put((job.generator, (result, training.checkpoint)))
    except PipelineError as error:
        told.put((job.generator, error))
    except (MemoryError, RuntimeError) as error:
        if (known := OutOfMemory.of(error)) is None:
            raise
        told.put((job.generator, known))
    except Orphaned:
        os._exit(1)  # nobody reads the queue any more: do not wait for it
    except KeyboardInterrupt:
        sys.exit(130)
