"""The evaluate stage: every method, trained or trivial, measured on the test faces with the same rules.

Methods are `input` (the faces themselves), the trivial baselines, `style_<canvas>`, `cyclegan_<generator>` and `real`
(the test artworks, for reference). A metric that does not apply to a method is absent from its row.
"""

from __future__ import annotations

import csv
import io as streams
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
from pipeline.runtime.files import output_dir, write_atomic
from pipeline.runtime.settings import Resize

Pictures = dict[str, Pixels]  # id, in sorted order -> uint8 (size, size, 3)
Scores = dict[str, float]
Patterns = dict[str, pixel_art.Array]  # name of the distance -> sorted projections (k, n)

DECIMALS = 5
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
        dst: the JSON file of metrics: `methods`, `targets`.
        plots: folder for `methods.csv`, the same table for plots.
        pictures: folder for the baselines' pictures, `<method>/<face id>.png` at `resize.size`.
        params: of the metrics and baselines.
        resize: of the wanted grid.
        seed: of k-means, patches, projections and the halves of the real art.

    Raises:
        BadInput: no test pictures, one of another size, or an output that is no test face.
    """
    bench = Bench(_pictures(split / "faces" / "test"), _pictures(split / "pixel" / "test"), resize, params, seed)
    _check(bench, split)
    trivial = baseline_pictures(bench)
    _write_pictures(pictures, trivial)
    outputs = {
        "input": bench.faces,
        **trivial,
        **_trained(style, "style", bench),
        **_trained(translate, "cyclegan", bench),
    }
    real = _patterns(list(bench.art.values()), "real", bench)
    table = {name: _rounded(measure(drawn, real, bench)) for name, drawn in outputs.items()}
    table["real"] = _rounded(measure_real(bench))
    result = {"methods": table, "targets": targets(table)}
    _write_table(plots, table)
    manifest.write_json(dst, result)
    return result


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
    place = {key: index for index, key in enumerate(bench.faces)}
    made = [outputs[key] for key in sorted(outputs)]
    scores = _of_pictures(made, bench)
    own = [place[key] for key in sorted(outputs)]
    scores["retrieval"] = patches.retrieval(made, list(bench.faces.values()), own)
    inputs, cells = [bench.faces[key] for key in sorted(outputs)], bench.resize.cells
    kept = pixel_art.accents_kept(
        [pixel_art.read_native(picture, cells) for picture in made], [box(face, (cells, cells)) for face in inputs]
    )
    if kept is not None:
        scores["accents_kept"] = kept
    if len(made) > 1:
        scores["spread_ratio"] = spread_ratio(made, inputs)
    return scores | _distances(_patterns(made, "made", bench), real)


def measure_real(bench: Bench) -> Scores:
    """The test artworks as if they were outputs; their distance is that of one random half from the other."""
    art = list(bench.art.values())
    scores = _of_pictures(art, bench)
    if len(art) > 1:
        order = seeds.generator(bench.seed, "evaluate", "halves").permutation(len(art))
        one, other = ([art[index] for index in half] for half in np.array_split(order, 2))
        scores |= _distances(_patterns(one, "made", bench), _patterns(other, "real", bench))
    return scores


def _of_pictures(pictures: Sequence[Pixels], bench: Bench) -> Scores:
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


def _patterns(pictures: Sequence[Pixels], which: str, bench: Bench) -> Patterns:
    """Sorted projections of random native patches, for the patch sizes that fit the grid."""
    natives = [pixel_art.read_native(picture, bench.resize.cells) for picture in pictures]
    found = {}
    for size, centred, name in PATTERNS:
        if size <= bench.resize.cells:
            rng = seeds.generator(bench.seed, "patches", which)
            drawn = patches.patches(natives, size, bench.params.patches, rng, centred=centred)
            rng = seeds.generator(bench.seed, "directions", size)
            onto = patches.directions(drawn.shape[1], bench.params.projections, rng)
            found[name] = patches.projections(drawn, onto)
    return found


def _distances(made: Patterns, real: Patterns) -> Scores:
    return {name: patches.sliced_wasserstein(made[name], real[name]) for name in made}


def _pictures(folder: Path) -> Pictures:
    return {path.stem: files.read_rgb(path) for path in sorted(folder.glob("*.png"))}


def _trained(folder: Path, prefix: str, bench: Bench) -> dict[str, Pictures]:
    """Outputs per subfolder that holds pictures."""
    found = {}
    for sub in sorted(path for path in folder.glob("*") if path.is_dir()):
        pictures = _pictures(sub)
        if strangers := sorted(pictures.keys() - bench.faces.keys()):
            raise BadInput(f"{sub}/{strangers[0]}.png: expected the id of a test face")
        _check_size(pictures, sub, bench.resize.size)
        if pictures:
            found[f"{prefix}_{sub.name}"] = pictures
    return found


def _check(bench: Bench, split: Path) -> None:
    for domain, pictures in (("faces", bench.faces), ("pixel", bench.art)):
        folder = split / domain / "test"
        if not pictures:
            raise BadInput(f"{folder}: expected at least one picture, found none")
        _check_size(pictures, folder, bench.resize.size)


def _check_size(pictures: Pictures, folder: Path, size: int) -> None:
    for key, pixels in pictures.items():
        if pixels.shape != (size, size, 3):
            raise BadInput(f"{folder}/{key}.png: expected {size}x{size}, got {pixels.shape[1]}x{pixels.shape[0]}")


def _write_pictures(dst: Path, methods: Mapping[str, Pictures]) -> None:
    with output_dir(dst) as out:
        for name, pictures in methods.items():
            for key, pixels in pictures.items():
                files.write_png(out / name / f"{key}.png", pixels)


def _write_table(dst: Path, table: Mapping[str, Scores]) -> None:
    columns = ["method", *dict.fromkeys(key for scores in table.values() for key in scores)]
    text = streams.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({"method": name, **scores} for name, scores in table.items())
    with output_dir(dst) as out:
        write_atomic(out / "methods.csv", text.getvalue().encode())


def _rounded(scores: Scores) -> Scores:
    return {name: value if isinstance(value, int) else round(float(value), DECIMALS) for name, value in scores.items()}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
