"""What is optimised: every pixel, one colour per cell, or one palette entry per cell.

Gram matrices do not see where an edge lies, so no weight on them makes a grid.
A canvas of cells has one by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class Canvas(Protocol):
    """N pictures under optimisation."""

    def parameters(self) -> Sequence[Tensor]:
        """The leaves that the optimiser moves."""

    def render(self) -> Tensor:
        """(N, 3, S, S) in [-1, 1], differentiable: the present state."""

    def project(self) -> None:
        """Bring the leaves back into range, after each step of the optimiser."""

    def final(self) -> Tensor:
        """(N, 3, S, S) in [-1, 1]: the result."""


class PixelCanvas:
    """Colours (N, 3, n, n) that are optimised themselves, each seen as a square of `cell` pixels.

    With `cell` 1 every pixel is free, as in the paper and the report.
    """

    def __init__(self, colours: Tensor, *, cell: int = 1) -> None:
        self.colours = colours.clone().requires_grad_()
        self.cell = cell

    def parameters(self) -> Sequence[Tensor]:
        return [self.colours]

    def render(self) -> Tensor:
        return enlarge(self.colours, self.cell)

    def project(self) -> None:
        with torch.no_grad():
            self.colours.clamp_(-1, 1)

    def final(self) -> Tensor:
        return self.render().detach()


class PaletteCanvas:
    """Each cell chooses one of the K colours of its pair's palette.

    Straight-through softmax (Jang, Gu, Poole 2017, arXiv:1611.01144, sec. 2.2) without its Gumbel noise and annealing:
    over the few iterations of a picture the noise speckled it, and a falling temperature ended at higher losses.

    Args:
        cells: the colours to start from, (N, 3, n, n).
        palettes: one (K, 3) per pair; K may differ.
        cell: pixels a side of a cell.
    """

    GAIN = 20.0  # logits per unit of the optimised leaf: a learning rate made for colours then moves choices too
    NEARNESS = 5.0  # logits lost per unit of distance to the starting colour; unsquared: far colours keep a gradient

    def __init__(self, cells: Tensor, palettes: Sequence[Tensor], *, cell: int) -> None:
        self.palettes, absent = _padded(palettes)  # (N, K, 3), (N, K)
        difference = cells.unsqueeze(1) - self.palettes[..., None, None]  # (N, K, 3, n, n)
        distance: Tensor = torch.linalg.vector_norm(difference, dim=2)  # (N, K, n, n)
        self.absent = absent[..., None, None]  # (N, K, 1, 1)
        self.leaf = (-self.NEARNESS / self.GAIN * distance).requires_grad_()
        self.cell = cell

    def parameters(self) -> Sequence[Tensor]:
        return [self.leaf]

    def render(self) -> Tensor:
        soft = self._logits().softmax(dim=1)
        return self._colours(soft + (_one_hot(soft) - soft).detach())

    def project(self) -> None:
        """Logits have no range."""

    def final(self) -> Tensor:
        return self._colours(_one_hot(self._logits())).detach()

    def _logits(self) -> Tensor:
        return (self.GAIN * self.leaf).masked_fill(self.absent, -torch.inf)

    def _colours(self, choice: Tensor) -> Tensor:
        return enlarge(torch.einsum("nkyx,nkc->ncyx", choice, self.palettes), self.cell)


def _padded(palettes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Palettes of different sizes as one (N, K, 3), and (N, K): True where there is no colour."""
    sizes = torch.tensor([len(palette) for palette in palettes], device=palettes[0].device)
    padded = nn.utils.rnn.pad_sequence(list(palettes), batch_first=True)
    return padded, torch.arange(padded.shape[1], device=sizes.device) >= sizes[:, None]


def _one_hot(scores: Tensor) -> Tensor:
    """1 at the largest of dim 1, else 0."""
    return functional.one_hot(scores.argmax(dim=1), scores.shape[1]).movedim(-1, 1).to(scores.dtype)


def enlarge(cells: Tensor, cell: int) -> Tensor:
    """(N, 3, n, n) -> (N, 3, n * cell, n * cell): each cell a square, no colour in between."""
    return cells.repeat_interleave(cell, dim=-1).repeat_interleave(cell, dim=-2)


def cell_means(image: Tensor, cell: int) -> Tensor:
    """(N, 3, S, S) -> (N, 3, S / cell, S / cell): the mean colour of each cell."""
    return functional.avg_pool2d(image, cell)


def noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Uniform in [-1, 1], shaped as `like` (N, ...); one CPU generator per pair, so a batch does not change a pair."""
    drawn = [torch.rand(like.shape[1:], generator=generator) for generator in generators]
    return (2 * torch.stack(drawn) - 1).to(like)
