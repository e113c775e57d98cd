"""What it costs to choose a picture's colours jointly, beside k-means over its cells, on the same pictures.

    python benchmarks/reduction.py [--pictures 12] [--rounds 5] [--json FILE]

The pictures are drawn anime faces, a mean a cell, with a little noise. Both ways run in turns in one process; the
least CPU time of each picture counts. Exit code 1 when a figure misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from demands import Demand, table

from pipeline.images import palettes
from pipeline.images.files import Pixels
from pipeline.images.reduction import reduce_colours
from pipeline.images.resample import box
from pipeline.runtime import seeds
from pipeline.sample.drawing import anime_faces

COLOURS = 16
SIDES = (16, 32, 48, 64, 96)
MOST = 10.0  # ms of CPU at 48 cells, without and with a palette
NOISE = 3.0  # levels

PALETTE = palettes.load("facetopix-32")


def drawn(number: int, side: int) -> Pixels:
    rng = seeds.generator(0, "benchmarks", "reduction", number)
    native = box(anime_faces.face(rng), (side, side)) + NOISE * rng.standard_normal((side, side, 3))
    return np.clip(np.round(native), 0, 255).astype(np.uint8)


def k_means(native: Pixels) -> Pixels:
    return palettes.quantise(native, palettes.adaptive_palette(native, COLOURS, seed=0))


def joint(native: Pixels) -> Pixels:
    return reduce_colours(native, COLOURS)


def joint_of_palette(native: Pixels) -> Pixels:
    return reduce_colours(native, COLOURS, PALETTE)


CONTESTANTS: dict[str, Callable[[Pixels], Pixels]] = {
    "k-means": k_means, "joint": joint, "joint, of a palette": joint_of_palette,
}  # fmt: skip


def milliseconds(pictures: list[Pixels], rounds: int) -> dict[str, float]:
    """The CPU time of a picture by contestant: the least of the rounds, then the mean of the pictures."""
    least = {name: np.full(len(pictures), np.inf) for name in CONTESTANTS}
    for _ in range(rounds):
        for number, picture in enumerate(pictures):
            for name, reduce in CONTESTANTS.items():
                start = time.process_time_ns()
                reduce(picture)
                least[name][number] = min(least[name][number], (time.process_time_ns() - start) / 1e6)
    return {name: float(times.mean()) for name, times in least.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, demands = [], []
    sys.stdout.write(f"| cells | {' | '.join(f'{name}, ms' for name in CONTESTANTS)} | joint / k-means |\n")
    sys.stdout.write("|---|" + "---|" * (len(CONTESTANTS) + 1) + "\n")
    for side in SIDES:
        times = milliseconds([drawn(number, side) for number in range(options.pictures)], options.rounds)
        ratio = times["joint"] / times["k-means"]
        rows.append({"cells": side, "ratio": ratio, **times})
        figures = " | ".join(f"{value:.1f}" for value in times.values())
        sys.stdout.write(f"| {side}x{side} | {figures} | {ratio:.2f} |\n")
        sys.stdout.flush()
        if side == 48:
            demands = [Demand(f"{name}, 48x48, ms", times[name], most=MOST) for name in CONTESTANTS if "joint" in name]
    sys.stdout.write(f"\n{table(demands)}")
    if options.json:
        options.json.write_text(json.dumps({"times": rows, "demands": [asdict(one) for one in demands]}, indent=1))
    sys.exit(0 if all(demand.met for demand in demands) else 1)


if __name__ == "__main__":
    main()
