"""Which columns a table of works has, and of what type: read off the manifest, which differs from stage to stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pipeline.runtime.manifest import PROVENANCE, Row

Kind = Literal["string", "bool", "int64", "float64", "strings", "ints", "json"]

KNOWN: dict[str, Kind] = {"ai_generated": "bool", "tags": "strings"}  # also where no row tells them
VERDICT = ("status", "reason")


def record_of(row: Row) -> dict[str, Any]:
    """What a row tells of a kept work: everything but the verdict, and all of the provenance, null where unknown."""
    told = {key: value for key, value in row.items() if key not in VERDICT}
    return {**dict.fromkeys(PROVENANCE), **told}


def kinds_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Kind]:
    """Column -> type, sorted by name after `id`. Integers among fractions become fractions, any other mixture text."""
    found: dict[str, Kind] = {key: KNOWN.get(key, "string") for key in PROVENANCE}
    told: set[str] = set(KNOWN)
    for record in records:
        for key, value in record.items():
            if value is None or value == []:
                found.setdefault(key, "string")
            else:
                found[key] = _merged(found[key], _kind(value)) if key in told else _kind(value)
                told.add(key)
    return {"id": "string", **dict(sorted(found.items()))}


def _kind(value: Any) -> Kind:
    if isinstance(value, list):
        nested = {_kind(item) for item in value}
        return "strings" if nested == {"string"} else "ints" if nested == {"int64"} else "json"
    if type(value) is int and not -(2**63) <= value < 2**63:
        return "json"
    kinds: dict[type, Kind] = {str: "string", bool: "bool", int: "int64", float: "float64"}
    return kinds.get(type(value), "json")


def _merged(one: Kind, other: Kind) -> Kind:
    if one == other:
        return one
    return "float64" if {one, other} == {"int64", "float64"} else "json"


def cell(value: Any, kind: Kind) -> Any:
    """A value as its column holds it."""
    if kind == "json" and value is not None:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return None if value == [] and kind not in ("strings", "ints") else value
