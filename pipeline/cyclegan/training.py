"""One training from the pictures of a split to weights, samples, curves and facts on disk; it goes on after a kill."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.cyclegan.compilation import cannot_compile, compile_system
from models.cyclegan.distributed import ALONE, Diverged, Workers
from models.cyclegan.train import StepStats, Trainer
from pipeline.cyclegan import alarms, curves, generators
from pipeline.cyclegan.activations.heatmaps import draw_figure
from pipeline.cyclegan.activations.recorder import record_layers, summarise
from pipeline.cyclegan.checkpoints import Checkpoint, read
from pipeline.cyclegan.curves import Record
from pipeline.cyclegan.job import Job
from pipeline.cyclegan.journal import Journal
from pipeline.cyclegan.pairs.source import PairSource, read_natives
from pipeline.cyclegan.pairs.strip import draw_strip
from pipeline.cyclegan.processes import broadcast_from_first
from pipeline.cyclegan.samples import draw, read_pictures, side_by_side
from pipeline.errors import BadInput, BadParams, OutOfMemory
from pipeline.images.files import encode_png, write_png
from pipeline.runtime import devices
from pipeline.runtime.devices import run_name
from pipeline.runtime.files import write_atomic
from pipeline.runtime.manifest import write_json
from pipeline.runtime.progress import Progress
from pipeline.runtime.seeds import derive

SAVE_EVERY = 20.0  # seconds of training that a kill may cost at most; results do not depend on it
WINDOWS = 12  # points of the learning curves per epoch
CHANNELS, SIDE = 8, 64  # of the figure of activations
PAIRS_SHOWN = 8

logger = logging.getLogger(__name__)


class Orphaned(Exception):
    """The process that started this training is gone."""


class Training:
    """One generator, trained by this process alone or by this one among others, of which the first does all writing.

    Raises:
        BadParams: a batch that the processes cannot share evenly.
        BadInput: no pictures.
    """

    trainer: Trainer  # from `run` on, as is the journal
    journal: Journal

    def __init__(self, job: Job, workers: Workers = ALONE) -> None:
        if job.section.batch_size % workers.size:
            name = "cell" if job.generator == "cell" else "resnet"
            raise BadParams(
                f"train.{name}.batch_size: expected a multiple of {workers.size}, the number of processes, "
                f"got {job.section.batch_size}"
            )
        self.job, self.shape, self.workers = job, job.shape, workers
        self.first = workers.rank == 0
        self.faces = read_pictures(job.split / "faces" / "train", job.resize.size)[: job.params.limit]
        self.art = read_pictures(job.split / "pixel" / "train", job.resize.size)[: job.params.limit]
        self.seed = derive(job.seed, "train", job.generator) % 2**31
        self.on_grid = job.generator == "cell"
        if self.on_grid:
            self.art = np.ascontiguousarray(self.art[:, :: self.shape.factor, :: self.shape.factor])
        self.pairs = self._pairs() if job.recipe.pairs else None
        val = job.split / "faces" / "val"
        samples = read_pictures(val, job.resize.size) if any(val.glob("*.png")) else self.faces
        self.samples = samples[: job.params.samples]
        self.facts = job.facts(workers.size)
        self.checkpoint = Checkpoint(job.state / "train" / run_name(self.facts, __name__))

    def _pairs(self) -> PairSource:
        natives, weights = read_natives(self.job.split, self.job.grid, self.job.params.limit)
        cell = self.job.params.cell
        return PairSource(
            natives, weights, factor=self.shape.factor, cells=self.job.pair_cells, pool=cell.pool,
            batch_size=cell.batch_size, seed=self.seed,
        )  # fmt: skip

    def run(self, progress: Progress, is_needed: Callable[[], bool] = lambda: True) -> Checkpoint:
        """Train from the last saved state to the end and write the results; returns what is to be discarded then.

        Args:
            progress: called after every step.
            is_needed: asked after every step whether anybody still waits for the result.

        Raises:
            Orphaned: nobody does; the state is saved.
            BadInput: a diverged loss, a checkpoint that cannot be used, or another process at the same training.
            BadParams: networks that cannot be compiled.
        """
        torch.set_num_threads(self.job.params.threads)
        devices.exact()
        with self.checkpoint.locked() if self.first else nullcontext():
            self._start()
            live = self.checkpoint.live
            with curves.begin(live, self.journal.log) if self.first else nullcontext() as add_point:
                if add_point is not None:
                    self._warn(f"curves while it trains: {live / 'plots' / 'metrics' / 'train'}")
                with self._explained_errors():
                    self._train(progress, is_needed, add_point)
            if self.first:
                self._write()
        return self.checkpoint

    def _start(self) -> None:
        """Make the trainer and its journal, as new or as they were saved, the same in every process."""
        torch.manual_seed(self.seed)
        system = generators.new_system(self.shape)
        for net in system.nets().values():
            net.to(self.job.device)
        if self.job.params.compile:
            compile_system(system)
        self.trainer = Trainer(system, self.job.recipe, self.seed, self.workers)
        self.journal = Journal(max(1, self.trainer.steps_per_epoch // WINDOWS), self.on_grid)
        saved = broadcast_from_first(self.checkpoint.newest() if self.first else None, self.workers)
        if saved is not None:
            self._go_on(read(saved))
        if self.first:
            self.checkpoint.make_room()
            write_atomic(self.checkpoint.samples / "inputs.png", encode_png(side_by_side(self.samples)))

    def _go_on(self, state: dict[str, Any]) -> None:
        try:
            self.trainer.load_state_dict(state["trainer"])
            self.journal.load_state_dict(state["journal"])
            _set_random_state(state["random"], self.job.device)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if (full := OutOfMemory.of(error)) is not None:
                raise full from error
            raise BadInput(
                f"{self.checkpoint.folder}: the checkpoint of another training or program; remove it to start afresh"
            ) from error

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Tell which parameter helps."""
        name = self.job.generator
        try:
            yield
        except Diverged as error:
            raise BadInput(
                f"{name}: {error} at step {self.trainer.step + 1}; lower train.{name}.lr "
                f"(the state before it is in {self.checkpoint.folder})"
            ) from error
        except RuntimeError as error:
            if not self.job.params.compile or not cannot_compile(error):
                raise
            line = str(error).strip().split("\n", 1)[0]
            raise BadParams(f"train.compile: expected false, torch cannot compile the networks here: {line}") from error

    def _train(
        self, progress: Progress, is_needed: Callable[[], bool], add_point: Callable[[Record], None] | None
    ) -> None:
        saved_at = time.monotonic()
        for stats in self.trainer.fit(self.faces, self.art, self.pairs):
            skipped = self.trainer.descend_g.skipped + self.trainer.descend_d.skipped
            entry = self.journal.add(stats, skipped, partial(self._draw_samples, stats.epoch + 1))
            if add_point is not None and entry.record is not None:
                add_point(entry.record)
            for line in entry.lines if self.first else []:
                self._warn(line)
            progress(f"train {self.job.generator}", stats.step, self.trainer.total_steps, _describe(stats))
            if stats.epoch_done or time.monotonic() - saved_at > SAVE_EVERY:
                self._save()
                saved_at = time.monotonic()
            if not is_needed():
                self._save()
                raise Orphaned

    def _draw_samples(self, epoch: int) -> alarms.Reading:
        """Draw the fixed faces and measure what became of them; the other processes have nothing to measure."""
        if not self.first:
            return {}
        drawn = draw(self.trainer.average, self.samples, self.shape, batch_size=self.job.params.samples)
        write_atomic(self.checkpoint.samples / f"epoch-{epoch:03d}.png", encode_png(side_by_side(drawn)))
        return alarms.measure(list(drawn), list(self.samples), self.shape.factor)

    def _save(self) -> None:
        if self.first:
            random = _random_state(self.job.device)
            trainer, journal = self.trainer.state_dict(), self.journal.state_dict()
            self.checkpoint.save({"trainer": trainer, "journal": journal, "random": random})

    def _warn(self, line: str) -> None:
        logger.warning(f"train {self.job.generator}: {line}")

    def _write(self) -> None:
        out, average = self.job.out, self.trainer.average
        shutil.copytree(self.checkpoint.samples, out / "samples", ignore=shutil.ignore_patterns("*.partial"))
        shutil.copytree(self.checkpoint.live, self.job.curves)
        generators.save(out / "a2b.safetensors", average, self.shape)
        if self.job.recipe.pairs < 1:
            generators.save(out / "b2a.safetensors", self.trainer.system.b2a, self.shape)
        if self.pairs is not None:
            write_png(out / "pairs.png", draw_strip(self.pairs, PAIRS_SHOWN))
        layers = record_layers(average, self.samples[0])
        write_png(out / "activations.png", draw_figure(layers, channels=CHANNELS, side=SIDE))
        write_json(out / "activations.json", {"layers": summarise(layers)})
        nets, journal = self.trainer.system.nets(), self.journal
        pairs_alone = self.job.recipe.pairs == 1
        summary = {
            **self.facts,
            "parameters": {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()},
            "images": {
                **({} if pairs_alone else {"faces": len(self.faces), "art": len(self.art)}),
                **({"natives": len(self.pairs.natives)} if self.pairs is not None else {}),
            },
            "alarms": journal.alarms,
            "epochs": journal.readings,
            "skipped_steps": journal.skipped,
            "last": journal.log[-1],
        }
        write_json(out / "training.json", summary)


def _random_state(device: str) -> dict[str, Tensor]:
    """The states of torch's own generators: none of our code draws from them after the start, a torch layer might."""
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state()} if device == "cuda" else {})


def _set_random_state(state: dict[str, Tensor], device: str) -> None:
    torch.set_rng_state(state["cpu"])
    if device == "cuda":
        torch.cuda.set_rng_state(state["cuda"])


def _describe(stats: StepStats) -> str:
    names = [name for name in ("generators", "disc_a", "disc_b") if name in stats.losses]
    return f"epoch {stats.epoch + 1} " + " ".join(f"{name} {stats.losses[name]:.3f}" for name in names)
