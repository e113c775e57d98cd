"""What all image formats share: facts of a file, a source of frames, reasons why a file cannot be decoded, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.errors import BadInput
from pipeline.images.files import MAX_PIXELS, Pixels

MAX_FRAMES = 10_000
REASONS = ("not_an_image", "truncated", "unreadable", "too_large", "too_many_frames")


class Undecodable(BadInput):
    """A file that cannot be decoded exactly; `reason` is one of REASONS."""

    def __init__(self, reason: str, message: str) -> None:
        if reason not in REASONS:
            raise AssertionError(f"{reason!r} is none of {REASONS}")
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Facts:
    """Facts of an image file; `format` by its first bytes."""

    format: str
    width: int  # as viewers show it: EXIF orientation applied
    height: int
    frames: int  # of the animation; 1 = a still picture
    has_alpha: bool  # it can hold transparency: an alpha channel, a transparent colour, a canvas left open
    lossless: bool


@dataclass(frozen=True)
class Source:
    """A file whose container was read: `play` gives the frames from the first, each valid until the next."""

    facts: Facts
    play: Callable[[], Iterator[Pixels]]
    oversize: int = 0  # pixels of frames that are decoded though they lie beyond the canvas

    @property
    def pixels(self) -> int:
        """Pixels that are decoded when all frames are played."""
        return self.facts.frames * self.facts.width * self.facts.height + self.oversize


def check_size(width: int, height: int) -> None:
    """Refuse pictures that are too large.

    Raises:
        Undecodable: too_large; unreadable (no pixels at all).
    """
    if not width or not height:
        raise Undecodable("unreadable", f"a picture of {width}x{height} pixels")
    if width * height > MAX_PIXELS:
        raise Undecodable("too_large", f"{width}x{height} pixels, the limit is {MAX_PIXELS}")


def check_frames(frames: int) -> None:
    """Refuse animations that are too long.

    Raises:
        Undecodable: too_many_frames.
    """
    if frames > MAX_FRAMES:
        raise Undecodable("too_many_frames", f"{frames} frames, the limit is {MAX_FRAMES}")
