"""The list of works and artists that nobody may have: crawls, imports and exports honour it.

    {"id": "lospec-02a2998b2ce6ffd8", "note": "asked by mail"}
    {"artist": "Ann", "date": "2026-01-31", "source": "lospec"}    "source": null = wherever the name stands

One JSON object a line; `note` and `date` are free text for the people who keep the list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline import layout
from pipeline.runtime import lists
from pipeline.runtime.files import write_atomic
from pipeline.runtime.identity import plain, work_of

Entry = Mapping[str, str | None]
Text = Annotated[str, Field(pattern="")]  # a pattern refuses what UTF-8 cannot hold, as an argument may
Key = tuple[str, str | None, str | None]  # what an entry covers: (id, None, None) or ("", artist, source)

SOURCES = (*layout.SOURCES, layout.IMPORTED.name)
EXPECTED = (
    'expected {"id": ROW_ID} or {"artist": NAME, "source": null or '
    + " or ".join(f'"{source}"' for source in SOURCES)
    + '}, with "note" and "date" as texts if any'
)


class Line(BaseModel):
    """A line of the file: an id or an artist. Whatever is not understood is refused: it may be a wish."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Text = ""
    artist: Text = ""
    source: str | None = None
    note: Text = ""
    date: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _has_keys_of_one_kind(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            allowed = {"note", "date"} | ({"id"} if "id" in value else {"artist", "source"})
            if unknown := sorted(map(str, value.keys() - allowed)):
                raise ValueError(f"unknown key {unknown[0]!r}")
            if value.get("source") not in (None, *SOURCES):
                raise ValueError(f"unknown source {value['source']!r}")
        return value

    @model_validator(mode="after")
    def _names_something(self) -> Line:
        if not plain(self.id or self.artist):
            raise ValueError("names nothing")
        return self

    def entry(self) -> Entry:
        """The same as JSON; an artist's `source` is filled in."""
        return self.model_dump(exclude_unset=True) | ({"source": self.source} if self.artist else {})


@dataclass(frozen=True)
class Blocklist:
    """The works and artists of a list, in the form in which they are compared."""

    keys: frozenset[Key] = frozenset()

    def covers(self, *, id: str, source: str, artists: Iterable[str | None]) -> bool:
        """Whether this work is blocked, by its id, its parent's id, or one of its artists (None = unknown)."""
        if not self.keys:
            return False
        names = {plain(artist) for artist in artists if artist}
        keys: set[Key] = {("", name, place) for name in names for place in (None, source)}
        return not self.keys.isdisjoint(keys | {(work_of(id), None, None)})


def blocklist_of(entries: Iterable[Entry]) -> Blocklist:
    """The blocklist of some entries.

    Raises:
        BadInput: something that is no entry.
    """
    return Blocklist(frozenset(_key(_checked(entry)) for entry in entries))


def load(path: Path) -> Blocklist:
    """The list of a file; an absent file blocks nothing.

    Raises:
        BadInput: a line that is no entry. A damaged list is never taken for a shorter one.
    """
    return blocklist_of(_read(path))


def missing(path: Path, entries: Iterable[Entry]) -> list[Entry]:
    """Those of `entries` that the file lacks, one of each, in the order of the file."""
    listed = {_key(entry) for entry in _read(path)}
    new = (_checked(entry) for entry in entries)
    return _sorted(entry for entry in new if _key(entry) not in listed)


def add(path: Path, entries: Iterable[Entry]) -> int:
    """Put `entries` on the list, durably; returns how many were new. Of two that cover the same, the listed one stays.

    The file is sorted; it is not touched when nothing is new.
    """
    new = missing(path, entries)
    if new:
        lines = (json.dumps(entry, sort_keys=True, ensure_ascii=False) for entry in _sorted([*_read(path), *new]))
        write_atomic(path, "".join(line + "\n" for line in lines).encode())
    return len(new)


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    """One entry a key, of several in one list the first by text; ids first, then artists."""
    chosen: dict[Key, Entry] = {}
    for entry in sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True)):
        chosen.setdefault(_key(entry), entry)
    return [chosen[key] for key in sorted(chosen, key=lambda key: (key[1] is not None, *map(str, key)))]


def _key(entry: Entry) -> Key:
    if (id := entry.get("id")) is not None:
        return work_of(id.strip()), None, None
    return "", plain(entry["artist"] or ""), entry["source"]


def _read(path: Path) -> list[Entry]:
    lines = lists.read(path, Line, topic="works and artists that are blocked", expected=EXPECTED, optional=True)
    return [line.entry() for _, line in lines]


def _checked(entry: Entry) -> Entry:
    return lists.checked(entry, Line, "blocklist entry", EXPECTED).entry()
