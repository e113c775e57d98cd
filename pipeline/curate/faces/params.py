"""Parameters of the faces stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.runtime.settings import Section


class Faces(Section):
    """The faces that are translated: where they come from, how they are cut out, which are duplicates."""

    origin: Literal["sample", "inputs"]
    limit: Annotated[int, Field(ge=1)] | None
    detector: Annotated[str, Field(min_length=1)] | None  # OpenCV cascade that cuts faces out; null = centre of inputs
    margin: Annotated[float, Field(ge=0, le=2)]  # around a detected face, on every side, in shares of its side
    max_distance: Annotated[int, Field(ge=0, le=16)]  # bits between 64-bit pHashes of duplicates; 0 = equal hash
