"""A small split, and the train stage on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cyclegan import stage
from pipeline.images.files import write_png
from pipeline.params import Params, load
from pipeline.runtime import manifest

ROOT = Path(__file__).parents[2]
PARAMS = load(ROOT / "tests" / "params.yaml")
SIDE_BY_SIDE = PARAMS.executor.model_copy(update={"n_jobs": 2})


def draw_split(folder: Path) -> Path:
    """Smooth faces and art on a grid of 32 cells, at 64 pixels, and the native art in `grid`."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 64)
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        for number in range(count):
            colours = rng.integers(0, 256, (3, 2))
            smooth = [a + (b - a) * ramp[:, None] / 255 * np.ones((1, 64)) for a, b in colours]
            write_png(folder / "faces" / part / f"f{number}.png", np.stack(smooth, -1).astype(np.uint8))
            native = rng.integers(0, 256, (4, 3), dtype=np.uint8)[rng.integers(0, 4, (32, 32))]
            write_png(folder / "pixel" / part / f"p{number}.png", native.repeat(2, 0).repeat(2, 1))
            write_png(folder / "grid" / "images" / f"{part}-p{number}.png", native)
    rows = [
        manifest.kept({"id": f"p{number}", "parent": f"train-p{number}"}, domain="pixel", split="train")
        for number in range(5)
    ]
    manifest.write(folder, rows, inputs=[row["id"] for row in rows])
    return folder


def train(split: Path, root: Path, params: Params = PARAMS, **changes: Any) -> dict[str, Any]:
    """The stage into `root`, in this process."""
    values: dict[str, Any] = {
        "params": params.train, "resize": params.resize, "epochs": params.epochs, "seed": params.seed,
        "executor": params.executor.model_copy(update={"n_jobs": 1}), "state": root / ".state", "device": "cpu",
    }  # fmt: skip
    grid = split / "grid"
    return stage.run(split, grid, root / "cyclegan", root / "plots", root / "metrics.json", **{**values, **changes})


def with_train(params: Params = PARAMS, **values: Any) -> Params:
    """Other values of the section `train`; a mapping changes a section in it."""
    sections = {
        name: getattr(params.train, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    return params.model_copy(update={"train": params.train.model_copy(update=sections)})
