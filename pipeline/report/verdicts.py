"""The figures in words: what each number means, which targets were met, the result in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.evaluate.targets import Table
from pipeline.report.showcase import describe


@dataclass(frozen=True)
class Metric:
    """A column of the table: how a value is written and what it means."""

    key: str
    name: str
    better: str
    about: str
    decimals: int
    factor: float = 1.0


METRICS = (
    Metric("pairs", "pairs", "", "Smooth versions of test artworks that were drawn; the next five are of those.", 0),
    Metric("cell_error", "error", "↓", "Mean OKLab distance of a cell from the artist's, x 100.", 2, 100),
    Metric("cells_within", "within", "↑", "Share of the cells whose colour is the artist's to the eye.", 2),
    Metric("line_f1", "lines", "↑", "Dark lines of the artwork that are drawn, and no others: F1.", 2),
    Metric("accents_chroma", "accents", "↑", "Share of the artwork's accents, as irises and lips, by chroma.", 2),
    Metric("lone_cells", "lone", "→ real", "Share of the cells that equal none of their neighbours.", 3),
    Metric("face_accents", "face accents", "↑", "Share of a face's accents that is drawn, by chroma.", 2),
    Metric("face_lone_cells", "face lone", "→ real", "The share of lone cells in drawings of faces, or in art.", 3),
    Metric("faces_found", "found", "↑", "Share of the faces found in the inputs that are found in the drawings.", 2),
    Metric("grid_alignment", "on the grid", "↑", "Share of the colour edges on one grid of cells, above chance.", 2),
    Metric("comb_db", "tiles, dB", "↓", "Energy at the harmonics of the grid: far below 0 is art, above is tiles.", 1),
    Metric("cell_residual", "within cells", "↓", "Variance inside the cells over that of the picture.", 3),
    Metric("colours", "colours", "↓", "Distinct colours at one pixel per cell.", 0),
    Metric("n99", "n99", "↓", "Colours that cover 99 % of the pixels at full size.", 0),
    Metric("effective_palette", "effective", "", "Colours weighted by use (exponential of the entropy).", 1),
    Metric("equal_neighbours", "flat", "→ real", "Share of neighbouring cells with the very same colour.", 2),
    Metric("dark_cells", "dark", "→ real", "Share of cells dark enough to be outline.", 2),
    Metric("retrieval", "recognised", "↑", "Share of the pictures whose nearest input is their own.", 2),
    Metric("dark_details_kept", "dark details", "↑", "Share of dark details, as mouths, at least half as deep.", 2),
    Metric("spread_ratio", "variety", "↑", "Spread of the outputs over that of the inputs; below 0.3 is collapse.", 2),
    Metric("sliced_wasserstein_3", "3x3 distance", "", "Distance of 3x3 patterns from real art, x 1000.", 1, 1000),
    Metric("sliced_wasserstein_5", "5x5 distance", "", "Distance of 5x5 patterns from real art, x 1000.", 1, 1000),
    Metric("sliced_wasserstein_3_raw", "with colour", "", "The 3x3 distance, colours included, x 1000.", 1, 1000),
)
BY_KEY = {metric.key: metric for metric in METRICS}
RELATIONS = {">=": "at least", ">": "more than", "<": "less than"}
DASH, MINUS = "\u2013", "\u2212"
CLAIMS = {
    "cell_recovers_cells": "cell comes nearer to the artist's cells than majority + palette",
    "cell_recovers_lines": "cell draws more of the artist's dark lines, and fewer others, than majority + palette",
    "cell_recovers_accents": "cell keeps more of the artist's accents than majority + palette",
    "cell_on_grid": "cell draws on the grid",
    "cell_without_tiles": "cell leaves fewer tiles than CycleGAN resnet",
    "cell_keeps_content": "cell draws faces that can be matched with their inputs",
}


def metrics_of(table: Table) -> list[Metric]:
    """The columns of a table: the metrics that at least one method has."""
    return [metric for metric in METRICS if any(metric.key in scores for scores in table.values())]


def cell_text(metric: Metric, scores: Mapping[str, float]) -> str:
    """A value as the table shows it; a dash where the metric does not apply."""
    return format_value(metric, scores[metric.key]) if metric.key in scores else DASH


def format_value(metric: Metric, value: float) -> str:
    """A value with the decimals and the factor of its metric, and a true minus sign."""
    return f"{value * metric.factor:.{metric.decimals}f}".replace("-", MINUS)


def sentences(targets: Mapping[str, Mapping[str, Any]]) -> list[tuple[bool, str]]:
    """Whether each target was met, and a sentence that says so, in the order of CLAIMS."""
    names = [*(name for name in CLAIMS if name in targets), *sorted(targets.keys() - CLAIMS.keys())]
    return [(bool(targets[name]["met"]), sentence(name, targets[name])) for name in names]


def sentence(name: str, target: Mapping[str, Any]) -> str:
    """One sentence per target, met or missed."""
    claim = CLAIMS.get(name, f"{describe(target['method'])[0]} does not collapse into one picture")
    metric = BY_KEY[target["metric"]]
    outcome = "met" if target["met"] else "MISSED"
    bound = f"{RELATIONS[target['relation']]} {format_value(metric, target['bound'])}"
    rival = f" ({describe(target['rival'])[0]})" if target["rival"] else ""
    return f"{claim}: {outcome}. “{metric.name}” is {format_value(metric, target['value'])}; wanted: {bound}{rival}."


def summary(table: Table, targets: Mapping[str, Mapping[str, Any]]) -> str:
    """The outcome of the run in one sentence."""
    cell = table.get("cyclegan_cell")
    if cell is None:
        return f"{table['input']['n']:.0f} test faces through the trivial baselines; no cell generator was evaluated."
    met = sum(bool(target["met"]) for target in targets.values())
    nearer = _comparison(targets["cell_recovers_cells"], cell) if "cell_recovers_cells" in targets else ""
    return (
        f"On {cell['n']:.0f} unseen faces the cell generator reaches a grid alignment of {cell['grid_alignment']:.2f} "
        f"with {cell['colours']:.0f} colours a picture, {cell['retrieval']:.0%} are matched with their own input"
        f"{nearer}; {met} of {len(targets)} targets are met."
    )


def _comparison(target: Mapping[str, Any], cell: Mapping[str, float]) -> str:
    word = "nearer to" if target["met"] else "no nearer to"
    values = " against ".join(format_value(BY_KEY[target["metric"]], target[key]) for key in ("value", "bound"))
    return (
        f", and what it draws of {cell['pairs']:.0f} smooth versions of unseen artworks is {word} the artworks "
        f"than what majority + palette draws (error {values})"
    )
