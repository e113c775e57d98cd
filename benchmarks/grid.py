"""How often the native cell size of real pixel art is found, how often it is guessed wrong, and how long it takes.

    python benchmarks/grid.py [--works 100] [--peers 12] [--half report] [--json FILE]

Needs the folder of real data (FACETOPIX_SHARED). Exit code 1 when a figure misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import enlargements
import numpy as np
import off_grid
import pixel_peers
from enlargements import ART, SMOOTH, Case, Condition, Sample, Work

from pipeline.cells import detect
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, encode_png, read_rgba
from pipeline.images.resample import enlarge
from pipeline.runtime import seeds

CONDITIONS = (*enlargements.CONDITIONS, *off_grid.CONDITIONS)
ANSWERS = ("exact", "within 1", "unknown", "left native", "wrong")
SURE, MOST_SURE_WRONG = 0.5, 0.02  # confidence from which a wrong size counts; share of the works of a condition
CONFIDENCES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
SAME_SIZE = 0.02  # of the cell: fractional ones are known to half a pixel of the whole side
SAME_COLOUR = 24  # of 255, in every channel
ROUNDS = 5  # of each timing, the best counts
SIZES = (32, 64, 128)  # pixels: timings are told up to each longest side
SHOWN_TO_PEERS = ("native", "native, JPEG 90", "x2", "x4", "x8", "x2.5", "x6, crop", "x4, JPEG 90", "x8, noise 2")


@dataclass
class Tally:
    """Answers under one condition; `scant`: those about works with too few edges, apart from the others."""

    condition: str
    demanded: float | None
    answers: Counter[str] = field(default_factory=Counter)
    scant: Counter[str] = field(default_factory=Counter)
    colours: list[float] = field(default_factory=list)  # share of right pixels of each exactly found work
    milliseconds: list[float] = field(default_factory=list)  # CPU, detection and reduction
    said: list[tuple[float, bool]] = field(default_factory=list)  # confidence of each size that was told; is it right

    @property
    def right(self) -> float:
        """Share that counts towards the demand: of natives what is not shrunk, of others the right size."""
        good = ("exact", "unknown") if self.condition.startswith("native,") else ("exact",)
        return sum(self.answers[answer] for answer in good) / max(self.answers.total(), 1)

    @property
    def sure_wrong(self) -> float:
        """Share of works whose size is told wrong with a confidence above SURE."""
        return sum(confidence > SURE and not right for confidence, right in self.said) / max(self.answers.total(), 1)

    def figures(self) -> dict[str, Any]:
        return {
            "condition": self.condition,
            "answers": {answer: self.answers[answer] for answer in ANSWERS},
            "scant": dict(self.scant),
            "colours": statistics.mean(self.colours) if self.colours else None,
            "ms": statistics.median(self.milliseconds) if self.milliseconds else None,
            "right": self.right,
            "demanded": self.demanded,
            "sure_wrong": self.sure_wrong,
            "met": self.met,
        }

    @property
    def met(self) -> bool:
        return (self.demanded is None or self.right >= self.demanded) and self.sure_wrong <= MOST_SURE_WRONG


def is_size(case: Case, cell: detect.Cell) -> float | None:
    """The right size that a cell has, of those that are right; None where it has none."""
    sizes = (case.cell, *case.also)
    return next((size for size in sizes if cell.size and abs(cell.size - size) <= SAME_SIZE * size), None)


def judge(condition: Condition, case: Case, cell: detect.Cell) -> str:
    if cell.size is None:
        return "unknown"
    assert cell.native_width is not None
    assert cell.native_height is not None
    size = is_size(case, cell)
    height, width = (round(side * case.cell / (size or case.cell)) for side in case.native.shape[:2])
    off = max(abs(cell.native_width - width), abs(cell.native_height - height))
    if off <= condition.within and size is not None:
        return "exact"
    if off <= 1:
        return "within 1"
    return "left native" if cell.size == 1 else "wrong"


def tally(condition: Condition, works: Iterable[Work], seed: int) -> Tally:
    result = Tally(condition.name, condition.least)
    for work in works:
        height, width = work.rgb.shape[:2]
        if height * width * condition.scale**2 > enlargements.LARGEST:
            continue
        case = condition.make(work.rgb, seeds.generator(seed, condition.name, work.path))
        began = time.thread_time()
        cell = detect.detect(case.rgb, detect.MAX_CELL, detect.MIN_CONFIDENCE)
        reduced = None if cell.size is None else detect.reduce(case.rgb, cell)
        result.milliseconds.append(1000 * (time.thread_time() - began))
        answer = judge(condition, case, cell)
        scant = enlargements.edges(case.native) < enlargements.SCANT
        (result.scant if scant else result.answers)[answer] += 1
        if not scant and cell.size is not None:
            result.said.append((cell.confidence, is_size(case, cell) is not None))
        if answer == "exact" and reduced is not None and reduced.shape == case.native.shape:
            result.colours.append(same_colours(reduced, case.native))
    return result


def same_colours(left: Pixels, right: Pixels) -> float:
    """Share of pixels that are at most SAME_COLOUR apart in every channel."""
    return float((np.abs(left.astype(np.int16) - right).max(axis=2) <= SAME_COLOUR).mean())


def shrunk(tar: str, count: int, seed: int) -> tuple[int, int]:
    """How many pictures of a tar of smooth art were looked at, and how many of them were shrunk."""
    images = sorted(enlargements.files_of(tar), key=lambda image: seeds.derive(seed, "smooth", image[0]))[:count]
    opaque = (enlargements.flattened(read_rgba(data, path), path) for path, data in images)
    sizes = [detect.detect(rgb, detect.MAX_CELL, detect.MIN_CONFIDENCE).size for rgb in opaque if rgb is not None]
    return len(sizes), sum(size not in (1, None) for size in sizes)


def speeds(works: Sequence[Work]) -> Iterator[dict[str, Any]]:
    """CPU time of detection and reduction beside decoding and encoding of the same PNG, median over the works."""
    for name, factor in (("native", 1), ("x2", 2), ("x4", 4)):
        longest = 0
        for most in SIZES:
            enlarged = (enlarge(work.rgb, factor) for work in works)
            chosen = [rgb for rgb in enlarged if longest < max(rgb.shape[:2]) <= most]
            longest = most
            if chosen:
                yield {"what": name, "to": most, "works": len(chosen), **_speed(chosen)}


def _speed(images: Sequence[Pixels]) -> dict[str, float]:
    pairs = [(best_of(detect_and_reduce, rgb), best_of(decode_and_encode, encode_png(rgb))) for rgb in images]
    cells, file = np.array(pairs).T
    ninetieth = float(np.quantile(cells, 0.9))
    return {"own": float(np.median(cells)), "own_90": ninetieth, "file": float(np.median(file))}


def detect_and_reduce(rgb: Pixels) -> None:
    cell = detect.detect(rgb, detect.MAX_CELL, detect.MIN_CONFIDENCE)
    if cell.size is not None:
        detect.reduce(rgb, cell)


def decode_and_encode(data: bytes) -> None:
    encode_png(read_rgba(data))


def best_of(call: Callable[[Any], None], argument: object) -> float:
    """Milliseconds of CPU, the best of ROUNDS."""
    took = []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        call(argument)
        took.append(time.thread_time_ns() - began)
    return min(took) / 1e6


def beside(works: Sequence[Work], seed: int) -> Iterator[dict[str, Any]]:
    """Every detector on the same few works: share of right sizes, and CPU time of the whole call."""
    contestants = {"facetopix": own_size, **pixel_peers.installed()}
    for condition in (condition for condition in CONDITIONS if condition.name in SHOWN_TO_PEERS):
        for name, detector in contestants.items():
            right, took = [], []
            for work in works:
                case = condition.make(work.rgb, seeds.generator(seed, condition.name, work.path))
                began = time.process_time()
                size = answer_of(detector, case.rgb)
                took.append(1000 * (time.process_time() - began))
                right.append(size is not None and is_right(size, case, condition))
            share = sum(right) / len(right)
            yield {"condition": condition.name, "detector": name, "right": share, "ms": statistics.median(took)}


def answer_of(detector: pixel_peers.Detector, rgb: Pixels) -> tuple[int, int] | None:
    try:
        return detector(rgb)
    except Exception:  # noqa: BLE001  a peer's failure, of whatever kind, is a wrong answer
        return None


def own_size(rgb: Pixels) -> tuple[int, int]:
    """As the stage works: what is unknown is not reduced, so it is no native size."""
    cell = detect.detect(rgb, detect.MAX_CELL, detect.MIN_CONFIDENCE)
    reduced = detect.reduce(rgb, cell)
    return reduced.shape[1], reduced.shape[0]


def is_right(size: tuple[int, int], case: Case, condition: Condition) -> bool:
    height, width = case.native.shape[:2]
    return max(abs(size[0] - width), abs(size[1] - height)) <= condition.within


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def percent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".")


def sample_lines(samples: Sequence[Sample], options: Namespace) -> Iterator[str]:
    yield f"Works of the half `{options.half}` of each tar, in an order hashed with seed {options.seed}:\n"
    for sample in samples:
        out = ", ".join(f"{count} {reason}" for reason, count in sample.left_out.items() if count)
        yield f"- {sample.tar}: {len(sample.works)} of {sample.files} files" + (f"; left out: {out}" if out else "")
    yield ""


def answer_rows(tallies: Sequence[Tally]) -> Iterator[list[object]]:
    for tally in tallies:
        total = max(tally.answers.total(), 1)
        shares = [percent(tally.answers[answer] / total) for answer in ANSWERS]
        scant = f"{tally.scant['exact']} of {tally.scant.total()}" if tally.scant else ""
        colours = percent(statistics.mean(tally.colours)) if tally.colours else ""
        demanded = "" if tally.demanded is None else f">= {percent(tally.demanded)}"
        took = f"{statistics.median(tally.milliseconds):.2f}" if tally.milliseconds else ""
        missed = "" if tally.met else "MISSED"
        sure = percent(tally.sure_wrong)
        yield [tally.condition, tally.answers.total(), *shares, demanded, sure, missed, colours, scant, took]


def confidence_rows(tallies: Sequence[Tally]) -> Iterator[list[object]]:
    """How many sizes were told with so much confidence, and the share of right ones."""
    said = np.array([pair for tally in tallies for pair in tally.said])
    for low, high in pairwise((*CONFIDENCES, 1.01)):
        chosen = said[(said[:, 0] >= low) & (said[:, 0] < high)] if len(said) else said
        yield [f"{low} to {min(high, 1.0)}", len(chosen), percent(chosen[:, 1].mean()) if len(chosen) else ""]


def peer_rows(shown: Sequence[dict[str, Any]]) -> Iterator[list[object]]:
    names = list(dict.fromkeys(row["detector"] for row in shown))
    for condition in dict.fromkeys(row["condition"] for row in shown):
        by_name = {row["detector"]: row for row in shown if row["condition"] == condition}
        yield [condition, *(f"{percent(by_name[name]['right'])} ({by_name[name]['ms']:.1f} ms)" for name in names)]


def hardware() -> str:
    return f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"


def show(report: dict[str, Any], samples: Sequence[Sample], tallies: Sequence[Tally], options: Namespace) -> None:
    parts = [report["setting"], "", *sample_lines(samples, options)]
    head = ["condition", "works", *ANSWERS, "demanded", "sure and wrong", "", "colours", "scant, exact", "ms"]
    parts.append(table(head, answer_rows(tallies)))
    parts.append(table(["confidence", "sizes told", "right, %"], confidence_rows(tallies)))
    smooth = [[tar, counts["pictures"], counts["shrunk"]] for tar, counts in report["smooth"].items()]
    parts.append(table(["smooth pictures", "looked at", "shrunk"], smooth))
    ratios = [
        [row["what"], row["to"], row["works"], *(f"{row[key]:.3f}" for key in ("own", "own_90", "file"))]
        for row in report["speed"]
    ]
    head = ["works", "pixels, to", "number", "detect + reduce, ms", "90 % within", "decode + encode, ms"]
    parts.append(table(head, ratios))
    if report["peers"]:
        names = list(dict.fromkeys(row["detector"] for row in report["peers"]))
        parts.append(table(["right size, % (CPU)", *names], peer_rows(report["peers"])))
    print("\n".join(parts))  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", type=int, default=100, help="works of each tar")
    parser.add_argument("--peers", type=int, default=3, help="works of each tar that the peers see too; 0: none")
    parser.add_argument("--half", choices=enlargements.HALVES, default="report", help="thresholds come from `choose`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args(arguments)
    try:
        samples = [enlargements.sample(tar, options.works, options.half, options.seed) for tar in ART]
        smooth = {tar: shrunk(tar, options.works, options.seed) for tar in SMOOTH}
    except BadInput as error:
        parser.error(str(error))
    works = [work for sample in samples for work in sample.works]
    tallies = [tally(condition, works, options.seed) for condition in CONDITIONS]
    few = [work for sample in samples for work in sample.works[: options.peers]]
    report = {
        "setting": f"{hardware()}, {datetime.now(UTC):%Y-%m-%d}",
        "sample": [{"tar": sample.tar, "works": len(sample.works), "left_out": sample.left_out} for sample in samples],
        "conditions": [tally.figures() for tally in tallies],
        "smooth": {tar: {"pictures": pictures, "shrunk": number} for tar, (pictures, number) in smooth.items()},
        "speed": list(speeds(works)),
        "peers": list(beside(few, options.seed)) if few else [],
    }
    show(report, samples, tallies, options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(tally.met for tally in tallies) and not any(number for _, number in smooth.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
