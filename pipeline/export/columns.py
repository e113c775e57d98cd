"""The columns of a table of works and their types, read off the manifest, which differs from stage to stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pipeline.runtime.manifest import PROVENANCE, Row

Kind = Literal["string", "bool", "int64", "float64", "strings", "ints", "json"]

FIXED: dict[str, Kind] = {"ai_generated": "bool", "tags": "strings"}  # also where no row has a value
VERDICT = ("status", "reason")


def record_of(row: Row) -> dict[str, Any]:
    """A row of a kept work without the verdict, and with all keys of the provenance, null where unknown."""
    facts = {key: value for key, value in row.items() if key not in VERDICT}
    return {**dict.fromkeys(PROVENANCE), **facts}


def kinds_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Kind]:
    """Column -> type, sorted by name after `id`. Integers among fractions become fractions, any other mixture text."""
    kinds: dict[str, Kind] = {key: FIXED.get(key, "string") for key in PROVENANCE}
    filled: set[str] = set(FIXED)
    for record in records:
        for key, value in record.items():
            if value is None or value == []:
                kinds.setdefault(key, "string")
            else:
                kinds[key] = _merged(kinds[key], _kind(value)) if key in filled else _kind(value)
                filled.add(key)
    return {"id": "string", **dict(sorted(kinds.items()))}


def _kind(value: Any) -> Kind:
    if isinstance(value, list):
        nested = {_kind(item) for item in value}
        return "strings" if nested == {"string"} else "ints" if nested == {"int64"} else "json"
    if type(value) is int and not -(2**63) <= value < 2**63:
        return "json"
    kinds: dict[type, Kind] = {str: "string", bool: "bool", int: "int64", float: "float64"}
    return kinds.get(type(value), "json")


def _merged(left: Kind, right: Kind) -> Kind:
    if left == right:
        return left
    return "float64" if {left, right} == {"int64", "float64"} else "json"


def cell(value: Any, kind: Kind) -> Any:
    """A value in the type of its column."""
    if kind == "json" and value is not None:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return None if value == [] and kind not in ("strings", "ints") else value
