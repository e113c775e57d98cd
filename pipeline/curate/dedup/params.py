"""Parameters of the dedup stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.runtime.settings import Section


class Dedup(Section):
    """How duplicates are found: exact ones by canonical pixels, near ones by pHash verified on the foreground."""

    max_distance: Annotated[int, Field(ge=0, le=16)]  # bits between 64-bit pHashes of candidates
    max_difference: Annotated[float, Field(ge=0, le=64)]  # mean absolute difference (0..255) over the foreground
    overrides: Annotated[str, Field(min_length=1)]  # file of what a person decided about pairs of works
    frames: Literal["first", "distinct", "all"]  # of an animation: distinct = those that differ most from one another
    most_frames: Annotated[int, Field(ge=1, le=64)]  # frames an animation may give (frames: distinct only)
