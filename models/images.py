"""The only crossing between uint8 pixels and float tensors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]


def to_signed(pixels: Pixels) -> Tensor:
    """uint8 RGB (H, W, 3) or (N, H, W, 3) as float32 (3, H, W) or (N, 3, H, W) in [-1, 1].

    Raises:
        ValueError: another dtype or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or pixels.shape[-1] != 3:
        raise ValueError(f"expected uint8 (H, W, 3) or (N, H, W, 3), got {pixels.dtype} {pixels.shape}")
    image = torch.from_numpy(np.moveaxis(pixels, -1, -3).astype(np.float32))
    return image / 127.5 - 1


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
