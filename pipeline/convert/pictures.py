"""Conversion of pictures to pixel art: `NAME.png` with one pixel per cell, and `NAME@<scale>x.png`.

A method is any callable from an opaque picture and a grid to a native picture, so a trained generator is one as well.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from pipeline.errors import BadInput
from pipeline.images import resample
from pipeline.images.colour import OPAQUE
from pipeline.images.files import Pixels, encode_png
from pipeline.images.folders import first_frame
from pipeline.images.resample import Grid, cell_sums
from pipeline.runtime.files import write_atomic
from pipeline.runtime.manifest import Verdict, tally, verdict
from pipeline.runtime.progress import Progress, silent

Method = Callable[[Pixels, Grid], Pixels]  # uint8 (H, W, 3), (rows, columns) -> uint8 (rows, columns, 3)
Cells = int | Grid  # cells along the longest side, aspect ratio kept; or exactly (rows, columns)

SUFFIXES = (".png", ".gif", ".webp", ".jpg", ".jpeg", ".bmp")
MAX_CELLS = 1024
MAX_SCALE = 64


class Unfit(BadInput):
    """A readable picture that cannot be converted; `reason` is the word for its row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def parse_cells(text: str) -> Cells:
    """The cells that a text asks for: `N` (longest side) or `WxH`.

    Raises:
        BadInput: anything else, or a side outside 1..MAX_CELLS.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and 1 <= int(side) <= MAX_CELLS for side in sides):
        raise BadInput(f"cells: expected N or WxH with sides in 1..{MAX_CELLS}, got {text!r}")
    return int(sides[0]) if len(sides) == 1 else (int(sides[1]), int(sides[0]))


def convert(
    paths: Sequence[Path | str],
    out: Path,
    *,
    method: Method,
    cells: Cells,
    scale: int,
    force: bool,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Convert pictures, folders (with their subfolders) and glob patterns into `out`.

    Returns:
        `pictures`: a row per input (`path`, `native`, `enlarged`, `columns`, `rows`, `status`, `reason`, `detail`)
        and `counts`. Reasons: `exists` (dropped: written earlier, no `force`), `not_an_image` (dropped),
        `unreadable`, `name_clash` (two inputs for one output), `too_small` (fewer pixels than an exact grid asks),
        `transparent` (no opaque pixel).

    Raises:
        BadInput: a path that matches nothing, nothing but what lies in `out` or is empty, or a scale that cannot be.
    """
    if not 1 <= scale <= MAX_SCALE:
        raise BadInput(f"scale must be in 1..{MAX_SCALE}, got {scale}")
    stems: set[Path] = set()
    rows = []
    inputs = list(_inputs(paths, out))
    if not inputs:
        raise BadInput(f"{paths[0]}: nothing to convert: empty, or in {out}, where the results go")
    for done, (path, folder) in enumerate(inputs):
        progress("convert", done, len(inputs), path.name)
        stem = out / folder / path.stem
        rows.append({"path": str(path), **_convert(path, stem, stems, method, cells, scale, force)})
        stems.add(stem)
    progress("convert", len(inputs), len(inputs))
    return {"pictures": rows, "counts": tally(rows)}


def raise_for_failures(result: Mapping[str, Any]) -> None:
    """Raise an error that lists the failed pictures, for the end of the command.

    Raises:
        BadInput: at least one picture failed.
    """
    failures = [row for row in result["pictures"] if row["status"] == "failed"]
    if failures:
        listed = "; ".join(f"{row['path']}: {row['detail']}" for row in failures[:3])
        more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise BadInput(f"{len(failures)} of {len(result['pictures'])} pictures failed: {listed}{more}")


def to_native(rgba: Pixels, method: Method, cells: Cells) -> Pixels:
    """A picture (H, W, 4) as cells: (rows, columns, 3), or 4 with hard alpha where it has any transparency.

    A cell is transparent when most of it is. Transparent pixels take the colour of the nearest opaque one before the
    method sees the picture, so that no hidden colour reaches a cell.

    Raises:
        Unfit: no opaque pixel, or fewer pixels than an exact grid asks for.
    """
    grid = grid_for(rgba.shape[0], rgba.shape[1], cells)
    opaque = rgba[..., 3] >= OPAQUE
    if opaque.all():
        return method(np.ascontiguousarray(rgba[..., :3]), grid)
    if not opaque.any():
        raise Unfit("transparent", "no opaque pixel")
    rows, columns = distance_transform_edt(~opaque, return_distances=False, return_indices=True)
    native = method(np.ascontiguousarray(rgba[rows, columns, :3]), grid)
    area = cell_sums(np.ones(opaque.shape, bool), grid)
    covered = 2 * cell_sums(opaque, grid) >= area
    alpha = np.where(covered, 255, 0).astype(np.uint8)[..., None]
    return np.where(alpha > 0, np.concatenate([native, alpha], axis=-1), 0).astype(np.uint8)


def grid_for(height: int, width: int, cells: Cells) -> Grid:
    """The rows and columns for a picture; a single number is the longest side, and never more cells than pixels.

    Raises:
        Unfit: an exact grid larger than the picture.
    """
    if isinstance(cells, tuple):
        if cells[0] > height or cells[1] > width:
            raise Unfit("too_small", f"{width}x{height} pixels cannot fill {cells[1]}x{cells[0]} cells")
        return cells
    longest = max(height, width)
    most = min(cells, longest)
    rows, columns = ((2 * side * most + longest) // (2 * longest) for side in (height, width))
    return max(1, rows), max(1, columns)


def _convert(
    path: Path, stem: Path, stems: set[Path], method: Method, cells: Cells, scale: int, force: bool
) -> Verdict:
    native_path, enlarged_path = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}@{scale}x.png")
    if path.suffix.lower() not in SUFFIXES:
        return verdict("dropped", "not_an_image", detail=f"expected one of {' '.join(SUFFIXES)}")
    if stem in stems:
        return verdict("failed", "name_clash", detail=f"{native_path} is already the output of another input")
    existing = [file for file in (native_path, enlarged_path) if file.exists()]
    if existing and not force:
        return verdict("dropped", "exists", detail=f"{existing[0]} exists")
    try:
        rgba = first_frame(path)
    except BadInput as error:
        return verdict("failed", "unreadable", detail=str(error))
    try:
        native = to_native(rgba, method, cells)
    except Unfit as error:
        return verdict("failed", error.reason, detail=str(error))
    write_atomic(native_path, encode_png(native))
    write_atomic(enlarged_path, encode_png(resample.enlarge(native, scale)))
    size = {"rows": native.shape[0], "columns": native.shape[1]}
    return {"native": str(native_path), "enlarged": str(enlarged_path), **size, "status": "kept", "reason": None}


def _inputs(paths: Sequence[Path | str], out: Path) -> Iterator[tuple[Path, Path]]:
    """Each file once, with the subfolder that its output goes to; what lies in `out` is no input."""
    visited: set[Path] = set()
    for path, folder in (item for pattern in paths for item in _expand(pattern)):
        resolved = path.resolve()
        if resolved not in visited and not resolved.is_relative_to(out.resolve()):
            visited.add(resolved)
            yield path, folder


def _expand(pattern: Path | str) -> Iterator[tuple[Path, Path]]:
    path = Path(pattern)
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield file, inside.parent
    elif path.exists():
        yield path, Path()
    else:
        matches = sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207  (absolute patterns too)
        if not matches:
            raise BadInput(f"{pattern}: no such file or folder")
        for match in matches:
            yield from _expand(match)
