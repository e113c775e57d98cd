"""Stage `translate`: test faces, and smooth versions of test artworks, through every trained generator.

Out, all at the size that the generators were trained on: `<dst>/<generator>/<face id>.png`; the smooth versions
`<dst>/pairs/inputs/<artwork id>.png`, and what was drawn of them, `<dst>/pairs/<generator>/<artwork id>.png`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cyclegan import generators
from pipeline.cyclegan.generators import Shape
from pipeline.cyclegan.params import Translate
from pipeline.cyclegan.samples import draw
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, read_rgb, write_png
from pipeline.metrics.pixel_art import read_native
from pipeline.metrics.smoothing import smooth_version
from pipeline.runtime import devices, manifest, seeds
from pipeline.runtime.files import output_dir
from pipeline.runtime.progress import Progress, silent
from pipeline.runtime.spacing import evenly_spaced

SMOOTH_SEED = 0  # of the smooth versions, whatever the run's: every run of a split is measured on the same pictures


def run(
    split: Path, trained: Path, dst: Path, *, params: Translate, device: str = "auto", progress: Progress = silent
) -> dict[str, Any]:
    """Draw every test face, and smooth versions of `params.artworks` test artworks, with every generator.

    Args:
        split: has `faces/test` and, for the smooth versions, `pixel/test`.
        trained: has `<generator>/a2b.safetensors`.
        dst: replaced; a row of its manifest for each picture and generator, with the `face` or the `artwork`.

    Raises:
        BadInput: no faces, no trained generator, generators of different sizes, or artworks of another size.
    """
    faces = sorted((split / "faces" / "test").glob("*.png"))[: params.limit]
    weights = sorted(trained.glob("*/a2b.safetensors"))
    if not faces or not weights:
        raise BadInput(
            f"{split}, {trained}: {len(faces)} test faces and {len(weights)} generators, expected some of both"
        )
    loaded = {path.parent.name: generators.load(path, devices.pick_device(device)) for path in weights}
    shapes = [shape for _, shape in loaded.values()]
    sizes = sorted({(shape.size, shape.cells) for shape in shapes})
    if len(sizes) > 1:
        raise BadInput(f"{trained}: expected generators of one size, got (pixels, cells) {sizes}; train them together")
    pictures = np.stack([read_rgb(face) for face in faces])
    smooth = smooth_artworks(split, shapes[0], params.artworks)
    rows: list[manifest.Row] = []
    with output_dir(dst) as out:
        for key, picture in smooth.items():
            write_png(out / "pairs" / "inputs" / f"{key}.png", picture)
        for number, (name, (net, shape)) in enumerate(loaded.items()):
            progress("translate", number, len(loaded), name)
            for face, drawn in zip(faces, draw(net, pictures, shape, params.batch_size), strict=True):
                write_png(out / name / face.name, drawn)
                rows.append(manifest.kept({"id": f"{face.stem}-{name}"}, face=face.stem, generator=name))
            inputs = np.stack(list(smooth.values())) if smooth else pictures[:0]
            for key, drawn in zip(smooth, draw(net, inputs, shape, params.batch_size), strict=True):
                write_png(out / "pairs" / name / f"{key}.png", drawn)
                rows.append(manifest.kept({"id": f"{key}-{name}"}, artwork=key, generator=name))
        return manifest.write(out, rows, inputs=[row["id"] for row in rows])


def smooth_artworks(split: Path, shape: Shape, count: int | None) -> dict[str, Pixels]:
    """Smooth versions of test artworks by id, uint8 (size, size, 3) as `shape` has it.

    Args:
        split: has `pixel/test`; each picture has its own stream of chance, named by its id.
        count: so many, evenly spaced by id; None = all.

    Raises:
        BadInput: an artwork of another size.
    """
    smooth = {}
    for path in evenly_spaced(sorted((split / "pixel" / "test").glob("*.png")), count):
        picture = read_rgb(path)
        if picture.shape != (shape.size, shape.size, 3):
            raise BadInput(
                f"{path}: expected {shape.size}x{shape.size} pixels, got {picture.shape[1]}x{picture.shape[0]}"
            )
        rng = seeds.generator(SMOOTH_SEED, "smooth", path.stem)
        smooth[path.stem] = smooth_version(read_native(picture, shape.cells), shape.factor, rng)
    return smooth
