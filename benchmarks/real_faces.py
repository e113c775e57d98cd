"""`cell` with a palette head, trained on real faces and portraits, beside the plain reductions: how near it comes.

    python benchmarks/real_faces.py [--steps 1200] [--seeds 0 1 2] [--json FILE] [--sheet FILE.png] [--keep FOLDER]

Needs the folder of real data (`FACETOPIX_SHARED`, by default `../shared` beside the checkout): portraits of people
(Cabbit, OGA-BY 3.0 / CC-BY 3.0) and machine-made anime faces. They go through `facetopix add` and the stages, as a
user's would, to heads on 48 cells of 2 pixels; two in five identities and faces are held out, and only those are
measured. Distances are the evaluate stage's on five times as many patches, since its draw alone moves a ratio by a
tenth; the intervals (5 to 95 %) are those of drawing faces and portraits anew.
KID (Binkowski et al. 2018) on MobileNetV2 features is told, not demanded: it follows composition more than pixels.
Exit code 1 when a figure misses its bound. `--keep` goes on where a killed run stopped.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from demands import Demand, table
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from models.tensors import to_signed
from pipeline import params
from pipeline.convert import baselines
from pipeline.cyclegan import stage as train_cyclegan
from pipeline.cyclegan import translate
from pipeline.evaluate import stage as score
from pipeline.evaluate.stage import PATTERNS, Bench, Pictures
from pipeline.images import resample
from pipeline.images.files import Pixels, write_png
from pipeline.metrics import patches
from pipeline.metrics.pixel_art import Array, read_native
from pipeline.params import Params
from pipeline.runtime import seeds

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("FACETOPIX_SHARED", ROOT.parent / "shared"))
FEATURES = SHARED / "weights" / "mobilenet_v2_1.0_224_imagenet.fp16.safetensors"
FACES = ("anime_faces_256", "anime_faces_128_a")
STAGES = ("import-art", "faces", "dedup", "flatten", "grid", "resize", "split")
COMMANDS = """
import json, sys
from pipeline.cli import app

for words in json.loads(sys.argv[1]):
    app(words, prog_name="facetopix", standalone_mode=False)
"""
EPOCHS = 20
SIZE, CELLS = 96, 48
OURS: dict[str, Any] = {"generators": ["cell"], "width": 24, "blocks": 4, "ema": 0.998}
LOOSE = {  # portraits teach more
    "cycle": 1.5,
    "identity": 0.5,
    "colour": 0.5,
    "chroma": 1.5,
    "accents": 15.0,
    "patterns": 24.0,
}
RIVAL = "box_palette"
GALLERY = 64
PATCHES = 100_000  # a set
SHOWN = 12


def values(faces: int | None, jobs: int | None) -> Params:
    """params.yaml for heads on 48 cells, and at most so many faces."""
    base = params.load(ROOT / "params.yaml")
    executor = base.executor if jobs is None else base.executor.model_copy(update={"n_jobs": jobs})
    return base.model_copy(
        update={
            "resize": base.resize.model_copy(update={"size": SIZE, "cells": CELLS, "crop": "top"}),
            "faces": base.faces.model_copy(update={"origin": "inputs", "limit": faces}),
            "split": base.split.model_copy(update={"test": 0.4}),
            "executor": executor,
        }
    )


def prepare(project: Path, wanted: Params) -> None:
    """Bring the pictures and take them through the stages; what is there already stays."""
    if (project / "data" / "split").exists():
        return
    project.mkdir(parents=True, exist_ok=True)
    (project / "params.yaml").write_text(json.dumps(wanted.model_dump(mode="json")))
    portraits(project / "portraits")
    (project / "inputs").mkdir()
    (project / "inputs" / "overrides.jsonl").touch()
    for source in ("pixeljoint", "lospec", "pixiehaus"):
        (project / "data" / "raw" / source / "images").mkdir(parents=True)
        (project / "data" / "raw" / source / "manifest.jsonl").touch()
    faces = (str(SHARED / "data" / f"{name}.tar") for name in FACES)
    _run(project, [["add", "art", "portraits"], ["add", "faces", *faces], *([stage] for stage in STAGES)])


def portraits(folder: Path) -> None:
    """The people among the Cabbit portraits, with their manifest."""
    with tarfile.open(SHARED / "data" / "pixel_faces.tar") as tar:
        rows = list(csv.DictReader(io.TextIOWrapper(tar.extractfile("manifest.csv"), encoding="utf-8")))  # type: ignore[arg-type]
        people = [row for row in rows if "cabbit" in row["path"] and row["note"] == "human"]
        tar.extractall(folder, [tar.getmember(row["path"]) for row in people], filter="data")
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(people)


def _run(project: Path, commands: Sequence[Sequence[str]]) -> None:
    """Commands of `facetopix`, one after another in one process."""
    subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)], cwd=project, check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def trained(project: Path, wanted: Params, steps: int, epochs: int, seed: int) -> tuple[Pictures, float]:
    """The held-out faces as such a training draws them, and the CPU minutes of the process that ended it."""
    folder = project / "runs" / f"cell-{steps}-{epochs}-{seed}"
    cell = wanted.train.cell.model_copy(update=LOOSE)
    train = wanted.train.model_copy(update={**OURS, "cell": cell, "images_per_epoch": steps // epochs})
    began = time.process_time()
    if not (folder / "translate").exists():
        train_cyclegan.run(
            project / "data" / "split", folder / "cyclegan", folder / "plots", folder / "train.json", params=train,
            resize=wanted.resize, epochs=epochs, seed=seed, executor=wanted.executor, state=folder / ".state",
            device="cpu", progress=_progress,
        )  # fmt: skip
        spent = (time.process_time() - began) / 60
        (folder / "minutes.json").write_text(json.dumps(spent))
        translate.run(
            project / "data" / "split", folder / "cyclegan", folder / "translate", params=wanted.translate, device="cpu"
        )
    drawn = score.read_pictures(folder / "translate" / "cell", wanted.resize.size)
    return drawn, float(json.loads((folder / "minutes.json").read_text()))


def _progress(_title: str, done: int, total: int, text: str) -> None:
    if done % 100 == 0:
        sys.stderr.write(f"{done}/{total} {text}\n")


def rivals(bench: Bench) -> Pictures:
    """The faces as the evaluate stage's box_palette draws them."""
    grid, colours = (bench.resize.cells, bench.resize.cells), bench.params.palette
    return {
        key: resample.enlarge(baselines.box_palette(face, grid, colours=colours, seed=bench.seed), bench.cell)
        for key, face in bench.faces.items()
    }


def natives(pictures: Sequence[Pixels]) -> list[Pixels]:
    return [read_native(picture, CELLS) for picture in pictures]


def distances(
    made: Sequence[Pixels], art: Sequence[Pixels], rng: np.random.Generator, count: int = PATCHES
) -> dict[str, float]:
    """Of two lists of native pictures, by the name that the evaluate stage has for them; `count` patches a list."""
    found = {}
    for size, centred, name in PATTERNS:
        onto = patches.draw_directions(3 * size**2, 128, seeds.generator(0, "directions", size))
        sides = [patches.draw_patches(side, size, count, rng, centred=centred) for side in (made, art)]
        found[name] = patches.sliced_wasserstein(*(patches.project(side, onto) for side in sides))
    return found


def intervals(
    made: Sequence[Pixels], art: Sequence[Pixels], resamples: int, count: int = PATCHES
) -> dict[str, tuple[float, float]]:
    """5 to 95 % of the distances when faces and portraits are drawn anew."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(resamples):
        drawn = [[side[int(index)] for index in rng.integers(0, len(side), len(side))] for side in (made, art)]
        found.append(distances(*drawn, rng, count))
    ends = np.quantile([list(one.values()) for one in found], (0.05, 0.95), axis=0)
    return {name: (float(low), float(high)) for name, (low, high) in zip(found[0], ends.T, strict=True)}


class Features(nn.Module):
    """MobileNetV2 with its norms folded in: (N, 3, 224, 224) in [-1, 1] -> (N, 1280).

    Stride-2 convolutions are padded on the right and below only, as the weights' origin does.
    """

    def __init__(self) -> None:
        super().__init__()
        net = torchvision.models.mobilenet_v2(num_classes=1001)
        for module in list(net.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
                if isinstance(child, nn.Conv2d):
                    child.bias = nn.Parameter(torch.zeros(child.out_channels))
                    if child.stride == (2, 2):
                        child.padding = (0, 0)
                        setattr(module, name, nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), child))
        weights = {key: value.float() for key, value in load_file(FEATURES).items()}
        own = {key: key.replace(".0.1.", ".0.") if key not in weights else key for key in net.state_dict()}
        net.load_state_dict({key: weights[theirs] for key, theirs in own.items()})
        self.net = net.features.eval()

    @torch.no_grad()
    def forward(self, pictures: Sequence[Pixels]) -> Array:
        """uint8 (H, W, 3) each -> (N, 1280)."""
        found = []
        for start in range(0, len(pictures), 16):
            x = functional.interpolate(to_signed(np.stack(pictures[start : start + 16])), size=224, mode="nearest")
            found.append(self.net(x).mean(dim=(2, 3)))
        return np.asarray(torch.cat(found).double())


def kid(x: Array, y: Array) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x.y / d + 1)^3 (Binkowski et al. 2018, sec. 4)."""
    kernels = [(one @ other.T / x.shape[1] + 1) ** 3 for one, other in ((x, x), (y, y), (x, y))]
    within = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in kernels[:2]]
    return float(sum(within) - 2 * kernels[2].mean())


def figures(
    made: Pictures, rival: Pictures, bench: Bench, resamples: int, count: int
) -> tuple[dict[str, Any], list[Demand]]:
    """All that is told of one training, and what is demanded of it."""
    real = score.patterns(list(bench.art.values()), "real", bench)
    ours, theirs, art = score.measure(made, real, bench), score.measure(rival, real, bench), score.measure_real(bench)
    gallery = sorted(bench.faces)[:GALLERY]
    found = patches.retrieval(
        [made[key] for key in gallery], [bench.faces[key] for key in gallery], list(range(len(gallery)))
    )
    works = natives(list(bench.art.values()))
    sides = {"ours": natives(list(made.values())), "rival": natives(list(rival.values()))}
    apart = {name: distances(side, works, np.random.default_rng(0), count) for name, side in sides.items()}
    spans = {name: intervals(side, works, resamples, count) for name, side in sides.items()}
    told: dict[str, Any] = {"ours": ours, "rival": theirs, "real": art, "distances": apart, "intervals": spans}
    demands = [
        Demand("grid alignment", ours["grid_alignment"], least=1.0),
        Demand("colours a picture", ours["colours"], most=24.0),
        Demand("variety, of the inputs'", ours["spread_ratio"], least=0.6),
        Demand(f"recognised among {len(gallery)}", found, least=0.9),
        Demand(
            "equal neighbours, off the portraits'", abs(ours["equal_neighbours"] - art["equal_neighbours"]), most=0.05
        ),
    ]
    demands += [
        Demand(f"dark details kept, {name}", side["dark_details_kept"])
        for name, side in (("ours", ours), (RIVAL, theirs))
    ]
    for _, centred, name in PATTERNS:
        most = 1 / 6 if centred else 0.5
        demands.append(Demand(f"{name}, of {RIVAL}'s", apart["ours"][name] / apart["rival"][name], most=most))
        demands.append(Demand(f"{name}, x 1000", 1000 * apart["ours"][name]))
    if FEATURES.exists():
        features = Features()
        there = features(list(bench.art.values()))
        half = np.random.default_rng(0).permutation(len(there))
        rows = [("ours", features(list(made.values()))), (RIVAL, features(list(rival.values())))]
        told["kid"] = {name: kid(one, there) for name, one in rows}
        told["kid"]["real"] = kid(there[half[::2]], there[half[1::2]])
        demands += [Demand(f"KID x 1000, {name}", 1000 * value) for name, value in told["kid"].items()]
    return told, demands


def sheet(made: Pictures, rival: Pictures, bench: Bench) -> Pixels:
    """Rows: faces, rival, ours, and portraits that the art's side of training never saw."""
    keys = sorted(bench.faces)[:: max(1, len(bench.faces) // SHOWN)][:SHOWN]
    art = [bench.art[key] for key in sorted(bench.art)[:: max(1, len(bench.art) // SHOWN)][:SHOWN]]
    rows = [[side[key] for key in keys] for side in (bench.faces, rival, made)]
    return np.concatenate([np.concatenate(row, axis=1) for row in (*rows, art)], axis=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_200)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="that the steps are shared out among")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--resamples", type=int, default=20, help="of the intervals")
    parser.add_argument("--faces", type=int, help="at most so many (default: all)")
    parser.add_argument("--patches", type=int, default=PATCHES, help="of a set")
    parser.add_argument("--jobs", type=int, help="of the stages (default: as params.yaml has it)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--keep", type=Path, help="folder of the project; by default a temporary one")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    wanted, report, met = values(asked.faces, asked.jobs), {}, True
    with tempfile.TemporaryDirectory() as temporary:
        project = (asked.keep or Path(temporary)).resolve()
        prepare(project, wanted)
        split = project / "data" / "split"
        faces, art = (score.read_pictures(split / name / "test", wanted.resize.size) for name in ("faces", "pixel"))
        bench = Bench(faces, art, wanted.resize, wanted.evaluate, wanted.seed)
        rival = rivals(bench)
        for seed in asked.seeds:
            made, minutes = trained(project, wanted, asked.steps, asked.epochs, seed)
            told, demands = figures(made, rival, bench, asked.resamples, asked.patches)
            report[str(seed)] = {"cpu_minutes": minutes, **told}
            met = met and all(one.met for one in demands)
            sys.stdout.write(f"seed {seed}: {asked.steps} steps, {minutes:.1f} CPU minutes\n\n{table(demands)}\n")
            for name, (low, high) in told["intervals"]["ours"].items():
                sys.stdout.write(f"{name}, x 1000: {1000 * low:.1f} to {1000 * high:.1f}\n")
            if asked.sheet:
                write_png(asked.sheet.with_stem(f"{asked.sheet.stem}-{seed}"), sheet(made, rival, bench))
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
