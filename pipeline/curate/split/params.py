"""Parameters of the split stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.layout import Source
from pipeline.runtime.settings import Section, Share

Cells = Annotated[int, Field(ge=1)]


class PaletteNear(Section):
    """Artworks in the colours of a palette."""

    palette: Annotated[str, Field(min_length=1)]  # a file, .hex, .gpl, .json or .png: DVC watches it
    distance: Share | None  # in OKLab, of a work's pixels from their nearest colours on average; null = any


class Split(Section):
    """Which works take part, and how they are split: by group (artist, identity, family of duplicates).

    `native` is of the whole artwork, before it was cropped or cut; null = any.
    """

    val: Annotated[float, Field(ge=0, le=0.5)]  # share of the works
    test: Annotated[float, Field(ge=0, le=0.5)]
    max_group: Annotated[
        float, Field(gt=0, le=1)
    ]  # share of a domain; what families join beyond is taken apart; 1 = no
    allow_shared_identity: bool  # works of a person who has more than that may stand in several splits
    licences: list[str]  # keep only works under these; empty = all
    min_transparent: Share  # artworks outside are dropped; 0 and 1: none, not even of unknown share
    max_transparent: Share
    sources: list[Literal[Source, "inputs"]]  # keep only artworks of these; empty = all; inputs: the user's own
    native: Annotated[list[Cells], Field(min_length=2, max_length=2)] | None  # least and most cells of a longer side
    palette_near: PaletteNear

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Split:
        if self.min_transparent > self.max_transparent:
            raise ValueError(
                "min_transparent must not be above max_transparent, got "
                f"{self.min_transparent} and {self.max_transparent}"
            )
        if self.native is not None and self.native[0] > self.native[1]:
            raise ValueError(f"native: expected the least side first, then the most, got {self.native}")
        return self
