"""The palette canvas on real anime faces, with real VGG-19 features, in the style of real portraits.

    python benchmarks/style_faces.py [--faces 64] [--cells 64] [--iterations 50]
        [--grounds left_out style] [--json FILE] [--sheet FILE.png]

Needs the folder of real data (`FACETOPIX_SHARED`, by default `../shared` beside the checkout). No network is trained,
so every face is held out. Faces are shared out among four portraits (Cabbit, OGA-BY), each at its native cells. The
rival is majority per cell over that portrait's palette. What the style is, `style.ground` says, and both answers are
tried: what the artist drew (`left_out`: patches without a transparent cell, a palette without the ground), or the whole
square, in which 37 to 49 % is flat ground of our own (`style`). Distances to the style that was asked for have a bound;
those to the other are told. Exit code 1 when a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demands import Demand, table
from numpy.typing import NDArray
from PIL import Image
from real_data import SHARED, open_tar

from pipeline import params
from pipeline.convert import baselines
from pipeline.errors import BadInput
from pipeline.images import resample
from pipeline.images.colour import to_oklab
from pipeline.images.files import Pixels, write_png
from pipeline.images.palettes import medoid_palette
from pipeline.metrics import patches, pixel_art
from pipeline.metrics.pixel_art import Array
from pipeline.runtime import seeds
from pipeline.style import stage
from pipeline.style.background import figure_mask
from pipeline.style.pairs import Artwork, Pair
from pipeline.style.params import Style, Temperature
from pipeline.style.transfer import native_pixels, stylize

ROOT = Path(__file__).parent.parent
FEATURES = SHARED / "weights" / "vgg19_normalised_conv1_1-conv3_1.fp16.safetensors"
FACES = ("anime_faces_256", "anime_faces_128_a")
PORTRAITS = (
    "people__princess-001-alt-light", "character__Molly-soldier-001-like",
    "people__bard-m-001-light", "character__Lyuba-ranger-001-like",
)  # fmt: skip
GROUND = (143, 163, 184)  # behind transparent portraits; one of `flatten.backgrounds`
SIDE = 128
COLOURS = 16
BATCH = 8
PATCHES, DIRECTIONS = 20000, 128
DISTANCES = ((3, True, "3x3, centred"), (5, True, "5x5, centred"), (3, False, "3x3, raw"))
TO = {"left_out": "to what is drawn", "style": "to the whole square"}  # by `style.ground`: what the style is
MODERN = {
    "features": str(FEATURES), "content_layer": "conv2_2", "style_layers": ["conv1_1", "conv2_1", "conv3_1"],
    "statistics": "wasserstein", "style_weight": 3.0, "tv_weight": 40.0, "lr": 0.06, "palette": COLOURS,
    "toning": 0.5, "colour_weight": 100.0, "neighbour_weight": 15.0,
    "choice": "soft", "temperature": Temperature(start=3.0, end=0.05), "threads": 1,
}  # fmt: skip


@dataclass(frozen=True)
class PortraitResult:
    """The faces of one portrait, stylized by the canvas and by its rivals."""

    portrait: str
    art: Pixels  # (cells, cells, 3)
    figure: NDArray[np.bool_]  # (cells, cells): where it is not transparent
    faces: list[int]
    styled: list[Pixels]  # (cells, cells, 3)
    rivals: list[Pixels]
    square_rivals: list[Pixels]  # whose palette is that of the whole square
    seconds: float  # CPU, a face


def faces(count: int) -> list[Pixels]:
    """`count` faces spread over both sets, 128 pixels a side."""
    images = []
    for name in FACES:
        with open_tar(name) as tar:
            members = sorted((one for one in tar if one.name.endswith((".png", ".webp"))), key=lambda one: one.name)
            share = count // 2 if name == FACES[0] else count - count // 2
            for at in range(share):
                image = Image.open(BytesIO(tar.extractfile(members[at * len(members) // share]).read())).convert("RGB")  # type: ignore[union-attr]
                images.append(np.array(image.resize((SIDE, SIDE), Image.Resampling.BOX)))
    return images


def portrait(name: str, cells: int) -> tuple[Pixels, NDArray[np.bool_]]:
    """The head of a bust, one pixel per cell, (cells, cells, 3), and where it is not transparent."""
    with open_tar("pixel_faces") as tar:
        data = tar.extractfile(f"pixel_faces/cabbit/{name}.png").read()  # type: ignore[union-attr]
    image = Image.open(BytesIO(data)).convert("RGBA")
    rgba = np.array(image.crop(image.getbbox()))
    left = max(0, (rgba.shape[1] - cells) // 2)
    rgba = rgba[:cells, left : left + cells]
    canvas = np.zeros((cells, cells, 4), np.uint8)
    at = (cells - rgba.shape[1]) // 2
    canvas[cells - rgba.shape[0] :, at : at + rgba.shape[1]] = rgba
    opaque = canvas[..., 3] >= 128
    return np.where(opaque[..., None], canvas[..., :3], np.array(GROUND, np.uint8)).astype(np.uint8), opaque


def make(chosen: Sequence[Pixels], style: Style, cells: int) -> Iterator[PortraitResult]:
    """Every portrait with its share of the faces."""
    cell = SIDE // cells
    transfer = stage.transfer_of(style, "cell", stage.load_features(style, 0), cell, 0, "cpu")
    for number, name in enumerate(PORTRAITS):
        mine = list(range(number, len(chosen), len(PORTRAITS)))
        art, opaque = portrait(name, cells)
        artwork = Artwork(name, resample.enlarge(art, cell))
        began = time.process_time()
        styled: list[Pixels] = []
        for start in range(0, len(mine), BATCH):
            batch = [Pair(str(index), chosen[index], (artwork,)) for index in mine[start : start + BATCH]]
            pixels = stylize(transfer, batch, lambda _: None).pixels
            styled += [pixel_art.read_native(one, cells) for one in pixels]
            assert all(pixel_art.grid_alignment(one, cell) == 1 for one in pixels)
        spent = (time.process_time() - began) / len(mine)
        drawn, _ = native_pixels(Pair(name, art, (Artwork(name, art, figure=figure_mask(art)),)), 1)
        rivals, square_rivals = (
            [baselines.majority(chosen[index], (cells, cells), palette=palette) for index in mine]
            for palette in (medoid_palette(drawn, COLOURS), medoid_palette(art.reshape(-1, 3), COLOURS))
        )
        yield PortraitResult(name, art, opaque, mine, styled, rivals, square_rivals, spent)


def distances(result: PortraitResult, count: int) -> dict[str, float]:
    """Sliced Wasserstein distance to the portrait, by `count` patches a side: the canvas's over the rival's."""
    ratios = {}
    for size, centred, name in DISTANCES:
        onto = patches.draw_directions(3 * size**2, DIRECTIONS, seeds.generator(0, "directions", size))
        styled, *rivals = (
            _projected(pictures, size, centred, onto, count)
            for pictures in (result.styled, result.rivals, result.square_rivals)
        )
        parts = result.figure, np.ones_like(result.figure)
        for drawn, where, rival in zip(parts, TO.values(), rivals, strict=True):
            art = patches.project(_patches_inside(result.art, drawn, size, centred, count), onto)
            apart = [patches.sliced_wasserstein(one, art) for one in (styled, rival)]
            ratios[f"{name}, {where}"] = apart[0] / apart[1]
    return ratios


def _projected(pictures: Sequence[Pixels], size: int, centred: bool, onto: Array, count: int) -> Array:
    drawn = patches.draw_patches(pictures, size, count, seeds.generator(0, "made"), centred=centred)
    return patches.project(drawn, onto)


def _patches_inside(art: Pixels, drawn: NDArray[np.bool_], size: int, centred: bool, count: int) -> Array:
    """As `distribution.patches`, of one picture, only where all of a patch is drawn."""
    windows = np.lib.stride_tricks.sliding_window_view(to_oklab(art), (size, size), axis=(0, 1))
    inside = windows[np.lib.stride_tricks.sliding_window_view(drawn, (size, size)).all(axis=(2, 3))]  # (n, 3, ...)
    taken = inside[seeds.generator(0, "art").integers(0, len(inside), count)]
    if centred:
        taken = taken - taken.mean(axis=(2, 3), keepdims=True)
    return np.asarray(taken.reshape(count, -1))


def figures(
    results: Sequence[PortraitResult],
    ratios: Sequence[dict[str, float]],
    chosen: Sequence[Pixels],
    cells: int,
    ground: str,
) -> list[Demand]:
    """Each figure with its bound, if it has one."""
    cell = SIDE // cells
    large = [resample.enlarge(one, cell) for result in results for one in result.styled]
    indices = [index for result in results for index in result.faces]
    least = min(pixel_art.grid_alignment(one, cell) for one in large)
    colours = max(pixel_art.colours(one) for result in results for one in result.styled)
    demands = [
        Demand("grid alignment, least", least, least=1),
        Demand("colours, most", colours, most=COLOURS),
        Demand("top-1 retrieval", patches.retrieval(large, chosen, indices), least=0.95),
    ]
    for name in ratios[0]:
        most = 0.8 if name.endswith(TO[ground]) else None
        demands.append(Demand(f"{name}, of the rival's", float(np.mean([one[name] for one in ratios])), most=most))
    return demands


def sheet(
    results: Sequence[PortraitResult], chosen: Sequence[Pixels], cells: int, ground: str, shown: int = 3
) -> Pixels:
    """Per portrait a row: the portrait, then face, rival and canvas of some faces."""
    rows = []
    for result in results:
        row, rivals = [result.art], result.rivals if ground == "left_out" else result.square_rivals
        for at in range(min(shown, len(result.faces))):
            row += [baselines.box(chosen[result.faces[at]], (cells, cells)), rivals[at], result.styled[at]]
        rows.append(np.concatenate(row, axis=1))
    return resample.enlarge(np.concatenate(rows, axis=0), 2)


def judge(arguments: argparse.Namespace) -> bool:
    """Stylize and measure with every ground that is asked for; whether all figures keep their bounds.

    Raises:
        BadInput: faces, portraits or features are not there.
    """
    chosen = faces(arguments.faces)
    report: dict[str, Any] = {}
    met = True
    for ground in arguments.grounds:
        values = {**MODERN, "ground": ground, "iterations": arguments.iterations}
        style = params.load(ROOT / "params.yaml").style.model_copy(update=values)
        results, ratios = [], []
        for result in make(chosen, style, arguments.cells):
            results.append(result)
            ratios.append(distances(result, arguments.patches))
            shown = ", ".join(f"{name} {value:.3f}" for name, value in ratios[-1].items())
            sys.stdout.write(
                f"{result.portrait}: {len(result.faces)} faces, {result.seconds:.1f} s CPU a face; {shown}\n"
            )
            sys.stdout.flush()
        demands = figures(results, ratios, chosen, arguments.cells, ground)
        met = met and all(one.met for one in demands)
        sys.stdout.write(f"\nground {ground}\n\n{table(demands)}\n")
        rows = zip(results, ratios, strict=True)
        report[ground] = {
            "figures": [{**asdict(one), "met": one.met} for one in demands],
            "portraits": [{"portrait": result.portrait, "seconds": result.seconds, **of} for result, of in rows],
        }
        if arguments.sheet:
            write_png(
                arguments.sheet.with_stem(f"{arguments.sheet.stem}-{ground}"),
                sheet(results, chosen, arguments.cells, ground),
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=64)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--patches", type=int, default=PATCHES, help="of a side of a distance")
    parser.add_argument("--grounds", nargs="+", choices=list(TO), default=list(TO))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        met = judge(arguments)
    except BadInput as error:
        parser.error(str(error))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
