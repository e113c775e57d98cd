"""The works that deduplication compares, however many: columns of numbers in memory, the rest of each in a file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.scratch import Records
from pipeline.similarity import groups

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

LAID = struct.Struct("<32s32s?4dQ")  # key, kin, whether there is one, canvas, place, picture
READ = 4096  # works whose files are read at a time
COLUMNS = [
    ("key", "<u8"), ("kin", "<u8"), ("related", "?"), ("lossless", "?"), ("bits", "u1"), ("factor", "<i4"),
    ("area", "<i4"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What exact comparison and preference need of a decoded work.

    Attributes:
        key: of the canonical picture, or of all pixels where that is too simple to identify a work.
        kin: of its mirror images and recolours; None: too simple to be compared with anything but its exact pixels.
        canvas, place: see `pixels.Placed`.
        area: pixels of the canonical picture.
        colour_bits: binary digits of its number of colours; smoothing and codecs add colours, artists use few.
        picture: digest of all pixels, 64 bits: of a million works the chance that two have one is 1 in 10 million.
    """

    id: str
    key: bytes
    kin: bytes | None
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]
    area: int
    colour_bits: int
    lossless: bool
    picture: int


class Works:
    """Works by number, in the order in which they came: about 30 bytes a work, and its id.

    Args:
        expected: works for which there is room at once; more are moved to larger arrays.
        longest: bytes of the longest id.
        folder: on whose disk the file is; None = that of temporary files.
    """

    def __init__(self, expected: int = 0, longest: int = 1, folder: Path | None = None) -> None:
        self._columns = np.zeros(expected, [("id", f"S{max(1, longest)}"), *COLUMNS])
        self._laid = Records(LAID.size, folder)

    def __len__(self) -> int:
        return len(self._laid)

    def __iter__(self) -> Iterator[Work]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Work:
        *_, lossless, bits, factor, area = self._columns[number].tolist()
        key, kin, related, *where, picture = LAID.unpack(self._laid.between(number, number + 1).tobytes())
        shape = {"factor": factor, "area": area, "colour_bits": bits, "lossless": lossless}
        canvas, place = (where[0], where[1]), (where[2], where[3])
        return Work(
            self.id(number), key, kin if related else None, canvas=canvas, place=place, picture=picture, **shape
        )

    def append(self, work: Work) -> None:
        number, name = len(self), work.id.encode()
        if number == len(self._columns) or len(name) > self._columns.dtype["id"].itemsize:
            self._grow(max(64, number // 4), len(name))
        kin = work.kin or bytes(32)
        heads = (int.from_bytes(digest[:8], "little") for digest in (work.key, kin))
        shape = work.lossless, work.colour_bits, work.factor, work.area
        self._columns[number] = (name, *heads, work.kin is not None, *shape)
        self._laid.append(LAID.pack(work.key, kin, work.kin is not None, *work.canvas, *work.place, work.picture))

    def _grow(self, more: int, longest: int) -> None:
        kind = self._columns.dtype
        larger = np.zeros(len(self) + more, [("id", f"S{max(longest, kind['id'].itemsize)}"), *COLUMNS])
        larger[: len(self)] = self._columns[: len(self)]
        self._columns = larger

    def id(self, number: int) -> str:
        return bytes(self._columns["id"][number]).decode()

    @property
    def related(self) -> Mask:
        """Whether a work is compared with anything but its exact pixels."""
        related: Mask = self._columns["related"][: len(self)]
        return related

    def lossless(self, number: int) -> bool:
        return bool(self._columns["lossless"][number])

    def preferred(self) -> Index:
        """All numbers, the preferred work first: lossless, few colours, least enlarged, largest, smallest id."""
        held = self._columns[: len(self)]
        return np.lexsort((held["id"], -held["area"], held["factor"], held["bits"], ~held["lossless"]))

    def sharing(self, numbers: Index, what: str) -> Index:
        """Those of `numbers`, in their order, whose `key` or `kin` begins as that of another of them."""
        return numbers[groups.repeated(self._columns[what][numbers])]

    def pictures(self, numbers: Index) -> NDArray[np.uint64]:
        """(len(numbers),) digests of all pixels."""
        found = np.empty(len(numbers), "<u8")
        for start in range(0, len(numbers), READ):
            laid = self._laid.take(numbers[start : start + READ])
            found[start : start + READ] = np.ascontiguousarray(laid[:, -8:]).view("<u8")[:, 0]
        return found

    def find(self, ids: Iterable[str]) -> dict[str, int]:
        """Of those ids that are there, the numbers."""
        wanted = np.array(sorted({id.encode() for id in ids}), "S")
        if not len(wanted):
            return {}
        there = np.flatnonzero(np.isin(self._columns["id"][: len(self)], wanted))
        return {self.id(number): number for number in there.tolist()}
