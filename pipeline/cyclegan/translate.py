"""Stage `translate`: the faces of the test split through every trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cyclegan import generators
from pipeline.cyclegan.params import Translate
from pipeline.cyclegan.samples import draw
from pipeline.errors import BadInput
from pipeline.images.files import read_rgb, write_png
from pipeline.runtime import devices, manifest
from pipeline.runtime.files import output_dir
from pipeline.runtime.progress import Progress, silent


def run(
    split: Path, trained: Path, dst: Path, *, params: Translate, device: str = "auto", progress: Progress = silent
) -> dict[str, Any]:
    """Write `<dst>/<generator>/<face id>.png` for every test face, with manifest and stats.

    Raises:
        BadInput: no faces, or no trained generator.
    """
    faces = sorted((split / "faces" / "test").glob("*.png"))[: params.limit]
    weights = sorted(trained.glob("*/a2b.safetensors"))
    if not faces or not weights:
        raise BadInput(
            f"{split}, {trained}: {len(faces)} test faces and {len(weights)} generators, expected some of both"
        )
    rows: list[manifest.Row] = []
    with output_dir(dst) as out:
        for number, path in enumerate(weights):
            progress("translate", number, len(weights), path.parent.name)
            rows += _translate(faces, path, out / path.parent.name, params, devices.pick_device(device))
        return manifest.write(out, rows, inputs=[row["id"] for row in rows])


def _translate(faces: list[Path], path: Path, out: Path, params: Translate, device: str) -> list[manifest.Row]:
    net, shape = generators.load(path, device)
    drawn = draw(net, np.stack([read_rgb(face) for face in faces]), shape, params.batch_size)
    for face, picture in zip(faces, drawn, strict=True):
        write_png(out / face.name, picture)
    name = path.parent.name
    return [manifest.kept({"id": f"{face.stem}-{name}"}, face=face.stem, generator=name) for face in faces]
