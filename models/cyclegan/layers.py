"""Convolutions with mirrored borders, also of an enlarged picture, that are quick under bf16 autocast.

PyTorch's own reflection padding and nearest enlargement are cast to fp32 there, and walk a picture pixel by pixel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _MirrorPadding(torch.autograd.Function):
    """As `mirror_pad`, (N, C, H, W) -> (N, C, H + 2p, W + 2p), with `edge` 1 or 0. Whole rows are copied.

    `functional.pad(x, (p,) * 4, mode="reflect")` is equal forwards, but adds up a gradient in another order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: int, edge: int) -> Tensor:
        ctx.p, ctx.edge = p, edge
        n, channels, height, width = x.shape
        padded = x.new_empty(n, channels, height + 2 * p, width + 2 * p)
        padded[..., p:-p, p:-p] = x
        for outer, inner in _mirrors(p, edge):
            padded[..., p:-p, outer] = padded[..., p:-p, inner]
        for outer, inner in _mirrors(p, edge):
            padded[..., outer, :] = padded[..., inner, :]
        return padded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        p = ctx.p
        rows = gradients[0].clone(memory_format=torch.contiguous_format)
        for outer, inner in _mirrors(p, ctx.edge):
            rows[..., inner, :] += rows[..., outer, :]
        for outer, inner in _mirrors(p, ctx.edge):
            rows[..., p:-p, inner] += rows[..., p:-p, outer]
        return rows[..., p:-p, p:-p].contiguous(), None, None


def _mirrors(p: int, edge: int) -> list[tuple[int, int]]:
    """Pairs of places in a padded row: one beyond the border, and the one within that it copies."""
    first = [(place, 2 * p - edge - place) for place in range(p)]
    return [*first, *((-1 - outer, -1 - inner) for outer, inner in first)]


def mirror_pad(x: Tensor, p: int, edge: bool = False) -> Tensor:
    """Pad (N, C, H, W) by p >= 1 mirrored rows and columns on every side.

    The border itself is repeated (`edge`; NumPy calls it symmetric) or not (reflect).

    Raises:
        ValueError: a side that has too few rows or columns to mirror.
    """
    if min(x.shape[2:]) < p + 1 - edge:
        raise ValueError(f"expected sides of at least {p + 1 - edge} to mirror {p}, got {tuple(x.shape[2:])}")
    padded: Tensor = _MirrorPadding.apply(x, p, int(edge))
    return padded


class MirrorConv2d(nn.Conv2d):
    """A convolution whose borders mirror the picture, which keeps its size.

    In fp32 the same to the bit as `nn.Conv2d(before, after, kernel, padding=kernel // 2, padding_mode="reflect")`.
    """

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__(before, after, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(mirror_pad(x, self.kernel_size[0] // 2))


class UpsampleConv2d(nn.Conv2d):
    """Nearest enlargement to twice the sides, then a reflection-padded 3x3 convolution: (N, C, H, W) -> (N, D, 2H, 2W).

    Computed without the enlarged picture: four pixels of it are one and the same, so the weights that meet them can be
    added first, which makes a transposed convolution of kernel 4 and stride 2 with 4 products a pixel instead of 9.
    The kernel is a multiple of the stride and its weights are tied: it overlaps evenly (Odena et al. 2016). Equal to
    the plain way but for rounding. Beyond the border the enlarged picture mirrors to its own edge, hence `edge`.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3)

    def forward(self, x: Tensor) -> Tensor:
        padded = mirror_pad(x, 1, edge=True)
        return functional.conv_transpose2d(padded, _fold(self.weight), self.bias, stride=2, padding=3)


def _fold(weight: Tensor) -> Tensor:
    """(D, C, 3, 3) -> (C, D, 4, 4), as `conv_transpose2d` wants it: sums of neighbouring weights."""
    wide = functional.pad(weight, (1, 1, 1, 1))
    tall = wide[..., 1:, :] + wide[..., :-1, :]
    return (tall[..., 1:] + tall[..., :-1]).flip(2, 3).transpose(0, 1)
