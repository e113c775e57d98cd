"""Command `facetopix convert`: pictures to pixel art by a method of that name, trained generators included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.convert import baselines, pictures
from pipeline.convert.pictures import Method
from pipeline.errors import BadInput
from pipeline.images import palettes, resample
from pipeline.images.files import Pixels
from pipeline.images.reduction import reduce_colours
from pipeline.images.resample import Grid
from pipeline.runtime.progress import Progress, silent

raise_for_failures = pictures.raise_for_failures

DEFAULT_COLOURS = 16
DEFAULT_CELLS = 32
SEED = 0
SHIPPED = "shipped"  # the name of the generator that comes with the package; its card lies beside it
TRAINED = "trained"  # the name of the one that the train stage left here
SHIPPED_WEIGHTS = Path(__file__).parent / "shipped" / "portraits.safetensors"


def run(
    paths: Sequence[str],
    out: Path,
    *,
    method: str,
    cells: str | None,
    colours: int | None,
    palette: str | None,
    scale: int,
    force: bool,
    trained: Path,
    device: str,
    weights: str | None = None,
    artworks: Sequence[Path] = (),
    features: str = "random",
    iterations: int = 100,
    note: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Convert pictures with a method by name; see `pictures.convert`.

    Args:
        paths: pictures, folders, glob patterns.
        out: output folder.
        method: cell, style, majority or nearest.
        cells: see `pictures.parse_cells`; None: as many as the generator was trained for, else DEFAULT_CELLS.
        colours: at most so many a picture.
        palette: name or file, instead.
        scale: of the enlarged copies.
        force: overwrite.
        trained: where the train stage leaves its generators, for `weights` "trained".
        device: auto, cpu or cuda, where networks run.
        weights: of method `cell`: a file, "trained" for what the train stage left here, "shipped" or None for the ones
            that come with the package.
        artworks: whose style method `style` takes.
        features: of method `style`: random, imagenet or <path>.safetensors.
        iterations: of method `style`.
        note: called with what a user should know of the result.
        progress: called with the number of pictures that are done, and iterations of method `style`.

    Raises:
        BadInput: options that exclude each other, unusable weights for `cell`, no usable artwork for `style`.
        Unreachable: `imagenet` features without a network and without the file.
    """
    if bool(artworks) != (method == "style"):
        raise BadInput("give --style ART with --method style, and with no other method")
    if colours is not None and palette is not None:
        raise BadInput(f"give either a number of colours or a palette, not {colours} and {palette}")
    if weights is not None and method != "cell":
        raise BadInput(f"give --weights with --method cell, not with {method}")
    if method == "style":
        from pipeline.convert import styling

        paint = styling.method(
            artworks, features, colours or DEFAULT_COLOURS, palette, iterations, device, note, progress
        )
    elif method == "cell":
        paint, trained_cells = _trained(_weights(weights, trained), colours, palette, device)
        cells = cells or str(trained_cells)
    else:
        paint = trivial_method(method, colours, palette)
    grid = pictures.parse_cells(cells or str(DEFAULT_CELLS))
    return pictures.convert(paths, out, method=paint, cells=grid, scale=scale, force=force, progress=progress)


def _weights(name: str | None, trained: Path) -> Path:
    known = {None: SHIPPED_WEIGHTS, SHIPPED: SHIPPED_WEIGHTS, TRAINED: trained / "cell" / "a2b.safetensors"}
    return known[name] if name in known else Path(str(name))


def trivial_method(name: str, colours: int | None, palette: str | None) -> Method:
    """The method `nearest` or `majority`, over at most `colours` colours of the picture, or over a palette.

    Args:
        name: of the method.
        colours: size of the palette found in each picture; null leaves `nearest` its colours, else DEFAULT_COLOURS.
        palette: name or file of a palette (see `palettes.load`) instead.

    Raises:
        BadInput: the palette cannot be used, or the number of colours.
    """
    if name == "nearest" and colours is None and palette is None:
        return resample.nearest
    most = DEFAULT_COLOURS if colours is None else colours
    if not 1 <= most <= palettes.MAX_COLOURS:
        raise BadInput(f"colours must be in 1..{palettes.MAX_COLOURS}, got {most}")
    fixed = palettes.load(palette) if palette is not None else None

    def colours_for(pixels: Pixels) -> Pixels:
        return palettes.adaptive_palette(pixels, most, SEED) if fixed is None else fixed

    def nearest(rgb: Pixels, grid: Grid) -> Pixels:
        native = resample.nearest(rgb, grid)
        return palettes.quantise(native, colours_for(native))

    def majority(rgb: Pixels, grid: Grid) -> Pixels:
        return baselines.majority(rgb, grid, palette=colours_for(rgb))

    return {"majority": majority, "nearest": nearest}[name]


def _trained(weights: Path, colours: int | None, palette: str | None, device: str) -> tuple[Method, int]:
    """A cell generator as a method, with at most `colours` colours or a palette, and the cells it is made for."""
    from pipeline.cyclegan import generators
    from pipeline.cyclegan.samples import draw_cells
    from pipeline.runtime import devices

    net, shape = generators.load(weights, devices.pick_device(device))
    if shape.generator != "cell":
        raise BadInput(f"{weights}: expected a cell generator, found {shape.generator}")
    most = colours or shape.palette or DEFAULT_COLOURS
    fixed = palettes.load(palette) if palette is not None else None

    def paint(rgb: Pixels, grid: Grid) -> Pixels:
        native = draw_cells(net, shape, rgb, grid)
        return reduce_colours(native, palettes.MAX_COLOURS if fixed is not None else most, fixed)

    return paint, shape.cells
