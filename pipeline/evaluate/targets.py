"""The figures that trained generators should reach, and whether they did; a missed one is reported like the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Table = Mapping[str, Mapping[str, float]]
Target = dict[str, Any]  # metric, method, value, relation, bound, rival (the method whose value is the bound), met

ALIGNED = 0.95  # share of the edges on the grid, above chance
SPREAD = 0.3  # of the inputs' spread; below is collapse
RETRIEVED = 0.9


def targets(table: Table) -> dict[str, Target]:
    """Every target whose methods are in the table, keyed by name."""
    goals = _spread_targets(table)
    cell, resnet = table.get("cyclegan_cell"), table.get("cyclegan_resnet")
    if cell is None:
        return goals
    goals["cell_on_grid"] = _at_least("cyclegan_cell", "grid_alignment", cell, ALIGNED)
    goals["cell_keeps_content"] = _at_least("cyclegan_cell", "retrieval", cell, RETRIEVED)
    if resnet is not None:
        goals["cell_without_tiles"] = _below("comb_db", cell, "cyclegan_resnet", resnet)
    if "sliced_wasserstein_3" in cell:
        goals["cell_nearer_to_art"] = _below("sliced_wasserstein_3", cell, "box_palette", table["box_palette"])
    return dict(sorted(goals.items()))


def _spread_targets(table: Table) -> dict[str, Target]:
    return {
        f"{name.removeprefix('cyclegan_')}_not_collapsed": _at_least(name, "spread_ratio", scores, SPREAD)
        for name, scores in sorted(table.items())
        if name.startswith("cyclegan_") and "spread_ratio" in scores
    }


def _at_least(method: str, metric: str, scores: Mapping[str, float], bound: float) -> Target:
    value = scores[metric]
    return _target(method, metric, value, relation=">=", bound=bound, rival=None, met=value >= bound)


def _below(metric: str, cell: Mapping[str, float], rival: str, rival_scores: Mapping[str, float]) -> Target:
    value, bound = cell[metric], rival_scores[metric]
    return _target("cyclegan_cell", metric, value, relation="<", bound=bound, rival=rival, met=value < bound)


def _target(method: str, metric: str, value: float, **fields: Any) -> Target:
    return {"method": method, "metric": metric, "value": value, **fields}
