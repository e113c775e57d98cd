"""Style transfer of one batch of pairs on one canvas: from pixels to pixels and loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.styletransfer import canvases
from models.styletransfer.canvases import Canvas, PaletteCanvas, PixelCanvas, Relaxation
from models.styletransfer.optimise import Objective, Schedule, StyleImage, optimise
from models.styletransfer.steps import OnStep, OptimisationStep
from models.styletransfer.vgg import VGG19
from models.tensors import colours_to_signed, to_pixels, to_signed
from pipeline.errors import BadParams
from pipeline.images import palettes
from pipeline.images.files import Pixels
from pipeline.runtime import seeds
from pipeline.style.background import figure_mask
from pipeline.style.pairs import Artwork, Pair
from pipeline.style.palette_losses import choice_costs
from pipeline.style.tone_match import match_tones


@dataclass(frozen=True, kw_only=True)
class ColourChoice:
    """How the cells of a canvas choose their colours from a palette."""

    colours: int  # at most, of those that the artworks have
    palette: Pixels | None  # to use instead, with all of its colours, (K, 3)
    learned: bool = False  # the palette is optimised too
    toning: float  # share of the way of a face to the artworks' lightness and saturation
    colour_weight: float  # of cells having the colours of the toned face
    cooccurrence_weight: float  # of colours lying side by side as often as in the artworks
    relaxation: Relaxation


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """All that decides what becomes of a batch on one canvas, but for the batch itself."""

    canvas: str  # its name, for messages
    cell: int  # pixels a side of a cell; 1: every pixel is free
    choice: ColourChoice | None  # None: every colour is free
    network: VGG19  # on `device`
    objective: Objective
    schedule: Schedule
    from_noise: bool  # the paper's start; else the face (a mean per cell where cells are optimised), as Johnson
    ground: bool  # the ground of an artwork has style too, not its figure alone
    seed: int
    device: str


@dataclass(frozen=True)
class StylizedBatch:
    """The pictures and the loss curves of a batch of N pairs on one canvas."""

    pixels: Pixels  # (N, H, W, 3)
    style: NDArray[np.float64]  # (evaluations + 1, N), before weighting
    content: NDArray[np.float64]
    iterations: NDArray[np.int64]  # (N,), fewer than scheduled where a plateau ended them


def stylize(transfer: Transfer, batch: Sequence[Pair], on_step: OnStep) -> StylizedBatch:
    """The faces of a batch in the style of their artworks; faces of one size, artworks of any.

    Raises:
        BadParams: values that do not go together.
    """
    batch = [_prepare(pair, transfer) for pair in batch]
    content = to_signed(np.stack([pair.content for pair in batch])).to(transfer.device)
    styles = [[_style_image(artwork, transfer.device) for artwork in pair.artworks] for pair in batch]
    curve: list[OptimisationStep] = []

    def record(step: OptimisationStep) -> None:
        curve.append(step)
        on_step(step)

    try:
        image = optimise(
            _canvas(transfer, batch, content), transfer.network, content, styles,
            transfer.objective, transfer.schedule, on_step=record,
        )  # fmt: skip
    except ValueError as error:
        raise BadParams(f"style (canvas {transfer.canvas}): {error}") from error
    return StylizedBatch(
        pixels=to_pixels(image.nan_to_num()),  # a pair that diverged gets no picture
        style=np.array([step.style for step in curve]),
        content=np.array([step.content for step in curve]),
        iterations=(~np.array([step.done for step in curve])).sum(axis=0),
    )


def native_pixels(pair: Pair, cell: int) -> tuple[Pixels, NDArray[np.float64]]:
    """Native pixels of all artworks' figures, (P, 3), and what each counts, (P,): by weight, whatever the size."""
    parts = [_figure_pixels(artwork, cell) for artwork in pair.artworks]
    size = sum(map(len, parts)) / len(parts)
    areas = [np.full(len(p), art.weight * size / len(p)) for p, art in zip(parts, pair.artworks, strict=True)]
    return np.concatenate(parts), np.concatenate(areas)


def _prepare(pair: Pair, transfer: Transfer) -> Pair:
    """The pair with the figures of its artworks, where their ground has no style, and with a toned face."""
    if not transfer.ground:
        figures = [figure_mask(art.pixels) if art.figure is None else art.figure for art in pair.artworks]
        artworks = [replace(art, figure=figure) for art, figure in zip(pair.artworks, figures, strict=True)]
        pair = replace(pair, artworks=tuple(artworks))
    if transfer.choice is None or transfer.choice.toning == 0:
        return pair
    colours, areas = native_pixels(pair, transfer.cell)
    return replace(pair, content=match_tones(pair.content, colours, transfer.choice.toning, areas))


def _style_image(artwork: Artwork, device: str) -> StyleImage:
    figure = None if artwork.figure is None else torch.from_numpy(artwork.figure.astype(np.float32)).to(device)
    return StyleImage(to_signed(artwork.pixels).to(device), artwork.weight, figure)


def _canvas(transfer: Transfer, batch: Sequence[Pair], content: Tensor) -> Canvas:
    cell, choice = transfer.cell, transfer.choice
    start = canvases.cell_means(content, cell)
    if transfer.from_noise:
        start = canvases.noise(start, _generators(transfer, batch, "noise"))
    if choice is None:
        return PixelCanvas(start, cell=cell)
    colours = [_palette(pair, choice, cell) for pair in batch]
    return PaletteCanvas(
        start,
        [colours_to_signed(palette).to(transfer.device) for palette in colours],
        cell=cell,
        relaxation=choice.relaxation,
        learned=choice.learned,
        generators=_generators(transfer, batch, "gumbel"),
        costs=choice_costs(batch, colours, cell, choice.colour_weight, choice.cooccurrence_weight, transfer.device),
    )


def _generators(transfer: Transfer, batch: Sequence[Pair], name: str) -> list[torch.Generator]:
    addresses = [seeds.derive(transfer.seed, "style", name, pair.face) for pair in batch]
    return [torch.Generator().manual_seed(address) for address in addresses]


def _palette(pair: Pair, choice: ColourChoice, cell: int) -> Pixels:
    if choice.palette is not None:
        return choice.palette
    colours, areas = native_pixels(pair, cell)
    return palettes.medoid_palette(colours, choice.colours, areas)


def _figure_pixels(artwork: Artwork, cell: int) -> Pixels:
    middle = (slice(cell // 2, None, cell),) * 2
    cells = artwork.pixels[middle]
    return cells.reshape(-1, 3) if artwork.figure is None else cells[artwork.figure[middle]]
