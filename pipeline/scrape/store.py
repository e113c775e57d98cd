"""What a crawl has gathered so far: journal, listing and images, in a folder that outlives any run.

    journal.jsonl    one line per settled work, appended; the last line of a work counts
    listing.jsonl    the pages of the pass in progress, appended; removed when the pass is done
    images/<sha256>.<ext>

An image is durable before its journal line: a line never names a file that does not exist.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline import manifest
from pipeline.errors import BadInput
from pipeline.io import write_atomic
from pipeline.manifest import Row
from pipeline.scrape.gallery import Artwork, Found, Listing, Request


class Store:
    """The state of one source and origin. Use inside `locked`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal, self._listing = folder / "journal.jsonl", folder / "listing.jsonl"
        self.works: dict[str, Row] = {row["source_id"]: row for row in _lines(self._journal)}
        self.pages: list[Row] = list(_lines(self._listing))

    def settled(self, source_id: str) -> Row | None:
        """What is known of a work; None when it was never settled or its image is no longer there whole."""
        row = self.works.get(source_id)
        if row is None or row["status"] != "kept":
            return row
        image = self.image(row)
        return row if image.is_file() and image.stat().st_size == row["bytes"] else None

    def image(self, row: Row) -> Path:
        return self.folder / "images" / image_name(row)

    def keep(self, row: Row, data: bytes) -> None:
        path = self.image(row)
        if not path.is_file() or path.stat().st_size != len(data):
            write_atomic(path, data)
        self.record(row)

    def record(self, row: Row) -> None:
        _append(self._journal, row)
        self.works[row["source_id"]] = row

    def add_page(self, listing: Listing, cookies: list[list[str]]) -> None:
        page = {"listing": asdict(listing), "cookies": cookies}
        _append(self._listing, page)
        self.pages.append(json.loads(json.dumps(page)))

    def end_pass(self) -> None:
        self._listing.unlink(missing_ok=True)
        self.pages = []

    def adopt(self, output: Path, origin: str) -> None:
        """Take over a previous output of the same origin, so that a lost state folder refetches nothing."""
        if self.works or not (output / "manifest.jsonl").is_file():
            return
        for row in manifest.read(output):
            if row.get("origin") != origin:
                continue
            image = output / "images" / image_name(row) if row["status"] == "kept" else None
            if image is None:
                self.record(row)
            elif image.is_file() and hashlib.sha256(data := image.read_bytes()).hexdigest() == row["sha256"]:
                self.keep(row, data)


@contextmanager
def locked(folder: Path) -> Iterator[Store]:
    """The store of a folder, held against a second crawl.

    Raises:
        BadInput: another process crawls into the same folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            _cut_torn_line(folder / "journal.jsonl")
            _cut_torn_line(folder / "listing.jsonl")
            yield Store(folder)
    except Timeout as error:
        raise BadInput(f"{folder}: another crawl is at work there") from error


def listing_of(page: Row) -> Listing:
    """A page of `Store.pages` as it was added."""
    raw = page["listing"]
    items = tuple(Found(**{**item, "artwork": _artwork(item["artwork"])}) for item in raw["items"])
    following = _request(raw["next"]) if raw["next"] else None
    return Listing(items, following, raw["pages"], raw["heading"])


def image_name(row: Row) -> str:
    """`<sha256>.<ext>`, the extension by the bytes."""
    extension = {"jpeg": "jpg"}.get(row["format"], row["format"])
    return f"{row['sha256']}.{extension}"


def _artwork(raw: dict[str, Any] | None) -> Artwork | None:
    return Artwork(**{**raw, "tags": None if raw["tags"] is None else tuple(raw["tags"])}) if raw else None


def _request(raw: dict[str, Any]) -> Request:
    form, cookies = (tuple((name, value) for name, value in raw[key]) for key in ("form", "cookies"))
    return Request(raw["url"], raw["method"], form, cookies)


def _append(path: Path, row: Row) -> None:
    """One line, safe from a kill when this returns; a lost machine may lose the last lines, never an older one."""
    with path.open("ab") as file:
        file.write(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")


def _cut_torn_line(path: Path) -> None:
    """So that the next line does not continue a torn one."""
    if path.is_file():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def _lines(path: Path) -> Iterator[Row]:
    """Whole lines of a file; a last line torn by a kill is passed over.

    Raises:
        BadInput: a damaged line before the last.
    """
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise BadInput(f"{path}:{number}: damaged line; remove the folder to crawl anew: {error}") from error
