"""Stage `train`: CycleGANs between the faces and the pixel art of the train split.

Out: `<dst>/<generator>/` with `a2b.safetensors` (averaged weights), `b2a.safetensors`, `samples/inputs.png`,
`samples/epoch-NNN.png` (one row of fixed faces each) and `training.json`; `<plots>/<generator>/` with DVCLive's curves.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import PipelineError
from pipeline.io import output_dir
from pipeline.manifest import write_json
from pipeline.modelling.checkpoints import Checkpoint
from pipeline.modelling.generators import pick_device
from pipeline.modelling.training import Job, Orphaned, Training
from pipeline.params import Executor, Resize, Train
from pipeline.progress import Progress, silent


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

    Raises:
        BadInput: no pictures to train on, or the loss diverged.
        PipelineError: a training process was killed; its state is saved.
    """
    chosen = pick_device(device)
    with output_dir(dst) as out, output_dir(plots) as curves:
        jobs = [
            Job(
                generator=name, split=split, out=out / name, curves=curves / name, state=state, params=params,
                resize=resize, epochs=epochs, seed=seed, device=chosen,
            )
            for name in dict.fromkeys(params.generators)
        ]  # fmt: skip
        at_once = min(len(jobs), executor.n_jobs if chosen == "cpu" else 1)
        results = _side_by_side(jobs, at_once, progress) if at_once > 1 else [_here(job, progress) for job in jobs]
    summary = {job.generator: result for job, (result, _) in zip(jobs, results, strict=True)}
    write_json(metrics, summary)
    for _, checkpoint in results:
        checkpoint.discard()
    return summary


Result = tuple[dict[str, Any], Checkpoint]


def _here(job: Job, progress: Progress) -> Result:
    training = Training(job)
    task = f"train {job.generator}"
    return training.run(lambda done, total, text: progress(task, done, total, text)), training.checkpoint


def _side_by_side(jobs: list[Job], at_once: int, progress: Progress) -> list[Result]:
    """A process a job, `at_once` at a time; the first failure ends them all."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    waiting, running = list(jobs), dict[str, SpawnProcess]()
    results: dict[str, Result] = {}
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
    return [results[job.generator] for job in jobs]


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
    if isinstance(content, Told):
        progress(f"train {name}", *content)
    else:
        yield name, content


class Told(NamedTuple):
    """One message of a training to the process that shows its progress."""

    done: int
    total: int
    text: str


def _there(job: Job, told: Any) -> None:
    try:
        training = Training(job)
        parent = multiprocessing.parent_process()
        assert parent is not None
        result = training.run(lambda *state: told.put((job.generator, Told(*state))), parent.is_alive)
        told.put((job.generator, (result, training.checkpoint)))
    except PipelineError as error:
        told.put((job.generator, error))
    except Orphaned:
        os._exit(1)  # nobody reads the queue any more: do not wait for it
    except KeyboardInterrupt:
        sys.exit(130)
