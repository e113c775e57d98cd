"""Sprites and items from shapes in the unit square: reduced to cells, lit from the upper left, outlined, dotted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.images.files import Pixels
from pipeline.sample.drawing.geometry import Points, Shape, plain
from pipeline.sample.drawing.pixel_grid import (
    LIGHT,
    SHADE,
    PixelGrid,
    fewer_colours,
    moved,
    neighbours,
    reduce_shapes,
)
from pipeline.sample.drawing.ramps import Colour, Ramp

MOST_COLOURS = 16
DOTS: dict[str, Colour] = {"K": (30, 22, 38), "W": (250, 250, 252), "R": (214, 60, 70), "Y": (250, 214, 90)}

Dot = tuple[float, float, tuple[str, ...]]  # centre (unit square) and rows of letters of DOTS; "." = nothing


@dataclass(frozen=True)
class Doll:
    """Shapes (part = material, rearmost first), a ramp for each material, and hand-set pixels."""

    shapes: list[Shape]
    ramps: dict[str, Ramp]
    dots: Sequence[Dot]


def render(doll: Doll, cells: int) -> Pixels:
    """A doll as pixel art, uint8 (cells, cells, 4): alpha 0 or 255, at most 16 colours."""
    names = sorted(doll.ramps)
    grid = reduce_shapes(doll.shapes, cells, {name: index for index, name in enumerate(names, 1)})
    _light(grid, 1 if cells < 40 else 2)
    grid.outline(np.max(neighbours(grid.material), axis=0))
    table = np.array([np.zeros((4, 3)), *(doll.ramps[name] for name in names)], dtype=np.uint8)
    rgb = table[grid.material, grid.tone]
    for dot in doll.dots:
        _set_dot(rgb, dot, cells)
    alpha = np.where(grid.material == 0, 0, 255).astype(np.uint8)
    return fewer_colours(np.dstack([rgb * (alpha[..., None] > 0), alpha]), MOST_COLOURS)


def _light(grid: PixelGrid, depth: int) -> None:
    """Rims of each shape: light at the upper left, shade at the lower right (twice as deep below)."""
    shape, solid = grid.shape, grid.shape > 0
    away = np.zeros_like(solid)
    for dy, dx in ((0, depth), (depth, 0), (2 * depth, 0), (depth, depth)):
        away |= moved(shape, -dy, -dx) != shape
    grid.tone[solid & away] = SHADE
    towards = (moved(shape, depth, 0) != shape) & (moved(shape, 0, depth) != shape)
    towards |= (moved(shape, depth, depth) != shape) & ~away
    grid.tone[solid & towards] = LIGHT
    behind = np.max(neighbours(shape), axis=0) > shape
    grid.tone[solid & behind & (grid.tone != LIGHT)] = SHADE


def _set_dot(rgb: Pixels, dot: Dot, cells: int) -> None:
    x, y, rows = dot
    factor = 1 if cells < 40 else 2
    rows = tuple("".join(letter * factor for letter in row) for row in rows for _ in range(factor))
    top, left = round(y * cells - len(rows) / 2 - 1e-6), round(x * cells - len(rows[0]) / 2 - 1e-6)
    for dy, row in enumerate(rows):
        for dx, letter in enumerate(row):
            if letter != "." and 0 <= top + dy < cells and 0 <= left + dx < cells:
                rgb[top + dy, left + dx] = DOTS[letter]


def both(shape: Shape) -> list[Shape]:
    """The shape and its mirror image in the unit square."""
    return [shape, plain(shape.part, flipped(shape.points))]


def flipped(contour: Points) -> Points:
    """The mirror image of a contour in the unit square."""
    mirror: Points = contour[::-1] * np.array([-1.0, 1.0]) + np.array([1.0, 0.0])
    return mirror


def closed(right: Points) -> Points:
    """A contour symmetric about x = 0.5 from its right half, top to bottom."""
    return np.concatenate([right, flipped(right)])
