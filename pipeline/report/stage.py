"""The report stage: the self-contained pages that a person reads, the same bytes for the same inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.errors import BadInput
from pipeline.params import Params
from pipeline.report import charts, funnel, provenance, showcase, training_alarms, verdicts
from pipeline.report import data_card as card
from pipeline.report.thumbnails import Thumbnail, strip
from pipeline.runtime.files import output_dir, write_atomic
from pipeline.runtime.manifest import Row

EPOCHS_SHOWN = 6  # a generator: the first, the last, and evenly spaced ones between
RESULTS_OF_RUN = ("executor",)  # sections on which no result depends: not on the page


def run(root: Path, dst: Path, params: Params) -> dict[str, Any]:
    """Write `dst/index.html` and, beside it, the data card `dst/dataset.html`.

    Reads, below `root`: `data/` (manifests, stats, pictures), `artifacts/{baselines,style,translate,cyclegan}/`,
    `metrics/evaluate.json` and `plots/train/<generator>/plots/metrics/train/*.tsv`. Only the metrics must be there;
    what is missing is left out of the page.

    Returns:
        `bytes` of the page and `pictures` in it; of the card `card_bytes` and `card_pictures`.

    Raises:
        BadInput: no metrics, or a picture or curve that cannot be read.
    """
    page, data_card = render(root, params), card.render(root, params, environment())
    with output_dir(dst) as out:
        write_atomic(out / "index.html", page.encode())
        write_atomic(out / "dataset.html", data_card.encode())
    return {
        "bytes": len(page.encode()),
        "pictures": page.count("data:image/png"),
        "card_bytes": len(data_card.encode()),
        "card_pictures": data_card.count("data:image/png"),
    }


def environment() -> Environment:
    """Templates of this package; everything is escaped, and a forgotten value is an error."""
    return Environment(
        loader=PackageLoader("pipeline.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def render(root: Path, params: Params) -> str:
    """The page as text; see `run`."""
    evaluated = read_metrics(root)
    table, goals = evaluated["methods"], evaluated["targets"]
    rows = provenance.kept_rows(root / "data")
    context = {
        "result": verdicts.result(table, goals),
        "metrics": verdicts.METRICS,
        "table": _table(table),
        "verdicts": verdicts.verdicts(goals),
        **_pictures(root, rows, params.evaluate.show),
        **_funnel(root / "data"),
        **learning_curves(root / "plots" / "train"),
        **training_alarms.looks(root / "artifacts" / "cyclegan"),
        "epochs": epochs(root / "artifacts" / "cyclegan"),
        "origins": provenance.origins(rows),
        "digests": provenance.digests(root),
        "params": _sections(params),
        "sample": bool(rows) and all(row.get("origin") == "sample" for row in rows),
    }
    return environment().get_template("report.html").render(context)


def read_metrics(root: Path) -> dict[str, Any]:
    """`metrics/evaluate.json`.

    Raises:
        BadInput: it is not there or not JSON.
    """
    path = root / "metrics" / "evaluate.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: no readable metrics; run the evaluate stage first: {error}") from error


def learning_curves(folder: Path) -> dict[str, Any]:
    """A chart per training metric, with a line per generator: `curves` and the names of the `generators`."""
    found = {sub.name: charts.curves(sub / "plots" / "metrics" / "train") for sub in sorted(folder.glob("*"))}
    names = sorted({name for curves in found.values() for name in curves})
    series = {name: {generator: curves.get(name, []) for generator, curves in found.items()} for name in names}
    return {
        "generators": list(found),
        "curves": [(name, charts.line_chart(name, lines)) for name, lines in series.items()],
    }


def epochs(folder: Path) -> list[tuple[str, list[Thumbnail]]]:
    """Per generator: the fixed faces, then what became of them after some of the epochs."""
    shown = []
    for samples in sorted(folder.glob("*/samples")):
        name = showcase.named(f"cyclegan_{samples.parent.name}")[0]
        numbered = sorted((_epoch(path), path) for path in samples.glob("epoch-*.png"))
        strips = [(f"epoch {number}", path) for number, path in _spread(numbered)]
        inputs = samples / "inputs.png"
        if inputs.is_file():
            strips.insert(0, ("input", inputs))
        shown.append((name, [strip(path, f"{name}: fixed faces, {caption}", caption) for caption, path in strips]))
    return shown


def _epoch(path: Path) -> int:
    number = re.fullmatch(r"epoch-(\d+)", path.stem)
    if number is None:
        raise BadInput(f"{path}: expected a name like epoch-003.png")
    return int(number[1])


def _spread(items: Sequence[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """At most EPOCHS_SHOWN, the first and the last among them."""
    if len(items) <= EPOCHS_SHOWN:
        return list(items)
    return [items[index * (len(items) - 1) // (EPOCHS_SHOWN - 1)] for index in range(EPOCHS_SHOWN)]


def _table(table: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    order = list(showcase.NAMES)
    known = [name for name in order if name in table]
    others = sorted(table.keys() - known)
    return [
        {
            "key": name,
            "name": showcase.named(name)[0],
            "about": showcase.named(name)[1],
            "n": f"{table[name]['n']:.0f}",
            "cells": [verdicts.cell_text(metric, table[name]) for metric in verdicts.METRICS],
        }
        for name in [*known[:-1], *others, *known[-1:]]
    ]


def _pictures(root: Path, rows: Sequence[Row], count: int) -> dict[str, Any]:
    """The hero strip and the methods side by side."""
    found = showcase.methods(root)
    credits = {row["id"]: funnel.credit(row) for row in rows}
    ids = showcase.faces(found, count)
    heroes = [method for method in found if method.key in showcase.HERO]
    return {
        "methods": found,
        "side_by_side": showcase.rows(found, ids, credits),
        "heroes": heroes,
        "hero_rows": showcase.rows(heroes, showcase.faces(heroes, showcase.HERO_FACES), credits),
    }


def _funnel(data: Path) -> dict[str, Any]:
    found = funnel.stages(data)
    return {
        "funnel": [funnel.count(stage) for stage in found],
        "examples": [
            {
                "name": stage.name,
                "changed": funnel.changed_examples(stage) if stage.sources else [],
                "kept": [] if stage.sources else funnel.kept_examples(stage),
                "removed": funnel.removed_examples(stage),
            }
            for stage in found
            if stage.name != "split"
        ],
    }


def _sections(params: Params) -> list[tuple[str, list[tuple[str, str]]]]:
    values = params.model_dump()
    for name in RESULTS_OF_RUN:
        del values[name]
    general = [(name, _written(value)) for name, value in values.items() if not isinstance(value, dict)]
    sections = [(name, value) for name, value in values.items() if isinstance(value, dict)]
    return [("run", general), *((name, [(k, _written(v)) for k, v in value.items()]) for name, value in sections)]


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
