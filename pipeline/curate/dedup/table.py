"""The works that deduplication compares, however many, in columns of numbers."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pipeline.curate.dedup.examine import ENTRY
from pipeline.similarity import groups
from pipeline.similarity.hamming import Index


class DedupTable:
    """Ids and entries by number, in the order in which they came."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._entries = bytearray()  # grows by an eighth where it must

    def append(self, id: str, entry: bytes) -> None:
        """Add a picture; `entry` is the bytes of an ENTRY."""
        self.ids.append(id)
        self._entries += entry

    @property
    def entries(self) -> NDArray[np.void]:
        """(N,) ENTRY: a view, hold none while pictures are appended."""
        return np.frombuffer(self._entries, ENTRY)

    def preferred(self) -> Index:
        """All numbers, the preferred entry first: lossless, few colours, least enlarged, largest, smallest id."""
        entries, ids = self.entries, np.array(self.ids, np.str_)
        return np.lexsort((ids, -entries["area"], entries["factor"], entries["colour_bits"], ~entries["lossless"]))

    def sharing(self, numbers: Index, column: str) -> list[int]:
        """Those of `numbers`, in their order, whose `key` or `kinship` begins as that of another of them."""
        shared: list[int] = numbers[groups.repeated(self.entries[column][numbers, 0])].tolist()
        return shared

    def ids_among(self, numbers: Index, ids: Collection[str]) -> list[str]:
        """Those of `ids` that are among `numbers`, in their order."""
        return [id for number in numbers.tolist() if (id := self.ids[number]) in ids]

    def without_dropped(self, numbers: Index, ids: Collection[str]) -> Index:
        """`numbers`, in their order, but those of `ids`."""
        return np.array([number for number in numbers.tolist() if self.ids[number] not in ids], np.int64)
