"""What `facetopix convert` asks for: a method by name, trained generators included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.convert import palettes, pictures
from pipeline.convert.pictures import Method
from pipeline.errors import BadInput
from pipeline.io import Pixels
from pipeline.pooling import Grid

raise_for_failures = pictures.raise_for_failures

DEFAULT_COLOURS = 16
SEED = 0


def run(
    paths: Sequence[str],
    out: Path,
    *,
    method: str,
    cells: str,
    colours: int | None,
    palette: str | None,
    scale: int,
    force: bool,
    trained: Path,
    device: str,
    artworks: Sequence[Path] = (),
    features: str = "random",
    iterations: int = 100,
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Convert pictures; see `pictures.convert`.

    Args:
        paths: pictures, folders, glob patterns.
        out: output folder.
        method: cell, style, majority or nearest.
        cells: see `pictures.parse_cells`.
        colours: at most so many a picture.
        palette: name or file, instead.
        scale: of the enlarged copies.
        force: overwrite.
        trained: where the train stage leaves its generators, for method `cell`.
        device: auto, cpu or cuda, where networks run.
        artworks: whose style method `style` takes.
        features: of method `style`: random, imagenet or <path>.safetensors.
        iterations: of method `style`.
        note: told what a user should know of the result.

    Raises:
        BadInput: options that exclude each other, no trained generator for `cell`, no usable artwork for `style`.
        Unreachable: `imagenet` features without a network and without the file.
    """
    if bool(artworks) != (method == "style"):
        raise BadInput("give --style ART with --method style, and with no other method")
    if colours is not None and palette is not None:
        raise BadInput(f"give either a number of colours or a palette, not {colours} and {palette}")
    if method == "style":
        from pipeline.convert import styling

        chosen = styling.method(artworks, features, colours or DEFAULT_COLOURS, palette, iterations, device, note)
    else:
        chosen = _method(method, colours, palette, trained, device)
    grid = pictures.parse_cells(cells)
    return pictures.convert(paths, out, method=chosen, cells=grid, scale=scale, force=force)


def _method(name: str, colours: int | None, palette: str | None, trained: Path, device: str) -> Method:
    if name == "cell":
        return _trained(trained / "cell" / "a2b.safetensors", colours, palette, device)
    if colours is None and palette is None and name == "majority":
        colours = DEFAULT_COLOURS
    return pictures.trivial_methods(colours=colours, palette=palette, seed=SEED)[name]


def _trained(weights: Path, colours: int | None, palette: str | None, device: str) -> Method:
    """The trained cell generator as a method: at most `colours` colours, or the nearest of a given palette."""
    import torch

    from models.cyclegan.networks import CellGenerator
    from models.images import to_pixels, to_signed
    from pipeline.modelling import generators

    net, shape = generators.load(weights, generators.pick_device(device))
    if not isinstance(net, CellGenerator):
        raise BadInput(f"{weights}: expected a cell generator, found {shape.generator}")
    net.palette = colours or net.palette
    given = palettes.load(palette) if palette is not None else None

    @torch.no_grad()
    def paint(rgb: Pixels, grid: Grid) -> Pixels:
        rows, columns = (side + side % 2 for side in grid)  # the deep path halves the grid
        size = (columns * shape.factor, rows * shape.factor)
        face = np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
        drawn = to_pixels(net(to_signed(face)[None].to(next(net.parameters()).device)))[0][: grid[0], : grid[1]]
        return palettes.quantise(drawn, given) if given is not None else np.ascontiguousarray(drawn)

    return paint
