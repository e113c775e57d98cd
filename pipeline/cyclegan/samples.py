"""Pictures that a training reads, and those that a generator draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from models.tensors import to_pixels, to_signed
from pipeline.cyclegan.generators import Shape
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, read_rgb
from pipeline.images.marks import keep_marks
from pipeline.images.reduction import reduce_colours
from pipeline.images.resample import Grid, enlarge


def read_pictures(folder: Path, size: int) -> Pixels:
    """Read all pictures of a folder as uint8 (N, size, size, 3), sorted by name.

    Raises:
        BadInput: no picture, or one of another size.
    """
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise BadInput(f"{folder}: no pictures to train on; see the funnel in data/*/stats.json")
    pictures = [read_rgb(path) for path in paths]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape != (size, size, 3):
            raise BadInput(f"{path}: expected {size}x{size} pixels, got {picture.shape[1]}x{picture.shape[0]}")
    return np.stack(pictures)


def draw(net: nn.Module, faces: Pixels, shape: Shape, batch_size: int) -> Pixels:
    """Draw faces (N, S, S, 3) with a generator, in its colours, enlarged by nearest neighbour to the same shape."""
    if not len(faces):
        return faces
    batches = [faces[start : start + batch_size] for start in range(0, len(faces), batch_size)]
    pictures = [picture for batch in batches for picture in draw_free(net, batch)]
    if shape.generator == "cell":
        pictures = [keep_marks(picture, face) for picture, face in zip(pictures, faces, strict=True)]
        if shape.palette is not None:
            pictures = [reduce_colours(picture, shape.palette) for picture in pictures]
    return np.stack([enlarge(picture, shape.size // len(picture)) for picture in pictures])


def draw_cells(net: nn.Module, shape: Shape, picture: Pixels, grid: Grid) -> Pixels:
    """Draw a picture (H, W, 3) of any size with a `cell` generator on a grid: (rows, columns, 3), colours free."""
    size = (grid[1] * shape.factor, grid[0] * shape.factor)
    resized = np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    return keep_marks(draw_free(net, resized[None])[0], picture)


@torch.no_grad()
def draw_free(net: nn.Module, faces: Pixels) -> Pixels:
    """The pictures (N, rows, columns, 3) of a generator for faces (N, H, W, 3), before their colours are chosen."""
    device = next(net.parameters()).device
    return to_pixels(net(to_signed(faces).to(device)))


def side_by_side(pictures: Pixels) -> Pixels:
    """Join pictures into a row: (N, H, W, 3) -> (H, N * W, 3)."""
    return np.concatenate(list(pictures), axis=1)
