"""Stage `train`: CycleGANs between the faces and the pixel art of the train split.

Out: `<dst>/<generator>/` with `a2b.safetensors` (averaged weights), `b2a.safetensors`, `samples/inputs.png`,
`samples/epoch-NNN.png` (one row of fixed faces each) and `training.json`; `<plots>/<generator>/` with DVCLive's curves.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive.live import Live

from models.cyclegan.losses import Weights
from models.cyclegan.train import Diverged, Recipe, StepStats, Trainer
from models.images import to_pixels, to_signed
from pipeline.errors import BadInput
from pipeline.io import Pixels, folder_digest, output_dir, read_rgb, write_png
from pipeline.manifest import write_json
from pipeline.modelling import generators
from pipeline.modelling.checkpoints import Checkpoint, fingerprint
from pipeline.modelling.generators import Shape
from pipeline.params import Resize, Train
from pipeline.progress import Progress, silent
from pipeline.seeds import derive

SAVE_EVERY = 20.0  # seconds of training that a kill may cost at most; results do not depend on it
WINDOWS = 12  # points of the learning curves per epoch
COMMITMENT = 1.0  # weight of |free colours - palette colours|; keeps the two together, tunes nothing
CODE = [Path(__file__), *sorted((Path(__file__).parents[2] / "models" / "cyclegan").glob("*.py"))]


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
    state: Path = Path(".state"),
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train every generator of `params.generators`; a run that was killed goes on from its last saved state.

    Raises:
        BadInput: no pictures to train on, or the loss diverged.
    """
    chosen = generators.pick_device(device)
    torch.set_num_threads(params.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    with ExitStack() as stack:
        out, curves = stack.enter_context(output_dir(dst)), stack.enter_context(output_dir(plots))
        finished = []
        summary: dict[str, Any] = {}
        for name in params.generators:
            one = _OneTraining(split, name, params, resize, epochs, seed, state, chosen)
            summary[name] = one.run(out / name, curves / name, progress)
            finished.append(one.checkpoint)
    write_json(metrics, summary)
    for checkpoint in finished:
        checkpoint.discard()
    return summary


class _OneTraining:
    """One generator: its pictures, its trainer, its log."""

    def __init__(
        self, split: Path, name: str, params: Train, resize: Resize, epochs: int, seed: int, state: Path, device: str
    ) -> None:
        self.params, self.device = params, device
        self.shape = Shape(
            generator=name, width=params.width, blocks=params.blocks, size=resize.size, cells=resize.cells,
            palette=params.cell.palette,
        )  # fmt: skip
        self.faces = _load(split / "faces" / "train", resize.size)
        self.art = _load(split / "pixel" / "train", resize.size)[:, :: self._step(), :: self._step()]
        self.shown = _load(split / "faces" / "val", resize.size)[: params.samples]
        self.recipe = _recipe(name, params, epochs, generators.pick_bf16(params.precision, device))
        self.seed = derive(seed, "train", name) % 2**31
        self.facts = {
            "shape": asdict(self.shape), "recipe": asdict(self.recipe), "seed": seed, "threads": params.threads,
            "faces": folder_digest(split / "faces"), "art": folder_digest(split / "pixel"),
        }  # fmt: skip
        self.checkpoint = Checkpoint(state / "train" / fingerprint({**self.facts, "device": device}, CODE))
        self.log: list[dict[str, float]] = []

    def _step(self) -> int:
        return self.shape.factor if self.shape.generator == "cell" else 1

    def run(self, out: Path, curves: Path, progress: Progress) -> dict[str, Any]:
        with self.checkpoint.locked():
            trainer = self._trainer()
            self._resume(trainer)
            self._train(trainer, progress)
            self._write(trainer, out)
        _draw_curves(curves, self.log)
        return self.log[-1] | {"steps": trainer.step, "parameters": _count(trainer.system.a2b)}

    def _trainer(self) -> Trainer:
        torch.manual_seed(self.seed)
        system = generators.new_system(self.shape)
        for net in system.nets().values():
            net.to(self.device)
        return Trainer(system, self.recipe, self.seed)

    def _resume(self, trainer: Trainer) -> None:
        saved = self.checkpoint.load()
        if saved is not None:
            trainer.load_state_dict(saved["trainer"])
            self.log = saved["log"]
            self.pending = saved["pending"]
        else:
            self.pending = []
            write_png(self.checkpoint.samples / "inputs.png", _row(self.shown))

    def _save(self, trainer: Trainer) -> None:
        self.checkpoint.save({"trainer": trainer.state_dict(), "log": self.log, "pending": self.pending})

    def _train(self, trainer: Trainer, progress: Progress) -> None:
        saved_at = time.monotonic()
        try:
            for stats in trainer.fit(self.faces, self.art):
                self._record(stats, trainer)
                progress(f"train {self.shape.generator}", stats.step, trainer.total_steps, _words(stats))
                if stats.epoch_done or time.monotonic() - saved_at > SAVE_EVERY:
                    self._save(trainer)
                    saved_at = time.monotonic()
        except Diverged as error:
            raise BadInput(f"{self.shape.generator}: {error} at step {trainer.step}; lower train.lr") from error
        except KeyboardInterrupt:
            self._save(trainer)
            raise

    def _record(self, stats: StepStats, trainer: Trainer) -> None:
        self.pending.append(stats.losses)
        window = max(1, trainer.steps_per_epoch // WINDOWS)
        if stats.epoch_done or stats.step % window == 0:
            means = {name: float(np.mean([losses[name] for losses in self.pending])) for name in stats.losses}
            self.log.append({"step": stats.step, "epoch": stats.epoch + 1, **means})
            self.pending = []
        if stats.epoch_done:
            drawn = draw(trainer.average, self.shown, self.shape, batch_size=self.params.samples)
            write_png(self.checkpoint.samples / f"epoch-{stats.epoch + 1:03d}.png", _row(drawn))

    def _write(self, trainer: Trainer, out: Path) -> None:
        (out / "samples").mkdir(parents=True)
        for picture in sorted(self.checkpoint.samples.iterdir()):
            (out / "samples" / picture.name).write_bytes(picture.read_bytes())
        generators.save(out / "a2b.safetensors", trainer.average, self.shape)
        generators.save(out / "b2a.safetensors", trainer.system.b2a, self.shape)
        counts = {name: _count(net) for name, net in trainer.system.nets().items()}
        write_json(
            out / "training.json", {**self.facts, "parameters": counts, "images": [len(self.faces), len(self.art)]}
        )


def _recipe(name: str, params: Train, epochs: int, bf16: bool) -> Recipe:
    own = params.resnet if name == "resnet" else params.cell
    colour = params.cell.colour if name == "cell" else 0.0
    weights = Weights(cycle=own.cycle, identity=own.identity, colour=colour, palette=COMMITMENT)
    return Recipe(
        epochs=epochs, images_per_epoch=params.images_per_epoch, batch_size=params.batch_size, lr=own.lr,
        decay_from=params.decay_from, replay=params.replay, ema=params.ema, weights=weights, bf16=bf16,
    )  # fmt: skip


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
