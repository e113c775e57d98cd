"""Decodes the bytes of any picture that a gallery serves to exact pixels, or gives a reason from a closed list.

PNG (all depths and colour types, Adam7, APNG), GIF, WebP, JPEG and BMP, told apart by their first bytes, since names
lie. No colour is invented: samples are taken as they are (`png` tells of 16 bits, `stills` of CMYK and colour
management), EXIF orientation is applied, and colours under alpha 0 become 0. A file that is damaged anywhere in the
frames that are asked for gives nothing.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pipeline.images.files import DAMAGED, PNG, Pixels
from pipeline.images.formats import frames as frame_choice
from pipeline.images.formats import gif, png, stills, webp
from pipeline.images.formats.container import MAX_FRAMES, REASONS, Facts, Source, Undecodable

__all__ = ["MAX_FRAMES", "REASONS", "Decoded", "Facts", "Frame", "Policy", "Undecodable", "decode", "read"]

Policy = Literal["first", "distinct", "all"]

MAX_ANIMATION = 256_000_000  # pixels of all frames together, where more than the first is asked for
READERS: dict[bytes, Callable[[bytes], Source]] = {
    PNG: png.read,
    b"GIF87a": gif.read,
    b"GIF89a": gif.read,
    b"\xff\xd8\xff": stills.read_jpeg,
    b"BM": partial(stills.read, format="BMP"),
}


@dataclass(frozen=True)
class Frame:
    """A picture as viewers show it; `index` is its place in the animation, from 0."""

    index: int
    rgba: Pixels  # uint8 (H, W, 4)


@dataclass(frozen=True)
class Decoded:
    """A decoded file."""

    facts: Facts
    frames: tuple[Frame, ...]  # at least one, by index


def decode(data: bytes, name: str, *, frames: Policy, most: int) -> Decoded:
    """Decode a file: its facts and the frames that are asked for; a still picture always has one.

    Args:
        name: of the file, for errors.
        frames: `first` (of an animation, not the picture that an APNG shows in its place); `distinct` = the first and
            the frames that differ most, see `frames.distinct`; `all` = every frame but exact repeats.
        most: how many `distinct` frames there may be.

    Raises:
        Undecodable: with one of REASONS; its message begins with `name`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of bombs and odd metadata; both are checked here
            source = read(data)
            return Decoded(source.facts, _chosen(source, frames, most))
    except Undecodable as error:
        raise Undecodable(error.reason, f"{name}: not a readable image: {error}") from error
    except (*DAMAGED, zlib.error) as error:
        reason = "truncated" if "truncated" in str(error) else "unreadable"
        raise Undecodable(reason, f"{name}: not a readable image: {str(error) or type(error).__name__}") from error


def read(data: bytes) -> Source:
    """The facts of a file, and its frames one at a time.

    Raises:
        Undecodable: with one of REASONS; what Pillow raises over damaged files (files.DAMAGED).
    """
    return _reader(data)(data)


def _reader(data: bytes) -> Callable[[bytes], Source]:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp.read
    for magic, reader in READERS.items():
        if data.startswith(magic):
            return reader
    raise Undecodable("not_an_image", f"expected PNG, GIF, WebP, JPEG or BMP, found {data[:12]!r}")


def _chosen(source: Source, frames: Policy, most: int) -> tuple[Frame, ...]:
    facts = source.facts
    if frames == "first" or facts.frames == 1:
        return (Frame(0, next(source.play())),)
    if source.pixels > MAX_ANIMATION:
        raise Undecodable("too_many_frames", f"{facts.frames} frames of {facts.width}x{facts.height} pixels")
    if frames == "all":
        chosen = frame_choice.every(source.play)
    else:
        chosen = frame_choice.distinct(frame_choice.replayed(source.play, source.pixels), most)
    return tuple(Frame(index, rgba) for index, rgba in chosen.items())
