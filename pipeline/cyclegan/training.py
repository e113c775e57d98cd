"""One training: its pictures, its trainer, its checkpoint, its journal, its results on disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.cyclegan.acceleration import cannot_compile, compiled
from models.cyclegan.losses import Weights
from models.cyclegan.networks import PaletteHead, SharedPaletteHead
from models.cyclegan.train import Recipe, StepStats, Trainer
from models.cyclegan.workers import ALONE, Diverged, Workers
from models.tensors import to_signed
from pipeline.cyclegan import alarms, curves, generators
from pipeline.cyclegan.activations import layers as activations
from pipeline.cyclegan.activations.figure import figure
from pipeline.cyclegan.checkpoints import Checkpoint, read
from pipeline.cyclegan.curves import Curves
from pipeline.cyclegan.generators import Shape
from pipeline.cyclegan.journal import Journal
from pipeline.cyclegan.pace import Pace
from pipeline.cyclegan.params import Train
from pipeline.cyclegan.processes import from_first
from pipeline.cyclegan.samples import draw, load, row
from pipeline.errors import BadInput, BadParams
from pipeline.images import palettes
from pipeline.images.files import Pixels, encode_png, write_png
from pipeline.images.resample import box
from pipeline.runtime import devices
from pipeline.runtime.devices import run_name
from pipeline.runtime.files import folder_digest, write_atomic
from pipeline.runtime.manifest import write_json
from pipeline.runtime.seeds import derive
from pipeline.runtime.settings import Resize

SAVE_EVERY = 20.0  # seconds of training that a kill may cost at most; results do not depend on it
WINDOWS = 12  # points of the learning curves per epoch
COMMITMENT = 2.0  # weight of |free colours - palette colours|; keeps the two together, tunes nothing
CHANNELS, SIDE = 8, 64  # of the figure of activations

Tell = Callable[[int, int, str], None]  # steps done, steps in all, a few words
Say = Callable[[str], None]  # a line for the person


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that decides the result of one training, and where it goes. Can be sent to another process."""

    generator: str
    split: Path
    out: Path
    curves: Path
    state: Path
    params: Train
    resize: Resize
    epochs: int
    seed: int
    device: str  # cpu | cuda

    @property
    def shape(self) -> Shape:
        colours, palette = self.params.cell.colours, self.params.cell.palette
        return Shape(
            generator=self.generator, width=self.params.width, blocks=self.params.blocks, size=self.resize.size,
            cells=self.resize.cells, colours="own" if colours == "own" else "shared",
            palette=palette if colours in ("own", "art") else len(palettes.load(colours)),
            critics=self.params.cell.critics,
        )  # fmt: skip

    @property
    def recipe(self) -> Recipe:
        cell = self.params.cell if self.generator == "cell" else None
        own = cell or self.params.resnet
        return Recipe(
            epochs=self.epochs, images_per_epoch=self.params.images_per_epoch, batch_size=self.params.batch_size,
            lr=own.lr, decay_from=self.params.decay_from, replay=self.params.replay, ema=self.params.ema,
            weights=Weights(
                cycle=own.cycle, identity=own.identity, colour=cell.colour if cell else 0.0,
                chroma=cell.chroma if cell else 0.0, palette=COMMITMENT, accents=cell.accents if cell else 0.0,
                patterns=cell.patterns if cell else 0.0,
            ),
            identity_until=cell.identity_until if cell else 1.0, augment=cell.augment if cell else False,
            bf16=devices.pick_bf16(self.params.precision, self.device),
        )  # fmt: skip

    def facts(self, processes: int = 1) -> dict[str, Any]:
        """What the result depends on, besides code, versions and the kind of machine."""
        return {
            "shape": asdict(self.shape), "recipe": asdict(self.recipe), "seed": self.seed,
            "threads": self.params.threads, "processes": processes, "device": self.device,
            "compile": self.params.compile, "samples": self.params.samples, "limit": self.params.limit,
            "colours": self.params.cell.colours,
            "faces": folder_digest(self.split / "faces"), "art": folder_digest(self.split / "pixel"),
        }  # fmt: skip


class Orphaned(Exception):
    """The process that wanted this training is gone."""


class Training:
    """One generator, trained by this process alone or by this one among others, of which the first does all writing.

    Raises:
        BadParams: a batch that the processes cannot share evenly.
        BadInput: no pictures.
    """

    def __init__(self, job: Job, workers: Workers = ALONE) -> None:
        if job.params.batch_size % workers.size:
            raise BadParams(
                f"train.batch_size: expected a multiple of {workers.size}, the number of processes, "
                f"got {job.params.batch_size}"
            )
        self.job, self.shape, self.workers = job, job.shape, workers
        self.faces = load(job.split / "faces" / "train", job.resize.size)[: job.params.limit]
        self.art = load(job.split / "pixel" / "train", job.resize.size)[: job.params.limit]
        self.on_grid = job.generator == "cell"
        if self.on_grid:
            self.art = np.ascontiguousarray(self.art[:, :: self.shape.factor, :: self.shape.factor])
        val = job.split / "faces" / "val"
        shown = load(val, job.resize.size) if any(val.glob("*.png")) else self.faces
        self.shown = shown[: job.params.samples]
        self.seed = derive(job.seed, "train", job.generator) % 2**31
        self.facts = job.facts(workers.size)
        self.checkpoint = Checkpoint(job.state / "train" / run_name(self.facts, __name__))

    @property
    def first(self) -> bool:
        return self.workers.rank == 0

    def run(self, tell: Tell, say: Say, wanted: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """Train from the last saved state to the end; returns the last point of the curves.

        Args:
            tell: called after every step.
            say: called with what a person should know now: alarms.
            wanted: asked after every step whether anybody still waits for the result.

        Raises:
            Orphaned: nobody does; the state is saved.
            BadInput: a diverged loss, a checkpoint that cannot be used, or another process at the same training.
        """
        torch.set_num_threads(self.job.params.threads)
        devices.exact()
        with self.checkpoint.locked() if self.first else nullcontext():
            trainer, journal = self._start()
            with self._curves(journal, say) as live:
                self._train(trainer, journal, live, tell, say, wanted)
            if self.first:
                self._write(trainer, journal)
        ringing = sum(record["to"] is None for record in journal.alarms.history)
        done = {"steps": trainer.step, "parameters": _count(trainer.system.a2b), "alarms": ringing}
        return journal.log[-1] | done

    def _start(self) -> tuple[Trainer, Journal]:
        """The trainer and its journal, as new or as they were saved, the same in every process."""
        torch.manual_seed(self.seed)
        system = generators.new_system(self.shape)
        self._choose_palette(system.a2b)
        for net in system.nets().values():
            net.to(self.job.device)
        if self.job.params.compile:
            system = compiled(system)
        trainer = Trainer(system, self.job.recipe, self.seed, self.workers)
        journal = Journal(max(1, trainer.steps_per_epoch // WINDOWS), self.on_grid)
        saved = from_first(self.checkpoint.newest() if self.first else None, self.workers)
        if saved is not None:
            state = read(saved)
            trainer.load_state_dict(state["trainer"])
            journal.load_state_dict(state["journal"])
            _set_random_state(state["random"], self.job.device)
        if self.first:
            self.checkpoint.make_room()
            write_atomic(self.checkpoint.samples / "inputs.png", encode_png(row(self.shown)))
        return trainer, journal

    def _choose_palette(self, net: torch.nn.Module) -> None:
        """The colours that a palette head starts from: both domains', the art's alone, or a given palette's."""
        head, colours = getattr(net, "head", None), self.job.params.cell.colours
        if isinstance(head, PaletteHead):
            natives = [self.art, *(box(face, self.art.shape[1:3])[None] for face in self.faces)]
            head.start(self._anchors(np.concatenate(natives), head.slots))
        elif isinstance(head, SharedPaletteHead):
            learned = colours == "art"
            found = self._anchors(self.art, head.slots) if learned else _signed(palettes.load(colours))
            head.start(found, learned=learned)

    def _anchors(self, pictures: Pixels, count: int) -> Tensor:
        """(count, 3): the colours that stand for some pictures; where they have fewer, some twice."""
        found = palettes.adaptive_palette(pictures, count, self.seed)
        return _signed(np.resize(found, (count, 3)))

    @contextmanager
    def _curves(self, journal: Journal, say: Say) -> Iterator[Curves | None]:
        if not self.first:
            yield None
            return
        with curves.drawn(self.checkpoint.live, journal.log) as live:
            say(f"curves while it trains: {curves.place(self.checkpoint.live)}")
            yield live

    def _save(self, trainer: Trainer, journal: Journal) -> None:
        if self.first:
            random = _random_state(self.job.device)
            state = {"trainer": trainer.state_dict(), "journal": journal.state_dict(), "random": random}
            self.checkpoint.save(state)

    def _train(
        self, trainer: Trainer, journal: Journal, live: Curves | None, tell: Tell, say: Say, wanted: Callable[[], bool]
    ) -> None:
        saved_at, pace = time.monotonic(), Pace(self.job.params.batch_size)
        try:
            for stats in trainer.fit(self.faces, self.art):
                self._record(stats, trainer, journal, live, say)
                words = f"{pace.step(trainer.total_steps - stats.step)} {_words(stats)}"
                tell(stats.step, trainer.total_steps, words)
                if stats.epoch_done or time.monotonic() - saved_at > SAVE_EVERY:
                    self._save(trainer, journal)
                    saved_at = time.monotonic()
                if not wanted():
                    self._save(trainer, journal)
                    raise Orphaned
        except Diverged as error:
            raise BadInput(
                f"{self.shape.generator}: {error} at step {trainer.step + 1}; lower train.{self.shape.generator}.lr "
                f"(the state before it is in {self.checkpoint.folder})"
            ) from error
        except RuntimeError as error:
            if not self.job.params.compile or not cannot_compile(error):
                raise
            line = str(error).strip().split("\n", 1)[0]
            raise BadParams(f"train.compile: expected false, torch cannot compile the networks here: {line}") from error

    def _record(self, stats: StepStats, trainer: Trainer, journal: Journal, live: Curves | None, say: Say) -> None:
        skipped = trainer.descend_g.skipped + trainer.descend_d.skipped
        news = journal.add(stats, skipped, lambda: self._look(trainer, stats.epoch + 1))
        if self.first:
            if live is not None and news.record is not None:
                live.add(news.record)
            for line in news.lines:
                say(line)

    def _look(self, trainer: Trainer, epoch: int) -> alarms.Reading:
        """Draw the fixed faces; the other processes have nothing to look at."""
        if not self.first:
            return {}
        drawn = draw(trainer.average, self.shown, self.shape, batch_size=self.job.params.samples)
        write_atomic(self.checkpoint.samples / f"epoch-{epoch:03d}.png", encode_png(row(drawn)))
        return alarms.look(list(drawn), list(self.shown), self.shape.factor)

    def _write(self, trainer: Trainer, journal: Journal) -> None:
        out = self.job.out
        (out / "samples").mkdir(parents=True)
        for picture in sorted(self.checkpoint.samples.glob("*.png")):
            (out / "samples" / picture.name).write_bytes(picture.read_bytes())
        shutil.copytree(self.checkpoint.live, self.job.curves)
        generators.save(out / "a2b.safetensors", trainer.average, self.shape)
        generators.save(out / "b2a.safetensors", trainer.system.b2a, self.shape)
        layers = activations.layers(trainer.average, self.shown[0])
        write_png(out / "activations.png", figure(layers, channels=CHANNELS, side=SIDE))
        write_json(out / "activations.json", {"layers": activations.summary(layers)})
        write_json(out / "training.json", self._told(trainer, journal))

    def _told(self, trainer: Trainer, journal: Journal) -> dict[str, Any]:
        counts = {name: _count(net) for name, net in trainer.system.nets().items()}
        images = [len(self.faces), len(self.art)]
        seen = {"alarms": journal.alarms.history, "epochs": journal.readings, "skipped_steps": journal.skipped}
        return {**self.facts, "parameters": counts, "images": images, **seen}


def _random_state(device: str) -> dict[str, torch.Tensor]:
    """Torch's own generators: nothing of ours draws from them after the start, a layer of torch's might."""
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state()} if device == "cuda" else {})


def _signed(colours: Pixels) -> Tensor:
    """uint8 (K, 3) -> (K, 3) in [-1, 1]."""
    return to_signed(colours[None])[:, 0].T


def _set_random_state(state: dict[str, torch.Tensor], device: str) -> None:
    torch.set_rng_state(state["cpu"])
    if device == "cuda":
        torch.cuda.set_rng_state(state["cuda"])


def _words(stats: StepStats) -> str:
    names = ("generators", "disc_a", "disc_b")
    return f"epoch {stats.epoch + 1} " + " ".join(f"{name} {stats.losses[name]:.2f}" for name in names)


def _count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
