"""The works that deduplication compares, however many, in columns of numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.growing import GrowingRows
from pipeline.similarity import groups
from pipeline.similarity.fingerprints import Fingerprint, FingerprintTable
from pipeline.similarity.hamming import Index

ROW = np.dtype(
    [
        ("key", "<u8", 4),
        ("kinship", "<u8", 4),
        ("canvas", "<f8", 2),
        ("place", "<f8", 2),
        ("picture", "<u8"),
        ("factor", "<i4"),
        ("area", "<i4"),
        ("colour_bits", "u1"),
        ("lossless", "?"),
        ("comparable", "?"),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class DedupEntry:
    """What exact comparison and preference need of one picture.

    Attributes:
        key: 32 bytes, of the canonical picture, or of all pixels where that is too simple to identify a work.
        kinship: 32 bytes, of its mirror images and recolours; None: too simple to be compared with anything but its
            exact pixels.
        canvas, place: see `canonical.CanonicalForm`.
        area: pixels of the canonical picture.
        colour_bits: binary digits of its number of colours; smoothing and codecs add colours, artists use few.
        picture: digest of all pixels, 64 bits: of a million works the chance that two have one is 1 in 10 million.
    """

    id: str
    key: bytes
    kinship: bytes | None
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]
    area: int
    colour_bits: int
    lossless: bool
    picture: int


class DedupTable:
    """Entries and fingerprints by number, in the order in which they came: about 1.6 KB each.

    Args:
        expected: entries for which there is room at once; see `growing.GrowingRows`.
    """

    def __init__(self, expected: int = 0) -> None:
        self.ids: list[str] = []
        self.fingerprints = FingerprintTable(expected)
        self._rows = GrowingRows(ROW, expected)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> DedupEntry:
        row = self._rows.row(number)
        return DedupEntry(
            id=self.ids[number],
            key=row["key"].tobytes(),
            kinship=row["kinship"].tobytes() if row["comparable"] else None,
            canvas=tuple(row["canvas"].tolist()),
            place=tuple(row["place"].tolist()),
            **{name: row[name].item() for name in ("factor", "area", "colour_bits", "lossless", "picture")},
        )

    def append(self, entry: DedupEntry, fingerprint: Fingerprint) -> None:
        """Add a picture."""
        digests = (np.frombuffer(digest or bytes(32), "<u8") for digest in (entry.key, entry.kinship))
        facts = entry.canvas, entry.place, entry.picture, entry.factor, entry.area, entry.colour_bits, entry.lossless
        self._rows.append((*digests, *facts, entry.kinship is not None))
        self.fingerprints.add(fingerprint)
        self.ids.append(entry.id)

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Which entries are compared with anything but their exact pixels."""
        return self._rows["comparable"]

    @property
    def lossless(self) -> NDArray[np.bool_]:
        """Which entries come from a file whose format keeps every pixel."""
        return self._rows["lossless"]

    @property
    def pictures(self) -> NDArray[np.uint64]:
        """Digests of all pixels."""
        return self._rows["picture"]

    def preferred(self) -> Index:
        """All numbers, the preferred entry first: lossless, few colours, least enlarged, largest, smallest id."""
        rows, ids = self._rows, np.array(self.ids, np.str_)
        return np.lexsort((ids, -rows["area"], rows["factor"], rows["colour_bits"], ~rows["lossless"]))

    def sharing(self, numbers: Index, column: str) -> list[DedupEntry]:
        """Those of `numbers`, in their order, whose `key` or `kinship` begins as that of another of them."""
        shared = groups.repeated(self._rows[column][numbers, 0])
        return [self[number] for number in numbers[shared].tolist()]

    def ids_among(self, numbers: Index, ids: Collection[str]) -> list[str]:
        """Those of `ids` that are among `numbers`, in their order."""
        return [id for number in numbers.tolist() if (id := self.ids[number]) in ids]

    def without_dropped(self, numbers: Index, ids: Collection[str]) -> Index:
        """`numbers`, in their order, but those of `ids`."""
        return np.array([number for number in numbers.tolist() if self.ids[number] not in ids], np.int64)
