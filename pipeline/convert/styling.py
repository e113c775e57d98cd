"""Style transfer as a method of `facetopix convert`: the palette canvas, in the style of given artworks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.styletransfer.watching import Progress as Seen
from pipeline.cells import detect
from pipeline.convert.pictures import Method
from pipeline.errors import BadInput
from pipeline.images import palettes, resample
from pipeline.images.colour import OPAQUE, distinct
from pipeline.images.files import Pixels
from pipeline.images.folders import first_frame
from pipeline.images.resample import Grid
from pipeline.runtime.devices import pick_device
from pipeline.runtime.progress import Progress, silent
from pipeline.style import features as weights
from pipeline.style.background import figure
from pipeline.style.pairs import Pair, Work
from pipeline.style.params import Style, Temperature
from pipeline.style.transfer import Transfer, stylize

SEED = 0
SEEN = 128  # pixels that the longest side should have for VGG
CELL = (2, 8)  # pixels a side of one cell, least and most
RANDOM_CONTENT = 10.0  # untrained features hold content more loosely


@dataclass(frozen=True)
class Art:
    """An artwork at one pixel per cell."""

    name: str
    native: Pixels  # (H, W, 3)
    figure: NDArray[np.bool_]  # (H, W): without the ground


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
    """Pictures in the style of `artworks`, in at most `colours` of their colours or in those of `palette`.

    Raises:
        BadInput: a single colour, an artwork without a grid or unreadable, or features that cannot be read.
        Unreachable: `imagenet` features without a network and without the file.
    """
    if colours < 2:
        raise BadInput(f"--method style chooses among colours: expected at least 2, got {colours}")
    if features not in ("imagenet", "random") and not features.endswith(".safetensors"):
        raise BadInput(f"--features: expected imagenet, random or a .safetensors file, got {features}")
    params = _style(features, colours, palette, iterations)
    if palette is not None:
        palettes.load(palette)  # before the first picture
    arts = [read(path) for path in artworks]
    where = pick_device(device)
    network = weights.features(params, SEED).to(where)
    if features == "random":
        note(
            "style: random features: they carry texture and colour, but no semantics; "
            "--features imagenet or FILE.safetensors uses trained ones"
        )

    def tell(step: Seen) -> None:
        if step.iteration < iterations:  # a bar that is full stays so for the next picture
            progress("style", step.iteration, iterations, f"style loss {np.mean(step.style):.4g}")

    def paint(rgb: Pixels, grid: Grid) -> Pixels:
        cell = min(max(SEEN // max(grid), CELL[0]), CELL[1])
        size = (grid[1] * cell, grid[0] * cell)
        content = np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
        works = tuple(_work(art, cell) for art in arts)
        transfer = Transfer("cell", network, params, cell, SEED, where)
        made = stylize(transfer, [Pair("picture", content, works)], tell)
        return resample.nearest(made.pixels[0], grid)

    return paint


def read(path: Path) -> Art:
    """An artwork at its native cells, without the transparent margin.

    What is transparent inside takes the commonest colour of the rest, so that no colour is invented, and is ground;
    in an opaque artwork the commonest colour of the border may be.

    Raises:
        BadInput: not a readable image, nothing opaque in it, or a grid that cannot be told.
    """
    rgba = first_frame(path)
    opaque = rgba[..., 3] >= OPAQUE
    if not opaque.any():
        raise BadInput(f"{path}: expected an artwork, found no opaque pixel")
    own, _, counts = distinct(rgba[opaque][:, :3])
    rgb = np.where(opaque[..., None], rgba[..., :3], own[counts.argmax()]).astype(np.uint8)
    found = detect.detect(rgb, detect.MAX_CELL, detect.MIN_CONFIDENCE)
    if found.size is None:
        raise BadInput(f"{path}: expected pixel art, found no grid of cells; give it at one pixel per cell, as PNG")
    inside = detect.reduce(np.where(opaque[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2), found)[..., 0] > 127
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    shown = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    native = np.ascontiguousarray(detect.reduce(rgb, found)[shown])
    drawn = inside[shown] if not inside.all() else figure(native)
    return Art(path.stem, native, np.ascontiguousarray(drawn))


def _work(art: Art, cell: int) -> Work:
    shown = art.figure.repeat(cell, axis=0).repeat(cell, axis=1)
    return Work(art.name, resample.enlarge(art.native, cell), figure=shown)


def _style(features: str, colours: int, palette: str | None, iterations: int) -> Style:
    """Layers that every kind of weights covers; the values that the benchmark on real faces found good."""
    return Style(
        features=features,
        canvases=["cell"],
        pairs=1,
        artworks=1,
        pairs_file="none",
        batch_size=1,
        iterations=iterations,
        optimiser="adam",
        lr=0.06,
        lr_end=1.0,
        levels=1,
        ema=0.0,
        plateau=None,
        patience=1,
        statistics="wasserstein",
        falloff=1.0,
        tv_weight=40.0,
        content_weight=RANDOM_CONTENT if features == "random" else 1.0,
        style_weight=3.0,
        content_layer="conv2_2",
        style_layers=["conv1_1", "conv2_1", "conv3_1"],
        pooling="average",
        start="content",
        precision="auto",
        threads=1,
        palette=colours,
        palette_from="artwork" if palette is None else "file",
        palette_file=palette or "none",
        ground="left_out",
        toning=0.5,
        colour_weight=100.0,
        neighbour_weight=15.0,
        choice="soft",
        gumbel=0.0,
        temperature=Temperature(start=3.0, end=0.05),
    )
