"""Tables of fixed columns that grow row by row: what is known of very many works, in as little memory as it needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class GrowingRows:
    """A structured array that grows row by row.

    Columns are views: hold none while rows are appended.

    Args:
        expected: rows for which there is room at once, at no cost until they come; for more, all may be moved.
    """

    def __init__(self, kind: np.dtype[np.void], expected: int = 0) -> None:
        self._rows = np.zeros(expected, kind)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self._rows[: self._count][column]

    def row(self, number: int) -> np.void:
        """One row, its fields by name."""
        row: np.void = self._rows[: self._count][number]
        return row

    def append(self, row: tuple[Any, ...]) -> None:
        """Add a row, its fields in the order of the columns."""
        if self._count == len(self._rows):
            self._rows.resize(self._count + max(64, self._count // 8), refcheck=False)
        self._rows[self._count] = row
        self._count += 1
