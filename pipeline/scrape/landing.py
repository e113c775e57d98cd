"""Works on their way to the disk: made durable in threads while the next ones are asked for.

    .slot-<n>.partial      row and image of one such work

A kill in that time loses nothing: each work is whole in its slot before the next request, and the next run takes it
up. Slots are overwritten in place and never synced, so they cost next to nothing; what a machine loses that loses its
power is the works on their way, no more, since a torn slot is known by its hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

from pipeline.runtime.files import write_atomic
from pipeline.runtime.manifest import Row

SLOTS = 4  # works on their way at once
THREADS = 2  # file systems sync several files in one go


@dataclass(frozen=True)
class Coming:
    """A work on its way."""

    row: Row
    image: Path
    slot: int
    durable: Future[None]


class Landing:
    """The works on their way of one crawl. Close it when all have landed, or when none can."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._slots = [_slot(folder, number).open("wb", buffering=0) for number in range(SLOTS)]
        self._free = list(range(SLOTS))
        self._coming: deque[Coming] = deque()
        self._threads = ThreadPoolExecutor(THREADS, "disk")

    def __contains__(self, source_id: str) -> bool:
        return any(coming.row["source_id"] == source_id for coming in self._coming)

    def carries(self, image: Path) -> bool:
        """Whether this image is on its way: a second work of the same picture must not be sent."""
        return any(coming.image == image for coming in self._coming)

    def send(self, row: Row, data: bytes, image: Path) -> None:
        """Put a work on its way; `landed` must have made room."""
        slot = self._free.pop()
        self._slots[slot].seek(0)
        write_all(self._slots[slot], json.dumps(row).encode() + b"\n" + data)
        self._coming.append(Coming(row, image, slot, self._threads.submit(write_atomic, image, data)))

    async def room(self) -> None:
        """Wait until there is room for one more, while others work."""
        if not self._free and not self._coming[0].durable.done():
            await asyncio.shield(asyncio.wrap_future(self._coming[0].durable))

    def landed(self, *, all: bool = False) -> Iterator[Row]:
        """Rows whose images are durable, in the order in which they were sent; the slot is free when the row is told.

        At least as many as it takes to have room for one more; `all` of them if wished.
        """
        while self._coming and (all or not self._free or self._coming[0].durable.done()):
            self._coming[0].durable.result()
            yield self._coming[0].row
            self._free.append(self._coming.popleft().slot)

    def close(self) -> None:
        """What could not land stays in its slot."""
        self._threads.shutdown()
        for slot in self._slots:
            slot.close()
        for number in self._free:
            _slot(self._folder, number).unlink()


def left(folder: Path) -> Iterator[tuple[Row, bytes]]:
    """Rows and images that are whole in the slots of a run that was killed."""
    for number in range(SLOTS):
        row, data = _contents(_slot(folder, number))
        if row is not None:
            yield row, data


def clear(folder: Path) -> None:
    for number in range(SLOTS):
        _slot(folder, number).unlink(missing_ok=True)


def write_all(file: RawIOBase, data: bytes) -> None:
    """An unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def _slot(folder: Path, number: int) -> Path:
    return folder / f".slot-{number}.partial"


def _contents(slot: Path) -> tuple[Row | None, bytes]:
    """Row and image; None where there is no slot, or but a part of them in it. What follows them is of older works."""
    line, _, rest = (slot.read_bytes() if slot.is_file() else b"").partition(b"\n")
    try:
        row: Row = json.loads(line)
        data = rest[: row["bytes"]]
    except (ValueError, TypeError, KeyError):
        return None, b""
    return (row, data) if hashlib.sha256(data).hexdigest() == row["sha256"] else (None, b"")
