"""Fits how surely an artist, and no filter, set the pixels of a picture: the constants of `pipeline/cells/blends.py`.

    python benchmarks/grid_confidence.py [--works 250]

Logistic regression of `blends.features` on native works of the half `choose`, untouched, compressed and noisy, beside
the same works after a host has shrunk or enlarged them by a filter. Prints the weights of crisp pictures and of soft
ones, and what they say of each condition. Needs the folder of real data (FACETOPIX_SHARED).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import enlargements
import numpy as np
import off_grid
from enlargements import ART, Condition, Work

from pipeline.cells import blends, colours, combs, detect
from pipeline.cells.edges import Numbers, faintness, find_edges
from pipeline.errors import BadInput
from pipeline.runtime import seeds

NATIVE = ("native", "native, JPEG 90", "native, JPEG 75", "native, noise 2")
FILTERED = (
    *(f"{art}, shrunk, {kernel}" for art in ("native", "x4") for kernel in ("box", "bilinear", "bicubic", "lanczos")),
    "x2, shrunk",
)
RIDGE, ROUNDS = 1e-3, 60
LARGEST = 60_000  # pixels of a work


@dataclass(frozen=True)
class Looks:
    """Features of the pictures of a condition, one a row, and which of them are soft."""

    condition: str
    native: bool
    features: Numbers
    soft: np.ndarray


def looks(condition: Condition, works: Sequence[Work], seed: int) -> Looks:
    rows, soft = [], []
    for work in works:
        if work.rgb.shape[0] * work.rgb.shape[1] > LARGEST:
            continue
        rgb = np.ascontiguousarray(condition.make(work.rgb, seeds.generator(seed, condition.name, work.path)).rgb)
        edges = find_edges(rgb)
        if edges.count < enlargements.SCANT:
            continue
        faint, luma = faintness(rgb, edges), combs.luma_of(rgb)
        few = faint < detect.FAINT_OF_FEW and colours.number_up_to(rgb, detect.FEW_COLOURS) is not None
        rows.append(blends.features(rgb, luma, combs.crispness(luma), faint))
        soft.append(not few and faint >= detect.FAINT_OF_MANY)
    return Looks(condition.name, condition.name in NATIVE, np.array(rows), np.array(soft))


def fit(features: Numbers, native: np.ndarray) -> Numbers:
    """Weights of a logistic regression by Newton's method; both answers weigh the same."""
    weights = np.where(native, 0.5 / native.mean(), 0.5 / (1 - native.mean()))
    found = np.zeros(features.shape[1])
    for _ in range(ROUNDS):
        likely = 1 / (1 + np.exp(-np.clip(features @ found, -30, 30)))
        slope = features.T @ (weights * (likely - native)) + RIDGE * found
        bend = (features * (weights * likely * (1 - likely))[:, None]).T @ features + RIDGE * np.eye(len(found))
        found -= np.linalg.solve(bend, slope)
    return found


def report(looked: Sequence[Looks], *, soft: bool) -> Iterator[str]:
    chosen = [one for one in looked if soft or one.native is False or one.condition == "native"]
    parts = [(one, one.features[one.soft == soft]) for one in chosen if (one.soft == soft).any()]
    features = np.concatenate([part for _, part in parts])
    native = np.concatenate([np.full(len(part), one.native) for one, part in parts])
    weights = fit(features, native.astype(np.float64))
    yield f"{'SOFT' if soft else 'CRISP'}_WEIGHTS = np.array({np.round(weights, 3).tolist()})"
    for one, part in parts:
        odds = part @ weights
        least, low, middle, high = np.round(np.quantile(odds, [0, 0.02, 0.5, 0.98]), 2)
        sure = np.mean(odds > detect.PRIOR)
        yield f"  {one.condition}: {len(part)}; log odds {least} {low} {middle} {high}; above 0.5: {sure:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", type=int, default=250, help="works of each tar")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        works = [work for tar in ART for work in enlargements.sample(tar, options.works, "choose", options.seed).works]
    except BadInput as error:
        parser.error(str(error))
    conditions = {condition.name: condition for condition in (*enlargements.CONDITIONS, *off_grid.CONDITIONS)}
    looked = [looks(conditions[name], works, options.seed) for name in (*NATIVE, *FILTERED)]
    for soft in (False, True):
        print("\n".join(report(looked, soft=soft)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
