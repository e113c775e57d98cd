"""Why a file gives no picture."""

from __future__ import annotations

from pipeline.errors import BadInput

REASONS = ("not_an_image", "truncated", "unreadable", "too_large", "too_many_frames")


class Undecodable(BadInput):
    """A file that cannot be decoded exactly; `reason` is one of REASONS."""

    def __init__(self, reason: str, message: str) -> None:
        if reason not in REASONS:
            raise AssertionError(f"{reason!r} is none of {REASONS}")
        super().__init__(message)
        self.reason = reason
