"""What the page tells of the training: its alarms, and what every convolution makes of one face."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.report import charts
from pipeline.report.showcase import generator_name
from pipeline.report.thumbnails import strip

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
    trainings, layers, pictures = (
        {generator_name(path.parent.name): path for path in sorted(trained.glob(f"*/{name}"))}
        for name in ("training.json", "activations.json", "activations.png")
    )
    combs = {name: comb_points(read_json(path)["layers"]) for name, path in layers.items()}
    maps = "maps of every convolution, rows are layers and columns channels"
    return {
        "alarms": [line for name, path in trainings.items() for line in alarm_lines(name, read_json(path))],
        "activations": [strip(path, f"{name}: {maps}", name) for name, path in pictures.items()],
        "activation_names": list(combs),
        "activation_chart": charts.line_chart("comb energy by convolution, dB", combs) if any(combs.values()) else None,
    }


def read_json(path: Path, problem: str = "not readable") -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BadInput: it is not there or not JSON, which is said as the `problem`.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {problem}: {error}") from error


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
