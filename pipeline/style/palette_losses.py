"""What a palette canvas should choose, in numbers: costs of colours in cells, and which colours lie side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.styletransfer.canvases import Wishes
from models.styletransfer.neighbours import equal_shares, flattened, neighbours
from pipeline.images.colour import nearest_indices, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import box
from pipeline.style.pairs import Pair, Work
from pipeline.style.params import Style

SQUARED = np.array([0.5, 1.0, 1.0])  # weights of L, a, b: content and style decide on lightness, this mostly on hue


def wishes(
    batch: Sequence[Pair], faces: Sequence[Pixels], colours: Sequence[Pixels], cell: int, params: Style, device: str
) -> Wishes:
    """Of a batch.

    Args:
        batch: its artworks tell what lies beside what.
        faces: of each pair, toned, (H, W, 3).
        colours: of each pair, (K, 3).
        cell: pixels a side of a cell.
        params: the weights.
        device: where the numbers should lie.
    """
    most = max(map(len, colours))
    coloured = params.colour_weight > 0
    beside = params.neighbour_weight > 0
    costs = [_costs(face, own, cell) for face, own in zip(faces, colours, strict=True)] if coloured else []
    found = [_beside(pair.works, own, cell) for pair, own in zip(batch, colours, strict=True)] if beside else []
    return Wishes(
        costs=torch.stack([_filled(one, most, (0,)) for one in costs]).to(device) if coloured else None,
        cost_weight=params.colour_weight,
        beside=torch.stack([_filled(one, most, (1, 2)) for one in found]).to(device) if beside else None,
        beside_weight=params.neighbour_weight,
    )


def _costs(face: Pixels, colours: Pixels, cell: int) -> Tensor:
    """Squared distance of each colour to each cell's mean, (K, h, w); OKLab, with less weight on lightness."""
    cells = to_oklab(box(face, (face.shape[0] // cell, face.shape[1] // cell)))
    apart = (to_oklab(colours)[:, None, None] - cells) ** 2
    return torch.from_numpy(apart @ SQUARED).float()


def _beside(works: Sequence[Work], colours: Pixels, cell: int) -> Tensor:
    """`neighbours` of the artworks in these colours, by weight, (steps, K, K)."""
    weights = torch.tensor([work.weight for work in works], dtype=torch.float32)
    found = torch.stack([_beside_in(work, colours, cell) for work in works])
    return (weights[:, None, None, None] * found).sum(dim=0) / weights.sum()


def _beside_in(work: Work, colours: Pixels, cell: int) -> Tensor:
    """Of the figure's colours, but with as large a share of flat cells as the artwork has with its ground.

    A face fills its picture, an artwork often does not; its ground is flat, and so should part of the picture be.
    """
    middle = (slice(cell // 2, None, cell),) * 2
    native = work.pixels[middle]
    labels = nearest_indices(to_oklab(native.reshape(-1, 3)), to_oklab(colours)).reshape(native.shape[:2])
    choice = functional.one_hot(torch.from_numpy(labels), len(colours)).movedim(-1, 0)[None].float()
    figure = None if work.figure is None else torch.from_numpy(work.figure[middle].astype(np.float32))[None, None]
    inside = neighbours(choice, figure)
    return flattened(inside, equal_shares(neighbours(choice)))[0]


def _filled(values: Tensor, most: int, dims: Sequence[int]) -> Tensor:
    """With zeros up to `most` along these dimensions."""
    for dim in dims:
        shape = list(values.shape)
        shape[dim] = most - shape[dim]
        values = torch.cat([values, values.new_zeros(shape)], dim=dim)
    return values
