"""The evaluate stage: every method, trained or trivial, measured on the test faces with the same rules.

Methods are `input` (the faces themselves), the trivial baselines, `style_<canvas>`, `cyclegan_<generator>` and `real`
(the test artworks, for reference). A metric that does not apply to a method is absent from its row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.convert import baselines
from pipeline.errors import BadInput
from pipeline.evaluate.params import Evaluate
from pipeline.evaluate.targets import targets
from pipeline.images import files, palettes, resample
from pipeline.images.files import Pixels
from pipeline.images.resample import Grid, box
from pipeline.metrics import patches, pixel_art
from pipeline.metrics.diversity import spread_ratio
from pipeline.metrics.tiles import comb_db
from pipeline.runtime import manifest, seeds
from pipeline.runtime.files import output_dir
from pipeline.runtime.settings import Resize

Pictures = dict[str, Pixels]  # id, in sorted order -> uint8 (size, size, 3)
Scores = dict[str, float]
Patterns = dict[str, pixel_art.Array]  # name of the distance -> sorted projections (k, n)

DECIMALS = 5
GENERATOR = "cyclegan_"  # in front of the name of a trained generator
FIGURES = {  # of each generator in the metrics of DVC; everything else stands in methods.json
    "grid": "grid_alignment",
    "tiles": "comb_db",
    "colours": "colours",
    "distance": "sliced_wasserstein_3",
    "accents": "accents_kept",
}
PATTERNS = (
    (3, True, "sliced_wasserstein_3"),
    (5, True, "sliced_wasserstein_5"),
    (3, False, "sliced_wasserstein_3_raw"),
)


@dataclass(frozen=True)
class Bench:
    """What every method is measured against."""

    faces: Pictures
    art: Pictures
    resize: Resize
    params: Evaluate
    seed: int

    @property
    def cell(self) -> int:
        """Pixels a side of one cell."""
        return self.resize.size // self.resize.cells


def run(
    split: Path,
    translate: Path,
    style: Path,
    *,
    dst: Path,
    plots: Path,
    pictures: Path,
    params: Evaluate,
    resize: Resize,
    seed: int,
) -> dict[str, Any]:
    """Measure all methods.

    Args:
        split: has `faces/test` and `pixel/test`, RGB pictures of `resize.size` pixels a side.
        translate: a folder per generator with translated faces, named by the face's id; may hold none.
        style: a folder per canvas with stylised faces, named likewise; may hold none.
        dst: the JSON file of DVC's metrics: the FIGURES of each generator.
        plots: folder for `methods.json`, all scores and targets, and `methods.csv`, the scores as a table.
        pictures: folder for the baselines' pictures, `<method>/<face id>.png` at `resize.size`.
        params: of the metrics and baselines.
        resize: tells the grid and the size of all pictures.
        seed: of k-means, patches, projections and the halves of the real art.

    Returns:
        `methods`: name -> scores; `targets`: name -> target.

    Raises:
        BadInput: no test pictures, one of another size, or an output that is no test face.
    """
    faces, art = (read_pictures(split / domain / "test", resize.size) for domain in ("faces", "pixel"))
    if not faces or not art:
        raise BadInput(f"{split}: expected at least one picture in faces/test and one in pixel/test")
    bench = Bench(faces, art, resize, params, seed)
    drawn = _read_outputs(style, "style_", bench) | _read_outputs(translate, GENERATOR, bench)
    trivial = baseline_pictures(bench)
    with output_dir(pictures) as out:
        for name, baseline in trivial.items():
            for key, pixels in baseline.items():
                files.write_png(out / name / f"{key}.png", pixels)
    real = patterns(list(art.values()), "real", bench)
    methods = {"input": faces, **trivial, **drawn}
    scores = {name: measure(outputs, real, bench) for name, outputs in methods.items()}
    scores["real"] = measure_real(bench)
    table = {name: {key: round(value, DECIMALS) for key, value in row.items()} for name, row in scores.items()}
    result = {"methods": table, "targets": targets(table)}
    with output_dir(plots) as out:
        manifest.write_json(out / "methods.json", result)
        _write_table(out / "methods.csv", table)
    manifest.write_json(dst, figures(table))
    return result


def figures(table: Mapping[str, Scores]) -> dict[str, Scores]:
    """The few scores by which runs are compared: generator -> figure -> value; absent where it does not apply."""
    return {
        name.removeprefix(GENERATOR): {figure: scores[key] for figure, key in FIGURES.items() if key in scores}
        for name, scores in table.items()
        if name.startswith(GENERATOR)
    }


def baseline_pictures(bench: Bench) -> dict[str, Pictures]:
    """The trivial methods over all test faces, at full size."""
    grid = (bench.resize.cells, bench.resize.cells)
    colours, seed = bench.params.palette, bench.seed
    methods: dict[str, Callable[[Pixels, Grid], Pixels]] = {
        "nearest": resample.nearest,
        "box_palette": partial(baselines.box_palette, colours=colours, seed=seed),
        "majority_palette": partial(baselines.majority_palette, colours=colours, seed=seed),
        "fixed_palette": partial(baselines.fixed_palette, palette=palettes.load(bench.params.fixed_palette)),
    }
    return {
        name: {key: resample.enlarge(method(face, grid), bench.cell) for key, face in bench.faces.items()}
        for name, method in methods.items()
    }


def measure(outputs: Pictures, real: Patterns, bench: Bench) -> Scores:
    """All metrics of one method's pictures of test faces; `real` are the patterns of the test artworks."""
    keys, ids, cells = sorted(outputs), list(bench.faces), bench.resize.cells
    pictures, inputs = [outputs[key] for key in keys], [bench.faces[key] for key in keys]
    scores = _mean_scores(pictures, bench)
    scores["retrieval"] = patches.retrieval(pictures, list(bench.faces.values()), [ids.index(key) for key in keys])
    natives = [pixel_art.read_native(picture, cells) for picture in pictures]
    accents = pixel_art.accents_kept(natives, [box(face, (cells, cells)) for face in inputs])
    if accents is not None:
        scores["accents_kept"] = accents
    if len(pictures) > 1:
        scores["spread_ratio"] = spread_ratio(pictures, inputs)
    return scores | _distances(patterns(pictures, "made", bench), real)


def measure_real(bench: Bench) -> Scores:
    """The test artworks as if they were outputs; their distance is that of one random half from the other."""
    art = list(bench.art.values())
    scores = _mean_scores(art, bench)
    if len(art) > 1:
        order = seeds.generator(bench.seed, "evaluate", "halves").permutation(len(art))
        first, second = ([art[index] for index in half] for half in np.array_split(order, 2))
        scores |= _distances(patterns(first, "made", bench), patterns(second, "real", bench))
    return scores


def _mean_scores(pictures: Sequence[Pixels], bench: Bench) -> Scores:
    """Means over the pictures of the metrics of one picture."""
    natives = [pixel_art.read_native(picture, bench.resize.cells) for picture in pictures]
    return {
        "n": len(pictures),
        "grid_alignment": _mean(pixel_art.grid_alignment(picture, bench.cell) for picture in pictures),
        "comb_db": _mean(comb_db(picture, bench.cell) for picture in pictures),
        "cell_residual": _mean(pixel_art.cell_residual(picture, bench.cell) for picture in pictures),
        "n99": _mean(pixel_art.colours_covering(picture) for picture in pictures),
        "effective_palette": _mean(pixel_art.effective_palette(picture) for picture in pictures),
        "colours": _mean(pixel_art.colours(native) for native in natives),
        "equal_neighbours": _mean(pixel_art.equal_neighbours(native) for native in natives),
        "dark_cells": _mean(pixel_art.dark_cells(native) for native in natives),
    }


def patterns(pictures: Sequence[Pixels], stream: str, bench: Bench) -> Patterns:
    """Sorted projections of random native patches, for the patch sizes that fit the grid.

    `stream` names the random numbers by which the patches are drawn.
    """
    natives = [pixel_art.read_native(picture, bench.resize.cells) for picture in pictures]
    projections = {}
    for size, centred, name in PATTERNS:
        if size <= bench.resize.cells:
            rng = seeds.generator(bench.seed, "patches", stream)
            drawn = patches.draw_patches(natives, size, bench.params.patches, rng, centred=centred)
            rng = seeds.generator(bench.seed, "directions", size)
            directions = patches.draw_directions(drawn.shape[1], bench.params.projections, rng)
            projections[name] = patches.project(drawn, directions)
    return projections


def _distances(outputs: Patterns, real: Patterns) -> Scores:
    return {name: patches.sliced_wasserstein(outputs[name], real[name]) for name in outputs}


def read_pictures(folder: Path, size: int) -> Pictures:
    """The PNG files of a folder, by their names without the ending.

    Raises:
        BadInput: one that is not `size` pixels a side.
    """
    pictures = {path.stem: files.read_rgb(path) for path in sorted(folder.glob("*.png"))}
    for key, pixels in pictures.items():
        if pixels.shape != (size, size, 3):
            raise BadInput(f"{folder}/{key}.png: expected {size}x{size}, got {pixels.shape[1]}x{pixels.shape[0]}")
    return pictures


def _read_outputs(folder: Path, prefix: str, bench: Bench) -> dict[str, Pictures]:
    """Method -> pictures, for every subfolder that holds any."""
    outputs = {prefix + sub.name: read_pictures(sub, bench.resize.size) for sub in sorted(folder.glob("*"))}
    for method, pictures in outputs.items():
        if strangers := sorted(pictures.keys() - bench.faces.keys()):
            raise BadInput(f"{folder / method.removeprefix(prefix)}/{strangers[0]}.png: expected the id of a test face")
    return {method: pictures for method, pictures in outputs.items() if pictures}


def _write_table(path: Path, table: Mapping[str, Scores]) -> None:
    columns = ["method", *dict.fromkeys(key for scores in table.values() for key in scores)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({"method": name, **scores} for name, scores in table.items())


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
