"""All that decides the result of one training, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.cyclegan.cycle_losses import Weights
from models.cyclegan.train import Recipe
from pipeline.cyclegan.generators import Shape
from pipeline.cyclegan.params import Train
from pipeline.images import palettes
from pipeline.runtime import devices
from pipeline.runtime.files import folder_digest
from pipeline.runtime.settings import Resize

COMMITMENT = 2.0  # weight of |free colours - palette colours|; keeps the two together, tunes nothing


@dataclass(frozen=True, kw_only=True)
class Job:
    """The parameters of one training, and where it reads and writes. Can be sent to another process."""

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
        """The numbers of the generator."""
        colours, palette = self.params.cell.colours, self.params.cell.palette
        return Shape(
            generator=self.generator, width=self.params.width, blocks=self.params.blocks, size=self.resize.size,
            cells=self.resize.cells, colours="own" if colours == "own" else "shared",
            palette=palette if colours in ("own", "art") else len(palettes.load(colours)),
            critics=self.params.cell.critics,
        )  # fmt: skip

    @property
    def recipe(self) -> Recipe:
        """The numbers of the training loop."""
        cell = self.params.cell if self.generator == "cell" else None
        losses = cell or self.params.resnet
        return Recipe(
            epochs=self.epochs, images_per_epoch=self.params.images_per_epoch, batch_size=self.params.batch_size,
            lr=losses.lr, decay_from=self.params.decay_from, replay=self.params.replay, ema=self.params.ema,
            weights=Weights(
                cycle=losses.cycle, identity=losses.identity, colour=cell.colour if cell else 0.0,
                chroma=cell.chroma if cell else 0.0, palette=COMMITMENT, accents=cell.accents if cell else 0.0,
                patterns=cell.patterns if cell else 0.0,
            ),
            identity_until=cell.identity_until if cell else 1.0, augment=cell.augment if cell else False,
            bf16=devices.pick_bf16(self.params.precision, self.device),
        )  # fmt: skip

    def facts(self, processes: int = 1) -> dict[str, Any]:
        """Everything that the result depends on besides code, versions and the kind of machine."""
        return {
            "shape": asdict(self.shape), "recipe": asdict(self.recipe), "seed": self.seed,
            "threads": self.params.threads, "processes": processes, "device": self.device,
            "compile": self.params.compile, "samples": self.params.samples, "limit": self.params.limit,
            "colours": self.params.cell.colours,
            "faces": folder_digest(self.split / "faces"), "art": folder_digest(self.split / "pixel"),
        }  # fmt: skip
