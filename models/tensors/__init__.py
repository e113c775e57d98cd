"""The only crossing between uint8 pixels and float tensors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]

LMS_FROM_RGB = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)  # fmt: skip
LAB_FROM_LMS = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)  # fmt: skip
DARKEST = 1e-3  # linear light under which a cone's answer stays the same: its slope at 0 has no bound


def to_signed(pixels: Pixels) -> Tensor:
    """uint8 RGB (H, W, 3) or (N, H, W, 3) as float32 (3, H, W) or (N, 3, H, W) in [-1, 1].

    Raises:
        ValueError: another dtype or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or pixels.shape[-1] != 3:
        raise ValueError(f"expected uint8 (H, W, 3) or (N, H, W, 3), got {pixels.dtype} {pixels.shape}")
    image = torch.from_numpy(np.moveaxis(pixels, -1, -3).astype(np.float32))
    return image / 127.5 - 1


def colours_to_signed(colours: Pixels) -> Tensor:
    """The tensor of a palette: uint8 RGB (K, 3) as float32 (K, 3) in [-1, 1]."""
    return to_signed(colours[None])[:, 0].T


def to_pixels(image: Tensor) -> Pixels:
    """Float RGB (3, H, W) or (N, 3, H, W) as uint8 (H, W, 3) or (N, H, W, 3): rounded half to even, then clamped.

    Inverts `to_signed` exactly for all 256 values.

    Raises:
        ValueError: another shape, or a value that is not finite.
    """
    if image.ndim not in (3, 4) or image.shape[-3] != 3:
        raise ValueError(f"expected (3, H, W) or (N, 3, H, W), got {tuple(image.shape)}")
    levels = (image.detach().float().cpu() + 1) * 127.5
    if not torch.isfinite(levels).all():
        raise ValueError("expected finite values: the network or the optimisation has diverged")
    return np.ascontiguousarray(np.moveaxis(levels.round().clamp(0, 255).to(torch.uint8).numpy(), -3, -1))


def to_oklab(image: Tensor) -> Tensor:
    """sRGB (N, 3, H, W) in [-1, 1] -> OKLab (Ottosson 2020) of the same shape, L in [0, 1]; differentiable.

    Colours darker than L = 0.1 count as that dark.
    """
    level = ((image + 1) / 2).clamp(0, 1)
    linear = torch.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    lms = torch.einsum("ij,njyx->niyx", _matrix(LMS_FROM_RGB, image.dtype, image.device), linear).clamp_min(DARKEST)
    return torch.einsum("ij,njyx->niyx", _matrix(LAB_FROM_LMS, image.dtype, image.device), lms ** (1 / 3))


@lru_cache
def _matrix(rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept on every device: a copy makes a GPU wait."""
    return torch.tensor(rows, dtype=torch.float32).to(device, dtype)
