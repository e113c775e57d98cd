"""Find the native cell size of each work and reduce it to one pixel per cell; native art stays untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.cells import detect
from pipeline.curate.params import Grid
from pipeline.images.files import PNG, Pixels, encode_art_png, read_rgb
from pipeline.runtime import manifest, per_image
from pipeline.runtime.cached_map import Facts
from pipeline.runtime.manifest import Row
from pipeline.runtime.per_image import Outcome
from pipeline.runtime.settings import Executor

CARRIED = ("frames", "frame", "background", "transparent_share", "partial_share")


def run(src: Path, dst: Path, params: Grid, executor: Executor, state: Path | None = None) -> dict[str, Any]:
    """Reduce opaque works of any enlargement to one pixel per cell.

    Adds `cell` (1 = native, fractional where the enlargement was, null = unknown), `confidence` (0..1), `phase`
    ([x, y] of the first whole cell), `native_width`, `native_height`; with something to tell also `off_grid` (share
    of the cells that a caption, a signature or the like lies on; it is reduced with them) and `max_cell_needed` (the
    `grid.max_cell` with which an unknown work would be known). stats.json counts the works by `cell`, to one digit.
    Reasons: unreadable, grid_unknown. `state`: where the cache is; None = none.
    """
    stage = per_image.Stage(
        name="grid",
        module=__name__,
        step=step,
        params=params,
        reads=(),
        carried=CARRIED,
        counted={"enlarged": lambda row: row["status"] == "kept" and row["cell"] != 1},
        binned={"cell": _label},
    )
    return per_image.run(stage, src, dst, executor, state)


def step(data: bytes, _: Facts, params: Grid) -> list[Outcome]:
    """Reduce one work, given its file's bytes."""
    rgb = read_rgb(data)
    verdict, native = judge(rgb, params)
    if native is rgb and data.startswith(PNG):
        return [Outcome(verdict, data)]
    return [Outcome(verdict, None if native is None else encode_art_png(native))]


def judge(rgb: Pixels, params: Grid) -> tuple[manifest.Verdict, Pixels | None]:
    """The verdict on a work, and one pixel per cell of it if it is kept: of a native work `rgb` itself."""
    cell = detect.detect(rgb, params.max_cell, params.min_confidence)
    facts: dict[str, Any] = {
        "cell": cell.size if cell.size is None else round(cell.size, 4),
        "confidence": cell.confidence,
        "phase": list(cell.phase),
        "native_width": cell.native_width,
        "native_height": cell.native_height,
        **cell.remarks,
    }
    if cell.size is None:
        return manifest.verdict("dropped", "grid_unknown", **facts), None
    return manifest.verdict("kept", **facts), rgb if cell.size == 1 else detect.reduce(rgb, cell)


def _label(row: Row) -> str | None:
    if "cell" not in row:
        return None
    return "unknown" if row["cell"] is None else f"{row['cell']:.4g}" if row["cell"] % 1 == 0 else f"{row['cell']:.1f}"
