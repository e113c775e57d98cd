"""Smooth versions of native artworks: drawings whose pixel art is known cell by cell.

A native artwork is enlarged without its grid, its lines are thinned, neighbouring shades are merged into gradients, and
light, ground, contrast, place, sharpness and codec change, so that what remains to be learned is how the artist would
have drawn it on cells. Changes of colour are made to both sides: hue is a thing to keep.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from pipeline.images.colour import from_oklab, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import enlarge

FINE = 4  # pixels a side of a cell while a picture is rendered, at least
ROUNDED = 0.75  # share of pairs enlarged by the corner rule; the others keep their square cells
ANY_HUE = 0.4  # share of pairs turned to any hue; the others by at most SMALL_TURN
SMALL_TURN = 0.2  # radians
CHROMA = (0.6, 1.25)  # factor, of both sides
GAMMA = (0.8, 1.2)  # exponent of lightness, of both sides
REPAINTED = 0.7  # share of pairs whose ground gets another colour, on both sides
THIN = (0.0, 1.0), (-0.5, 0.5)  # how much of a dilation by one pixel lines lose, and of a second one
MERGE = (0.02, 0.14)  # of [0, 1]: differences of colour that are merged into gradients
REACH = (0.4, 1.2)  # cells: radius within which they are
BLUR = (0.05, 0.5)  # cells: standard deviation
STRANDS = 0.1  # of [0, 1]: at most the spread of strokes that an artist of cells leaves out
STROKE = (0.1, 0.4), (0.5, 4.0)  # cells: standard deviations of a stroke, across and along
MOVE = 0.35  # cells: at most so far any place moves
LIGHT = 0.1  # at most such a part of the light comes or goes, softly
CURL = 0.2  # of the picture's half side: at most the spread by which strokes leave their straight course
CLOUDS = (0.01, 0.09)  # of [0, 1]: the spread of soft colours on the ground
CONTRAST = (0.72, 1.06)
PALER = (0.82, 1.1)  # factor of colour differences on the smooth side alone
LIFT = 0.1  # of [0, 1]: at most so much lighter, the more the less contrast there is
NOISE = (0.0, 0.012)  # of [0, 1]: standard deviation
QUALITY = (55, 96)  # of JPEG
KNOTS = 24  # a side, of a soft field before it is enlarged in straight lines
CODED = 0.35  # share of pairs that went through it

Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """A smooth picture and the pixel art that it should become."""

    smooth: Pixels  # (rows * factor, columns * factor, 3)
    native: Pixels  # (rows, columns, 3)


def render_pair(native: Pixels, factor: int, rng: np.random.Generator) -> Pair:
    """Make a pair of a native artwork: other colours on both sides, and a smooth version on the one.

    Args:
        native: uint8 (rows, columns, 3), one pixel a cell.
        factor: pixels a side of a cell of the smooth side; a power of two.
        rng: the only source of chance.
    """
    ground = find_ground(native)
    native = _recolour(native, ground, rng)
    if rng.random() < 0.5:
        native, ground = native[:, ::-1], ground[:, ::-1]
    native = np.ascontiguousarray(native)
    return Pair(_smooth(native, ground, factor, rng), native)


def find_ground(native: Pixels) -> NDArray[np.bool_]:
    """The cells (rows, columns) of the commonest border colour that reach the border through each other."""
    same = (native == commonest_on_border(native)).all(axis=2)
    labels, _ = ndimage.label(same)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(labels, rim[rim > 0])


def commonest_on_border(native: Pixels) -> Pixels:
    """The colour (3,) that most cells of the border have, of equals the first in order of red, green, blue."""
    border = np.concatenate([native[0], native[-1], native[:, 0], native[:, -1]])
    colours, counts = np.unique(border, axis=0, return_counts=True)
    commonest: Pixels = colours[counts.argmax()]
    return commonest


def _recolour(native: Pixels, ground: NDArray[np.bool_], rng: np.random.Generator) -> Pixels:
    """Turn hues, change chroma and lightness of all cells alike, and paint the ground in a colour of its own."""
    lab = to_oklab(native)
    if ground.any() and rng.random() < REPAINTED:
        lab[ground] = [rng.uniform(0.35, 1.0), *rng.normal(0, 0.05, 2)]
    angle = rng.uniform(-np.pi, np.pi) if rng.random() < ANY_HUE else rng.uniform(-SMALL_TURN, SMALL_TURN)
    turn = rng.uniform(*CHROMA) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lab[..., 1:] = lab[..., 1:] @ turn
    lab[..., 0] = np.clip(lab[..., 0], 0, 1) ** rng.uniform(*GAMMA)
    return from_oklab(lab)


def _smooth(native: Pixels, ground: NDArray[np.bool_], factor: int, rng: np.random.Generator) -> Pixels:
    fine = max(FINE, factor)
    corners = fine.bit_length() - 1
    shape = (native.shape[0] * fine, native.shape[1] * fine)
    rounded = rng.random() < ROUNDED
    pixels = native
    for _ in range(corners if rounded else 0):
        pixels = scale2x(pixels)
    if not rounded:
        pixels = enlarge(native, fine)
    x = torch.from_numpy(np.moveaxis(pixels, 2, 0).astype(np.float32) / 255)[None]
    behind = torch.from_numpy(enlarge(ground, fine).astype(np.float32))[None, None]
    for limits in THIN:  # light eats into dark
        share = max(0.0, rng.uniform(*limits))
        x = torch.lerp(x, functional.max_pool2d(x, 3, stride=1, padding=1), share)
    if rng.random() < 0.85:
        x = _merge_shades(x, max(1, round(fine * rng.uniform(*REACH))), rng.uniform(*MERGE))
    behind = _blur(behind, fine * 0.25)
    x = _move(torch.cat([x, behind], dim=1), fine, rng)
    x, behind = x[:, :3], x[:, 3:]
    x = x + _strands(shape, fine, rng)
    x = _blur(x, fine * rng.uniform(*BLUR))
    x = x * (1 + LIGHT * rng.uniform() * _field(shape, rng))
    if rng.random() < 0.6:
        clouds = torch.cat([_field(shape, rng) for _ in range(3)], dim=1)
        x = x + rng.uniform(*CLOUDS) * behind * clouds
    x = _fade(x, rng)
    x = functional.avg_pool2d(x, fine // factor)
    x = x + rng.uniform(*NOISE) * torch.from_numpy(rng.standard_normal(x.shape).astype(np.float32))
    picture = np.ascontiguousarray(np.moveaxis((x[0].clamp(0, 1) * 255).round().byte().numpy(), 0, 2))
    return _through_jpeg(picture, int(rng.integers(*QUALITY))) if rng.random() < CODED else picture


def scale2x(pixels: Pixels) -> Pixels:
    """Enlarge twice by the corner rule of Scale2x (Mazzoleni 2001): a diagonal becomes one, no colour is invented."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), "edge")
    above, below, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]

    def same(left: Pixels, right: Pixels) -> NDArray[np.bool_]:
        return np.asarray((left == right).all(axis=2, keepdims=True))

    straight = ~same(above, below) & ~same(left, right)
    doubled = np.empty((2 * pixels.shape[0], 2 * pixels.shape[1], 3), np.uint8)
    for row, vertical in enumerate((above, below)):
        for column, horizontal in enumerate((left, right)):
            corner = same(vertical, horizontal) & straight
            doubled[row::2, column::2] = np.where(corner, vertical, pixels)
    return doubled


def _merge_shades(x: Tensor, radius: int, difference: float) -> Tensor:
    """Merge colours that differ by little into gradients and keep edges: a guided filter (He et al. 2013, sec. 3.1).

    The guide is the picture's own lightness.
    """
    guide = x.mean(dim=1, keepdim=True)
    means = _box(torch.cat([guide, guide**2, x, guide * x], dim=1), radius)
    centre, square, colours, both = means[:, :1], means[:, 1:2], means[:, 2:5], means[:, 5:]
    slope = (both - centre * colours) / (square - centre**2 + difference**2)
    line = _box(torch.cat([slope, colours - slope * centre], dim=1), radius)
    return line[:, :3] * guide + line[:, 3:]


def _box(values: Tensor, radius: int) -> Tensor:
    """The mean of the square around each place, by running sums."""
    size = 2 * radius + 1
    for axis in (2, 3):
        sides = [radius, radius, 0, 0] if axis == 3 else [0, 0, radius, radius]
        sums = functional.pad(values, sides, mode="replicate").cumsum(axis)
        first = sums.narrow(axis, size - 1, 1)
        rest = sums.narrow(axis, size, sums.shape[axis] - size) - sums.narrow(axis, 0, sums.shape[axis] - size)
        values = torch.cat([first, rest], dim=axis) / size
    return values


def _blur(x: Tensor, down: float, across: float | None = None) -> Tensor:
    """A Gaussian blur by so many pixels down and across, or by as many both ways."""
    for axis, sigma in ((2, down), (3, down if across is None else across)):
        radius = max(1, round(3 * sigma))
        weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
        weights = (weights / weights.sum()).expand(x.shape[1], 1, -1)
        sides = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
        padded = functional.pad(x, sides, mode="replicate")
        x = functional.conv2d(padded, weights.unsqueeze(5 - axis), groups=x.shape[1])
    return x


def _field(shape: tuple[int, int], rng: np.random.Generator, spread: int = 1) -> Tensor:
    """(1, spread, *shape): numbers of mean 0 and spread 1 that change slowly from place to place."""
    knots = int(rng.choice([3, 4, 6]))
    values = torch.from_numpy(rng.standard_normal((1, spread, knots, knots)).astype(np.float32))
    curved = functional.interpolate(values, (KNOTS, KNOTS), mode="bicubic", align_corners=True)
    return functional.interpolate(curved, shape, mode="bilinear", align_corners=True)


def _strands(shape: tuple[int, int], fine: int, rng: np.random.Generator) -> Tensor:
    """(1, 1, *shape): lighter and darker curved strokes, here strong and there weak; none in half of the pairs."""
    spread = rng.uniform(-STRANDS, STRANDS)
    if spread <= 0:
        return torch.zeros(1, 1, *shape)
    noise = torch.from_numpy(rng.standard_normal((1, 1, *shape)).astype(np.float32))
    across, along = (fine * rng.uniform(*limits) for limits in STROKE)
    strokes = _blur(noise, along, across)
    angle = rng.uniform(-np.pi, np.pi)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    places = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, *shape], align_corners=False) @ turn
    places = places + CURL * rng.uniform() * _field(shape, rng, 2).movedim(1, 3)
    strokes = functional.grid_sample(strokes, places, padding_mode="reflection", align_corners=False)
    return spread * _field(shape, rng).abs() * strokes / strokes.std()


def _move(x: Tensor, fine: int, rng: np.random.Generator) -> Tensor:
    """Move every place by less than half a cell, neighbours nearly alike: nothing says where the grid was."""
    height, width = x.shape[2:]
    steps = _field((height, width), rng, 2) / 2 * rng.uniform() + torch.from_numpy(
        rng.uniform(-1, 1, (1, 2, 1, 1)).astype(np.float32)
    )
    steps = steps.clamp(-1, 1) * MOVE * fine
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([columns + steps[0, 0], rows + steps[0, 1]], dim=2)
    scaled = (2 * places + 1) / torch.tensor([width, height]) - 1
    return functional.grid_sample(x, scaled[None], mode="bilinear", padding_mode="border", align_corners=False)


def _fade(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Paler colours, less contrast, lighter: drawings are softer than pixel art."""
    grey = x.mean(dim=1, keepdim=True)
    x = grey + rng.uniform(*PALER) * (x - grey)
    contrast, mean = rng.uniform(*CONTRAST), x.mean()
    return (x - mean) * contrast + mean + LIFT * rng.uniform() * (1 - contrast) / 0.4


def _through_jpeg(picture: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
