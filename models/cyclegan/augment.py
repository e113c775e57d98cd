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
class Draw:
    """What happens to each of N pictures; uniform numbers (5, N) in [0, 1)."""

    uniform: Tensor

    @staticmethod
    def of(count: int, generator: torch.Generator) -> Draw:
        return Draw(torch.rand(5, count, generator=generator))

    def part(self, which: slice) -> Draw:
        """Of some of the pictures."""
        return Draw(self.uniform[:, which])

    def __call__(self, pictures: Tensor, cell: int) -> Tensor:
        """(N, 3, H, W) -> same, differentiable; shifted by multiples of `cell` pixels."""
        centred = (self.uniform.to(pictures.device) - 0.5)[:, :, None, None, None]
        x = pictures + BRIGHTNESS * centred[0]
        grey = x.mean(dim=1, keepdim=True)
        x = (x - grey) * (1 + SATURATION * centred[1]) + grey
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = (x - mean) * (1 + CONTRAST * centred[2]) + mean
        rows, columns = (
            self._places(axis, side, cell).to(x.device) for axis, side in ((3, x.shape[2]), (4, x.shape[3]))
        )
        moved = [one[:, rows[i]][:, :, columns[i]] for i, one in enumerate(x)]
        return torch.stack(moved)

    def _places(self, axis: int, side: int, cell: int) -> Tensor:
        """(N, side): the row, or column, that comes to each place."""
        most = max(1, side // SHIFT // cell)
        steps = torch.floor(self.uniform[axis] * (2 * most + 1)).long() - most
        return (torch.arange(side) + cell * steps[:, None]).clamp(0, side - 1)
