"""CPU time per 128 px pair to the loss that the reference settings reach: Gatys' objective, down to conv5_1.

    python benchmarks/style.py [--pairs 4] [--iterations 200] [--rounds 2] [--json FILE]

The reference is the report's: Adam at 0.003, fp32, one pair at a time, free canvas. Each contestant stops at the first
iteration at which every pair of its batch has a total loss as low as the reference's last. Features are the seeded
random ones: time does not depend on their values. All run in one process on one thread, one after the other, in rounds;
the least CPU time of each counts. The second row has the reference's own learning rate: what batches and bf16 save
without a faster schedule, which saves most. Exit code 1 when the last one, with batches, bf16 and a faster schedule,
takes more than a quarter of the reference's time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.styletransfer.canvases import PixelCanvas
from models.styletransfer.optimise import Objective, Schedule, StyleImage, optimise
from models.styletransfer.steps import OnStep, OptimisationStep
from models.styletransfer.vgg import VGG19
from models.tensors import to_signed
from pipeline import params
from pipeline.images import resample
from pipeline.runtime import seeds
from pipeline.runtime.devices import pick_bf16
from pipeline.sample.drawing import anime_faces, art
from pipeline.style import stage

ROOT = Path(__file__).parent.parent
SIDE, CELL = 128, 4
GROUND = (143, 163, 184)
REFERENCE_LR = 0.003
REPORT_LAYERS = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
LEAST = 4.0  # times less CPU time per pair than the reference


@dataclass(frozen=True)
class Contestant:
    """One way to optimise, a row of the table."""

    name: str
    lr: float
    batch: int
    bf16: bool = False
    lbfgs: bool = False


@dataclass(frozen=True)
class Run:
    """The time that a contestant took."""

    name: str
    iterations: float  # mean over batches
    seconds: float  # CPU, a pair
    reached: bool


class Reached(Exception):
    """Raised to end an optimisation: every pair of the batch has its loss."""


def pairs(count: int, side: int) -> tuple[Tensor, list[list[StyleImage]]]:
    """Procedural faces and sprites of the sample: (count, 3, side, side) and one artwork each."""
    content, styles = [], []
    for number in range(count):
        content.append(to_signed(anime_faces.face(seeds.generator(1, "benchmarks", "face", number), side)))
        sprite = art.animation(seeds.generator(1, "benchmarks", "sprite", number), side // CELL)[0]
        native = np.where(sprite[..., 3:] >= 128, sprite[..., :3], np.array(GROUND, np.uint8)).astype(np.uint8)
        styles.append([StyleImage(to_signed(resample.enlarge(native, CELL)))])
    return torch.stack(content), styles


def contestants(count: int, bf16: bool) -> list[Contestant]:
    """All ways to optimise but the reference."""
    precision = "bf16" if bf16 else "fp32 (no bf16 here)"
    return [
        Contestant(f"Adam {REFERENCE_LR}, {precision}, batch of {count}", REFERENCE_LR, count, bf16=bf16),
        Contestant("Adam 0.03, fp32, single", 0.03, 1),
        Contestant("L-BFGS, fp32, single", 0.0, 1, lbfgs=True),
        Contestant(f"Adam 0.03, fp32, batch of {count}", 0.03, count),
        Contestant(f"Adam 0.03, {precision}, batch of {count}", 0.03, count, bf16=bf16),
    ]


class Bench:
    """Pairs and features that all contestants share."""

    def __init__(self, network: VGG19, objective: Objective, count: int, side: int, iterations: int) -> None:
        self.network, self.objective, self.iterations = network, objective, iterations
        self.content, self.styles = pairs(count, side)

    def reference(self) -> tuple[Run, list[float]]:
        """The run of the reference, and each pair's total loss at its end."""
        spent, ends = 0.0, []
        for at in range(len(self.content)):
            curve: list[OptimisationStep] = []
            began = time.process_time()
            self._optimise(slice(at, at + 1), Contestant("", REFERENCE_LR, 1), self.iterations, curve.append)
            spent += time.process_time() - began
            ends.append(self.totals(curve[-1])[0])
        name = f"Adam {REFERENCE_LR}, fp32, single (the report's)"
        return Run(name, self.iterations, spent / len(ends), reached=True), ends

    def race(self, how: Contestant, goals: Sequence[float]) -> Run:
        """The run of a contestant until every pair is at its goal; twice the reference's iterations at most."""
        iterations, reached = [], True
        began = time.process_time()
        for start in range(0, len(goals), how.batch):
            part = slice(start, start + how.batch)
            steps: list[int] = []
            try:
                self._optimise(part, how, 2 * self.iterations, self._until(goals[part], steps))
                reached = False
            except Reached:
                pass
            iterations.append(len(steps))
        return Run(how.name, float(np.mean(iterations)), (time.process_time() - began) / len(goals), reached)

    def totals(self, step: OptimisationStep) -> list[float]:
        """The total losses of a step, one per pair."""
        goal = self.objective
        return [goal.style_weight * s + goal.content_weight * c for s, c in zip(step.style, step.content, strict=True)]

    def _until(self, goals: Sequence[float], steps: list[int]) -> OnStep:
        def on_step(step: OptimisationStep) -> None:
            steps.append(step.iteration)
            if all(now <= goal for now, goal in zip(self.totals(step), goals, strict=True)):
                raise Reached

        return on_step

    def _optimise(self, part: slice, how: Contestant, iterations: int, on_step: OnStep) -> None:
        content = self.content[part]
        schedule = Schedule(iterations=iterations, lr=how.lr, lbfgs=how.lbfgs, bf16=how.bf16)
        optimise(
            PixelCanvas(content), self.network, content, self.styles[part], self.objective, schedule, on_step=on_step
        )


def best(runs: Sequence[Run]) -> Run:
    return min(runs, key=lambda run: run.seconds)


def table(runs: Sequence[Run]) -> str:
    lines = ["| settings | iterations | s CPU a pair | times less |", "|---|---|---|---|"]
    for run in runs:
        times = f"{runs[0].seconds / run.seconds:.1f}" if run.reached else "not reached"
        lines.append(f"| {run.name} | {run.iterations:.0f} | {run.seconds:.2f} | {times} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--side", type=int, default=SIDE, help="of a picture, in pixels")
    parser.add_argument("--iterations", type=int, default=200, help="of the reference")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    style = params.load(ROOT / "params.yaml").style.model_copy(
        update={"features": "random", "content_layer": "conv4_2", "style_layers": REPORT_LAYERS}
    )
    features, objective = stage.load_features(style, 0), stage.objective(style)
    bench = Bench(features, objective, arguments.pairs, arguments.side, arguments.iterations)
    ways = contestants(arguments.pairs, pick_bf16("auto", "cpu"))
    references, races = [], []
    for _ in range(arguments.rounds):
        reference, goals = bench.reference()
        references.append(reference)
        races.append([bench.race(how, goals) for how in ways])
    runs = [best(references), *map(best, zip(*races, strict=True))]
    sys.stdout.write(table(runs) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(run) for run in runs], indent=1))
    return 0 if runs[-1].reached and runs[0].seconds >= LEAST * runs[-1].seconds else 1


if __name__ == "__main__":
    sys.exit(main())
