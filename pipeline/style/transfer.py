"""One batch of pairs on one canvas: from pixels and the values of the style section to pixels and curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.styletransfer import canvases
from models.styletransfer.canvases import Canvas, PaletteCanvas, PixelCanvas, Relaxation
from models.styletransfer.optimise import Artwork, Objective, Schedule, optimise
from models.styletransfer.vgg import VGG19
from models.styletransfer.watching import Progress
from models.tensors import to_pixels, to_signed
from pipeline.errors import BadParams
from pipeline.images import palettes
from pipeline.images.files import Pixels
from pipeline.runtime import seeds
from pipeline.runtime.devices import pick_bf16
from pipeline.style.background import figure
from pipeline.style.pairs import Pair, Work
from pipeline.style.palette import read_palette
from pipeline.style.palette_losses import wishes
from pipeline.style.params import Style
from pipeline.style.tone_match import toned

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
    batch = [_prepared(pair, transfer) for pair in batch]
    content = to_signed(np.stack([pair.content for pair in batch])).to(transfer.device)
    artworks = [[_artwork(work, transfer.device) for work in pair.works] for pair in batch]
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


def _prepared(pair: Pair, transfer: Transfer) -> Pair:
    """With the artworks' figures where the ground is left out, and with a toned face where cells choose colours."""
    params = transfer.params
    works = pair.works if params.ground == "style" else tuple(map(_with_figure, pair.works))
    prepared = replace(pair, works=works)
    if not _chooses(transfer) or params.toning == 0:
        return prepared
    colours, areas = natives(prepared, transfer.cell)
    return replace(prepared, content=toned(pair.content, colours, params.toning, areas))


def _with_figure(work: Work) -> Work:
    return work if work.figure is not None else replace(work, figure=figure(work.pixels))


def _chooses(transfer: Transfer) -> bool:
    return transfer.canvas != "free" and transfer.params.palette is not None


def _artwork(work: Work, device: str) -> Artwork:
    shown = None if work.figure is None else torch.from_numpy(work.figure.astype(np.float32)).to(device)
    return Artwork(to_signed(work.pixels).to(device), work.weight, shown)


def _canvas(transfer: Transfer, batch: Sequence[Pair], content: Tensor) -> Canvas:
    params, cell = transfer.params, transfer.cell
    start = canvases.cell_means(content, cell)
    if params.start == "noise":  # the paper's; content is Johnson's (a mean per cell where cells are optimised)
        start = canvases.noise(start, _generators(transfer, batch, "noise"))
    if not _chooses(transfer):
        return PixelCanvas(start, cell=cell)
    colours = [_palette(pair, transfer) for pair in batch]
    return PaletteCanvas(
        start,
        [_signed(own).to(transfer.device) for own in colours],
        cell=cell,
        relaxation=Relaxation(
            hard=params.choice == "hard",
            noise=params.gumbel,
            start=params.temperature.end if params.optimiser == "lbfgs" else params.temperature.start,
            end=params.temperature.end,
        ),
        learned=params.palette_from == "learned",
        generators=_generators(transfer, batch, "gumbel"),
        wishes=wishes(batch, [pair.content for pair in batch], colours, cell, params, transfer.device),
    )


def _generators(transfer: Transfer, batch: Sequence[Pair], name: str) -> list[torch.Generator]:
    addresses = [seeds.derive(transfer.seed, "style", name, pair.face) for pair in batch]
    return [torch.Generator().manual_seed(address) for address in addresses]


def _palette(pair: Pair, transfer: Transfer) -> Pixels:
    """At most `palette` colours, (K, 3); a learned palette starts from the artworks'."""
    params = transfer.params
    if params.palette_from == "file":
        return palettes.load(str(Path(params.palette_file)))
    colours, areas = natives(pair, transfer.cell)
    return read_palette(colours, params.palette or 1, areas)


def natives(pair: Pair, cell: int) -> tuple[Pixels, NDArray[np.float64]]:
    """Native pixels of all artworks' figures, (P, 3), and what each counts, (P,): by weight, whatever the size."""
    found = [_native(work, cell) for work in pair.works]
    size = sum(map(len, found)) / len(found)
    areas = [np.full(len(own), work.weight * size / len(own)) for own, work in zip(found, pair.works, strict=True)]
    return np.concatenate(found), np.concatenate(areas)


def _native(work: Work, cell: int) -> Pixels:
    middle = (slice(cell // 2, None, cell),) * 2
    cells = work.pixels[middle]
    return cells.reshape(-1, 3) if work.figure is None else cells[work.figure[middle]]


def _signed(colours: Pixels) -> Tensor:
    """(K, 3) in [-1, 1]."""
    return to_signed(colours[None])[:, 0].T
