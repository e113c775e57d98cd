"""One batch of pairs on one canvas: from pixels and the values of the style section to pixels and curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.images import to_pixels, to_signed
from models.styletransfer import canvases
from models.styletransfer.canvases import Canvas, PaletteCanvas, PixelCanvas, Relaxation
from models.styletransfer.optimise import Artwork, Objective, Schedule, optimise
from models.styletransfer.vgg import VGG19
from models.styletransfer.watching import Progress
from pipeline import seeds
from pipeline.convert import palettes
from pipeline.errors import BadParams
from pipeline.io import Pixels
from pipeline.modelling.generators import pick_bf16
from pipeline.modelling.pairs import Pair
from pipeline.modelling.palette import read_palette
from pipeline.params import Style

Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class Transfer:
    """One canvas for all pairs: what decides a batch's result, but for the batch itself."""

    canvas: str
    network: VGG19  # on `device`
    params: Style
    cell: int  # pixels a side of a cell; 1 for the free canvas
    seed: int
    device: str


@dataclass(frozen=True)
class Stylized:
    """What one batch of N pairs became on one canvas."""

    pixels: Pixels  # (N, H, W, 3)
    style: NDArray[np.float64]  # (evaluations + 1, N), before weighting
    content: NDArray[np.float64]
    iterations: NDArray[np.int64]  # (N,), fewer than asked for where a plateau ended them


def stylize(transfer: Transfer, batch: Sequence[Pair], watch: Watch) -> Stylized:
    """Pairs of one size; artworks of any.

    Raises:
        BadParams: values that do not go together.
    """
    content = to_signed(np.stack([pair.content for pair in batch])).to(transfer.device)
    artworks = [[_artwork(work.pixels, work.weight, transfer.device) for work in pair.works] for pair in batch]
    curve: list[Progress] = []

    def note(step: Progress) -> None:
        curve.append(step)
        watch(step)

    try:
        image = optimise(
            _canvas(transfer, batch, content), transfer.network, content, artworks,
            objective(transfer.params), schedule(transfer.params, transfer.device), report=note,
        )  # fmt: skip
    except ValueError as error:
        raise BadParams(f"style (canvas {transfer.canvas}): {error}") from error
    return Stylized(
        pixels=to_pixels(image.nan_to_num()),  # a pair that diverged gets no picture
        style=np.array([step.style for step in curve]),
        content=np.array([step.content for step in curve]),
        iterations=(~np.array([step.done for step in curve])).sum(axis=0),
    )


def objective(params: Style) -> Objective:
    """Of the style section."""
    return Objective(
        content_layer=params.content_layer,
        style_layers=params.style_layers,
        content_weight=params.content_weight,
        style_weight=params.style_weight,
        wasserstein=params.statistics == "wasserstein",
        falloff=params.falloff,
        tv_weight=params.tv_weight,
    )


def schedule(params: Style, device: str) -> Schedule:
    """Of the style section."""
    return Schedule(
        iterations=params.iterations,
        lr=params.lr,
        lr_end=params.lr_end,
        lbfgs=params.optimiser == "lbfgs",
        ema=params.ema,
        plateau=params.plateau,
        patience=params.patience,
        levels=params.levels,
        bf16=pick_bf16(params.precision, device),
    )


def _artwork(pixels: Pixels, weight: float, device: str) -> Artwork:
    return Artwork(to_signed(pixels).to(device), weight)


def _canvas(transfer: Transfer, batch: Sequence[Pair], content: Tensor) -> Canvas:
    params, cell = transfer.params, transfer.cell
    start = canvases.cell_means(content, cell)
    if params.start == "noise":
        start = canvases.noise(start, _generators(transfer, batch, "noise"))
    if transfer.canvas == "free" or params.palette is None:
        return PixelCanvas(start, cell=cell)
    return PaletteCanvas(
        start,
        [_palette(pair, transfer).to(transfer.device) for pair in batch],
        cell=cell,
        relaxation=Relaxation(
            hard=params.choice == "hard",
            noise=params.gumbel,
            start=params.temperature.start,
            end=params.temperature.end,
        ),
        learned=params.palette_from == "learned",
        generators=_generators(transfer, batch, "gumbel"),
    )


def _generators(transfer: Transfer, batch: Sequence[Pair], name: str) -> list[torch.Generator]:
    addresses = [seeds.derive(transfer.seed, "style", name, pair.face) for pair in batch]
    return [torch.Generator().manual_seed(address) for address in addresses]


def _palette(pair: Pair, transfer: Transfer) -> Tensor:
    """At most `palette` colours, (K, 3) in [-1, 1]; a learned palette starts from the artworks'."""
    params = transfer.params
    if params.palette_from == "file":
        return _colours(palettes.load(str(Path(params.palette_file))))
    return _colours(read_palette(natives(pair, transfer.cell), params.palette or 1))


def natives(pair: Pair, cell: int) -> Pixels:
    """(P, 3): native pixels of all artworks of a pair, those of a heavier one as often as its weight asks."""
    least = min(work.weight for work in pair.works)
    return np.concatenate(
        [
            np.repeat(work.pixels[cell // 2 :: cell, cell // 2 :: cell].reshape(-1, 3), round(work.weight / least), 0)
            for work in pair.works
        ]
    )


def _colours(palette: Pixels) -> Tensor:
    return to_signed(palette[None])[:, 0].T
