"""Native works onto one grid: cells x cells, each cell an integer square of one colour.

Smaller works are padded with their own background, centred; nothing is ever shrunk. What becomes of larger ones is
`larger`. `crop` keeps a window, by the rule `crop`: `saliency` takes the one with the most content, one point for every
cell that is not background and one for every cell that differs from its left or upper neighbour, of equal windows the
one nearest the horizontal centre, then the topmost; `centre` takes the middle one; `top` starts at the first row with
content, where the head of a portrait or a standing figure is, and goes by content from left to right. `tile` cuts
windows from the top left corner into `<id>-t<column>x<row>`; what is left at the right and bottom is a padded tile of
its own. `drop` drops.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.images import canonical
from pipeline.images.files import Pixels, encode_art_png, read_rgb
from pipeline.images.resample import enlarge, pad
from pipeline.runtime import manifest, per_image
from pipeline.runtime.cached_map import Facts
from pipeline.runtime.per_image import Outcome
from pipeline.runtime.settings import Executor, Resize

Piece = tuple[str, manifest.Verdict, Pixels | None]  # suffix of the id, verdict, the picture if it is kept

MIN_CONTENT = 0.05  # share of a tile's cells that must differ from its most common colour
CARRIED = ("frames", "frame", "transparent_share", "partial_share", "cell", "native_width", "native_height")


def run(src: Path, dst: Path, params: Resize, executor: Executor, state: Path | None = None) -> dict[str, Any]:
    """Bring works of one pixel per cell to `size` x `size` RGB.

    Adds `background` where no stage before noted one, and `pad` or `crop` ([left, top, width, height] in cells of the
    work). Reasons: unreadable, too_small, too_large, extreme_aspect, blank_tile. `state`: where the cache is; None =
    none.
    """
    stage = per_image.Stage(
        name="resize",
        module=__name__,
        step=step,
        params=params,
        reads=("background",),
        carried=CARRIED,
        counted={"cropped": lambda row: row.get("crop") is not None, "padded": lambda row: row.get("pad") is not None},
    )
    return per_image.run(stage, src, dst, executor, state)


def step(data: bytes, facts: Facts, params: Resize) -> list[Outcome]:
    """Resize one work, given its file's bytes and its background."""
    rgb = read_rgb(data)
    background = facts["background"] or _border_colour(rgb)
    return [
        Outcome(verdict, None if picture is None else encode_art_png(picture), suffix)
        for suffix, verdict, picture in judge(rgb, background, params)
    ]


def judge(rgb: Pixels, background: str, params: Resize) -> Iterator[Piece]:
    """Cut a native work into one piece, or into its tiles."""
    if params.larger == "tile" and max(rgb.shape[:2]) > params.cells:
        yield from _tiles(rgb, background, params)
    elif reason := _reason_to_drop(rgb, params):
        yield "", manifest.verdict("dropped", reason, background=background), None
    else:
        left, top = place(rgb, background, params)
        window = rgb[top : top + params.cells, left : left + params.cells]
        cut = _cut(window, left, top, params.cells, cropped=max(rgb.shape[:2]) > params.cells)
        yield "", manifest.verdict("kept", background=background, **cut), _picture(window, background, params)


def _reason_to_drop(rgb: Pixels, params: Resize) -> str | None:
    longer, shorter = max(rgb.shape[:2]), min(rgb.shape[:2])
    if longer < params.min_cells:
        return "too_small"
    if longer > params.max_aspect * shorter:
        return "extreme_aspect"
    return "too_large" if longer > params.cells and params.larger == "drop" else None


def place(rgb: Pixels, background: str, params: Resize) -> tuple[int, int]:
    """Choose the window that is kept of a work: its (left, top)."""
    height, width = rgb.shape[:2]
    if max(height, width) <= params.cells:
        return 0, 0
    if params.crop == "centre":
        return max(width - params.cells, 0) // 2, max(height - params.cells, 0) // 2
    if params.crop == "top":
        content = (rgb != canonical.parse_colour(background)).any(axis=(1, 2))  # by row
        top = min(int(content.argmax()), max(height - params.cells, 0))
        return best_window(rgb[top : top + params.cells], background, params.cells)[0], top
    return best_window(rgb, background, params.cells)


def _border_colour(rgb: Pixels) -> str:
    return canonical.format_colour(canonical.common_colours(canonical.border(rgb), 1)[0])


def _cut(window: Pixels, left: int, top: int, cells: int, *, cropped: bool) -> dict[str, Any]:
    height, width = window.shape[:2]
    pad = [(cells - width) // 2, (cells - height) // 2, width, height] if (height, width) != (cells, cells) else None
    return {"pad": pad, "crop": [left, top, width, height] if cropped else None}


def _tiles(rgb: Pixels, background: str, params: Resize) -> Iterator[Piece]:
    cells = params.cells
    down, across = (-(-side // cells) for side in rgb.shape[:2])
    for y, x in product(range(down), range(across)):
        tile = rgb[y * cells : (y + 1) * cells, x * cells : (x + 1) * cells]
        facts: dict[str, Any] = {"background": background, **_cut(tile, x * cells, y * cells, cells, cropped=True)}
        suffix = f"-t{x:02}x{y:02}"
        if min(tile.shape[:2]) < params.min_cells:
            yield suffix, manifest.verdict("dropped", "too_small", **facts), None
        elif _content_share(tile) < MIN_CONTENT:
            yield suffix, manifest.verdict("dropped", "blank_tile", **facts), None
        else:
            yield suffix, manifest.verdict("kept", **facts), _picture(tile, background, params)


def _content_share(tile: Pixels) -> float:
    common = canonical.common_colours(tile.reshape(-1, 3), 1)[0]
    return float((tile != common).any(axis=2).mean())


def _picture(native: Pixels, background: str, params: Resize) -> Pixels:
    return enlarge(pad(native, params.cells, background), params.size // params.cells)


def best_window(rgb: Pixels, background: str, cells: int) -> tuple[int, int]:
    """Find the window of at most cells x cells with the most content, by the module's rule: its (left, top)."""
    height, width = min(cells, rgb.shape[0]), min(cells, rgb.shape[1])
    tall = _window_sums(_content_points(rgb, background).astype(_narrowest(3 * height)), height)
    scores = _window_sums(tall.T.astype(_narrowest(3 * height * width)), width)
    best = scores == scores.max()
    lefts = np.flatnonzero(best.any(axis=1))
    off_centre = np.abs(2 * lefts - (len(scores) - 1))
    top, left = min((int(best[left].argmax()), left) for left in lefts[off_centre == off_centre.min()].tolist())
    return left, top


def _narrowest(most: int) -> type[np.unsignedinteger[Any]]:
    """The narrowest numbers that can be so large: half the width is half the time."""
    return np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32


def _window_sums(rows: NDArray[Any], length: int) -> NDArray[Any]:
    """Sums of `length` neighbouring rows, by the first of them: two halves, and the last row where there is one over.

    A few additions of whole arrays; running sums go through them a number at a time.
    """
    if length == 1:
        return rows
    half = _window_sums(rows, length // 2)
    count = len(rows) - length + 1
    sums: NDArray[Any] = half[:count] + half[length // 2 :][:count]
    if length % 2:
        sums += rows[length - 1 :]
    return sums


def _content_points(rgb: Pixels, background: str) -> Pixels:
    """Up to 3 a cell: it is not background, differs from its left neighbour, from its upper neighbour."""
    colours = canonical.pack(rgb)
    ground = canonical.pack(np.array([[canonical.parse_colour(background)]], np.uint8))
    points: Pixels = (colours != ground).view(np.uint8)
    points[:, 1:] += colours[:, 1:] != colours[:, :-1]
    points[1:] += colours[1:] != colours[:-1]
    return points
