"""left-out.jsonl: what `add` could not take out of an archive, beside what it could, for the import to tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from pipeline.images import folders
from pipeline.runtime import lists
from pipeline.runtime.files import write_atomic

NAME = "left-out.jsonl"
EXPECTED = 'expected {"path": MEMBER, "flaw": WHY_IT_IS_NOT_THERE}'


class LeftOut(BaseModel):
    """A line of the file; `path` is beside the file."""

    path: str
    flaw: str


def write(folder: Path, flaws: Mapping[str, str]) -> None:
    """Write what was left out of a folder, path -> why; no file where that is nothing."""
    lines = [json.dumps({"path": path, "flaw": flaw}) + "\n" for path, flaw in flaws.items()]
    if lines:
        write_atomic(folder / NAME, "".join(lines).encode())


def read(src: Path) -> dict[str, str]:
    """Possible images that were left out anywhere below `src`: place -> why.

    Raises:
        BadInput: a line that is something else.
    """
    places: dict[str, str] = {}
    for file in sorted(src.rglob(NAME)):
        folder = file.parent.relative_to(src)
        if not folders.is_hidden(folder):
            lines = lists.read(file, LeftOut, topic="members that were left out", expected=EXPECTED)
            places |= {(folder / line.path).as_posix(): line.flaw for _, line in lines}
    return {place: flaw for place, flaw in places.items() if folders.may_be_image(Path(place.partition("#")[0]))}
