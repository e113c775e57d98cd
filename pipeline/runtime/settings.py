"""The base of all sections of the parameters, and the two sections that many stages read.

Every other section stands in the room of its stage. A value lives in params.yaml alone: a default here would be a
second place, and one that DVC cannot see.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e9)]
Precision = Literal["auto", "fp32", "bf16"]  # auto: bf16 where the CPU or GPU has it


class Section(BaseModel):
    """A section of params.yaml: immutable, nothing converted, no key too many."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Executor(Section):
    """Where per-image maps run. Not a DVC parameter: results do not depend on it."""

    backend: Literal["loky", "threading", "dask", "ray", "spark"]
    n_jobs: Annotated[int, Field(ge=1, le=1024)]


class Resize(Section):
    """The grid of the data set and of everything that is trained on it."""

    size: Annotated[int, Field(ge=16, le=1024)]  # pixels a side, out
    cells: Annotated[int, Field(ge=4, le=256)]  # cells a side; size / cells is the integer factor
    min_cells: Annotated[int, Field(ge=1, le=256)]  # native works with a shorter longest side are dropped
    max_aspect: Annotated[float, Field(ge=1, le=16)]  # longer side / shorter side
    larger: Literal["crop", "tile", "drop"]  # what happens to works with more native pixels than cells
    crop: Literal["saliency", "centre", "top"]  # which window of them is kept (larger: crop only)

    @model_validator(mode="after")
    def _size_is_a_multiple(self) -> Resize:
        if self.size % self.cells:
            raise ValueError(f"size must be a multiple of cells, got size {self.size} and cells {self.cells}")
        return self
