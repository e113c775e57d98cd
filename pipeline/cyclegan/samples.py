"""Pictures into a training and out of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.tensors import to_pixels, to_signed
from pipeline.cyclegan.generators import Shape
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, read_rgb


def load(folder: Path, size: int) -> Pixels:
    """All pictures of a folder, uint8 (N, size, size, 3), sorted by name.

    Raises:
        BadInput: none, or one of another size.
    """
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise BadInput(f"{folder}: no pictures to train on; see the funnel in data/*/stats.json")
    pictures = [read_rgb(path) for path in paths]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape != (size, size, 3):
            raise BadInput(f"{path}: expected {size}x{size} pixels, got {picture.shape[1]}x{picture.shape[0]}")
    return np.stack(pictures)


@torch.no_grad()
def draw(net: nn.Module, faces: Pixels, shape: Shape, batch_size: int) -> Pixels:
    """Faces (N, S, S, 3) as a generator draws them, enlarged by nearest neighbour to (N, S, S, 3)."""
    device = next(net.parameters()).device
    batches = [faces[start : start + batch_size] for start in range(0, len(faces), batch_size)]
    drawn = np.concatenate([to_pixels(net(to_signed(batch).to(device))) for batch in batches])
    factor = shape.size // drawn.shape[1]
    return drawn.repeat(factor, axis=1).repeat(factor, axis=2)


def row(pictures: Pixels) -> Pixels:
    """(N, H, W, 3) -> (H, N * W, 3): side by side."""
    return np.concatenate(list(pictures), axis=1)
