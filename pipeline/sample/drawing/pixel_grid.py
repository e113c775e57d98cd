"""The grid on which pixel art is drawn: shapes reduced to cells by majority, neighbourhoods, few colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.images.files import Pixels
from pipeline.sample.drawing.geometry import Points, Shape, pixel_coordinates

Map = NDArray[np.int64]  # (cells, cells)
Mask = NDArray[np.bool_]  # (cells, cells)
Cell = TypeVar("Cell", bound=np.generic)  # what a map holds

EMPTY = 0  # the material of nothing
INK, SHADE, BASE, LIGHT = range(4)  # tones


@dataclass
class PixelGrid:
    """Pixel art in the making: which shape, which material and which tone each cell has."""

    shape: Map  # index of the shape, later ones in front; 0 = nothing
    material: Map
    tone: Map
    parts: list[str]  # part of each shape index

    def of(self, *parts: str) -> Mask:
        """Cells that show one of `parts`."""
        mask: Mask = np.array([part in parts for part in self.parts])[self.shape]
        return mask

    def beside(self, *parts: str) -> Mask:
        """Cells with a neighbour that shows one of `parts`."""
        above, below, left, right = neighbours(self.of(*parts))
        return above | below | left | right

    def outline(self, around: Map) -> None:
        """A tinted contour: empty cells beside the figure take the dark tone of the material `around` them."""
        contour = (self.material == EMPTY) & (around != EMPTY)
        self.material[contour], self.tone[contour] = around[contour], INK


def reduce_shapes(shapes: Sequence[Shape], cells: int, material_of: Mapping[str, int]) -> PixelGrid:
    """Shapes as cells, by majority: first of the materials, then of the shapes of the winning material."""
    factor = 6 if cells <= 40 else 4
    image = Image.new("L", (cells * factor,) * 2)
    pen = ImageDraw.Draw(image)
    for index, shape in enumerate(shapes, 1):
        pen.polygon(pixel_coordinates(shape.points, cells * factor), fill=index)
    parts = ["", *(shape.part for shape in shapes)]
    material = np.array([EMPTY, *(material_of[shape.part] for shape in shapes)])
    votes = _votes(np.asarray(image), cells, factor, len(parts))
    groups = votes @ (material[:, None] == np.arange(material.max() + 1)).astype(np.int64)
    winner = groups.argmax(axis=1)
    chosen = np.where(material == winner[:, None], votes, -1).argmax(axis=1)
    size = (cells, cells)
    grid = PixelGrid(chosen.reshape(size), winner.reshape(size), np.full(size, BASE), parts)
    _without_orphans(grid)
    return grid


def _votes(labels: Pixels, cells: int, factor: int, kinds: int) -> Map:
    """(cells * factor) squared labels -> (cells * cells, kinds) counts."""
    along = np.arange(cells * factor) // factor
    cell = along[:, None] * cells + along[None, :]
    return np.bincount((cell * kinds + labels).ravel(), minlength=cells * cells * kinds).reshape(-1, kinds)


def neighbours(values: NDArray[Cell], outside: int = 0) -> list[NDArray[Cell]]:
    """Value above, below, to the left and to the right of each cell."""
    padded = np.pad(values, 1, constant_values=outside)
    return [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]


def moved(values: NDArray[Cell], down: int, right: int) -> NDArray[Cell]:
    """The values of a map so many cells lower and further right; what comes in is 0."""
    height, width = values.shape
    padded = np.pad(values, ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0))))
    return padded[max(-down, 0) :, max(-right, 0) :][:height, :width]


def _without_orphans(grid: PixelGrid) -> None:
    """A cell whose material none of its neighbours has takes the shape above it (below it, at the top)."""
    lonely = np.all([side != grid.material for side in neighbours(grid.material, -1)], axis=0)
    for row, column in np.argwhere(lonely):
        donor = row - 1 if row else row + 1
        grid.material[row, column] = grid.material[donor, column]
        grid.shape[row, column] = grid.shape[donor, column]


def inside(contour: Points, cells: int) -> Mask:
    """Cells at least half inside a contour (frame coordinates)."""
    image = Image.new("L", (cells * 4,) * 2)
    ImageDraw.Draw(image).polygon(pixel_coordinates(contour, cells * 4), fill=1)
    covered: Mask = np.asarray(image).reshape(cells, 4, cells, 4).sum(axis=(1, 3)) >= 8
    return covered


def line_mask(lines: Sequence[Points], cells: int) -> Mask:
    """Cells under one-cell-wide polylines (frame coordinates)."""
    image = Image.new("L", (cells, cells))
    for line in lines:
        ImageDraw.Draw(image).line(pixel_coordinates(line, cells), fill=1)
    return np.asarray(image) > 0


def smear(mask: Mask, down: int) -> Mask:
    """The mask and its copies 1..`down` cells lower: what it shades when the light comes from above."""
    out = mask.copy()
    for step in range(1, down + 1):
        out[step:] |= mask[:-step]
    return out


def dither(size: tuple[int, int], first: tuple[int, int, int], second: tuple[int, int, int], level: float) -> Pixels:
    """uint8 (height, width, 3): `first` above, `second` below, ordered 2 x 2 dither around height * level."""
    height, width = size
    order = np.array([[0.0, 0.5], [0.75, 0.25]])
    row, column = np.indices(size)
    depth = (row - level * height) / (0.35 * height) + 0.5
    lower = depth > order[row % 2, column % 2] * 0.9 + 0.05
    return np.where(lower[..., None], np.array(second), np.array(first)).astype(np.uint8).reshape(height, width, 3)


def fewer_colours(pixels: Pixels, limit: int) -> Pixels:
    """At most `limit` colours: the rarest joins its nearest until they fit. RGBA, alpha 0 counts as no colour."""
    out = pixels.copy()
    solid = out[..., 3] > 0
    colours, inverse, counts = np.unique(out[solid][:, :3], axis=0, return_inverse=True, return_counts=True)
    target = np.arange(len(colours))
    alive = list(range(len(colours)))
    while len(alive) > limit:
        rare = min(alive, key=lambda index: (counts[index], index))
        alive.remove(rare)
        gaps = np.abs(colours[alive].astype(np.int64) - colours[rare]).sum(axis=1)
        heir = alive[int(gaps.argmin())]
        counts[heir] += counts[rare]
        target[target == rare] = heir
    out[solid, :3] = colours[target[inverse.ravel()]]
    return out
