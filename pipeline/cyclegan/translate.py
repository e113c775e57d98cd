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
    pictures = np.stack([read_rgb(face) for face in faces])
    rows: list[manifest.Row] = []
    with output_dir(dst) as out:
        for number, path in enumerate(weights):
            name = path.parent.name
            progress("translate", number, len(weights), name)
            net, shape = generators.load(path, devices.pick_device(device))
            for face, drawn in zip(faces, draw(net, pictures, shape, params.batch_size), strict=True):
                write_png(out / name / face.name, drawn)
                rows.append(manifest.kept({"id": f"{face.stem}-{name}"}, face=face.stem, generator=name))
        return manifest.write(out, rows, inputs=[row["id"] for row in rows])
