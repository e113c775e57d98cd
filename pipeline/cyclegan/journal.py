"""What a training says of itself: points of the curves, readings of every epoch, alarms. All plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from models.cyclegan.train import StepStats
from pipeline.cyclegan.alarms import Alarms, Reading, ringing

Record = dict[str, float]  # `step`, `epoch` (1-based) and means of what is measured

SHOWN = ("spread_ratio", "comb_db")  # of the readings, among the curves
CRITICS = ("disc_a", "disc_b")
DECIMALS = 5


class News(NamedTuple):
    """What one step brought: a new point of the curves, and lines to tell."""

    record: Record | None
    lines: list[str]


class Journal:
    """Takes in step after step.

    Args:
        window: steps a point of the curves.
        on_grid: whether the generator draws one colour a cell by construction.
    """

    def __init__(self, window: int, on_grid: bool) -> None:
        self.window, self.on_grid = window, on_grid
        self.log: list[Record] = []
        self.readings: list[Reading] = []
        self.alarms = Alarms()
        self.pending: list[Record] = []  # of the window
        self.sums = dict.fromkeys((*CRITICS, "steps"), 0.0)  # of the epoch
        self.skipped = 0  # steps, until the last epoch's end

    def add(self, stats: StepStats, skipped: int, look: Callable[[], Reading]) -> News:
        """One step.

        Args:
            stats: of the step.
            skipped: steps left out since the training began.
            look: called at the end of an epoch, for `alarms.look` of its sample pictures.
        """
        self._count(stats.losses)
        if not stats.epoch_done and stats.step % self.window:
            return News(None, [])
        record = {"step": stats.step, "epoch": stats.epoch + 1, **_means(self.pending)}
        self.pending = []
        lines = []
        if stats.epoch_done:
            reading = self._read(look(), skipped)
            record |= {name: reading[name] for name in SHOWN if name in reading}
            lines = self.alarms.after(stats.epoch + 1, ringing(reading, on_grid=self.on_grid))
        self.log.append(record)
        return News(record, lines)

    def _count(self, losses: Mapping[str, float]) -> None:
        self.pending.append(dict(losses))
        for name in CRITICS:
            self.sums[name] += losses[name]
        self.sums["steps"] += 1

    def _read(self, seen: Reading, skipped: int) -> Reading:
        means = {name: self.sums[name] / self.sums["steps"] for name in CRITICS}
        reading = {name: round(value, DECIMALS) for name, value in {**seen, **means}.items()}
        reading["skipped"] = skipped - self.skipped
        self.skipped = skipped
        self.sums = dict.fromkeys(self.sums, 0.0)
        self.readings.append(reading)
        return reading

    def state_dict(self) -> dict[str, Any]:
        return {
            "log": self.log, "readings": self.readings, "alarms": self.alarms.history, "pending": self.pending,
            "sums": self.sums, "skipped": self.skipped,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.log, self.readings, self.alarms = state["log"], state["readings"], Alarms(state["alarms"])
        self.pending, self.sums, self.skipped = state["pending"], state["sums"], state["skipped"]


def _means(steps: list[Record]) -> Record:
    """Over the finite values: the gradients of a step that was left out have none."""
    finite = {name: [step[name] for step in steps if math.isfinite(step[name])] for name in steps[0]}
    return {name: float(np.mean(values)) for name, values in finite.items() if values}
