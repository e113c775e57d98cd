"""The state of a crawl: what it has gathered so far, in a folder that outlives any run.

    journal.jsonl          one line per settled work, appended; the last line of a work counts
    pass-<list>.jsonl      the pages of the pass in progress over one listing, appended: the cursor
    last-<list>.jsonl      the pages of its last complete pass, with what a conditional request needs
    images/<sha256>.<ext>

The row of a failed work also says how often it was tried and when, see `again.py`. An image is on the disk before its
journal line: a line never names a file that does not exist. In memory are only the offsets of the lines, so that a
crawl of any size needs little.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import RawIOBase
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.runtime import locks, manifest
from pipeline.runtime.files import write_atomic
from pipeline.runtime.manifest import Row

SYNC_EVERY = 1.0  # seconds; a lost machine loses the journal lines of at most so long, a killed process none


class Journal:
    """An append-only file of JSON lines, each read back by its offset in bytes."""

    def __init__(self, path: Path) -> None:
        _cut_torn_line(path)
        self._file = path.open("a+b", buffering=0)
        self._end = path.stat().st_size
        self._path, self._synced = path, time.monotonic()

    def append(self, row: Row) -> int:
        """Write a line, which survives a kill of this process; returns its offset."""
        line = json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        try:
            _write_all(self._file, line)
        except OSError:
            os.truncate(self._path, self._end)  # half a line would spoil the next one
            raise
        offset, self._end = self._end, self._end + len(line)
        if time.monotonic() - self._synced > SYNC_EVERY:
            self.sync()
        return offset

    def clear(self) -> None:
        """Begin anew, without a line."""
        os.truncate(self._path, 0)
        self._end = 0

    def read(self, offset: int) -> Row:
        """The line at an offset.

        Raises:
            BadInput: the file ends before the line does.
        """
        with self._path.open("rb") as file:
            file.seek(offset)
            line = file.readline()
        if not line.endswith(b"\n"):
            raise BadInput(f"{self._path}: no whole line at byte {offset}; remove the folder to crawl anew")
        row: Row = json.loads(line)
        return row

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every line with its offset.

        Raises:
            BadInput: a damaged line.
        """
        offset = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield offset, json.loads(line)
                except ValueError as error:
                    raise BadInput(
                        f"{self._path}:{number}: damaged line; remove the folder to crawl anew: {error}"
                    ) from error
                offset += len(line)

    def sync(self) -> None:
        """Wait until the lines are on the disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        if not self._file.closed:
            self.sync()
            self._file.close()


class Store:
    """The state of one source and origin. Use inside `locked`."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.folder, self._journal = folder, journal
        self._offsets: dict[str, int] = {}
        self.placeholders: set[str] = set()  # hashes of pictures that many works had
        for offset, row in self._journal.rows():
            self._note(row, offset)
        for torn in folder.rglob(".*.partial"):  # a killed run was writing it
            torn.unlink()

    def __len__(self) -> int:
        return len(self._offsets)

    def row(self, source_id: str) -> Row | None:
        """The last row of a work; None when it has none."""
        offset = self._offsets.get(source_id)
        return None if offset is None else self._journal.read(offset)

    def settled(self, source_id: str) -> Row | None:
        """The last row of a work; None when it has none or when its image is missing or cut."""
        row = self.row(source_id)
        return row if row is None or row["status"] != "kept" or self._has_image(row) else None

    def image(self, row: Row) -> Path:
        """Where the image of a kept work is."""
        return self.folder / "images" / image_name(row)

    def _has_image(self, row: Row) -> bool:
        try:
            return bool(self.image(row).stat().st_size == row["bytes"])
        except FileNotFoundError:
            return False

    def keep(self, row: Row, data: bytes) -> None:
        """Write the image of a work, then its row; both survive a kill once this returns."""
        if not self._has_image(row):
            write_atomic(self.image(row), data)
        self.record(row)

    def record(self, row: Row) -> None:
        """Write the row of a work; it survives a kill once this returns."""
        self._note(row, self._journal.append(row))

    def _note(self, row: Row, offset: int) -> None:
        self._offsets[row["source_id"]] = offset
        if "placeholder" in row:
            self.placeholders.add(row["placeholder"])

    def adopt(self, output: Path, origin: str, taken_down: Callable[[Row], bool]) -> None:
        """Take over a previous output of the same origin, so that a lost state folder refetches nothing.

        Works that were taken down are left out: a take-down may have emptied the state, but not the output.
        """
        if self._offsets or not (output / "manifest.jsonl").is_file():
            return
        for row in manifest.read(output):
            if row.get("origin") != origin or taken_down(row):
                continue
            image = output / "images" / image_name(row) if row["status"] == "kept" else None
            if image is None:
                self.record(row)
            elif image.is_file() and hashlib.sha256(data := image.read_bytes()).hexdigest() == row["sha256"]:
                self.keep(row, data)


def count(folder: Path) -> int:
    """How many works are settled in a folder, which is only read."""
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    return len({json.loads(line)["source_id"] for line in lines if line.endswith(b"\n")})


@contextmanager
def locked(folder: Path) -> Iterator[Store]:
    """The store of a folder, held against a second crawl.

    Raises:
        BadInput: another process crawls into the same folder.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (
        locks.locked(folder / "lock", f"{folder}: another crawl is at work there"),
        closing(Journal(folder / "journal.jsonl")) as journal,
    ):
        yield Store(folder, journal)


def image_name(row: Row) -> str:
    """The file name of an image: `<sha256>.<ext>`, the extension by its bytes."""
    extension = {"jpeg": "jpg"}.get(row["format"], row["format"])
    return f"{row['sha256']}.{extension}"


def _write_all(file: RawIOBase, data: bytes) -> None:
    """An unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def _cut_torn_line(path: Path) -> None:
    """So that the next line does not continue a torn one."""
    if path.is_file():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
