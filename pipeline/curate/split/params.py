"""Parameters of the split stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.runtime.settings import Section, Share


class Split(Section):
    """How works are split into train, val and test, by group (artist, identity, family of duplicates)."""

    val: Annotated[float, Field(ge=0, le=0.5)]  # share of the works
    test: Annotated[float, Field(ge=0, le=0.5)]
    licences: list[str]  # keep only works under these; empty = all
    min_transparent: Share  # artworks outside are dropped; 0 and 1: none, not even of unknown share
    max_transparent: Share

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Split:
        if self.min_transparent > self.max_transparent:
            raise ValueError(
                "min_transparent must not be above max_transparent, got "
                f"{self.min_transparent} and {self.max_transparent}"
            )
        return self
