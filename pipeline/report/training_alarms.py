"""What the page tells of the training: its alarms, and what every convolution makes of one face."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.report import charts, showcase
from pipeline.report.thumbnails import Thumbnail, strip

WORDS = {
    "collapse": "the sample faces nearly became one picture",
    "comb": "the pictures had periodic tiles",
    "saturated_a": "the discriminator of the faces was never wrong",
    "saturated_b": "the discriminator of the art was never wrong",
    "skipped": "gradients were not finite, steps were left out",
}


def read(trained: Path) -> dict[str, Any]:
    """Parts of the page on the generators below `trained`: `alarms`, `activations`, `activation_chart` and its names.

    Raises:
        BadInput: a file that cannot be read.
    """
    trainings = {path.parent.name: _json(path) for path in sorted(trained.glob("*/training.json"))}
    layers = {path.parent.name: _json(path)["layers"] for path in sorted(trained.glob("*/activations.json"))}
    combs = {_name(generator): comb_points(rows) for generator, rows in layers.items()}
    return {
        "alarms": [
            line for generator, training in trainings.items() for line in alarm_lines(_name(generator), training)
        ],
        "activations": [_figure(path) for path in sorted(trained.glob("*/activations.png"))],
        "activation_names": list(combs),
        "activation_chart": charts.line_chart("comb energy by convolution, dB", combs) if any(combs.values()) else None,
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable: {error}") from error


def _name(generator: str) -> str:
    return showcase.describe(f"cyclegan_{generator}")[0]


def alarm_lines(name: str, training: Mapping[str, Any]) -> list[tuple[bool, str]]:
    """(whether it rang to the end, sentence) for each alarm; one sentence that says so where there was none."""
    history = training.get("alarms")
    if history is None:
        return []
    if not history:
        return [(False, f"{name}: none")]
    return [(record["to"] is None, f"{name}: {_sentence(record)}") for record in history]


def _sentence(record: Mapping[str, Any]) -> str:
    first, last = record["from"], record["to"]
    when = f"from epoch {first} to the end" if last is None else f"in epochs {first} to {last}"
    return f"{WORDS[record['kind']]} {when if last != first else f'in epoch {first}'}"


def comb_points(layers: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """(number of the convolution, dB), for the layers whose comb could be measured."""
    return [(number, layer["comb_db"]) for number, layer in enumerate(layers, 1) if layer["comb_db"] is not None]


def _figure(path: Path) -> Thumbnail:
    name = _name(path.parent.name)
    return strip(path, f"{name}: maps of every convolution, rows are layers and columns channels", name)
