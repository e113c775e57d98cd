"""Which colours of a palette lie side by side: structure at the size of one cell, where features of VGG see little.

As the grey-level co-occurrence matrices of Haralick, Shanmugam, Dinstein 1973 (Textural Features for Image
Classification), with palette entries for grey levels. Not in Gatys et al. 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns to the neighbouring cell
RARE = 1e-4  # of all pairs of cells; rarer ones hardly count, and the slope of the root stays finite


def cooccurrences(choice: Tensor, figure: Tensor | None = None) -> Tensor:
    """How often colour k lies beside colour l, (N, steps, K, K): symmetric, each step's sum 1.

    Args:
        choice: what share each of K colours has in each cell, (N, K, h, w).
        figure: which cells count, (N, 1, h, w) of 0 and 1; all where left out, or where no two that count touch.
    """
    return torch.stack([_along(choice, step, figure) for step in STEPS], dim=1)


def flattened(target: Tensor, shares: Tensor) -> Tensor:
    """Co-occurrences (N, steps, K, K) in which equal neighbours have at least these shares (N, steps): more flat areas.

    Edges keep their proportions, and so do flat areas.
    """
    before = equal_shares(target)
    more = ((shares - before) / (1 - before).clamp_min(RARE)).clamp(0, 1)[..., None, None]
    return (1 - more) * target + more * torch.diag_embed(target.sum(dim=3))


def hellinger(left: Tensor, right: Tensor) -> Tensor:
    """Twice the squared Hellinger distance of two co-occurrences (N, steps, K, K), mean of the steps: (N,), 0 to 2."""
    difference = (left + RARE).sqrt() - (right + RARE).sqrt()
    return difference.square().sum(dim=(2, 3)).mean(dim=1)


def equal_shares(cooccurrence: Tensor) -> Tensor:
    """How often both of two neighbouring cells hold the same colour, (N, steps), by co-occurrences (N, steps, K, K)."""
    return torch.diagonal(cooccurrence, dim1=2, dim2=3).sum(dim=2)


def _along(choice: Tensor, step: tuple[int, int], figure: Tensor | None) -> Tensor:
    first, second = _neighbours(choice, step)
    counts = first.flatten(2) @ second.flatten(2).mT
    if figure is not None:
        both = torch.mul(*_neighbours(figure, step))
        inside = (first * both).flatten(2) @ second.flatten(2).mT
        counts = torch.where(inside.sum(dim=(1, 2), keepdim=True) > 0, inside, counts)
    return (counts + counts.mT) / (2 * counts.sum(dim=(1, 2), keepdim=True))


def _neighbours(cells: Tensor, step: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(N, K, h, w) twice, cut to where a cell and the one that lies `step` away are both inside."""
    down, right = step
    height, width = cells.shape[2:]
    first = cells[:, :, : height - down, max(0, -right) : width - max(0, right)]
    second = cells[:, :, down:, max(0, right) : width + min(0, right)]
    return first, second
