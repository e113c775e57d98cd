"""Style transfer as a method of `facetopix convert`: the palette canvas, in the style of artworks of the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from models.styletransfer.canvases import Relaxation
from models.styletransfer.optimise import Objective, Schedule
from models.styletransfer.steps import OptimisationStep
from pipeline.cells import detect
from pipeline.convert.pictures import Method
from pipeline.errors import BadInput
from pipeline.images import palettes, resample
from pipeline.images.colour import OPAQUE, distinct
from pipeline.images.files import Pixels
from pipeline.images.folders import first_frame
from pipeline.images.resample import Grid
from pipeline.runtime.devices import pick_bf16, pick_device
from pipeline.runtime.progress import Progress, silent
from pipeline.style import features as vgg
from pipeline.style.background import figure_mask
from pipeline.style.pairs import Artwork, Pair
from pipeline.style.transfer import ColourChoice, Transfer, stylize

SEED = 0
SIDE = 128  # pixels that the longest side should have for VGG
CELL = (2, 8)  # pixels a side of one cell, least and most
STYLE_LAYERS, CONTENT_LAYER = ["conv1_1", "conv2_1", "conv3_1"], "conv2_2"  # every kind of weights covers them
RANDOM_CONTENT = 10.0  # untrained features hold content more loosely


def method(
    artworks: Sequence[Path],
    features: str,
    colours: int,
    palette: str | None,
    iterations: int,
    device: str,
    note: Callable[[str], None],
    progress: Progress = silent,
) -> Method:
    """The method that paints pictures in the style of artworks, in at most `colours` of theirs or those of `palette`.

    The values of the transfer are those that the benchmark on real faces found good.

    Raises:
        BadInput: a single colour, an artwork without a grid or unreadable, or features that cannot be read.
        Unreachable: `imagenet` features without a network and without the file.
    """
    if colours < 2:
        raise BadInput(f"--method style chooses among colours: expected at least 2, got {colours}")
    if features not in ("imagenet", "random") and not features.endswith(".safetensors"):
        raise BadInput(f"--features: expected imagenet, random or a .safetensors file, got {features}")
    fixed = palettes.load(palette) if palette is not None else None
    natives = [read(path) for path in artworks]
    processor = pick_device(device)
    network = vgg.load(features, [*STYLE_LAYERS, CONTENT_LAYER], SEED, average_pooling=True).to(processor)
    if features == "random":
        note(
            "style: random features: they carry texture and colour, but no semantics; "
            "--features imagenet or FILE.safetensors uses trained ones"
        )
    choice = ColourChoice(
        colours=colours, palette=fixed, toning=0.5, colour_weight=100.0, cooccurrence_weight=15.0,
        relaxation=Relaxation(hard=False, start=3.0, end=0.05),
    )  # fmt: skip
    objective = Objective(
        content_layer=CONTENT_LAYER, content_weight=RANDOM_CONTENT if features == "random" else 1.0,
        style_layers=STYLE_LAYERS, style_weight=3.0, wasserstein=True, tv_weight=40.0,
    )  # fmt: skip
    schedule = Schedule(iterations=iterations, lr=0.06, bf16=pick_bf16("auto", processor))

    def report(step: OptimisationStep) -> None:
        if step.iteration < iterations:  # a bar that is full stays so for the next picture
            progress("style", step.iteration, iterations, f"style loss {np.mean(step.style):.4g}")

    def paint(rgb: Pixels, grid: Grid) -> Pixels:
        cell = min(max(SIDE // max(grid), CELL[0]), CELL[1])
        size = (grid[1] * cell, grid[0] * cell)
        content = np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
        transfer = Transfer(
            canvas="cell", cell=cell, choice=choice, network=network, objective=objective, schedule=schedule,
            from_noise=False, ground=False, seed=SEED, device=processor,
        )  # fmt: skip
        pair = Pair("picture", content, tuple(artwork.enlarge(cell) for artwork in natives))
        return resample.nearest(stylize(transfer, [pair], report).pixels[0], grid)

    return paint


def read(path: Path) -> Artwork:
    """The artwork of a file at one pixel per cell, without the transparent margin.

    What is transparent inside takes the commonest colour of the rest, so that no colour is invented, and is ground;
    in an opaque artwork the commonest colour of the border may be.

    Raises:
        BadInput: not a readable image, nothing opaque in it, or no grid of cells.
    """
    rgba = first_frame(path)
    opaque = rgba[..., 3] >= OPAQUE
    if not opaque.any():
        raise BadInput(f"{path}: expected an artwork, found no opaque pixel")
    colours, _, counts = distinct(rgba[opaque][:, :3])
    rgb = np.where(opaque[..., None], rgba[..., :3], colours[counts.argmax()]).astype(np.uint8)
    grid = detect.detect(rgb, detect.MAX_CELL, detect.MIN_CONFIDENCE)
    if grid.size is None:
        raise BadInput(f"{path}: expected pixel art, found no grid of cells; give it at one pixel per cell, as PNG")
    inside = detect.reduce(np.where(opaque[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2), grid)[..., 0] > 127
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    shown = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    native = np.ascontiguousarray(detect.reduce(rgb, grid)[shown])
    figure = inside[shown] if not inside.all() else figure_mask(native)
    return Artwork(path.stem, native, figure=np.ascontiguousarray(figure))
