"""Captions: manifest.csv files that people put beside their pictures, one line a picture."""

from __future__ import annotations

import csv
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.images.folders import is_hidden

MANIFEST = "manifest.csv"  # columns path (relative to its folder) and any of title, artist, licence, identity, ...
SPELLINGS = {"license": "licence"}
DELIMITERS = ",;\t"  # also those of spreadsheets whose decimals have commas

Notes = dict[str, str]  # one line by column, empty cells left out


@dataclass
class Captions:
    """What the manifest.csv files below a folder say.

    Attributes:
        notes: by file.
        missing: of lines whose file is not there, by its path below the folder.
        remarks: what a person should look at, one sentence each.
    """

    notes: dict[Path, Notes] = field(default_factory=dict)
    missing: dict[str, Notes] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read(src: Path, files: Iterable[Path]) -> Captions:
    """The caption of each file, from every manifest.csv below `src`; of two that list a file the nearest one wins.

    A path is taken as it stands or, where no file has it, with `/` for its backslashes, blanks beside its names left
    out, and one composition of accents; if still no file has it and one alone differs in case and blanks, it is meant.

    Args:
        files: that captions may be about, all of them below `src`.

    Raises:
        BadInput: a manifest.csv that is no UTF-8 CSV table, or has columns but none named path.
    """
    captions, finder = Captions(), _Finder(src, files)
    for table in sorted(_tables(src), key=lambda path: (len(path.parts), path)):
        seen: set[Path] = set()
        lost: list[str] = []
        for number, notes, is_long in _read_table(table):
            if not (text := notes.pop("path", "")):
                captions.remarks.append(f"{table}: line {number} has no path")
                continue
            if is_long:
                captions.remarks.append(f"{table}: line {number} has more cells than there are columns")
            place, file = finder.find(table.parent, text)
            if file is None:
                captions.missing[place] = notes
                lost.append(text)
            elif file in seen:
                captions.remarks.append(f"{table}: line {number} is another one about {text!r}; the last one counts")
            if file is not None:
                captions.notes[file] = notes
                seen.add(file)
        if lost:
            captions.remarks.append(f"{table}: {len(lost)} lines without a file, first {lost[0]!r}")
    bare = [file for file in finder.files if file not in captions.notes]
    if bare and (captions.notes or captions.missing):
        captions.remarks.append(f"{src}: {len(bare)} files without a line in a {MANIFEST}, first {str(bare[0])!r}")
    return captions


def _tables(src: Path) -> Iterator[Path]:
    for path in src.rglob("*"):
        if path.name.casefold() == MANIFEST and path.is_file() and not is_hidden(path.relative_to(src)):
            yield path


def _read_table(table: Path) -> Iterator[tuple[int, Notes, bool]]:
    """Number and cells of each line, and whether it has more of them than there are columns."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=max(DELIMITERS, key=head.count))
            if reader.fieldnames is not None:
                found = reader.fieldnames
                reader.fieldnames = [SPELLINGS.get(name, name) for name in (each.strip().lower() for each in found)]
                if "path" not in reader.fieldnames:
                    raise BadInput(f"{table}: expected a column named path, found {list(found)}")
            for line in reader:
                notes = {key: value.strip() for key, value in line.items() if key and value}
                yield reader.line_num, {key: value for key, value in notes.items() if value}, None in line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{table}: not a UTF-8 CSV file: {error}") from error


class _Finder:
    """Finds the file that a path in a manifest.csv means."""

    def __init__(self, src: Path, files: Iterable[Path]) -> None:
        self.src, self.files = src, list(files)
        self.by_key: list[tuple[Callable[[str], str], dict[str, list[Path]]]] = []
        for key in (str, _composed, _loose):
            known = defaultdict(list)
            for file in self.files:
                known[key(file.relative_to(src).as_posix())].append(file)
            self.by_key.append((key, known))

    def find(self, folder: Path, text: str) -> tuple[str, Path | None]:
        """A path in a file of `folder`, below `src`, and what it means; None = no file there, or one of several."""
        below = folder.relative_to(self.src).as_posix()
        place = ""
        for spelt in (text, text.replace("\\", "/")):
            place = posixpath.normpath(posixpath.join(below, "/".join(part.strip() for part in spelt.split("/"))))
            for key, known in self.by_key:
                if len(found := known.get(key(place), [])) == 1:
                    return place, found[0]
            if (self.src / place).is_file():  # a text, say
                return place, self.src / place
        return place, None


def _composed(place: str) -> str:
    return unicodedata.normalize("NFC", place)


def _loose(place: str) -> str:
    return "/".join(" ".join(part.split()) for part in _composed(_composed(place).casefold()).split("/"))


def source_id(relative: Path) -> str:
    """The path of a file as text that UTF-8 can hold, whatever the bytes of its name."""
    return relative.as_posix().encode(errors="backslashreplace").decode()
