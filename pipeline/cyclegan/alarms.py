"""Alarms of a training: what goes wrong in a CycleGAN, from which epoch to which, and what may help.

Alarms are data: the same training raises the same ones, also after a resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.images.files import Pixels
from pipeline.metrics.diversity import COLLAPSED, spread_ratio
from pipeline.metrics.tiles import comb_db

ADVISE_AFTER = 3  # epochs that an alarm lasts
ON_GRID = -20.0  # dB of comb energy that pixel art enlarged from a grid stays below; smooth pictures do not
EXCESS = 3.0  # dB above its input that a full-resolution picture may have
SATURATED = 0.02  # mean loss of a discriminator over an epoch; chance is 0.25

MEANING = {
    "collapse": "the sample faces have nearly become one picture",
    "comb": "the pictures have periodic tiles",
    "saturated_a": "the discriminator of the faces is never wrong: the generator learns nothing from it",
    "saturated_b": "the discriminator of the art is never wrong: the generator learns nothing from it",
    "skipped": "gradients were not finite: steps were left out",
}
ADVICE = {
    "collapse": "stop and bring more varied art; without pairs also raise train.<generator>.identity and cycle",
    "comb": "stop and train a generator without transposed convolutions: train.generators: [cell]",
    "saturated_a": "stop and lower train.<generator>.lr, or bring more faces",
    "saturated_b": "stop and lower train.<generator>.lr, or bring more art: few pictures are learned by heart",
    "skipped": "stop and lower train.<generator>.lr, or set train.precision: fp32",
}

Reading = dict[str, float]


def measure(drawn: Sequence[Pixels], faces: Sequence[Pixels], cell: int) -> Reading:
    """Measure one epoch's sample pictures beside their inputs; all uint8 (S, S, 3).

    `spread_ratio` needs two pictures, `comb_db` (mean over the pictures that are not flat) cells of two pixels; where
    they cannot be computed they are absent. `comb_excess_db` is how far `comb_db` is above that of the inputs.
    """
    reading: Reading = {}
    if len(drawn) > 1:
        reading["spread_ratio"] = spread_ratio(drawn, faces)
    pairs = [(picture, face) for picture, face in zip(drawn, faces, strict=True) if np.ptp(picture) > 0]
    combs = [(comb_db(picture, cell), comb_db(face, cell)) for picture, face in pairs if cell > 1]
    if combs:
        of_drawn, of_faces = (float(mean) for mean in np.mean(combs, axis=0))
        reading |= {"comb_db": of_drawn, "comb_excess_db": of_drawn - of_faces}
    return reading


def detect(reading: Mapping[str, float], *, on_grid: bool) -> list[str]:
    """The kinds of alarm that hold in one epoch, in the order of MEANING.

    Args:
        reading: of `measure`, with the steps `skipped` in it, and the epoch's mean losses `disc_a` and `disc_b` where
            there are discriminators.
        on_grid: whether the generator draws one colour a cell by construction.
    """
    comb, excess = (reading.get(name, -np.inf) for name in ("comb_db", "comb_excess_db"))
    holds = {
        "collapse": reading.get("spread_ratio", 1.0) < COLLAPSED,
        "comb": comb > ON_GRID and excess > 0 if on_grid else excess > EXCESS,
        "saturated_a": reading.get("disc_a", 1.0) < SATURATED,
        "saturated_b": reading.get("disc_b", 1.0) < SATURATED,
        "skipped": reading["skipped"] > 0,
    }
    return [kind for kind in MEANING if holds[kind]]


def update(history: list[dict[str, Any]], epoch: int, kinds: Sequence[str]) -> list[str]:
    """Add one epoch (1-based) to the alarms of a training; returns lines for the person.

    Lines tell of starts, of ends, and once of what helps where an alarm lasts.

    Args:
        history: a record an alarm, `{kind, from, to}` in epochs, `to` None while it lasts. Plain data, so that a
            checkpoint can hold it.
        kinds: of `detect`.
    """
    lasting = {record["kind"]: record for record in history if record["to"] is None}
    lines = []
    for kind, record in lasting.items():
        if kind not in kinds:
            record["to"] = epoch - 1
            lines.append(f"epoch {epoch}: {kind} has ended")
    for kind in kinds:
        if kind not in lasting:
            history.append({"kind": kind, "from": epoch, "to": None})
            lines.append(f"epoch {epoch}: {kind}: {MEANING[kind]}")
        elif epoch - lasting[kind]["from"] + 1 == ADVISE_AFTER:
            lines.append(f"epoch {epoch}: {kind} for {ADVISE_AFTER} epochs now; {ADVICE[kind]}")
    return lines
