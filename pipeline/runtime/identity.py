"""Ids of works and names of persons in the form in which they are compared."""

from __future__ import annotations

import re
import unicodedata

PART = re.compile(r"(-f\d{1,9}|-t\d{1,6}x\d{1,6}|-c\d{1,9})+$")  # shorter than any digest that an id ends with


def work_of(id: str) -> str:
    """The id of the work that a frame (`-f003`), tile (`-t02x01`) or crop (`-c01`) is part of; any other as it is."""
    return PART.sub("", id)


def plain(name: str) -> str:
    """A name in the form in which two are compared: without case, width, composition and white space."""
    for _ in range(2):  # folding can undo a composition, and the other way round
        name = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(name.split())
