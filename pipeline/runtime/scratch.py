"""What is written once and read in pieces, in unnamed files: as much as the disk takes, none of it in memory.

Read by `pread`, not mapped: pages of a mapped file count as memory of the process. The files have no names, so that
not even a kill leaves one behind.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

BUFFER = 1 << 18  # bytes that are written at a time, and read where all are


class _Unnamed:
    """Bytes, written at the end."""

    def __init__(self, folder: Path | None) -> None:
        self.file, name = tempfile.mkstemp(dir=folder, prefix=".facetopix-")
        Path(name).unlink()
        weakref.finalize(self, os.close, self.file)
        self.size = 0
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= BUFFER:
            self.flush()

    def flush(self) -> None:
        while self._waiting:
            del self._waiting[: os.write(self.file, self._waiting)]


class Lines:
    """Byte strings without a line break, in order.

    Args:
        folder: on whose disk the file is; None = that of temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = _Unnamed(folder)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._count += 1

    def __iter__(self) -> Iterator[bytes]:
        self._file.flush()
        start, rest = 0, b""
        while data := os.pread(self._file.file, BUFFER, start):
            start += len(data)
            *whole, rest = (rest + data).split(b"\n")
            yield from whole


class Records:
    """Byte strings of one length, by number.

    Args:
        width: bytes of each.
        folder: on whose disk the file is; None = that of temporary files.
    """

    def __init__(self, width: int, folder: Path | None = None) -> None:
        self.width = width
        self._file = _Unnamed(folder)

    def __len__(self) -> int:
        return self._file.size // self.width

    def append(self, records: bytes) -> None:
        """One or many."""
        self._file.write(records)

    def take(self, numbers: NDArray[np.integer[Any]]) -> Bytes:
        """(len(numbers), width)."""
        self._file.flush()
        file, width, found = self._file.file, self.width, bytearray(len(numbers) * self.width)
        whole = memoryview(found)
        for start, number in zip(range(0, len(found), width), numbers.tolist(), strict=True):
            os.preadv(file, [whole[start : start + width]], number * width)
        return np.frombuffer(found, np.uint8).reshape(-1, width)

    def between(self, start: int, stop: int) -> Bytes:
        """(stop - start, width), or as many as there are: neighbours at once."""
        self._file.flush()
        data = os.pread(self._file.file, (min(stop, len(self)) - start) * self.width, start * self.width)
        return np.frombuffer(data, np.uint8).reshape(-1, self.width)
