"""JSON Lines files that a person keeps: one object a line; an error names the file, the line and what was expected."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.errors import BadInput

Line = TypeVar("Line", bound=BaseModel)


def read(
    path: Path, model: type[Line], *, topic: str, expected: str, optional: bool = False
) -> Iterator[tuple[str, Line]]:
    """The lines that are not blank, each with its place, `FILE:NUMBER`.

    Args:
        model: what a line must hold.
        topic: what the file lists, for errors.
        expected: what a line must hold, for errors.
        optional: an absent file is an empty one.

    Raises:
        BadInput: no such file, or a line that is something else.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return
        raise BadInput(f"{path}: expected a file of {topic}, it may be empty: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{path}:{number}"
            try:
                value = json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{place}: not JSON ({error}); {expected}") from error
            yield place, checked(value, model, place, expected)


def checked(value: Any, model: type[Line], place: str, expected: str) -> Line:
    """A JSON value as what a line must hold.

    Raises:
        BadInput: it is something else.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        problem = f"{key}: {first['msg']}" if key else first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{place}: {problem}, found {value!r}; {expected}") from error
