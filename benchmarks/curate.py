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
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import works
from chain import STEPS, Chain, chains, sets
from demands import Demand

from pipeline.params import Params, load
from pipeline.runtime.files import folder_digest
from pipeline.runtime.parallel import window_size
from pipeline.runtime.settings import Executor

ROOT = Path(__file__).parents[1]
STAGES = ("dedup", "flatten", "grid", "resize", "split")
FACES = 8  # split wants both domains
SMALLER = 10  # the smaller run has so many times fewer works
NEW = 100  # one new work in so many
PARTS = ("chain", "scale")
EXACT, OTHERWISE = 3.0, 6.0  # most that the steps may cost, in Pillow's decoding and encoding
LINEAR, FLAT = 1.3, 1.2  # most that time per image and peak memory may grow between the runs
COLLECTING = ("dedup", "split")  # stages that hold something of every work ...
HELD = 2048  # ... and the most bytes that they may hold of one
AGAIN = 0.02  # most of the works that the second run may compute


@dataclass(frozen=True)
class Cost:
    """What a stage of a run cost, in a process of its own."""

    run: str
    works: int
    stage: str
    cpu: float  # seconds, workers included
    inputs: int
    remembered: int
    peak_mb: float
    seconds: float  # wall

    @property
    def each(self) -> float:
        """Microseconds of CPU a work."""
        return 1e6 * self.cpu / self.works


Figure = Chain | Cost | Demand


class Stages:
    """Stages, one at a time, each in a process that starts from nothing, as DVC runs them."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, stage: str, *folders: Path) -> int:
        """The id of its process."""
        self.process = self._open(stage, *map(str, folders))
        return self.process.pid

    def ended(self) -> bool:
        return bool(select.select([self._told], [], [], 0)[0])

    def result(self) -> dict[str, Any] | None:
        """What it cost; None of one that failed or was killed."""
        assert self.process is not None
        told, _ = self.process.communicate()
        return json.loads(told) if self.process.returncode == 0 else None

    def run(self, stage: str, *folders: Path) -> dict[str, Any]:
        self.start(stage, *folders)
        if (cost := self.result()) is None:
            raise RuntimeError(f"the stage {stage} failed")
        return cost

    def close(self) -> None:
        """No stage follows."""

    @property
    def _told(self) -> IO[bytes]:
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout

    def _open(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("curate_stage.py")), *words]
        return subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class ForkedStages(Stages):
    """Stages in forks of a process that has imported what all of them need: soon there, but of shared memory."""

    def __init__(self) -> None:
        self.process = self._open()

    def start(self, stage: str, *folders: Path) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([stage, *map(str, folders)]).encode() + b"\n")
        return int(self._told.readline())

    def result(self) -> dict[str, Any] | None:
        cost: dict[str, Any] | None = json.loads(self._told.readline())
        return cost

    def close(self) -> None:
        self.process.communicate()


def measured(stages: Stages, name: str, count: int, src: Path, out: Path, state: Path) -> Iterator[Cost]:
    """All stages, each in a process of its own."""
    for stage in STAGES:
        began = time.perf_counter()
        cost = stages.run(stage, src, out, state)
        yield Cost(name, count, stage, **cost, seconds=time.perf_counter() - began)


def killed(stages: Stages, src: Path, out: Path, state: Path, count: int) -> int:
    """Start the stages, kill -9 when grid has a third of its pictures; how many it had written."""
    for stage in STAGES[: STAGES.index("grid")]:
        stages.run(stage, src, out, state)
    images = out / "grid.partial" / "images"
    running = stages.start("grid", src, out, state)
    while _entries(images) < count // 3:
        if stages.ended():
            raise RuntimeError("the stage ended before it was killed")
        time.sleep(0.002)
    os.kill(running, signal.SIGKILL)
    stages.result()
    return _entries(images)


def _entries(folder: Path) -> int:
    try:
        return len(list(folder.iterdir()))
    except FileNotFoundError:
        return 0


def scale(items: int, stages: Stages) -> Iterator[Cost | Demand]:
    """Run the stages and yield costs and demands, each as soon as it is known."""
    few, new = max(1, items // SMALLER), max(1, items // NEW)
    small: list[Cost] = []
    resumed: list[Cost] = []
    large: list[Cost] = []
    second: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as name:
        folder = Path(name)
        works.faces(folder / "faces", FACES)
        src = works.folder(folder / "few", range(few))
        yield from _kept(small, measured(stages, "a tenth", few, src, folder / "small", folder / "state-small"))
        written = killed(stages, src, folder / "resumed", folder / "state-killed", few)
        yield from _kept(resumed, measured(stages, "resumed", few, src, folder / "resumed", folder / "state-killed"))
        same = folder_digest(folder / "small") == folder_digest(folder / "resumed")
        yield from _resumed(written, resumed, same=same)
        src = works.folder(folder / "most", range(items - new), src)
        yield from _kept(large, measured(stages, "all", items - new, src, folder / "large", folder / "state"))
        yield from _grown(small, large)
        src = works.folder(folder / "every", range(items), src)
        yield from _kept(second, measured(stages, "1 % more", items, src, folder / "second", folder / "state"))
        yield from _again(large, second)


def _kept(costs: list[Cost], run: Iterable[Cost]) -> Iterator[Cost]:
    for cost in run:
        costs.append(cost)
        yield cost


def _resumed(written: int, resumed: Sequence[Cost], *, same: bool) -> Iterator[Demand]:
    remembered = next(cost.remembered for cost in resumed if cost.stage == "grid")
    windows = 2 * window_size(Executor(backend="loky", n_jobs=1))
    yield Demand("killed: written and yet computed again", written - remembered, most=windows)
    yield Demand("killed: outputs that differ from an undisturbed run's", float(not same), most=0)


def _grown(small: Sequence[Cost], large: Sequence[Cost]) -> Iterator[Demand]:
    each = [sum(cost.each for cost in run) for run in (small, large)]
    yield Demand("CPU a work, all / a tenth", each[1] / each[0], most=LINEAR)
    for before, after in zip(small, large, strict=True):
        if after.stage in COLLECTING:
            grown = 2**20 * (after.peak_mb - before.peak_mb) / (after.works - before.works)
            yield Demand(f"memory a work of {after.stage}, bytes", grown, most=HELD)
        else:
            yield Demand(f"peak memory of {after.stage}, all / a tenth", after.peak_mb / before.peak_mb, most=FLAT)


def _again(large: Sequence[Cost], second: Sequence[Cost]) -> Iterator[Demand]:
    computed = max(1 - cost.remembered / max(1, cost.inputs) for cost in second)
    yield Demand("1 % more: share of works computed", computed, most=AGAIN)
    cpu, wall = ([sum(getattr(cost, what) for cost in run) for run in (large, second)] for what in ("cpu", "seconds"))
    yield Demand("1 % more: CPU, share of the first run's", cpu[1] / cpu[0])
    for before, after in zip(large, second, strict=True):
        yield Demand(f"1 % more: CPU of {after.stage}, share of the first run's", after.cpu / before.cpu)
    yield Demand("1 % more: wall time, share of the first run's", wall[1] / wall[0])


def row(figure: Figure) -> tuple[Sequence[str], Sequence[str]]:
    """Heads and cells of a line of a table."""
    if isinstance(figure, Chain):
        steps = [f"{figure.steps[step]:.0f}" for step in STEPS]
        heads = ["works", "kind", "images", *(f"{step}, us" for step in STEPS), "chain, us", "Pillow, us", "ratio"]
        costs = [f"{figure.chain:.0f}", f"{figure.pillow:.0f}", f"{figure.ratio:.2f}"]
        return heads, [figure.works, figure.kind, str(figure.images), *steps, *costs]
    if isinstance(figure, Cost):
        heads = ["run", "works", "stage", "CPU a work, us", "remembered", "peak, MB", "wall, s"]
        costs = [f"{figure.each:.0f}", str(figure.remembered), f"{figure.peak_mb:.0f}", f"{figure.seconds:.1f}"]
        return heads, [figure.run, str(figure.works), figure.stage, *costs]
    missed = "" if figure.met else "MISSED"
    return ["figure", "measured", "demanded", ""], [figure.what, f"{figure.value:.4g}", figure.bound, missed]


class Report:
    """Figures, printed one by one and written after each, so that a run that is cut off has shown what it knew."""

    def __init__(self, setting: str, file: Path | None) -> None:
        self.setting, self.file = setting, file
        self.figures: list[Figure] = []
        print(setting)  # noqa: T201

    def add(self, figure: Figure) -> None:
        heads, cells = row(figure)
        if not self.figures or type(figure) is not type(self.figures[-1]):
            print("\n" + _line(heads) + "\n" + _line(["---"] * len(heads)))  # noqa: T201
        print(_line(cells), flush=True)  # noqa: T201
        self.figures.append(figure)
        if self.file:
            self.file.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        chains, costs = (
            [asdict(figure) for figure in self.figures if isinstance(figure, kind)] for kind in (Chain, Cost)
        )
        demands = [{**asdict(figure), "met": figure.met} for figure in self.figures if isinstance(figure, Demand)]
        return {"setting": self.setting, "chains": chains, "runs": costs, "demands": demands}


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def chain_costs(count: int, params: Params) -> Iterator[Chain | Demand]:
    """Each set of works, and then what is demanded of it."""
    measured = []
    for name, files in sets(count):
        for chain in chains(name, files, params):
            measured.append(chain)
            yield chain
    for chain in measured:
        most = EXACT if chain.kind == "exact" else OTHERWISE
        yield Demand(f"chain / Pillow, {chain.works}, {chain.kind}", chain.ratio, most=most)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=100_000, help="works of the larger run")
    parser.add_argument("--chains", type=int, default=200, help="works of each set that go through the chain of steps")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    parser.add_argument("--forked", action="store_true", help="stages in forks of one process: sooner, less exact")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args(arguments)
    params = load(ROOT / "params.yaml")
    machine = f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    report = Report(f"{machine}, one of them used, {datetime.now(UTC):%Y-%m-%d}", options.json)
    with closing(ForkedStages() if options.forked else Stages()) as stages:
        for part in options.parts:
            for figure in chain_costs(options.chains, params) if part == "chain" else scale(options.items, stages):
                report.add(figure)
    return 0 if all(figure.met for figure in report.figures if isinstance(figure, Demand)) else 1


if __name__ == "__main__":
    sys.exit(main())
