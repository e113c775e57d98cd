"""Captions: manifest.csv files that people put beside their pictures, one line a picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import BadInput

MANIFEST = "manifest.csv"  # columns path (relative to its folder) and any of title, artist, licence, identity, ...

Notes = dict[str, str]  # one line by column, empty cells left out


def read(src: Path) -> dict[Path, Notes]:
    """The caption of each file, from every manifest.csv below `src`; of two that list a file the nearest one wins.

    Raises:
        BadInput: a manifest.csv that is no UTF-8 CSV table, or has columns but none named path.
    """
    tables = sorted(src.rglob(MANIFEST), key=lambda path: (len(path.parts), path))
    return {path: line for table in tables for path, line in _read_table(table)}


def _read_table(table: Path) -> Iterator[tuple[Path, Notes]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames is not None and "path" not in reader.fieldnames:
                raise BadInput(f"{table}: expected a column named path, found {reader.fieldnames}")
            for line in reader:
                if line["path"]:
                    yield table.parent / line["path"], {key: value for key, value in line.items() if key and value}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{table}: not a UTF-8 CSV file: {error}") from error


def source_id(relative: Path) -> str:
    """The path of a file as text that UTF-8 can hold, whatever the bytes of its name."""
    return relative.as_posix().encode(errors="backslashreplace").decode()
