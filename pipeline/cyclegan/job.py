"""All that decides the result of one training, as plain values."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.cyclegan.cycle_losses import Weights
from models.cyclegan.train import Recipe
from pipeline.cyclegan.generators import Shape
from pipeline.cyclegan.params import Cell, Resnet, Train
from pipeline.runtime import devices
from pipeline.runtime.files import folder_digest
from pipeline.runtime.settings import Resize


@dataclass(frozen=True, kw_only=True)
class Job:
    """The parameters of one training, and where it reads and writes. Can be sent to another process."""

    generator: str
    split: Path
    grid: Path  # the native artworks, for pairs
    out: Path
    curves: Path
    state: Path
    params: Train
    resize: Resize
    epochs: int
    seed: int
    device: str  # cpu | cuda

    @property
    def section(self) -> Resnet | Cell:
        """The parameters of this generator."""
        return self.params.cell if self.generator == "cell" else self.params.resnet

    @property
    def shape(self) -> Shape:
        """The numbers of the generator."""
        section, cell = self.section, self.params.cell
        return Shape(
            generator=self.generator, width=section.width, blocks=section.blocks, size=self.resize.size,
            cells=self.resize.cells, palette=cell.palette, critics=cell.critics,
        )  # fmt: skip

    @property
    def pair_cells(self) -> list[int]:
        """Cells a side of the pairs that `cell` learns from."""
        return self.params.cell.cells or [self.resize.cells]

    @property
    def recipe(self) -> Recipe:
        """The numbers of the training loop."""
        cell = self.params.cell if self.generator == "cell" else None
        section = self.section
        return Recipe(
            epochs=self.epochs, images_per_epoch=section.images_per_epoch, batch_size=section.batch_size,
            lr=section.lr, decay_from=self.params.decay_from, replay=self.params.replay, ema=section.ema,
            weights=Weights(
                cycle=section.cycle, identity=section.identity, colour=cell.colour if cell else 0.0,
                chroma=cell.chroma if cell else 0.0, accents=cell.accents if cell else 0.0,
                patterns=cell.patterns if cell else 0.0,
            ),
            identity_until=cell.identity_until if cell else 1.0, augment=cell.augment if cell else False,
            pairs=cell.pairs if cell else 0.0, bf16=devices.pick_bf16(self.params.precision, self.device),
        )  # fmt: skip

    def facts(self, processes: int = 1) -> dict[str, Any]:
        """Everything that the result depends on besides code, versions and the kind of machine."""
        return {
            "shape": asdict(self.shape), "recipe": asdict(self.recipe), "seed": self.seed,
            "threads": self.params.threads, "processes": processes, "device": self.device,
            "compile": self.params.compile, "samples": self.params.samples, "limit": self.params.limit,
            "faces": folder_digest(self.split / "faces"), "art": folder_digest(self.split / "pixel"),
            **(self._pair_facts() if self.recipe.pairs else {}),
        }  # fmt: skip

    def _pair_facts(self) -> dict[str, Any]:
        manifest = self.split / "manifest.jsonl"  # tells the training artworks, and which of them are portraits
        return {
            "pool": self.params.cell.pool, "cells": self.pair_cells,
            "natives": folder_digest(self.grid / "images"), "works": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        }  # fmt: skip
