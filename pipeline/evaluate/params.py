"""Parameters of the evaluation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.runtime.settings import Section


class Evaluate(Section):
    """Metrics of every method beside the trivial baselines."""

    palette: Annotated[int, Field(ge=2, le=256)]  # colours of the palette baselines
    fixed_palette: str  # name of a palette shipped with the package, for the fixed-palette baseline
    patches: Annotated[int, Field(ge=100, le=1000000)]  # native patches a set, sliced Wasserstein
    projections: Annotated[int, Field(ge=1, le=10000)]
    cascade: Annotated[str, Field(min_length=1)] | None  # OpenCV cascade that finds faces in drawings; null = none does
    show: Annotated[int, Field(ge=1, le=64)]  # faces shown on the report page
