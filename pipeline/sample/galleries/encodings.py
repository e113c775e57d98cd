"""Frames as the files that galleries serve. Frames are uint8 (H, W, 4), all of one size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images.files import Pixels

FRAME_MS = 160


def encode(frames: Sequence[Pixels], kind: str) -> bytes:
    """One file of `kind`: png, png-palette, gif, webp (lossless), webp-lossy (q80), jpg (q85, over white).

    All but gif and webp hold the first frame only; png-palette and gif need at most 256 colours.
    """
    match kind:
        case "png":
            return _save([Image.fromarray(frames[0])], "PNG")
        case "png-palette":
            return _save(_indexed(frames[:1]), "PNG")
        case "gif":
            return _save(_indexed(frames), "GIF", disposal=2, optimize=False)
        case "webp":
            return _save([Image.fromarray(frame) for frame in frames], "WEBP", lossless=True, exact=True, method=3)
        case "webp-lossy":
            return _save([Image.fromarray(frame) for frame in frames], "WEBP", quality=80, method=3)
        case "jpg":
            return _save([Image.fromarray(over_white(frames[0]))], "JPEG", quality=85)
    raise ValueError(f"no encoding {kind!r}")


def over_white(frame: Pixels) -> Pixels:
    """(H, W, 4) -> (H, W, 3) on white, integer arithmetic."""
    alpha = frame[..., 3:].astype(np.uint16)
    mixed = (frame[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)


def _save(images: Sequence[Image.Image], name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:], "duration": FRAME_MS, "loop": 0}
    images[0].save(file, format=name, **options)
    return file.getvalue()


def _indexed(frames: Sequence[Pixels]) -> list[Image.Image]:
    """Palette images over one exact common palette; entry 0 is the transparent one where there is any."""
    stack = np.stack(frames)
    visible = np.where(stack[..., 3:] == 0, np.uint8(0), stack)
    packed = np.ascontiguousarray(visible).view(">u4")[..., 0].astype(np.uint32)  # RGBA, so 0 = transparent
    values, indices = np.unique(packed, return_inverse=True)
    if len(values) > 256:
        raise ValueError(f"{len(values)} colours do not fit a palette")
    palette = np.stack([values >> shift & 255 for shift in (24, 16, 8)], axis=1).astype(np.uint8).tobytes()
    images = [Image.fromarray(index) for index in indices.reshape(packed.shape).astype(np.uint8)]
    for image in images:
        image.putpalette(palette)
        if values[0] == 0:
            image.info["transparency"] = 0
    return images
