"""The record of a training: points of the curves, readings of every epoch, alarms. All plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from models.cyclegan.train import StepStats
from pipeline.cyclegan.alarms import Reading, detect, update

Record = dict[str, float]  # `step`, `epoch` (1-based) and means of what is measured

CURVES = ("spread_ratio", "comb_db")  # of the readings, among the curves
CRITICS = ("disc_a", "disc_b")
DECIMALS = 5


class Entry(NamedTuple):
    """The outcome of one step: a new point of the curves, and lines for the person."""

    record: Record | None
    lines: list[str]


class Journal:
    """The record of one training, which grows step by step.

    Args:
        window: steps a point of the curves.
        on_grid: whether the generator draws one colour a cell by construction.
    """

    def __init__(self, window: int, on_grid: bool) -> None:
        self.window, self.on_grid = window, on_grid
        self.log: list[Record] = []
        self.readings: list[Reading] = []
        self.alarms: list[dict[str, Any]] = []
        self.pending: list[Record] = []  # of the window
        self.sums = {"steps": 0.0}  # of the epoch
        self.skipped = 0  # steps, until the last epoch's end

    def add(self, stats: StepStats, skipped: int, measure: Callable[[], Reading]) -> Entry:
        """Add one step.

        Args:
            stats: of the step.
            skipped: steps left out since the training began.
            measure: called at the end of an epoch, for the reading of its sample pictures (`alarms.measure`).
        """
        self.pending.append(dict(stats.losses))
        for name in stats.losses.keys() & set(CRITICS):
            self.sums[name] = self.sums.get(name, 0.0) + stats.losses[name]
        self.sums["steps"] += 1
        if not stats.epoch_done and stats.step % self.window:
            return Entry(None, [])
        record = {"step": stats.step, "epoch": stats.epoch + 1, **_means(self.pending)}
        self.pending = []
        lines = []
        if stats.epoch_done:
            reading = self._end_epoch(measure(), skipped)
            record |= {name: reading[name] for name in CURVES if name in reading}
            lines = update(self.alarms, stats.epoch + 1, detect(reading, on_grid=self.on_grid))
        self.log.append(record)
        return Entry(record, lines)

    def _end_epoch(self, samples: Reading, skipped: int) -> Reading:
        means = {name: self.sums[name] / self.sums["steps"] for name in CRITICS if name in self.sums}
        reading = {name: round(value, DECIMALS) for name, value in {**samples, **means}.items()}
        reading["skipped"] = skipped - self.skipped
        self.skipped = skipped
        self.sums = {"steps": 0.0}
        self.readings.append(reading)
        return reading

    def state_dict(self) -> dict[str, Any]:
        """The whole journal as plain data."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        vars(self).update(state)


def _means(steps: list[Record]) -> Record:
    """Means over the finite values: the gradients of a step that was left out have none."""
    finite = {name: [step[name] for step in steps if math.isfinite(step[name])] for name in steps[0]}
    return {name: float(np.mean(values)) for name, values in finite.items() if values}
