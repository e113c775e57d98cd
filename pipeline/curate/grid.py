"""Find the native cell size of each work and reduce it to one pixel per cell; native art stays untouched."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pipeline import cells, manifest
from pipeline.errors import BadInput
from pipeline.executor import parallel_map
from pipeline.io import output_dir, read_rgb, write_png
from pipeline.manifest import Row
from pipeline.params import Executor, Grid

CARRIED = ("frames", "frame", "background", "transparent_share")


def run(src: Path, dst: Path, params: Grid, executor: Executor) -> dict[str, Any]:
    """Opaque works of any enlargement -> one pixel per cell.

    Adds `cell` (1 = native, fractional where the enlargement was, null = unknown), `confidence` (0..1), `phase`
    ([x, y] of the first whole cell), `native_width`, `native_height`. Reasons: unreadable, grid_unknown.
    """
    rows = manifest.read_kept(src)
    with output_dir(dst) as out:
        (out / "images").mkdir()
        work = partial(_reduce, src=src / "images", out=out / "images", params=params)
        done = parallel_map(work, rows, executor)
        enlarged = sum(1 for row in done if row["status"] == "kept" and row["cell"] != 1)
        return manifest.write(out, done, inputs=[row["id"] for row in rows], enlarged=enlarged)


def _reduce(row: Row, src: Path, out: Path, params: Grid) -> Row:
    try:
        rgb = read_rgb(src / f"{row['id']}.png")
    except BadInput:
        return manifest.failed(row, "unreadable")
    cell = cells.detect(rgb, params.max_cell, params.min_confidence)
    facts = {
        **{key: row[key] for key in CARRIED if key in row},
        "cell": cell.size if cell.size is None else round(cell.size, 4),
        "confidence": cell.confidence,
        "phase": list(cell.phase),
        "native_width": cell.native_width,
        "native_height": cell.native_height,
    }
    if cell.size is None:
        return manifest.dropped(row, "grid_unknown", **facts)
    write_png(out / f"{row['id']}.png", cells.reduce(rgb, cell))
    return manifest.kept(row, **facts)
