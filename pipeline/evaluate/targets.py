"""The figures that trained generators should reach, and whether they did; a missed one is reported like the others."""

from __future__ import annotations

from collections.abc import Mapping
from operator import ge, gt, lt
from typing import Any

Table = Mapping[str, Mapping[str, float]]
Target = dict[str, Any]  # metric, method, value, relation, bound, rival (the method whose value is the bound), met

RELATIONS = {">=": ge, ">": gt, "<": lt}
SPREAD = ("spread_ratio", ">=", 0.3)  # of every generator: of the inputs' spread; below is collapse
CELL: dict[str, tuple[str, str, float | str]] = {  # metric, relation, the bound or the method whose value it is
    "cell_keeps_content": ("retrieval", ">=", 0.9),
    "cell_recovers_cells": ("cell_error", "<", "majority_palette"),
    "cell_recovers_lines": ("line_f1", ">", "majority_palette"),
    "cell_recovers_accents": ("accents_chroma", ">", "majority_palette"),
    "cell_on_grid": ("grid_alignment", ">=", 0.95),  # share of the edges on the grid, above chance
    "cell_without_tiles": ("comb_db", "<", "cyclegan_resnet"),
}


def targets(table: Table) -> dict[str, Target]:
    """Every target whose methods are in the table, keyed by name; there is none where a method has no such metric."""
    generators = [name for name in table if name.startswith("cyclegan_")]
    goals = {f"{name.removeprefix('cyclegan_')}_not_collapsed": _target(table, name, *SPREAD) for name in generators}
    goals |= {name: _target(table, "cyclegan_cell", *goal) for name, goal in CELL.items()}
    return {name: target for name, target in sorted(goals.items()) if target}


def _target(table: Table, method: str, metric: str, relation: str, limit: float | str) -> Target:
    """Empty where the method or the rival has no value."""
    rival = limit if isinstance(limit, str) else None
    value, bound = table.get(method, {}).get(metric), table.get(rival, {}).get(metric) if rival else limit
    if value is None or bound is None:
        return {}
    return {
        "method": method, "metric": metric, "value": value, "relation": relation, "bound": bound, "rival": rival,
        "met": RELATIONS[relation](value, bound),
    }  # fmt: skip
