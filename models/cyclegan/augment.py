"""DiffAugment (Zhao et al. 2020, arXiv:2006.10738) for pictures on a grid: a discriminator never sees a bare picture.

Departures: shifts are whole cells, since any other offset would show it every phase of the grid; what moves in at a
border repeats it, since a black margin is no pixel art; no cutout; colours change by less.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BRIGHTNESS = 0.3  # widths of the uniform distributions, on [-1, 1]
SATURATION = 0.6
CONTRAST = 0.4
SHIFT = 8  # at most 1 / SHIFT of the side


@dataclass(frozen=True)
class Augmentation:
    """A shift and changed colours for each of N pictures, made of uniform numbers (5, N) in [0, 1)."""

    uniform: Tensor

    @staticmethod
    def draw(count: int, generator: torch.Generator) -> Augmentation:
        """A random one for `count` pictures."""
        return Augmentation(torch.rand(5, count, generator=generator))

    def part(self, places: slice) -> Augmentation:
        """The same for some of the pictures."""
        return Augmentation(self.uniform[:, places])

    def __call__(self, pictures: Tensor, cell: int) -> Tensor:
        """(N, 3, H, W) -> same, differentiable; shifted by multiples of `cell` pixels."""
        centred = (self.uniform.to(pictures.device) - 0.5)[:, :, None, None, None]
        x = pictures + BRIGHTNESS * centred[0]
        grey = x.mean(dim=1, keepdim=True)
        x = (x - grey) * (1 + SATURATION * centred[1]) + grey
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = (x - mean) * (1 + CONTRAST * centred[2]) + mean
        rows = self._sources(3, x.shape[2], cell).to(x.device)
        columns = self._sources(4, x.shape[3], cell).to(x.device)
        return torch.stack([picture[:, rows[i]][:, :, columns[i]] for i, picture in enumerate(x)])

    def _sources(self, axis: int, side: int, cell: int) -> Tensor:
        """(N, side): the row, or column, that moves to each place; `axis` is its row of uniform numbers."""
        most = max(1, side // SHIFT // cell)
        steps = torch.floor(self.uniform[axis] * (2 * most + 1)).long() - most
        return (torch.arange(side) + cell * steps[:, None]).clamp(0, side - 1)
