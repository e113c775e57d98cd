"""Native works onto one grid: cells x cells, each cell an integer square of one colour.

Smaller works are padded with their own background, centred; nothing is ever shrunk. Of larger works `crop` keeps the
window with the most content: one point for every cell that is not background and one for every cell that differs from
its left or upper neighbour; of equal windows the one nearest the horizontal centre, then the topmost. `tile` cuts them
from the top left corner into `<id>-t<column>x<row>`; what is left at the right and bottom is a padded tile of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import manifest, pixels
from pipeline.errors import BadInput
from pipeline.executor import parallel_map
from pipeline.io import Pixels, output_dir, read_rgb, write_png
from pipeline.manifest import Row
from pipeline.params import Executor, Resize

MIN_CONTENT = 0.05  # share of a tile's cells that must differ from its most common colour
CARRIED = ("frames", "frame", "background", "transparent_share", "cell", "native_width", "native_height")


def run(src: Path, dst: Path, params: Resize, executor: Executor) -> dict[str, Any]:
    """One pixel per cell in, `size` x `size` RGB out.

    Adds `pad` or `crop` ([left, top, width, height] in cells of the work). Reasons: unreadable, too_small, too_large,
    extreme_aspect, blank_tile.
    """
    rows = manifest.read_kept(src)
    with output_dir(dst) as out:
        (out / "images").mkdir()
        work = partial(_resize, src=src / "images", out=out / "images", params=params)
        done = [row for group in parallel_map(work, rows, executor) for row in group]
        return manifest.write(out, done, inputs=[row["id"] for row in rows])


def _resize(row: Row, src: Path, out: Path, params: Resize) -> list[Row]:
    try:
        rgb = read_rgb(src / f"{row['id']}.png")
    except BadInput:
        return [manifest.failed(row, "unreadable")]
    row = {**row, "background": row.get("background") or _border_colour(rgb)}
    longer, shorter = max(rgb.shape[:2]), min(rgb.shape[:2])
    larger = longer > params.cells
    facts = {key: row[key] for key in CARRIED if key in row}
    if longer < params.min_cells:
        return [manifest.dropped(row, "too_small", **facts)]
    if larger and params.larger == "tile":
        return list(_tiles(rgb, row, facts, out, params))
    if longer > params.max_aspect * shorter:
        return [manifest.dropped(row, "extreme_aspect", **facts)]
    if larger and params.larger == "drop":
        return [manifest.dropped(row, "too_large", **facts)]
    left, top = best_window(rgb, row["background"], params.cells) if larger else (0, 0)
    window = rgb[top : top + params.cells, left : left + params.cells]
    _write(out / f"{row['id']}.png", window, row["background"], params)
    return [manifest.kept(row, **facts, **_cut(window, left, top, params.cells, cropped=larger))]


def _border_colour(rgb: Pixels) -> str:
    return pixels.format_colour(pixels.common_colours(pixels.border(rgb), 1)[0])


def _cut(window: Pixels, left: int, top: int, cells: int, *, cropped: bool) -> dict[str, list[int] | None]:
    height, width = window.shape[:2]
    pad = [(cells - width) // 2, (cells - height) // 2, width, height] if (height, width) != (cells, cells) else None
    return {"pad": pad, "crop": [left, top, width, height] if cropped else None}


def _tiles(rgb: Pixels, row: Row, facts: dict[str, Any], out: Path, params: Resize) -> Iterator[Row]:
    cells = params.cells
    down, across = (-(-side // cells) for side in rgb.shape[:2])
    for y, x in product(range(down), range(across)):
        tile = rgb[y * cells : (y + 1) * cells, x * cells : (x + 1) * cells]
        identity = {"id": f"{row['id']}-t{x:02}x{y:02}", "parent": row["id"]}
        cut = _cut(tile, x * cells, y * cells, cells, cropped=True)
        if min(tile.shape[:2]) < params.min_cells:
            yield manifest.dropped(row, "too_small", **facts, **cut, **identity)
        elif _content_share(tile) < MIN_CONTENT:
            yield manifest.dropped(row, "blank_tile", **facts, **cut, **identity)
        else:
            _write(out / f"{identity['id']}.png", tile, row["background"], params)
            yield manifest.kept(row, **facts, **cut, **identity)


def _content_share(tile: Pixels) -> float:
    common = pixels.common_colours(tile.reshape(-1, 3), 1)[0]
    return float((tile != common).any(axis=2).mean())


def _write(path: Path, native: Pixels, background: str, params: Resize) -> None:
    write_png(path, enlarge(pad(native, params.cells, background), params.size // params.cells))


def pad(native: Pixels, cells: int, background: str) -> Pixels:
    """Centred on a cells x cells ground; an odd cell of margin goes to the right and bottom."""
    height, width = native.shape[:2]
    left, top = (cells - width) // 2, (cells - height) // 2
    ground = np.empty((cells, cells, 3), np.uint8)
    ground[:] = pixels.parse_colour(background)
    ground[top : top + height, left : left + width] = native
    return ground


def enlarge(native: Pixels, factor: int) -> Pixels:
    """Every pixel becomes factor x factor equal pixels."""
    return native.repeat(factor, axis=0).repeat(factor, axis=1)


def best_window(rgb: Pixels, background: str, cells: int) -> tuple[int, int]:
    """(left, top) of the window of at most cells x cells with the most content; rule in the module docstring."""
    points = (rgb != np.array(pixels.parse_colour(background), np.uint8)).any(axis=2).astype(np.int64)
    points[:, 1:] += (rgb[:, 1:] != rgb[:, :-1]).any(axis=2)
    points[1:] += (rgb[1:] != rgb[:-1]).any(axis=2)
    scores = _window_sums(points, min(cells, rgb.shape[0]), min(cells, rgb.shape[1]))
    tops, lefts = np.nonzero(scores == scores.max())
    off_centre = np.abs(2 * lefts - (scores.shape[1] - 1))
    best = np.lexsort((lefts, tops, off_centre))[0]
    return int(lefts[best]), int(tops[best])


def _window_sums(points: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Sum over every height x width window, by its top left corner."""
    total = np.pad(points.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: NDArray[np.int64] = (
        total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    )
    return sums
