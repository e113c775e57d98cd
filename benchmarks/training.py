"""What a training step costs beside CycleGAN as it is usually written (`plain_cyclegan.py`): time, memory, result.

    python benchmarks/training.py [--rounds 5] [--parts step loader curves] [--threads 1] [--json FILE]
    python benchmarks/training.py --parts step --device cuda --compile

Each contestant is a process of its own; they take turns, a step each. Of times the best round counts, of memory the
growth at its peak since before the networks, on a GPU what PyTorch took of it. `cell` takes part as params.yaml has it,
from unpaired pictures and from pairs; its pairs come in batches, and their times are divided among them. Exit code 1
when a figure misses what is demanded of it; of a GPU nothing is.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import plain_cyclegan
import torch
from demands import Demand, table
from torch import Tensor

from models.cyclegan.compilation import compile_system
from models.cyclegan.cycle_losses import System, Weights
from models.cyclegan.networks import CellShape
from models.cyclegan.train import Recipe, Trainer, cell_system, picture_system
from models.tensors import Pixels, to_pixels
from pipeline import params
from pipeline.cyclegan.job import Job
from pipeline.cyclegan.pairs.source import PairSource
from pipeline.images.files import without_alpha
from pipeline.runtime import seeds
from pipeline.runtime.devices import exact, pick_bf16
from pipeline.sample.drawing import art
from pipeline.sample.drawing.portraits import portrait

ROOT = Path(__file__).parent.parent
PARAMS = params.load(ROOT / "params.yaml")
UNPAIRED, PAIRED = "cell unpaired", "cell paired"
REPORT = 64, 9  # width and blocks of the report's generator
WEIGHTS = Weights(cycle=10.0, identity=5.0, colour=0.0, chroma=0.0, accents=0.0, patterns=0.0)
LR, REPLAY = 2e-4, 50
WARM_UP = 3  # steps that are not measured: memory is fetched, kernels are chosen or compiled
PICTURES = 20_000  # in the data set whose loader is timed: what the report had
STEPS = 1000  # of a training of which a few are measured
BUST = 32  # cells: the artworks of pairs
WINDOW = 25  # steps over which a curve is averaged

Step = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """The cost of one contestant: time of a step divided among its pictures, memory of the whole step."""

    contestant: str
    cpu: float  # seconds
    wall: float
    memory: float  # MiB


@dataclass(frozen=True)
class Contestant:
    """One way to train: `plain`, or one of our generators, `cell` in either of its ways."""

    kind: str  # plain | resnet | resize | cell unpaired | cell paired
    width: int
    blocks: int
    bf16: bool
    device: str = "cpu"
    compiled: bool = False

    @property
    def name(self) -> str:
        mode = " compiled" if self.compiled else ""
        return f"{self.kind} {self.width}/{self.blocks} {'bf16' if self.bf16 else 'fp32'}{mode}"

    @property
    def batch(self) -> int:
        """Pictures of a step."""
        return PARAMS.train.cell.batch_size if self.kind == PAIRED else 1

    def step(self, size: int, cell: int) -> Step:
        """A step of freshly initialised networks, on one face and one artwork of noise, or on pairs."""
        torch.manual_seed(0)
        if self.kind == PAIRED:
            return self.paired_step(size // cell, cell)
        a, b = (torch.rand(2, 1, 3, size, size) * 2 - 1).to(self.device)
        if self.kind == "plain":
            plain = plain_cyclegan.Plain(self.width, self.blocks, WEIGHTS, LR, REPLAY, seed=0, device=self.device)
            return lambda: plain.step(a, b)
        if self.kind == UNPAIRED:
            return self.unpaired_step(a, b[..., ::cell, ::cell], cell)
        steps = new_trainer(self.system(cell), self.bf16, STEPS).fit(to_pixels(a), to_pixels(b))
        return lambda: next(steps)

    def unpaired_step(self, a: Tensor, native: Tensor, cell: int) -> Step:
        """A step of `cell` with all its losses; patches are compared with the artwork beside a full history."""
        trainer = Trainer(self.system(cell), cell_recipe(self.batch, 0.0, self.bf16), seed=0)
        trainer.replay_b.images = [native[0].clone() for _ in range(trainer.recipe.replay)]
        steps = trainer.fit(to_pixels(a), to_pixels(native))
        return lambda: next(steps)

    def paired_step(self, side: int, cell: int) -> Step:
        """A step of `cell` on pairs alone, which are rendered before."""
        trainer = Trainer(self.system(cell), cell_recipe(self.batch, 1.0, self.bf16), seed=0)
        source = pair_source(side, cell, self.batch)
        for number in range(source.each):
            source.pair(side, number)
        unused = np.empty((0, side, side, 3), np.uint8)
        steps = trainer.fit(unused, unused, source)
        return lambda: next(steps)

    def system(self, cell: int) -> System:
        if self.kind in (UNPAIRED, PAIRED):
            system = cell_system(cell_shape(cell, self.width, self.blocks))
        else:
            system = picture_system(self.kind, self.width, self.blocks, cell)
        for net in system.nets().values():
            net.to(self.device)
        if self.compiled:
            compile_system(system)
        return system


def new_trainer(system: System, bf16: bool, steps: int, seed: int = 0) -> Trainer:
    recipe = Recipe(
        epochs=1, images_per_epoch=steps, batch_size=1, lr=LR, decay_from=1.0, replay=REPLAY, ema=0.98, weights=WEIGHTS,
        identity_until=1.0, augment=False, pairs=0.0, bf16=bf16,
    )  # fmt: skip
    return Trainer(system, recipe, seed)


def cell_recipe(batch: int, pairs: float, bf16: bool) -> Recipe:
    """The numbers of a training of `cell` as params.yaml has them, but for its length, its batch and its way."""
    nowhere = Path()
    job = Job(
        generator="cell", split=nowhere, grid=nowhere, out=nowhere, curves=nowhere, state=nowhere,
        params=PARAMS.train, resize=PARAMS.resize, epochs=1, seed=0, device="cpu",
    )  # fmt: skip
    return replace(job.recipe, images_per_epoch=STEPS * batch, batch_size=batch, pairs=pairs, bf16=bf16)


def cell_shape(cell: int, width: int, blocks: int) -> CellShape:
    return CellShape(factor=cell, width=width, blocks=blocks, critics=PARAMS.train.cell.critics)


def pair_source(side: int, cell: int, pool: int) -> PairSource:
    """So many pairs of `side` cells, as many a step, of drawn busts."""
    busts = [without_alpha(portrait(seeds.generator(0, "bust", number), BUST)) for number in range(pool)]
    return PairSource(busts, [1.0] * pool, factor=cell, cells=[side], pool=pool, batch_size=pool, seed=0)


def resident(kind: str) -> float:
    """MiB of this process, now (`VmRSS`) or at most so far (`VmHWM`)."""
    match = re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def serve(contestant: Contestant, size: int, cell: int, threads: int, pipe: Connection) -> None:
    """A step whenever asked for one; answers with its CPU seconds, its wall seconds and the growth of memory."""
    torch.set_num_threads(threads)
    if contestant.kind != "plain":
        exact()
    before = resident("VmRSS")
    step = contestant.step(size, cell)
    while pipe.recv():
        cpu, wall = time.process_time(), time.perf_counter()
        step()
        spent = time.process_time() - cpu, time.perf_counter() - wall
        on_gpu = contestant.device == "cuda"
        pipe.send((*spent, torch.cuda.max_memory_allocated() / 2**20 if on_gpu else resident("VmHWM") - before))


def costs(contestants: list[Contestant], size: int, cell: int, threads: int, rounds: int, method: str) -> list[Cost]:
    """Measure all contestants by turns, `rounds` steps each."""
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([Path(__file__).stem, "torch._dynamo"])  # the optimisers import the latter
    pipes = []
    for contestant in contestants:
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(contestant, size, cell, threads, theirs), daemon=True).start()
        pipes.append(ours)
    answers: list[list[tuple[float, float, float]]] = [[] for _ in contestants]
    for _ in range(WARM_UP + rounds):
        for pipe, steps in zip(pipes, answers, strict=True):
            pipe.send(True)
            steps.append(pipe.recv())
    for pipe in pipes:
        pipe.send(False)
    best = [np.min(steps[WARM_UP:], axis=0) for steps in answers]
    peaks = [max(memory for *_, memory in steps) for steps in answers]
    return [
        Cost(contestant.name, float(cpu) / contestant.batch, float(wall) / contestant.batch, peak)
        for contestant, (cpu, wall, _), peak in zip(contestants, best, peaks, strict=True)
    ]


def step_part(size: int, cell: int, scale: tuple[int, int], default: tuple[int, int], threads: int, rounds: int,
              bf16: bool, device: str, compile: bool, method: str) -> tuple[list[Cost], list[Demand]]:  # fmt: skip
    """The report's architecture, `resize`, and `cell` in both of its ways, of several widths."""
    new = partial(Contestant, device=device)
    plain, ours = new("plain", *scale, False), new("resnet", *scale, bf16)
    widths = (default, (scale[0] // 2, default[1]), scale)
    unpaired, paired = ([new(kind, *numbers, bf16) for numbers in widths] for kind in (UNPAIRED, PAIRED))
    others = [new("resnet", *scale, False), new("resize", *scale, bf16)]
    small = new("plain", *default, False)
    faster = [replace(one, compiled=True) for one in (ours, unpaired[0], paired[0])] if compile else []
    everyone = list(dict.fromkeys([plain, ours, *unpaired, *paired, *others, small, *faster]))
    found = {cost.contestant: cost for cost in costs(everyone, size, cell, threads, rounds, method)}
    base = found[plain.name]

    def against(one: Contestant, speed: float | None, memory: float | None) -> list[Demand]:
        cost = found[one.name]
        return [
            Demand(f"{one.name}: times as fast, CPU", base.cpu / cost.cpu, least=speed),
            Demand(f"{one.name}: times as fast, wall", base.wall / cost.wall),
            Demand(f"{one.name}: peak memory, times", cost.memory / base.memory, most=memory),
        ]

    bounds = {ours: (1.6, 0.9), unpaired[0]: (6.0, 0.6), paired[0]: (100.0, 0.3)} if device == "cpu" else {}
    demands = [one for named in everyone[1:] for one in against(named, *bounds.get(named, (None, None)))]
    return list(found.values()), demands


def loader_part(size: int, cell: int, default: tuple[int, int], bf16: bool, rounds: int) -> list[Demand]:
    """Time of getting the pictures of a step beside that of the step of `cell`, in both of its ways."""
    return [
        Demand("loader, % of an unpaired step of cell", unpaired_loader(size, cell, default, bf16, rounds), most=3.0),
        *paired_loader(size // cell, cell, default, bf16, rounds),
    ]


def unpaired_loader(size: int, cell: int, default: tuple[int, int], bf16: bool, rounds: int) -> float:
    """Drawing both batches, of a step that has no distance of patches: the quickest."""
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (PICTURES, size, size, 3), dtype=np.uint8)
    native = np.ascontiguousarray(faces[:, : size // cell, : size // cell])
    trainer = new_trainer(cell_system(cell_shape(cell, *default)), bf16, PICTURES)

    def load() -> None:
        for images, domain in ((faces, "a"), (native, "b")):
            trainer._batch(images, 0, 0, domain)

    loading = min(cpu(load) for _ in range(WARM_UP + rounds))
    steps = trainer.fit(faces, native)
    step = min(cpu(lambda: next(steps)) for _ in range(WARM_UP + rounds))
    return 100 * loading / step


def paired_loader(side: int, cell: int, default: tuple[int, int], bf16: bool, rounds: int) -> list[Demand]:
    """Drawing a batch of pairs that are rendered; and rendering them, which is done once for a whole training."""
    ours = Contestant(PAIRED, *default, bf16)
    step = ours.step(side * cell, cell)
    spent = min(cpu(step) for _ in range(WARM_UP + rounds))
    source = pair_source(side, cell, ours.batch)
    rendering = sum(cpu(lambda number=number: source.pair(side, number)) for number in range(source.each))
    loading = min(cpu(lambda: source(0, slice(0, ours.batch))) for _ in range(WARM_UP + rounds))
    return [
        Demand("loader, % of a paired step of cell", 100 * loading / spent, most=3.0),
        Demand("rendering a pair, % of learning from it once", 100 * rendering / spent),
    ]


def cpu(work: Step) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def drawn(size: int, cell: int, count: int) -> tuple[Pixels, Pixels]:
    """Smooth ramps for faces and procedural sprites for art, both (N, size, size, 3)."""
    rng, ramp = np.random.default_rng(0), np.linspace(0, 1, size)[:, None, None]
    ends = rng.integers(0, 256, (count, 4, 3))
    faces = [(a + (b - a) * ramp) / 2 + (c + (d - c) * ramp.transpose(1, 0, 2)) / 2 for a, b, c, d in ends]
    sprites = [art.animation(seeds.generator(0, "training", number), size // cell, 1)[0] for number in range(count)]
    solid = [np.where(sprite[..., 3:] > 127, sprite[..., :3], 200).astype(np.uint8) for sprite in sprites]
    return np.stack(faces).astype(np.uint8), np.stack(solid).repeat(cell, axis=1).repeat(cell, axis=2)


Curve = dict[str, list[float]]


def curves_part(size: int, cell: int, width: int, blocks: int, steps: int, bf16: bool) -> list[Demand]:
    """Ours and the plain step from the same weights on the same batches, and the plain one on others (a yardstick)."""
    faces, works = drawn(size, cell, count=32)
    ours = our_curve(faces, works, width, blocks, steps, bf16)
    exact = our_curve(faces, works, width, blocks, steps, False)
    plain, other = (plain_curve(faces, works, width, blocks, steps, seed) for seed in (0, 1))
    demands = []
    for name in plain:
        yard = distance(other[name], plain[name])
        demands += [
            Demand(f"curve {name}: off plain, %", distance(ours[name], plain[name]), most=yard),
            Demand(f"curve {name}: ours in fp32 off plain, %", distance(exact[name], plain[name]), most=yard),
            Demand(f"curve {name}: plain with another seed off plain, %", yard),
        ]
    return demands


def our_curve(faces: Pixels, works: Pixels, width: int, blocks: int, steps: int, bf16: bool) -> Curve:
    trainer = start(width, blocks, steps, bf16, seed=0)
    steps = [stats.losses for stats in trainer.fit(faces, works)]
    return {name: [losses[name] for losses in steps] for name in ("generators", "disc_a", "disc_b")}


def plain_curve(faces: Pixels, works: Pixels, width: int, blocks: int, steps: int, seed: int) -> Curve:
    trainer = start(width, blocks, steps, False, seed)
    plain = plain_cyclegan.Plain(width, blocks, WEIGHTS, LR, REPLAY, seed)
    plain.load(trainer.system.nets())
    losses = [plain.step(trainer._batch(faces, 0, at, "a"), trainer._batch(works, 0, at, "b")) for at in range(steps)]
    return {name: [step[name] for step in losses] for name in losses[0]}


def start(width: int, blocks: int, steps: int, bf16: bool, seed: int) -> Trainer:
    torch.manual_seed(seed)
    return new_trainer(picture_system("resnet", width, blocks, 4), bf16, steps, seed)


def distance(curve: list[float], other: list[float]) -> float:
    """Mean relative difference of two smoothed curves, in per cent."""
    window = min(WINDOW, len(curve))
    mine, theirs = (np.convolve(one, np.ones(window) / window, mode="valid") for one in (curve, other))
    return float(100 * np.mean(np.abs(mine - theirs) / theirs))


def costs_table(found: list[Cost]) -> str:
    lines = ["| contestant | CPU, s a picture | wall | peak memory, MiB |", "|---|---|---|---|"]
    lines += [f"| {one.contestant} | {one.cpu:.3f} | {one.wall:.3f} | {one.memory:.0f} |" for one in found]
    return "\n".join([*lines, "", ""]) if found else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--parts", nargs="+", choices=("step", "loader", "curves"), default=["step", "loader", "curves"]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--scale", type=int, nargs=2, default=REPORT, metavar=("WIDTH", "BLOCKS"))
    parser.add_argument("--steps", type=int, default=400, help="of the curves")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the steps")
    parser.add_argument("--compile", action="store_true", help="take part compiled too")
    parser.add_argument(
        "--start", choices=("spawn", "forkserver"), default="spawn",
        help="of the contestants; forkserver imports PyTorch once for all, on a CPU only",
    )  # fmt: skip
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    if wanted.device == "cuda" and wanted.parts != ["step"]:
        parser.error("--device cuda: expected --parts step")
    if wanted.device == "cuda" and wanted.start != "spawn":
        parser.error("--device cuda: expected --start spawn")
    torch.set_num_threads(wanted.threads)
    own = PARAMS.train.cell
    default = min(own.width, wanted.scale[0]), min(own.blocks, wanted.scale[1])
    bf16 = pick_bf16("auto", wanted.device)
    found: list[Cost] = []
    demands: list[Demand] = []
    if "step" in wanted.parts:
        found, demands = step_part(
            wanted.size, 4, tuple(wanted.scale), default, wanted.threads, wanted.rounds, bf16, wanted.device,
            wanted.compile, wanted.start,
        )  # fmt: skip
    if "loader" in wanted.parts:
        demands += loader_part(wanted.size, 4, default, bf16, wanted.rounds)
    if "curves" in wanted.parts:
        demands += curves_part(max(32, wanted.size // 2), 2, min(16, wanted.scale[0]), 3, wanted.steps, bf16)
    machine = torch.cuda.get_device_name() if wanted.device == "cuda" else platform.machine()
    setting = f"{machine}, torch {torch.__version__}, threads {wanted.threads}, bf16 {bf16}, batch 1"
    sys.stdout.write(f"{setting}\n\n{costs_table(found)}{table(demands)}")
    if wanted.json:
        report: dict[str, Any] = {"setting": setting, "costs": [asdict(one) for one in found]}
        report["demands"] = [{**asdict(one), "met": one.met} for one in demands]
        wanted.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one.met for one in demands) else 1


if __name__ == "__main__":
    sys.exit(main())
