"""What an image costs in curation, and whether that holds for any number of them.

    python benchmarks/curate.py [--items 100000] [--jobs 1] [--json FILE]

First each image through the steps of flatten, grid and resize, decoded once and encoded once, beside Pillow that only
decodes it and encodes the same result. Then the stages themselves over a tenth of `--items` drawn works and over all of
them, killed in the middle, and again with one new work in a hundred. All times are CPU times. Exit code 1 when a figure
misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import itertools
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
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import works
from PIL import Image

from pipeline import io
from pipeline.curate import flatten, grid, resize
from pipeline.executor import window_size
from pipeline.params import Executor, Params, load

ROOT = Path(__file__).parents[1]
STAGES = {"flatten": flatten, "grid": grid, "resize": resize}
ROUNDS = 3
SMALLER = 10  # the smaller run has so many times fewer works
NEW = 100  # one new work in so many
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
class Chain:
    """Microseconds of CPU an image, the best round."""

    works: str
    kind: str  # exact: native, or every cell one colour; inexact: the rest of what is kept
    images: int
    steps: dict[str, float]
    chain: float
    pillow: float

    @property
    def ratio(self) -> float:
        return self.chain / self.pillow


@dataclass(frozen=True)
class Run:
    """One run of the stages, in a process of its own."""

    name: str
    works: int
    cpu: dict[str, float]  # seconds a stage, workers included
    remembered: dict[str, int]
    inputs: dict[str, int]
    seconds: float
    peak_mb: float

    @property
    def each(self) -> float:
        """Microseconds of CPU a work, all stages."""
        return 1e6 * sum(self.cpu.values()) / self.works

    @property
    def computed(self) -> float:
        """Largest share of its inputs that a stage computed."""
        return max(1 - self.remembered[stage] / max(1, self.inputs[stage]) for stage in STAGES)


class Clock:
    """CPU time by step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def __call__(self, step: str, work: Callable[..., Any], *given: Any) -> Any:
        began = time.process_time()
        result = work(*given)
        self.spent[step] += time.process_time() - began
        return result


def chain(data: bytes, params: Params, call: Callable[..., Any]) -> tuple[str, Any] | None:
    """(kind, final picture) of a work that is kept; the stages' own functions, decoded once, encoded once."""
    rgba = call("decode", io.decode_rgba, data)
    said, rgb = call("flatten", flatten.judge, rgba, "work", params.flatten)
    if rgb is None:
        return None
    background = said["background"]
    said, native = call("grid", grid.judge, rgb, params.grid)
    if native is None:
        return None
    pieces = call("resize", lambda: list(resize.judge(native, background, params.resize)))
    picture = pieces[0][2]
    if picture is None:
        return None
    call("encode", io.encode_art_png, picture)
    factor = said["cell"]
    exact = factor == 1 or (factor % 1 == 0 and _is_exact(rgb, native, int(factor), said["phase"]))
    return "exact" if exact else "inexact", picture


def _is_exact(rgb: Any, native: Any, factor: int, phase: Sequence[int]) -> bool:
    left, top = (-phase[0]) % factor, (-phase[1]) % factor
    height, width = rgb.shape[:2]
    return bool((resize.enlarge(native, factor)[top : top + height, left : left + width] == rgb).all())


def plain(_: str, work: Callable[..., Any], *given: Any) -> Any:
    return work(*given)


def pillow(data: bytes, picture: Any) -> None:
    """What the chain is measured by."""
    with Image.open(BytesIO(data)) as image:
        image.convert("RGBA")
    Image.fromarray(picture).save(BytesIO(), format="PNG")


def chains(name: str, files: Sequence[bytes], params: Params) -> Iterator[Chain]:
    """A set of works by kind; chain and Pillow take turns, of each the best round counts."""
    found = [(data, chain(data, params, plain)) for data in files if _readable(data)]
    for kind in ("exact", "inexact"):
        mine = [(data, made[1]) for data, made in found if made is not None and made[0] == kind]
        if not mine:
            continue
        whole, theirs = [], []
        for _ in range(ROUNDS):
            whole.append(_cpu(lambda: [chain(data, params, plain) for data, _ in mine]))
            theirs.append(_cpu(lambda: [pillow(data, picture) for data, picture in mine]))
        clock = Clock()
        for data, _ in mine:
            chain(data, params, clock)
        each = 1e6 / len(mine)
        steps = {step: spent * each for step, spent in clock.spent.items()}
        yield Chain(name, kind, len(mine), steps, min(whole) * each, min(theirs) * each)


def _readable(data: bytes) -> bool:
    try:
        io.decode_rgba(data)
    except io.BadInput:
        return False
    return True


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def sets(count: int) -> Iterator[tuple[str, list[bytes]]]:
    """Real works where they are, drawn ones anyway, and both enlarged four times."""
    drawn = [io.encode_png(works.drawn(number)) for number in range(count)]
    for name, files in [*((name, works.real(name, count)) for name in works.SETS), ("drawn", drawn)]:
        if files:
            yield name, files
        if files and name in ("pixel_tiles", "drawn"):
            readable = [io.decode_rgba(data) for data in files if _readable(data)]
            yield f"{name} x4", [io.encode_png(rgba.repeat(4, 0).repeat(4, 1)) for rgba in readable]


def stages(src: Path, out: Path, state: Path, params: Params) -> dict[str, Any]:
    """The work of one process: the stages one after another; what they cost and remembered."""
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("pipeline").addHandler(handler)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    cpu = {}
    for before, stage in itertools.pairwise(["", *STAGES]):
        began = _spent()
        given = out / before if before else src
        STAGES[stage].run(given, out / stage, getattr(params, stage), params.executor, state)  # type: ignore[attr-defined]
        cpu[stage] = _spent() - began
    lines = [found for line in told if (found := re.fullmatch(r"(\w+): (\d+) images, (\d+) of them remembered", line))]
    return {
        "cpu": cpu,
        "inputs": {line[1]: int(line[2]) for line in lines},
        "remembered": {line[1]: int(line[3]) for line in lines},
        "peak_mb": max(resource.getrusage(who).ru_maxrss for who in WHO) / 1024,
    }


WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _spent() -> float:
    """CPU seconds of this process and of those workers that have ended."""
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO)


def command(src: Path, out: Path, state: Path, jobs: int) -> list[str]:
    return [sys.executable, str(Path(__file__)), "--work", str(src), str(out), str(state), "--jobs", str(jobs)]


def measured(name: str, count: int, src: Path, out: Path, state: Path, jobs: int) -> Run:
    began = time.perf_counter()
    done = subprocess.run(command(src, out, state, jobs), stdout=subprocess.PIPE, check=True)
    return Run(name, count, **json.loads(done.stdout), seconds=time.perf_counter() - began)


def killed(src: Path, out: Path, state: Path, jobs: int, count: int) -> int:
    """Start the stages, kill -9 when grid has half of its images; how many pictures it had written."""
    images = out / "grid.partial" / "images"
    with subprocess.Popen(command(src, out, state, jobs), stdout=subprocess.DEVNULL) as running:
        while not images.is_dir() or sum(1 for _ in os.scandir(images)) < count // 2:
            if running.poll() is not None:
                raise RuntimeError("the stages ended before they were killed")
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    return sum(1 for _ in os.scandir(images))


def scale(items: int, jobs: int) -> Iterator[Run | Demand]:
    """The runs and what they show."""
    few, new = max(1, items // SMALLER), max(1, items // NEW)
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as name:
        folder = Path(name)
        src = works.folder(folder / "few", range(few))
        small = measured("a tenth", few, src, folder / "small", folder / "state-small", jobs)
        yield small
        written = killed(src, folder / "resumed", folder / "state-killed", jobs, few)
        resumed = measured("resumed", few, src, folder / "resumed", folder / "state-killed", jobs)
        yield resumed
        src = works.folder(folder / "most", range(items - new))
        large = measured("all", items - new, src, folder / "large", folder / "state", jobs)
        yield large
        src = works.folder(folder / "every", range(items))
        second = measured("1 % more", items, src, folder / "second", folder / "state", jobs)
        yield second
        same = io.folder_digest(folder / "small") == io.folder_digest(folder / "resumed")
    windows = 2 * window_size(Executor(backend="loky", n_jobs=jobs))
    yield Demand("CPU a work, all / a tenth", large.each / small.each, LINEAR)
    yield Demand("peak memory, all / a tenth", large.peak_mb / small.peak_mb, FLAT)
    yield Demand("killed: written and yet computed again", written - resumed.remembered["grid"], windows)
    yield Demand("killed: outputs that differ from an undisturbed run's", float(not same), 0)
    yield Demand("1 % more: share of works computed", second.computed, AGAIN)
    yield Demand("1 % more: CPU, share of the first run's", sum(second.cpu.values()) / sum(large.cpu.values()))
    yield Demand("1 % more: wall time, share of the first run's", second.seconds / large.seconds)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def shown(found: Sequence[Chain], runs: Sequence[Run], demands: Sequence[Demand]) -> str:
    steps = ("decode", "flatten", "grid", "resize", "encode")
    first = [
        (one.works, one.kind, one.images, *(f"{one.steps[step]:.0f}" for step in steps), f"{one.chain:.0f}",
         f"{one.pillow:.0f}", f"{one.ratio:.2f}")
        for one in found
    ]  # fmt: skip
    second = [
        (run.name, run.works, *(f"{1e6 * run.cpu[stage] / run.works:.0f}" for stage in STAGES), f"{run.each:.0f}",
         *(run.remembered[stage] for stage in STAGES), f"{run.seconds:.1f}", f"{run.peak_mb:.0f}")
        for run in runs
    ]  # fmt: skip
    third = [
        (one.what, f"{one.value:.4g}", "" if one.most is None else f"<= {one.most}", "" if one.met else "MISSED")
        for one in demands
    ]
    return "\n\n".join([
        table(("works", "kind", "images", *(f"{step}, us" for step in steps), "chain, us", "Pillow, us", "ratio"), first),
        table(("run", "works", *(f"{stage}, us" for stage in STAGES), "all, us", *(f"{stage}: remembered" for stage in
               STAGES), "wall, s", "peak, MB"), second),
        table(("figure", "measured", "demanded", ""), third),
    ])  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=100_000, help="works of the larger run")
    parser.add_argument("--chains", type=int, default=200, help="works of each set that go through the chain of steps")
    parser.add_argument("--jobs", type=int, default=1, help="workers")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--work", type=Path, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    params = load(ROOT / "params.yaml")
    if given.work:
        executor = Executor(backend="loky", n_jobs=given.jobs)
        print(json.dumps(stages(*given.work, params.model_copy(update={"executor": executor}))))  # noqa: T201
        return 0
    found = [one for name, files in sets(given.chains) for one in chains(name, files, params)]
    demands = [
        Demand(f"chain / Pillow, {c.works}, {c.kind}", c.ratio, {"exact": EXACT}.get(c.kind, OTHERWISE)) for c in found
    ]
    results = list(scale(given.items, given.jobs))
    runs = [one for one in results if isinstance(one, Run)]
    demands += [one for one in results if isinstance(one, Demand)]
    machine = f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    setting = f"{machine}, {given.jobs} workers, {datetime.now(UTC):%Y-%m-%d}"
    print(f"{setting}\n\n{shown(found, runs, demands)}")  # noqa: T201
    if given.json:
        figures = [{**asdict(one), "met": one.met} for one in demands]
        report = {"setting": setting, "chains": [asdict(c) for c in found], "runs": [asdict(r) for r in runs]}
        given.json.write_text(json.dumps({**report, "demands": figures}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one.met for one in demands) else 1


if __name__ == "__main__":
    sys.exit(main())
