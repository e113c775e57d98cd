"""Parameters of the curation stages that look at one picture at a time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.runtime.settings import Section, Share

Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class Flatten(Section):
    """What stands behind a transparent work once it is opaque."""

    policy: Literal["solid", "contrast"]  # always the first of `backgrounds`, or by the work's id and outline
    backgrounds: Annotated[list[Colour], Field(min_length=1)]
    alpha_threshold: Annotated[int, Field(ge=1, le=255)]  # alpha below is background, the rest opaque
    max_transparent: Share  # works with a larger transparent share are dropped


class Grid(Section):
    """How the native cell size of a work is looked for."""

    max_cell: Annotated[int, Field(ge=2, le=128)]  # largest upscale factor that is undone
    min_confidence: Share  # comb score below which an upscale of blurred art is not believed
