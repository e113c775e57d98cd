"""What a crawl has gathered so far, in a folder that outlives any run.

    journal.jsonl          one line per settled work, appended; the last line of a work counts
    pass-<list>.jsonl      the pages of the pass in progress over one listing, appended: the cursor
    last-<list>.jsonl      the pages of its last complete pass, with what a conditional request needs
    images/<sha256>.<ext>

An image is durable before its journal line: a line never names a file that does not exist. It becomes so while the
next works are asked for, see `landing`. In memory are only the places of the lines, so that a crawl of any size needs
little.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.runtime import locks, manifest
from pipeline.runtime.files import write_atomic
from pipeline.runtime.manifest import Row
from pipeline.scrape import landing
from pipeline.scrape.landing import Landing, write_all

LINE = 4096  # bytes that are read at once; most lines are shorter
SYNC_EVERY = 1.0  # seconds; a lost machine loses the journal lines of at most so long, a killed process none


class Journal:
    """An append-only file of JSON lines, each read back by its place."""

    def __init__(self, path: Path) -> None:
        _cut_torn_line(path)
        self._file = path.open("a+b", buffering=0)
        self._end = path.stat().st_size
        self._path, self._synced = path, time.monotonic()

    def append(self, row: Row) -> int:
        """The place of the new line; it survives a kill of this process."""
        line = json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        try:
            write_all(self._file, line)
        except OSError:
            os.truncate(self._path, self._end)  # half a line would spoil the next one
            raise
        place, self._end = self._end, self._end + len(line)
        if time.monotonic() - self._synced > SYNC_EVERY:
            self.sync()
        return place

    def read(self, place: int) -> Row:
        line = chunk = os.pread(self._file.fileno(), LINE, place)
        while b"\n" not in chunk:
            chunk = os.pread(self._file.fileno(), LINE, place + len(line))
            if not chunk:
                raise BadInput(f"{self._path}: no whole line at byte {place}; remove the folder to crawl anew")
            line += chunk
        row: Row = json.loads(line[: line.index(b"\n")])
        return row

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every line with its place.

        Raises:
            BadInput: a damaged line.
        """
        place = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield place, json.loads(line)
                except ValueError as error:
                    raise BadInput(
                        f"{self._path}:{number}: damaged line; remove the folder to crawl anew: {error}"
                    ) from error
                place += len(line)

    def sync(self) -> None:
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
        self._places = {row["source_id"]: place for place, row in self._journal.rows()}
        self._take_up()
        self._landing = Landing(folder)

    def __len__(self) -> int:
        return len(self._places)

    def row(self, source_id: str) -> Row | None:
        """The last that is known of a work."""
        if source_id in self._landing:
            self.flush()
        place = self._places.get(source_id)
        return None if place is None else self._journal.read(place)

    def settled(self, source_id: str) -> Row | None:
        """What is known of a work; None when it was never settled or its image is no longer there whole."""
        row = self.row(source_id)
        return row if row is None or row["status"] != "kept" or self._whole(row) else None

    def image(self, row: Row) -> Path:
        return self.folder / "images" / image_name(row)

    def _whole(self, row: Row) -> bool:
        try:
            return bool(self.image(row).stat().st_size == row["bytes"])
        except FileNotFoundError:
            return False

    async def room(self) -> None:
        """Wait until `keep` need not."""
        await self._landing.room()

    def keep(self, row: Row, data: bytes) -> None:
        """Its image, then its line; it may still be on its way to the disk, see `flush`."""
        image = self.image(row)
        for landed in self._landing.landed(all=self._landing.carries(image)):
            self.record(landed)
        if self._whole(row):
            self.record(row)
        else:
            self._landing.send(row, data, image)

    def flush(self) -> None:
        """All that was kept is on the disk, and its lines are written."""
        for landed in self._landing.landed(all=True):
            self.record(landed)

    def _take_up(self) -> None:
        """What a killed run had on its way to the disk, where that is whole; the rest is removed."""
        for row, data in landing.left(self.folder):
            place = self._places.get(row["source_id"])
            if place is None or self._journal.read(place) != row:
                write_atomic(self.image(row), data)
                self.record(row)
        landing.clear(self.folder)
        for torn in sorted((self.folder / "images").glob(".*.partial")):
            torn.unlink()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._landing.close()

    def record(self, row: Row) -> None:
        self._places[row["source_id"]] = self._journal.append(row)

    def adopt(self, output: Path, origin: str, unwanted: Callable[[Row], bool]) -> None:
        """Take over a previous output of the same origin, so that a lost state folder refetches nothing.

        But for what is `unwanted`: a take-down may have emptied the state, and the output still holds the works.
        """
        if self._places or not (output / "manifest.jsonl").is_file():
            return
        for row in manifest.read(output):
            if row.get("origin") != origin or unwanted(row):
                continue
            image = output / "images" / image_name(row) if row["status"] == "kept" else None
            if image is None:
                self.record(row)
            elif image.is_file() and hashlib.sha256(data := image.read_bytes()).hexdigest() == row["sha256"]:
                self.keep(row, data)


def count(folder: Path) -> int:
    """Works that were settled there, without touching anything."""
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
        closing(Store(folder, journal)) as works,
    ):
        yield works


def image_name(row: Row) -> str:
    """`<sha256>.<ext>`, the extension by the bytes."""
    extension = {"jpeg": "jpg"}.get(row["format"], row["format"])
    return f"{row['sha256']}.{extension}"


def _cut_torn_line(path: Path) -> None:
    """So that the next line does not continue a torn one."""
    if path.is_file():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
