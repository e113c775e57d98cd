"""The report stage: the self-contained pages that a person reads, the same bytes for the same inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.errors import BadInput
from pipeline.params import Params
from pipeline.report import charts, data_card, funnel, provenance, showcase, training_alarms, verdicts
from pipeline.report.thumbnails import Thumbnail, strip
from pipeline.report.training_alarms import read_json
from pipeline.runtime.files import output_dir, write_atomic
from pipeline.runtime.manifest import Row

EPOCHS_SHOWN = 6  # a generator: the first, the last, and evenly spaced ones between
WITHOUT_EFFECT = {"executor"}  # sections on which no result depends: not on the page


def run(root: Path, dst: Path, params: Params) -> dict[str, Any]:
    """Write `dst/index.html` and, beside it, the data card `dst/dataset.html`.

    Reads, below `root`: `data/` (manifests, stats, pictures), `artifacts/{baselines,style,translate,cyclegan}/`,
    `plots/evaluate/methods.json` and `plots/train/<generator>/plots/metrics/train/*.tsv`. Only the scores must be
    there; what else is missing is left out of the page.

    Returns:
        `bytes` of the page and `pictures` in it; of the card `card_bytes` and `card_pictures`.

    Raises:
        BadInput: no scores, or a picture or curve that cannot be read.
    """
    page, card = render(root, params), data_card.render(root, params, environment())
    with output_dir(dst) as out:
        write_atomic(out / "index.html", page.encode())
        write_atomic(out / "dataset.html", card.encode())
    return {
        "bytes": len(page.encode()),
        "pictures": page.count("data:image/png"),
        "card_bytes": len(card.encode()),
        "card_pictures": card.count("data:image/png"),
    }


def environment() -> Environment:
    """Templates of this package; everything is escaped, and a forgotten value is an error."""
    templates = Environment(
        loader=PackageLoader("pipeline.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters["json"] = partial(json.dumps, ensure_ascii=False)
    return templates


def render(root: Path, params: Params) -> str:
    """The page as text; see `run`."""
    scores = read_scores(root)
    table, targets = scores["methods"], scores["targets"]
    rows = provenance.kept_rows(root / "data")
    context = {
        "result": verdicts.summary(table, targets),
        "metrics": verdicts.metrics_of(table),
        "table": _table(table),
        "verdicts": verdicts.sentences(targets),
        **_pictures(root, rows, params.evaluate.show),
        **_funnel(root / "data"),
        **learning_curves(root / "plots" / "train"),
        **training_alarms.read(root / "artifacts" / "cyclegan"),
        "epochs": epochs(root / "artifacts" / "cyclegan"),
        "pairs": pairs(root / "artifacts" / "cyclegan"),
        "origins": provenance.origins(rows),
        "digests": provenance.digests(root),
        "params": _sections(params),
        "sample": bool(rows) and all(row.get("origin") == "sample" for row in rows),
    }
    return environment().get_template("report.html").render(context)


def read_scores(root: Path) -> dict[str, Any]:
    """The scores of all `methods` and the `targets`, as the evaluate stage wrote them.

    Raises:
        BadInput: it is not there or not JSON.
    """
    return read_json(root / "plots" / "evaluate" / "methods.json", "no readable scores; run the evaluate stage first")


def learning_curves(folder: Path) -> dict[str, Any]:
    """A chart per training metric, with a line per generator: `curves` and the names of the `generators`."""
    curves = {sub.name: charts.read_curves(sub / "plots" / "metrics" / "train") for sub in sorted(folder.glob("*"))}
    names = sorted({name for metrics in curves.values() for name in metrics})
    lines = {name: {generator: metrics.get(name, []) for generator, metrics in curves.items()} for name in names}
    return {"generators": list(curves), "curves": [(name, charts.line_chart(name, lines[name])) for name in names]}


def epochs(folder: Path) -> list[tuple[str, list[Thumbnail]]]:
    """(name, strips) of each generator: the fixed faces, then their translations after some of the epochs."""
    generators = []
    for samples in sorted(folder.glob("*/samples")):
        name = showcase.generator_name(samples.parent.name)
        pictures = {_epoch(path): path for path in samples.glob("epoch-*.png")}
        numbers, last = sorted(pictures), max(0, len(pictures) - 1)
        places = sorted({place * last // (EPOCHS_SHOWN - 1) for place in range(EPOCHS_SHOWN)})
        strips = [(f"epoch {number}", pictures[number]) for number in (numbers[place] for place in places if numbers)]
        if (inputs := samples / "inputs.png").is_file():
            strips.insert(0, ("input", inputs))
        generators.append((name, [strip(path, f"{name}: fixed faces, {caption}", caption) for caption, path in strips]))
    return generators


def pairs(folder: Path) -> list[Thumbnail]:
    """The pairs that a training learned from, of each generator that has such a picture."""
    strips = []
    for path in sorted(folder.glob("*/pairs.png")):
        name = showcase.generator_name(path.parent.name)
        strips.append(strip(path, f"{name}: smooth versions of artworks above the artworks", name))
    return strips


def _epoch(path: Path) -> int:
    number = path.stem.removeprefix("epoch-")
    if not number.isdecimal():
        raise BadInput(f"{path}: expected a name like epoch-003.png")
    return int(number)


def _table(table: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Rows of the table of figures."""
    rows, metrics = [], verdicts.metrics_of(table)
    for key in showcase.in_order(table):
        name, about = showcase.describe(key)
        cells = [verdicts.cell_text(metric, table[key]) for metric in metrics]
        rows.append({"key": key, "name": name, "about": about, "n": f"{table[key]['n']:.0f}", "cells": cells})
    return rows


def _pictures(root: Path, rows: Sequence[Row], count: int) -> dict[str, Any]:
    """The hero strip and the methods side by side."""
    methods = showcase.methods(root)
    heroes = [method for method in methods if method.key in showcase.HERO]
    credits = {row["id"]: funnel.credit(row) for row in rows}
    return {
        "methods": methods,
        "side_by_side": showcase.rows(methods, showcase.faces(methods, count), credits),
        "heroes": heroes,
        "hero_rows": showcase.rows(heroes, showcase.faces(heroes, showcase.HERO_FACES), credits),
    }


def _funnel(data: Path) -> dict[str, Any]:
    """The counts of every stage, and examples of what it kept, changed and removed."""
    stages = funnel.stages(data)
    return {
        "funnel": [funnel.count(stage) for stage in stages],
        "examples": [
            {
                "name": stage.name,
                "changed": funnel.changed_examples(stage) if stage.sources else [],
                "kept": [] if stage.sources else funnel.kept_examples(stage),
                "removed": funnel.removed_examples(stage),
            }
            for stage in stages
            if stage.name != "split"
        ],
    }


def _sections(params: Params) -> dict[str, dict[str, Any]]:
    """Section -> name -> value of the parameters, those without a section under `run`."""
    values = params.model_dump(exclude=WITHOUT_EFFECT)
    sections = {name: value for name, value in values.items() if isinstance(value, dict)}
    return {"run": {name: value for name, value in values.items() if name not in sections}, **sections}
