"""DiffAugment (Zhao et al. 2020, arXiv:2006.10738) for pictures on a grid: a discriminator never sees a bare picture.

Departures: shifts are whole cells, since any other offset would show it every phase of the grid; what moves in at a
border repeats it, since a black margin is no pixel art; no cutout; colours change by less.
"""

from __future__ import annotations

import torch
from torch import Tensor

BRIGHTNESS = 0.3  # widths of the uniform distributions, on [-1, 1]
SATURATION = 0.6
CONTRAST = 0.4
SHIFT = 8  # at most 1 / SHIFT of the side


def augment(pictures: Tensor, uniform: Tensor, cell: int) -> Tensor:
    """Shift pictures (N, 3, H, W) and change their colours, each by its own numbers; differentiable.

    Args:
        pictures: in [-1, 1].
        uniform: (5, N) in [0, 1), on any device: brightness, saturation, contrast, shift of rows and of columns.
        cell: pixels that every shift is a multiple of.
    """
    centred = (uniform.to(pictures.device) - 0.5)[:, :, None, None, None]
    x = pictures + BRIGHTNESS * centred[0]
    grey = x.mean(dim=1, keepdim=True)
    x = (x - grey) * (1 + SATURATION * centred[1]) + grey
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + CONTRAST * centred[2]) + mean
    rows, columns = (_sources(uniform[3 + axis], x.shape[2 + axis], cell).to(x.device) for axis in (0, 1))
    return torch.stack([picture[:, rows[i]][:, :, columns[i]] for i, picture in enumerate(x)])


def _sources(uniform: Tensor, side: int, cell: int) -> Tensor:
    """(N, side): the row, or column, that moves to each place of N pictures."""
    most = max(1, side // SHIFT // cell)
    steps = torch.floor(uniform * (2 * most + 1)).long() - most
    return (torch.arange(side) + cell * steps[:, None]).clamp(0, side - 1)
