"""The evaluate stage: every method, trained or trivial, measured with the same rules.

Methods are `input` (the faces themselves), the trivial baselines, `style_<canvas>`, `cyclegan_<generator>` and `real`
(test artworks, as many as there are faces or pairs, for reference). All draw the test faces; baselines and generators
also draw smooth versions of test artworks, of which the artwork is the truth. A metric that does not apply to a method
is absent from its row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.convert import baselines
from pipeline.errors import BadInput
from pipeline.evaluate.params import Evaluate
from pipeline.evaluate.targets import targets
from pipeline.images import cascade, files, palettes, resample
from pipeline.images.files import Pixels
from pipeline.images.resample import Grid, box
from pipeline.metrics import patches, pixel_art, recovery
from pipeline.metrics.diversity import spread_ratio
from pipeline.metrics.faces_found import faces_found, share_found
from pipeline.metrics.tiles import comb_db
from pipeline.runtime import manifest, seeds
from pipeline.runtime.files import output_dir
from pipeline.runtime.settings import Resize
from pipeline.runtime.spacing import evenly_spaced

Pictures = dict[str, Pixels]  # id, in sorted order -> uint8 (size, size, 3)
Scores = dict[str, float]
Patterns = dict[str, pixel_art.Array]  # name of the distance -> sorted projections (k, n)

DECIMALS = 5
GENERATOR = "cyclegan_"  # in front of the name of a trained generator
CASCADE = "evaluate.cascade"  # the parameter, in errors
FIGURES = {  # of each generator in the metrics of DVC; everything else stands in methods.json
    "grid": "grid_alignment",
    "tiles": "comb_db",
    "colours": "colours",
    "error": "cell_error",
    "accents": "accents_chroma",
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
    smooth: Pictures = field(default_factory=dict)  # smooth versions of some of the art, under the artworks' ids

    @property
    def grid(self) -> Grid:
        """Rows and columns of cells."""
        return self.resize.cells, self.resize.cells

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
        translate: a folder per generator with translated faces, named by the face's id; may hold none. In `pairs` the
            smooth versions of test artworks, `inputs`, and a folder per generator with what it drew of them, named by
            the artwork's id; may be absent.
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
        BadInput: no test pictures, one of another size, or an output that is of no test face or artwork.
        BadParams: a cascade that cannot run.
    """
    if params.cascade is not None:
        cascade.require(params.cascade, CASCADE)
    faces, art = (read_pictures(split / domain / "test", resize.size) for domain in ("faces", "pixel"))
    if not faces or not art:
        raise BadInput(f"{split}: expected at least one picture in faces/test and one in pixel/test")
    pairs = translate / "pairs"
    smooth = _read_known(pairs / "inputs", art, resize.size, "test artwork")
    bench = Bench(faces, art, resize, params, seed, smooth)
    translated = [sub for sub in translate.glob("*") if sub != pairs]
    drawn = _read_outputs(style.glob("*"), "style_", faces, resize.size, "test face")
    drawn |= _read_outputs(translated, GENERATOR, faces, resize.size, "test face")
    trivial = baseline_pictures(faces, bench)
    with output_dir(pictures) as out:
        for name, baseline in trivial.items():
            for key, pixels in baseline.items():
                files.write_png(out / name / f"{key}.png", pixels)
    real = patterns(list(art.values()), "real", bench)
    methods = {"input": faces, **trivial, **drawn}
    scores = {name: measure(outputs, real, bench) for name, outputs in methods.items()}
    redrawn = [pairs / name.removeprefix(GENERATOR) for name in drawn if name.startswith(GENERATOR)]
    recovered = _read_outputs(redrawn, GENERATOR, smooth, resize.size, "smooth artwork")
    for name, outputs in {**baseline_pictures(smooth, bench), **recovered}.items():
        scores[name] |= measure_recovery(outputs, bench)
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


def baseline_pictures(inputs: Pictures, bench: Bench) -> dict[str, Pictures]:
    """What the trivial methods draw of pictures, at full size: method -> pictures."""
    colours, seed = bench.params.palette, bench.seed
    methods: dict[str, Callable[[Pixels, Grid], Pixels]] = {
        "nearest": resample.nearest,
        "box_palette": partial(baselines.box_palette, colours=colours, seed=seed),
        "majority_palette": partial(baselines.majority_palette, colours=colours, seed=seed),
        "fixed_palette": partial(baselines.fixed_palette, palette=palettes.load(bench.params.fixed_palette)),
    }
    return {
        name: {key: resample.enlarge(method(picture, bench.grid), bench.cell) for key, picture in inputs.items()}
        for name, method in methods.items()
    }


def measure(outputs: Pictures, real: Patterns, bench: Bench) -> Scores:
    """All metrics of one method's pictures of test faces; `real` are the patterns of the test artworks."""
    keys, ids = sorted(outputs), list(bench.faces)
    pictures, inputs = [outputs[key] for key in keys], [bench.faces[key] for key in keys]
    scores = _mean_scores(pictures, bench)
    scores["retrieval"] = patches.retrieval(pictures, list(bench.faces.values()), [ids.index(key) for key in keys])
    natives, means = _natives(pictures, bench), [box(face, bench.grid) for face in inputs]
    found = faces_found(natives, inputs, bench.params.cascade, parameter=CASCADE)
    scores |= _present(
        dark_details_kept=pixel_art.dark_details_kept(natives, means),
        face_accents=recovery.total(map(recovery.compare, natives, means)).accents,
        faces_found=share_found(found),
    )
    if len(pictures) > 1:
        scores["spread_ratio"] = spread_ratio(pictures, inputs)
    return scores | _distances(patterns(pictures, "made", bench), real)


def measure_recovery(outputs: Pictures, bench: Bench) -> Scores:
    """What one method's pictures of smooth artworks keep of the artworks, cell by cell; empty where there are none."""
    if not outputs:
        return {}
    drawn, truths = (_natives([side[key] for key in outputs], bench) for side in (outputs, bench.art))
    figures = recovery.total(map(recovery.compare, drawn, truths))
    return _present(
        pairs=len(outputs), cell_error=figures.error, cells_within=figures.within, line_f1=figures.lines,
        accents_chroma=figures.accents, lone_cells=figures.lone,
    )  # fmt: skip


def measure_real(bench: Bench) -> Scores:
    """Test artworks as if they were outputs: as many as there are faces, and those of the pairs.

    Their distance is that of one random half of all from the other.
    """
    art = list(bench.art.values())
    scores = _mean_scores(evenly_spaced(art, len(bench.faces)), bench)
    if bench.smooth:
        truths = _natives([bench.art[key] for key in bench.smooth], bench)
        lone = recovery.total(recovery.compare(truth, truth) for truth in truths).lone_truth
        scores |= {"pairs": len(truths), "lone_cells": lone}
    if len(art) > 1:
        order = seeds.generator(bench.seed, "evaluate", "halves").permutation(len(art))
        first, second = ([art[index] for index in half] for half in np.array_split(order, 2))
        scores |= _distances(patterns(first, "made", bench), patterns(second, "real", bench))
    return scores


def _mean_scores(pictures: Sequence[Pixels], bench: Bench) -> Scores:
    """Means over the pictures of the metrics of one picture."""
    natives = _natives(pictures, bench)
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
        "face_lone_cells": _mean(recovery.lone_cells(native).mean() for native in natives),
    }


def patterns(pictures: Sequence[Pixels], stream: str, bench: Bench) -> Patterns:
    """Sorted projections of random native patches, for the patch sizes that fit the grid.

    `stream` names the random numbers by which the patches are drawn.
    """
    natives = _natives(pictures, bench)
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


def _read_outputs(folders: Iterable[Path], prefix: str, inputs: Pictures, size: int, topic: str) -> dict[str, Pictures]:
    """Method -> what it drew of the inputs, for every folder that holds any."""
    outputs = {prefix + folder.name: _read_known(folder, inputs, size, topic) for folder in sorted(folders)}
    return {method: pictures for method, pictures in outputs.items() if pictures}


def _read_known(folder: Path, known: Pictures, size: int, topic: str) -> Pictures:
    """The pictures of a folder, each of which must have the id of one of the `known`."""
    pictures = read_pictures(folder, size)
    if strangers := sorted(pictures.keys() - known.keys()):
        raise BadInput(f"{folder}/{strangers[0]}.png: expected the id of a {topic}")
    return pictures


def _natives(pictures: Iterable[Pixels], bench: Bench) -> list[Pixels]:
    return [pixel_art.read_native(picture, bench.resize.cells) for picture in pictures]


def _present(**scores: float | None) -> Scores:
    """Those that have a value."""
    return {name: value for name, value in scores.items() if value is not None}


def _write_table(path: Path, table: Mapping[str, Scores]) -> None:
    columns = ["method", *dict.fromkeys(key for scores in table.values() for key in scores)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({"method": name, **scores} for name, scores in table.items())


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
