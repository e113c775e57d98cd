"""What an image costs in curation, and whether that holds for any number of them.

    python benchmarks/curate.py [--parts chain scale] [--items 100000] [--chains 200] [--json FILE]

First each image through the steps of flatten, grid and resize, decoded once and encoded once, beside Pillow that only
decodes it and encodes the same result. Then the stages from dedup to split over a tenth of `--items` drawn works and
over all of them, killed in the middle, and again with one new work in a hundred. All times are CPU times. Exit code 1
when a figure misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import works
from chain import STEPS, Chain, chains, sets

from pipeline import io
from pipeline.curate import dedup, flatten, grid, resize, split
from pipeline.executor import window_size
from pipeline.params import Executor, Params, load

ROOT = Path(__file__).parents[1]
STAGES = ("dedup", "flatten", "grid", "resize", "split")
FACES = 8  # split wants both domains
SMALLER = 10  # the smaller run has so many times fewer works
NEW = 100  # one new work in so many
PARTS = ("chain", "scale")
EXACT, OTHERWISE = 1.5, 2.5  # most that the steps may cost, in Pillow's decoding and encoding
LINEAR, FLAT = 1.3, 1.2  # most that time per image and peak memory may grow between the runs
AGAIN = 0.02  # most of the works that the second run may compute


@dataclass(frozen=True)
class Demand:
    """A figure and the most that it may be, if anything is demanded of it."""

    what: str
    value: float
    most: float | None = None

    @property
    def met(self) -> bool:
        return self.most is None or self.value <= self.most


@dataclass(frozen=True)
class Run:
    """One run of the stages, each in a process of its own."""

    name: str
    works: int
    cpu: dict[str, float]  # seconds a stage, workers included
    remembered: dict[str, int]
    inputs: dict[str, int]
    peak_mb: dict[str, float]
    seconds: float

    @property
    def each(self) -> float:
        """Microseconds of CPU a work, all stages."""
        return 1e6 * sum(self.cpu.values()) / self.works

    @property
    def computed(self) -> float:
        """Largest share of its inputs that a stage computed."""
        return max(1 - self.remembered[stage] / max(1, self.inputs[stage]) for stage in STAGES)


def work(stage: str, src: Path, out: Path, state: Path, params: Params) -> dict[str, Any]:
    """The work of one process: a stage, what it cost and remembered."""
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("pipeline").addHandler(handler)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    began = _spent()
    _run(stage, src, out, state, params)
    cpu = _spent() - began
    found = next(
        found for line in told if (found := re.fullmatch(r"\w+: (\d+) images, (\d+) of them remembered", line))
    )
    return {"cpu": cpu, "inputs": int(found[1]), "remembered": int(found[2]), "peak_mb": _peak_mb()}


def _run(stage: str, src: Path, out: Path, state: Path, params: Params) -> None:
    executor = params.executor
    match stage:
        case "dedup":
            rules = params.dedup.model_copy(update={"overrides": os.devnull})
            dedup.run([src], out / stage, rules, executor, state)
        case "flatten":
            flatten.run(out / "dedup", out / stage, params.flatten, executor, state)
        case "grid":
            grid.run(out / "flatten", out / stage, params.grid, executor, state)
        case "resize":
            resize.run(out / "grid", out / stage, params.resize, executor, state)
        case "split":
            faces = src.parent / "faces"
            given = params.split, params.seed, out / "dedup"
            split.run(out / "resize", faces, out / stage, *given, executor=executor, state=state)


def _peak_mb() -> float:
    """Of this program alone, where the system tells: getrusage also counts the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def command(stage: str, *folders: Path) -> list[str]:
    return [sys.executable, __file__, "--work", stage, *map(str, folders)]


def measured(name: str, count: int, src: Path, out: Path, state: Path) -> Run:
    """All stages, each in a process of its own, as DVC runs them."""
    began, told = time.perf_counter(), {}
    for stage in STAGES:
        done = subprocess.run(command(stage, src, out, state), stdout=subprocess.PIPE, check=True)
        told[stage] = json.loads(done.stdout)
    figures = {what: {stage: one[what] for stage, one in told.items()} for what in told["dedup"]}
    return Run(name, count, **figures, seconds=time.perf_counter() - began)


def killed(src: Path, out: Path, state: Path, count: int) -> int:
    """Start the stages, kill -9 when grid has a third of its pictures; how many it had written."""
    for stage in STAGES[: STAGES.index("grid")]:
        subprocess.run(command(stage, src, out, state), stdout=subprocess.DEVNULL, check=True)
    images = out / "grid.partial" / "images"
    with subprocess.Popen(command("grid", src, out, state), stdout=subprocess.DEVNULL) as running:
        while _entries(images) < count // 3:
            if running.poll() is not None:
                raise RuntimeError("the stage ended before it was killed")
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
    return _entries(images)


def _entries(folder: Path) -> int:
    try:
        return len(list(folder.iterdir()))
    except FileNotFoundError:
        return 0


def scale(items: int) -> Iterator[Run | Demand]:
    """The runs and what they show."""
    few, new = max(1, items // SMALLER), max(1, items // NEW)
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as name:
        folder = Path(name)
        works.faces(folder / "faces", FACES)
        src = works.folder(folder / "few", range(few))
        small = measured("a tenth", few, src, folder / "small", folder / "state-small")
        yield small
        written = killed(src, folder / "resumed", folder / "state-killed", few)
        resumed = measured("resumed", few, src, folder / "resumed", folder / "state-killed")
        yield resumed
        src = works.folder(folder / "most", range(items - new))
        large = measured("all", items - new, src, folder / "large", folder / "state")
        yield large
        src = works.folder(folder / "every", range(items), src)
        second = measured("1 % more", items, src, folder / "second", folder / "state")
        yield second
        same = io.folder_digest(folder / "small") == io.folder_digest(folder / "resumed")
    windows = 2 * window_size(Executor(backend="loky", n_jobs=1))
    yield Demand("CPU a work, all / a tenth", large.each / small.each, LINEAR)
    for stage in STAGES:
        yield Demand(f"peak memory of {stage}, all / a tenth", large.peak_mb[stage] / small.peak_mb[stage], FLAT)
    yield Demand("killed: written and yet computed again", written - resumed.remembered["grid"], windows)
    yield Demand("killed: outputs that differ from an undisturbed run's", float(not same), 0)
    yield Demand("1 % more: share of works computed", second.computed, AGAIN)
    yield Demand("1 % more: CPU, share of the first run's", sum(second.cpu.values()) / sum(large.cpu.values()))
    for stage in STAGES:
        yield Demand(f"1 % more: CPU of {stage}, share of the first run's", second.cpu[stage] / large.cpu[stage])
    yield Demand("1 % more: wall time, share of the first run's", second.seconds / large.seconds)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def shown(found: Sequence[Chain], runs: Sequence[Run], demands: Sequence[Demand]) -> str:
    first = [
        (one.works, one.kind, one.images, *(f"{one.steps[step]:.0f}" for step in STEPS), f"{one.chain:.0f}",
         f"{one.pillow:.0f}", f"{one.ratio:.2f}")
        for one in found
    ]  # fmt: skip
    second = [
        (run.name, run.works, *(f"{1e6 * run.cpu[stage] / run.works:.0f}" for stage in STAGES), f"{run.each:.0f}",
         *(run.remembered[stage] for stage in STAGES), f"{run.seconds:.1f}",
         *(f"{run.peak_mb[stage]:.0f}" for stage in STAGES))
        for run in runs
    ]  # fmt: skip
    third = [
        (one.what, f"{one.value:.4g}", "" if one.most is None else f"<= {one.most}", "" if one.met else "MISSED")
        for one in demands
    ]
    timed = [f"{step}, us" for step in STEPS]
    heads = [
        ("works", "kind", "images", *timed, "chain, us", "Pillow, us", "ratio"),
        ("run", "works", *(f"{stage}, us" for stage in STAGES), "all, us",
         *(f"of {stage} remembered" for stage in STAGES), "wall, s",
         *(f"peak of {stage}, MB" for stage in STAGES)),
        ("figure", "measured", "demanded", ""),
    ]  # fmt: skip
    return "\n\n".join(table(head, rows) for head, rows in zip(heads, (first, second, third), strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=100_000, help="works of the larger run")
    parser.add_argument("--chains", type=int, default=200, help="works of each set that go through the chain of steps")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    params = load(ROOT / "params.yaml")
    if given.work:
        executor = Executor(backend="loky", n_jobs=1)
        stage, *folders = given.work
        done = work(stage, *map(Path, folders), params.model_copy(update={"executor": executor}))
        print(json.dumps(done))  # noqa: T201
        return 0
    works_of = sets(given.chains) if "chain" in given.parts else ()
    found = [one for name, files in works_of for one in chains(name, files, params)]
    demands = [
        Demand(f"chain / Pillow, {c.works}, {c.kind}", c.ratio, {"exact": EXACT}.get(c.kind, OTHERWISE)) for c in found
    ]
    results = list(scale(given.items)) if "scale" in given.parts else []
    runs = [one for one in results if isinstance(one, Run)]
    demands += [one for one in results if isinstance(one, Demand)]
    machine = f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    setting = f"{machine}, one of them used, {datetime.now(UTC):%Y-%m-%d}"
    print(f"{setting}\n\n{shown(found, runs, demands)}")  # noqa: T201
    if given.json:
        figures = [{**asdict(one), "met": one.met} for one in demands]
        report = {"setting": setting, "chains": [asdict(c) for c in found], "runs": [asdict(r) for r in runs]}
        given.json.write_text(json.dumps({**report, "demands": figures}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one.met for one in demands) else 1


if __name__ == "__main__":
    sys.exit(main())
