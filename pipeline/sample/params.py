"""Parameters of the procedural sample."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.runtime.settings import Section


class Sample(Section):
    """How large the procedural galleries and faces of the default run are."""

    revision: str  # digest of what is drawn: a changed drawing is a changed parameter, which DVC sees
    pixeljoint: Annotated[int, Field(ge=1, le=5000)]  # artworks listed by each sample gallery
    lospec: Annotated[int, Field(ge=1, le=5000)]
    pixiehaus: Annotated[int, Field(ge=1, le=5000)]
    faces: Annotated[int, Field(ge=8, le=20000)]  # smooth anime-like faces
