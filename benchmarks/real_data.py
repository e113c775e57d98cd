"""The real pictures that benchmarks and experiments read: tars in the folder that `FACETOPIX_SHARED` names."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from pipeline.errors import BadInput

SHARED = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[2] / "shared"))  # or beside the checkout


def open_tar(name: str) -> tarfile.TarFile:
    """A tar of pictures and their `manifest.csv`.

    Raises:
        BadInput: it is not there.
    """
    path = SHARED / "data" / f"{name}.tar"
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected FACETOPIX_SHARED to name the folder of real data")
    return tarfile.open(path)
