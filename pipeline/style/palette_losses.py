"""What a palette canvas should choose, in numbers: costs of colours in cells, and which colours lie side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from models.styletransfer.canvases import ChoiceCosts
from models.styletransfer.cooccurrence import cooccurrences, equal_shares, flattened
from pipeline.images.colour import nearest_indices, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import box
from pipeline.style.pairs import Artwork, Pair

SQUARED = np.array([0.5, 1.0, 1.0])  # weights of L, a, b: content and style decide on lightness, this mostly on hue


def choice_costs(
    batch: Sequence[Pair],
    palettes: Sequence[Pixels],
    cell: int,
    colour_weight: float,
    cooccurrence_weight: float,
    device: str,
) -> ChoiceCosts:
    """The costs of the choices of a batch among the colours of its palettes.

    Args:
        batch: pairs, whose faces say what a colour costs and whose artworks what lies side by side.
        palettes: of each pair, (K, 3).
        cell: pixels a side of a cell.
        colour_weight: of the distance of colours from those of the face; 0: none.
        cooccurrence_weight: of the distance from the artworks' co-occurrences; 0: none.
        device: where the numbers should lie.
    """
    choices = list(zip(batch, palettes, strict=True))
    colours = cooccurrence = None
    if colour_weight > 0:
        costs = [_colour_costs(pair.content, palette, cell) for pair, palette in choices]
        colours = pad_sequence(costs, batch_first=True).to(device)
    if cooccurrence_weight > 0:
        most = max(map(len, palettes))
        targets = [_cooccurrence(pair.artworks, palette, cell) for pair, palette in choices]
        padded = [functional.pad(target, (0, most - target.shape[1]) * 2) for target in targets]
        cooccurrence = torch.stack(padded).to(device)
    return ChoiceCosts(
        colours=colours, colour_weight=colour_weight,
        cooccurrence=cooccurrence, cooccurrence_weight=cooccurrence_weight,
    )  # fmt: skip


def _colour_costs(face: Pixels, palette: Pixels, cell: int) -> Tensor:
    """Squared distance of each colour to each cell's mean, (K, h, w); OKLab, with less weight on lightness."""
    cells = to_oklab(box(face, (face.shape[0] // cell, face.shape[1] // cell)))
    squares = (to_oklab(palette)[:, None, None] - cells) ** 2
    return torch.from_numpy(squares @ SQUARED).float()


def _cooccurrence(artworks: Sequence[Artwork], palette: Pixels, cell: int) -> Tensor:
    """Co-occurrences of the palette's colours in the artworks, by their weight, (steps, K, K)."""
    weights = torch.tensor([artwork.weight for artwork in artworks], dtype=torch.float32)
    parts = torch.stack([_cooccurrence_in(artwork, palette, cell) for artwork in artworks])
    return (weights[:, None, None, None] * parts).sum(dim=0) / weights.sum()


def _cooccurrence_in(artwork: Artwork, palette: Pixels, cell: int) -> Tensor:
    """Those of the figure's colours, but with as large a share of flat cells as the artwork has with its ground.

    A face fills its picture, an artwork often does not; its ground is flat, and so should part of the picture be.
    """
    middle = (slice(cell // 2, None, cell),) * 2
    native = artwork.pixels[middle]
    labels = nearest_indices(to_oklab(native.reshape(-1, 3)), to_oklab(palette)).reshape(native.shape[:2])
    choice = functional.one_hot(torch.from_numpy(labels), len(palette)).movedim(-1, 0)[None].float()
    shown = artwork.figure
    figure = None if shown is None else torch.from_numpy(shown[middle].astype(np.float32))[None, None]
    return flattened(cooccurrences(choice, figure), equal_shares(cooccurrences(choice)))[0]
