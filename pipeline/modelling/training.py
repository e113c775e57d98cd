"""One training: its pictures, its trainer, its checkpoint, its log, its results on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive.live import Live

from models.cyclegan.losses import Weights
from models.cyclegan.networks import SharedPaletteHead
from models.cyclegan.train import Diverged, Recipe, StepStats, Trainer
from models.images import to_pixels, to_signed
from pipeline.convert import palettes
from pipeline.errors import BadInput
from pipeline.io import Pixels, folder_digest, read_rgb, write_png
from pipeline.manifest import write_json
from pipeline.modelling import generators
from pipeline.modelling.checkpoints import Checkpoint, fingerprint
from pipeline.modelling.generators import Shape
from pipeline.params import Resize, Train
from pipeline.seeds import derive

SAVE_EVERY = 20.0  # seconds of training that a kill may cost at most; results do not depend on it
WINDOWS = 12  # points of the learning curves per epoch
COMMITMENT = 2.0  # weight of |free colours - palette colours|; keeps the two together, tunes nothing
CODE = [
    Path(__file__),
    Path(generators.__file__),
    Path(__file__).parents[2] / "models" / "images.py",
    *sorted((Path(__file__).parents[2] / "models" / "cyclegan").glob("*.py")),
]

Tell = Callable[[int, int, str], None]  # steps done, steps in all, a few words


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
        )  # fmt: skip

    @property
    def recipe(self) -> Recipe:
        own = self.params.cell if self.generator == "cell" else self.params.resnet
        colour = self.params.cell.colour if self.generator == "cell" else 0.0
        return Recipe(
            epochs=self.epochs, images_per_epoch=self.params.images_per_epoch, batch_size=self.params.batch_size,
            lr=own.lr, decay_from=self.params.decay_from, replay=self.params.replay, ema=self.params.ema,
            weights=Weights(
                cycle=own.cycle, identity=own.identity, colour=cell.colour if cell else 0.0,
                chroma=cell.chroma if cell else 0.0, palette=COMMITMENT,
            ),
            identity_until=cell.identity_until if cell else 1.0, augment=cell.augment if cell else False,
            bf16=generators.pick_bf16(self.params.precision, self.device),
        )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """What the result depends on, besides code and versions."""
        return {
            "shape": asdict(self.shape), "recipe": asdict(self.recipe), "seed": self.seed,
            "threads": self.params.threads, "device": self.device, "samples": self.params.samples,
            "faces": folder_digest(self.split / "faces"), "art": folder_digest(self.split / "pixel"),
        }  # fmt: skip


class Orphaned(Exception):
    """The process that wanted this training is gone."""


class Training:
    """One generator: its pictures, its trainer, its log."""

    def __init__(self, job: Job) -> None:
        self.job, self.shape = job, job.shape
        self.faces = _load(job.split / "faces" / "train", job.resize.size)
        self.art = _load(job.split / "pixel" / "train", job.resize.size)
        if job.generator == "cell":
            self.art = np.ascontiguousarray(self.art[:, :: self.shape.factor, :: self.shape.factor])
        val = job.split / "faces" / "val"
        shown = _load(val, job.resize.size) if any(val.glob("*.png")) else self.faces
        self.shown = shown[: job.params.samples]
        self.seed = derive(job.seed, "train", job.generator) % 2**31
        self.facts = job.facts()
        self.checkpoint = Checkpoint(job.state / "train" / fingerprint(self.facts, CODE))
        self.log: list[dict[str, float]] = []
        self.pending: list[dict[str, float]] = []

    def run(self, tell: Tell, wanted: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """Train from the last saved state to the end; returns the last point of the curves.

        Args:
            tell: called after every step.
            wanted: asked after every step whether anybody still waits for the result.

        Raises:
            Orphaned: nobody does; the state is saved.
            BadInput: no pictures, a diverged loss, or another process at the same training.
        """
        torch.set_num_threads(self.job.params.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        with self.checkpoint.locked():
            trainer = self._trainer()
            self._resume(trainer)
            self._train(trainer, tell, wanted)
            self._write(trainer)
        _draw_curves(self.job.curves, self.log)
        return self.log[-1] | {"steps": trainer.step, "parameters": _count(trainer.system.a2b)}

    def _trainer(self) -> Trainer:
        torch.manual_seed(self.seed)
        system = generators.new_system(self.shape)
        self._choose_palette(system.a2b)
        for net in system.nets().values():
            net.to(self.job.device)
        return Trainer(system, self.job.recipe, self.seed)

    def _choose_palette(self, net: torch.nn.Module) -> None:
        """A palette that is shared starts from the art's own colours, or is given and stays as it is."""
        colours = self.job.params.cell.colours
        if isinstance(head := getattr(net, "head", None), SharedPaletteHead):
            learned = colours == "art"
            found = palettes.adaptive_palette(self.art, head.slots, self.seed) if learned else palettes.load(colours)
            chosen = np.resize(found, (head.slots, 3))  # art of fewer colours than that: some twice
            head.use(to_signed(chosen[None])[:, 0].T, learned=learned)

    def _resume(self, trainer: Trainer) -> None:
        saved = self.checkpoint.load()
        if saved is not None:
            trainer.load_state_dict(saved["trainer"])
            self.log = saved["log"]
            self.pending = saved["pending"]
        else:
            write_png(self.checkpoint.samples / "inputs.png", _row(self.shown))

    def _save(self, trainer: Trainer) -> None:
        self.checkpoint.save({"trainer": trainer.state_dict(), "log": self.log, "pending": self.pending})

    def _train(self, trainer: Trainer, tell: Tell, wanted: Callable[[], bool]) -> None:
        saved_at = time.monotonic()
        try:
            for stats in trainer.fit(self.faces, self.art):
                self._record(stats, trainer)
                tell(stats.step, trainer.total_steps, _words(stats))
                if stats.epoch_done or time.monotonic() - saved_at > SAVE_EVERY:
                    self._save(trainer)
                    saved_at = time.monotonic()
                if not wanted():
                    self._save(trainer)
                    raise Orphaned
        except Diverged as error:
            raise BadInput(f"{self.shape.generator}: {error} at step {trainer.step}; lower train.lr") from error

    def _record(self, stats: StepStats, trainer: Trainer) -> None:
        self.pending.append(stats.losses)
        window = max(1, trainer.steps_per_epoch // WINDOWS)
        if stats.epoch_done or stats.step % window == 0:
            means = {name: float(np.mean([losses[name] for losses in self.pending])) for name in stats.losses}
            self.log.append({"step": stats.step, "epoch": stats.epoch + 1, **means})
            self.pending = []
        if stats.epoch_done:
            drawn = draw(trainer.average, self.shown, self.shape, batch_size=self.job.params.samples)
            write_png(self.checkpoint.samples / f"epoch-{stats.epoch + 1:03d}.png", _row(drawn))

    def _write(self, trainer: Trainer) -> None:
        out = self.job.out
        (out / "samples").mkdir(parents=True)
        for picture in sorted(self.checkpoint.samples.iterdir()):
            (out / "samples" / picture.name).write_bytes(picture.read_bytes())
        generators.save(out / "a2b.safetensors", trainer.average, self.shape)
        generators.save(out / "b2a.safetensors", trainer.system.b2a, self.shape)
        counts = {name: _count(net) for name, net in trainer.system.nets().items()}
        write_json(
            out / "training.json", {**self.facts, "parameters": counts, "images": [len(self.faces), len(self.art)]}
        )


def _load(folder: Path, size: int) -> Pixels:
    """All pictures of a folder, uint8 (N, size, size, 3), sorted by name."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise BadInput(f"{folder}: no pictures to train on; see the funnel in data/*/stats.json")
    pictures = [read_rgb(path) for path in paths]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape != (size, size, 3):
            raise BadInput(f"{path}: expected {size}x{size} pixels, got {picture.shape[1]}x{picture.shape[0]}")
    return np.stack(pictures)


@torch.no_grad()
def draw(net: torch.nn.Module, faces: Pixels, shape: Shape, batch_size: int) -> Pixels:
    """Faces (N, S, S, 3) as a generator draws them, enlarged by nearest neighbour to (N, S, S, 3)."""
    device = next(net.parameters()).device
    batches = [faces[start : start + batch_size] for start in range(0, len(faces), batch_size)]
    drawn = np.concatenate([to_pixels(net(to_signed(batch).to(device))) for batch in batches])
    factor = shape.size // drawn.shape[1]
    return drawn.repeat(factor, axis=1).repeat(factor, axis=2)


def _row(pictures: Pixels) -> Pixels:
    return np.concatenate(list(pictures), axis=1)


def _words(stats: StepStats) -> str:
    names = ("generators", "disc_a", "disc_b")
    return f"epoch {stats.epoch + 1} " + " ".join(f"{name} {stats.losses[name]:.2f}" for name in names)


def _count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _draw_curves(folder: Path, log: list[dict[str, float]]) -> None:
    """The whole log through DVCLive: after a resume the curves are those of an undisturbed training."""
    with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
        for record in log:
            live.step = int(record["step"])
            for name in sorted(record.keys() - {"step", "epoch"}):
                live.log_metric(f"train/{name}", record[name])
            live.make_summary()
