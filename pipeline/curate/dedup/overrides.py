"""Reads what a person decided about pairs of works, against or ahead of the rules of deduplication.

    {"one": "lospec-02a2998b2ce6ffd8", "other": "pixeljoint-4b227777d4dd1fc6", "verdict": "same", "note": "reposted"}

`same`: one work, the less preferred goes. `alternate`: both stay, as one family. `different`: both stay and have
nothing to do with each other. One JSON object a line; `note` and `date` are free text for the people who keep the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput

Overrides = Mapping[frozenset[str], str]  # pair of ids -> verdict

SAME, ALTERNATE, DIFFERENT = VERDICTS = ("same", "alternate", "different")
EXPECTED = (
    'expected {"one": ID, "other": ANOTHER_ID, "verdict": "same" or "alternate" or "different"}, '
    'with "note" and "date" as texts if any'
)
REQUIRED, OPTIONAL = {"one", "other", "verdict"}, {"note", "date"}


def load(path: Path) -> Overrides:
    """Read the verdicts of a file.

    Raises:
        BadInput: no such file, a line that is no verdict, or two lines that contradict each other.
    """
    verdicts: dict[frozenset[str], str] = {}
    first_lines: dict[frozenset[str], int] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        entry = _parsed(line, where)
        pair = frozenset((entry["one"], entry["other"]))
        if verdicts.setdefault(pair, entry["verdict"]) != entry["verdict"]:
            raise BadInput(
                f"{where}: {entry['verdict']!r} contradicts line {first_lines[pair]}, which says {verdicts[pair]!r}"
            )
        first_lines.setdefault(pair, number)
    return verdicts


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise BadInput(f"{path}: expected a file of overrides, it may be empty: {error.strerror}") from error


def _parsed(line: bytes, where: str) -> dict[str, str]:
    try:
        raw = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON ({error}); {EXPECTED}") from error
    if not _is_entry(raw):
        raise BadInput(f"{where}: found {raw!r}; {EXPECTED}")
    return dict(raw)


def _is_entry(raw: Any) -> bool:
    if not isinstance(raw, dict) or not REQUIRED <= raw.keys() <= REQUIRED | OPTIONAL:
        return False
    texts = all(isinstance(value, str) for value in raw.values())
    return texts and raw["one"] != raw["other"] and raw["verdict"] in VERDICTS and "" not in (raw["one"], raw["other"])
