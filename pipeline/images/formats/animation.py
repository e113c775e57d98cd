"""Composition of animations: patches are drawn on a canvas one after the other, each cleared away in its own manner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels

Disposal = Literal["keep", "clear", "restore"]


@dataclass(frozen=True)
class Patch:
    """A rectangle of new pixels, and what becomes of it after its time."""

    rgba: Pixels  # (h, w, 4), zero under alpha 0; `compose` may overwrite it
    left: int
    top: int
    over: bool  # drawn over the canvas; False = in place of it
    disposal: Disposal

    def fills(self, width: int, height: int) -> bool:
        """Whether it covers a canvas of this size exactly."""
        return (self.left, self.top, *self.rgba.shape[1::-1]) == (0, 0, width, height)


def compose(width: int, height: int, patches: Iterable[Patch]) -> Iterator[Pixels]:
    """The canvas (height, width, 4) after each patch; it is transparent at first, and reused from frame to frame.

    What reaches beyond the canvas is cut off. `clear` makes the rectangle transparent, whatever background colour the
    file names, as browsers do.
    """
    canvas: Pixels | None = None
    for patch in patches:
        if canvas is None and patch.fills(width, height) and patch.disposal != "restore":
            canvas = target = patch.rgba
            yield canvas
        else:
            canvas = np.zeros((height, width, 4), np.uint8) if canvas is None else canvas
            target = canvas[patch.top : patch.top + patch.rgba.shape[0], patch.left : patch.left + patch.rgba.shape[1]]
            before = target.copy() if patch.disposal == "restore" else None
            _draw(patch.rgba[: target.shape[0], : target.shape[1]], target, patch.over)
            yield canvas
            if before is not None:
                target[:] = before
        if patch.disposal == "clear":
            target[:] = 0


def _draw(source: Pixels, target: Pixels, over: bool) -> None:
    if not over:
        target[:] = source
        return
    packed, opaque = source.view("<u4")[..., 0], source[..., 3] == 255
    np.copyto(target.view("<u4")[..., 0], packed, where=opaque)
    mixed = ~opaque & (packed > 0)
    if mixed.any():
        target[mixed] = _mixed(source[mixed].astype(np.int64), target[mixed].astype(np.int64))


def _mixed(source: NDArray[np.int64], ground: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 4) over (N, 4), neither premultiplied: Porter and Duff 1984, to the nearest integer.

    With alphas a over b: alpha a + b(1 - a), and colours weighted by a and b(1 - a).
    """
    front = source[..., 3:] * 255
    back = ground[..., 3:] * (255 - source[..., 3:])
    total = np.maximum(front + back, 1)  # alpha times 255
    colours = (2 * (source[..., :3] * front + ground[..., :3] * back) + total) // (2 * total)
    return np.concatenate([colours, (2 * total + 255) // 510], axis=-1)
