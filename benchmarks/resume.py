"""A training is killed again and again, also in the middle of a save; its weights must not show it.

    uv run python benchmarks/resume.py                    # 20 kills of `cell`, 20 of `resnet`, about a minute
    uv run python benchmarks/resume.py --kills 200 --generators cell --json figures.json

Exit code 1 when the files of the killed training differ in one bit from those of an undisturbed one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from pipeline.cyclegan import stage, training
from pipeline.images.files import write_png
from pipeline.params import Params, load
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest

ROOT = Path(__file__).parents[1]
OUTPUTS = ("cyclegan", "plots")


@dataclass(frozen=True)
class Figures:
    """The outcome of the kills of one generator."""

    generator: str
    epochs: int
    kills: int
    torn: int  # kills that left half a checkpoint
    identical: bool


def draw_split(folder: Path, size: int, cells: int) -> Path:
    """Noise as faces, noise of four colours as art."""
    rng = np.random.default_rng(0)
    zoom = size // cells
    for number in range(4):
        write_png(folder / f"faces/train/f{number}.png", rng.integers(0, 256, (size, size, 3), np.uint8))
        native = rng.integers(0, 256, (4, 3), np.uint8)[rng.integers(0, 4, (cells, cells))]
        write_png(folder / f"pixel/train/p{number}.png", native.repeat(zoom, 0).repeat(zoom, 1))
        write_png(folder / f"grid/images/p{number}.png", native)
    rows = [manifest.kept({"id": f"p{number}"}, domain="pixel", split="train") for number in range(4)]
    manifest.write(folder, rows, inputs=[row["id"] for row in rows])
    return folder


def train(split: Path, root: Path, params: Params) -> None:
    """The stage itself, which saves after every step, so that much of the time it is in a save."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    training.SAVE_EVERY = 0.0
    stage.run(
        split, split / "grid", root / "cyclegan", root / "plots", root / "metrics.json", params=params.train,
        resize=params.resize, epochs=params.epochs, seed=params.seed, executor=params.executor,
        state=root / ".state", device="cpu",
    )  # fmt: skip


class Killer:
    """Starts the same training again and again, and kills it.

    The victims are forked from a server that has imported torch, and what its optimisers import when they are first
    made, and has computed nothing: each begins at once.
    """

    def __init__(self, split: Path, root: Path, params: Params, moments: random.Random) -> None:
        self.split, self.root, self.params, self.moments = split, root, params, moments
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["pipeline.cyclegan.stage", "torch._inductor", "dvclive.live"])
        self.kills = self.torn = self.ended = 0

    def kill(self) -> None:
        """At a random moment of a run; every other time at a random byte of the next checkpoint after that moment.

        For that the system is told that the victim may write no larger files: it ends the process in the middle of the
        write, without a chance to clean up, as SIGKILL does.
        """
        victim = self._start()
        self._wait(victim, saves=self.moments.randrange(4))
        size = self._size() if self.kills % 2 else 0
        if size and victim.pid is not None and victim.is_alive():
            limit = int(size * self.moments.uniform(0.05, 0.95))
            resource.prlimit(victim.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        elif victim.is_alive():
            victim.kill()
        self._end(victim)

    def run_to_the_end(self) -> None:
        victim = self._start()
        self._end(victim)

    def _start(self) -> BaseProcess:
        victim = self.context.Process(target=train, args=(self.split, self.root, self.params))
        victim.start()
        return victim

    def _wait(self, victim: BaseProcess, saves: int) -> None:
        """Until it has saved so often, and a random while: on a slow machine a run must come further, too."""
        last = self._last_save()
        while saves and victim.is_alive():
            if self._last_save() != last:
                last, saves = self._last_save(), saves - 1
            time.sleep(0.001)
        victim.join(self.moments.uniform(0, 0.05))

    def _last_save(self) -> int:
        return max((file.st_mtime_ns for file in self._checkpoints()), default=0)

    def _checkpoints(self) -> list[os.stat_result]:
        """The last and the one before it; between two renames only this one is there, and the trainer does not wait."""
        files = []
        for path in self.root.glob(".state/train/*/*.pt"):
            with suppress(FileNotFoundError):
                files.append(path.stat())
        return files

    def _size(self) -> int:
        """Bytes of the last checkpoint; 0 where there is none, or where the system cannot limit another process."""
        files = self._checkpoints() if hasattr(resource, "prlimit") else []
        return max((one.st_size for one in files), default=0)

    def _end(self, victim: BaseProcess) -> None:
        victim.join()
        if victim.exitcode not in (0, -signal.SIGKILL, -signal.SIGXFSZ):
            raise SystemExit(f"the training failed with code {victim.exitcode}: it could not go on")
        self.kills += victim.exitcode != 0
        self.ended += victim.exitcode == 0
        self.torn += any(self.root.glob(".state/train/*/checkpoint.partial"))


def measure(generator: str, kills: int, epochs: int, seed: int, folder: Path) -> Figures:
    """Undisturbed once, then killed until `kills` are reached, then to the end.

    Raises:
        SystemExit: a training that was started again failed, or ended too early to be killed so often.
    """
    values = load(ROOT / "tests" / "params.yaml")
    section = values.train.model_copy(update={"generators": [generator]})
    executor = values.executor.model_copy(update={"n_jobs": 1})
    params = values.model_copy(update={"train": section, "epochs": epochs, "executor": executor})
    split = draw_split(folder / "split", params.resize.size, params.resize.cells)
    killer = Killer(split, folder / "killed", params, random.Random(seed))
    while killer.kills < kills:
        killer.kill()
        if killer.ended:
            raise SystemExit(f"over after {killer.kills} kills: more --epochs are needed")
    killer.run_to_the_end()
    train(split, folder / "undisturbed", params)
    same = [folder_digest(folder / "killed" / name) == folder_digest(folder / "undisturbed" / name) for name in OUTPUTS]
    return Figures(generator, epochs, killer.kills, killer.torn, all(same))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=25, help="of four steps")
    parser.add_argument("--generators", nargs="+", default=["cell", "resnet"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for generator in options.generators:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(generator, options.kills, options.epochs, options.seed, Path(folder)))
        row = rows[-1]
        verdict = "bit-identical" if row.identical else "DIFFERS"
        print(f"{generator}: {row.kills} kills, {row.torn} left half a checkpoint: {verdict}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    sys.exit(0 if all(row.identical for row in rows) else 1)


if __name__ == "__main__":
    main()
