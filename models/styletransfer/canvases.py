"""Canvases, whose state is optimised: every pixel, one colour per cell, or one palette entry per cell.

Gram matrices do not see where an edge lies, so no weight on them makes a grid.
A canvas of cells has one by construction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.styletransfer.cooccurrence import cooccurrences, hellinger


class Canvas(ABC):
    """N pictures under optimisation, from the leaves that the optimiser moves; each (N, ...)."""

    def __init__(self, leaves: list[Tensor], cell: int) -> None:
        self.leaves = leaves
        self.cell = self._full_cell = cell

    @abstractmethod
    def render(self, done: float) -> Tensor:
        """Pictures of the present state, (N, 3, H, W) in [-1, 1], differentiable.

        Args:
            done: share of the iterations, 0 at the first and 1 at the last.
        """

    def regulariser(self, done: float) -> Tensor:  # noqa: ARG002
        """A loss (N,) of the state itself, differentiable, beside the losses of its pictures; 0 unless overridden."""
        return self.leaves[0].new_zeros(len(self.leaves[0]))

    @abstractmethod
    def project(self) -> None:
        """Bring the leaves back into range, after each step of the optimiser."""

    @abstractmethod
    def final(self) -> Tensor:
        """Pictures of the result, (N, 3, H, W) in [-1, 1]."""

    def select(self, pairs: Tensor) -> Self:
        """A canvas of these pairs, by index, with copies of their leaves."""
        selected = copy(self)
        # contiguous: L-BFGS asks for it
        selected.leaves = [leaf.detach()[pairs].contiguous().requires_grad_() for leaf in self.leaves]
        return selected

    def view(self, shrink: int) -> None:
        """Render at 1 / `shrink` of the full size from now on; may replace the leaves.

        Raises:
            ValueError: a size that is no whole number of pixels.
        """
        self.cell = _shrunk(self._full_cell, shrink)


class PixelCanvas(Canvas):
    """Colours (N, 3, h, w) that are optimised themselves, each seen as a square of `cell` pixels.

    With `cell` 1 every pixel is free, as in the paper and the report.
    """

    def __init__(self, colours: Tensor, *, cell: int = 1) -> None:
        super().__init__([colours.clone().requires_grad_()], cell)
        self._full_size = colours.shape[2:]

    def render(self, done: float) -> Tensor:  # noqa: ARG002
        return enlarge(self.leaves[0], self.cell)

    def project(self) -> None:
        with torch.no_grad():
            self.leaves[0].clamp_(-1, 1)  # the paper is silent on range

    def final(self) -> Tensor:
        return enlarge(self.leaves[0], self.cell).detach()

    def view(self, shrink: int) -> None:
        if self._full_cell > 1:
            super().view(shrink)
            return
        size = [_shrunk(side, shrink) for side in self._full_size]
        resized = functional.interpolate(self.leaves[0].detach(), size, mode="bilinear", antialias=True)
        self.leaves = [resized.requires_grad_()]


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """How a choice among colours becomes differentiable (Jang, Gu, Poole 2017, arXiv:1611.01144, sec. 2).

    At the defaults the choice is seen hard, with the gradient of its softmax (straight through, sec. 2.2), without
    noise and at a constant temperature.
    """

    hard: bool = True  # the pictures seen hold palette colours alone, not mixtures
    noise: float = 0.0  # times Gumbel noise; 1 in the paper
    start: float = 1.0  # temperature at the first iteration, falling geometrically
    end: float = 1.0  # at the last one

    def temperature(self, done: float) -> float:
        """The temperature when so much of the iterations is done, a share."""
        return float(self.start * (self.end / self.start) ** done)


@dataclass(frozen=True, kw_only=True)
class ChoiceCosts:
    """What choices among the colours of N palettes cost, cell by cell; nothing at the defaults.

    Padding of shorter palettes is never chosen, so it may hold any number.
    """

    colours: Tensor | None = None  # (N, K, h, w): the cost of each colour in each cell
    colour_weight: float = 0.0
    cooccurrence: Tensor | None = None  # (N, steps, K, K): how often colours should lie side by side
    cooccurrence_weight: float = 0.0

    def loss(self, choice: Tensor) -> Tensor:
        """The costs (N,) of a choice (N, K, h, w)."""
        total = choice.new_zeros(len(choice))
        if self.colours is not None:
            total = total + self.colour_weight * (choice * self.colours).sum(dim=1).mean(dim=(1, 2))
        if self.cooccurrence is not None:
            total = total + self.cooccurrence_weight * hellinger(cooccurrences(choice), self.cooccurrence)
        return total

    def select(self, pairs: Tensor) -> ChoiceCosts:
        """The costs of these pairs, by index."""
        colours, cooccurrence = (None if v is None else v[pairs] for v in (self.colours, self.cooccurrence))
        return replace(self, colours=colours, cooccurrence=cooccurrence)


class PaletteCanvas(Canvas):
    """Cells that each choose one of the K colours of their pair's palette.

    Args:
        cells: the colours to start from, (N, 3, h, w).
        palettes: one (K, 3) per pair; K may differ.
        cell: pixels a side of a cell.
        relaxation: of the choice.
        learned: the palettes are optimised too.
        generators: one CPU generator per pair, where the relaxation has noise.
        costs: of the choices, for palettes padded as `padded` does.
    """

    GAIN = 20.0  # logits per unit of the optimised leaf: a learning rate made for colours then moves choices too
    NEARNESS = 5.0  # logits lost per unit of distance to the starting colour; unsquared: far colours keep a gradient

    def __init__(
        self,
        cells: Tensor,
        palettes: Sequence[Tensor],
        *,
        cell: int,
        relaxation: Relaxation = Relaxation(),
        learned: bool = False,
        generators: Sequence[torch.Generator] = (),
        costs: ChoiceCosts = ChoiceCosts(),
    ) -> None:
        if relaxation.noise and len(generators) != len(palettes):
            raise ValueError(f"expected a generator per pair for the noise, {len(palettes)}; got {len(generators)}")
        palette, absent = padded(palettes)  # (N, K, 3), (N, K)
        difference = cells.unsqueeze(1) - palette[..., None, None]  # (N, K, 3, h, w)
        distance: Tensor = torch.linalg.vector_norm(difference, dim=2)  # (N, K, h, w)
        super().__init__([(-self.NEARNESS / self.GAIN * distance).requires_grad_()], cell)
        if learned:
            self.leaves.append(palette.clone().requires_grad_())
        self.palette = palette
        self.absent = absent[..., None, None]  # (N, K, 1, 1)
        self.relaxation, self.learned, self.generators, self.costs = relaxation, learned, list(generators), costs

    def render(self, done: float) -> Tensor:
        logits = self._logits()
        if self.relaxation.noise:
            logits = logits + self.relaxation.noise * _gumbel(logits, self.generators)
        soft = (logits / self.relaxation.temperature(done)).softmax(dim=1)
        choice = soft + (_one_hot(soft) - soft).detach() if self.relaxation.hard else soft
        return self._colours(choice)

    def regulariser(self, done: float) -> Tensor:
        return self.costs.loss((self._logits() / self.relaxation.temperature(done)).softmax(dim=1))

    def project(self) -> None:
        if self.learned:
            with torch.no_grad():
                self.leaves[1].clamp_(-1, 1)

    def final(self) -> Tensor:
        return self._colours(_one_hot(self._logits())).detach()

    def select(self, pairs: Tensor) -> Self:
        selected = super().select(pairs)
        selected.palette, selected.absent = self.palette[pairs], self.absent[pairs]
        selected.costs = self.costs.select(pairs)
        selected.generators = [self.generators[pair] for pair in pairs.tolist()] if self.generators else []
        return selected

    def _logits(self) -> Tensor:
        return (self.GAIN * self.leaves[0]).masked_fill(self.absent, -torch.inf)

    def _colours(self, choice: Tensor) -> Tensor:
        palette = self.leaves[1] if self.learned else self.palette
        return enlarge(torch.einsum("nkyx,nkc->ncyx", choice, palette), self.cell)


def _shrunk(side: int, shrink: int) -> int:
    if side % shrink:
        raise ValueError(f"cannot be seen at 1/{shrink}: {side} pixels")
    return side // shrink


def padded(palettes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Palettes of different sizes as one (N, K, 3), and (N, K): True where there is no colour."""
    sizes = torch.tensor([len(palette) for palette in palettes], device=palettes[0].device)
    padded = nn.utils.rnn.pad_sequence(list(palettes), batch_first=True)
    return padded, torch.arange(padded.shape[1], device=sizes.device) >= sizes[:, None]


def _one_hot(scores: Tensor) -> Tensor:
    """1 at the largest of dim 1, else 0."""
    return functional.one_hot(scores.argmax(dim=1), scores.shape[1]).movedim(-1, 1).to(scores.dtype)


def _gumbel(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Standard Gumbel noise (N, ...), each pair's from its own generator."""
    uniform = torch.stack([torch.rand(like.shape[1:], generator=generator) for generator in generators])
    return -(-uniform.clamp(1e-9, 1 - 1e-7).log()).log().to(like)


def enlarge(cells: Tensor, cell: int) -> Tensor:
    """Cells (N, 3, h, w) as squares of pixels (N, 3, h * cell, w * cell), without colours in between."""
    return cells.repeat_interleave(cell, dim=-1).repeat_interleave(cell, dim=-2)


def cell_means(image: Tensor, cell: int) -> Tensor:
    """The mean colour of each cell, (N, 3, H / cell, W / cell), of (N, 3, H, W)."""
    return functional.avg_pool2d(image, cell)


def noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Uniform noise in [-1, 1], shaped as `like` (N, ...).

    One CPU generator per pair, so a batch does not change a pair.
    """
    uniform = [torch.rand(like.shape[1:], generator=generator) for generator in generators]
    return (2 * torch.stack(uniform) - 1).to(like)
