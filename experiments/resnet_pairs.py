"""Does the report's network learn pixel art when it is told what each picture should become?

    python experiments/resnet_pairs.py FOLDER [--width 64] [--blocks 9] [--steps 1380] [--batch 2] [--seed 0]

Run it in a project whose `data/` holds grid and split of the art (README.md here). The network learns from the same
pairs as `cell`, on pixels: the artist's cells, enlarged. FOLDER gets `figures.json`, beside majority reduction and on
held-out portraits that the judge's own renderer made smooth, and `sheet.png`: real faces, what it draws, and the
majority of each cell in 16 colours. Needs the folder of real data (`FACETOPIX_SHARED`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import real_faces
import torch
from PIL import Image
from torch import nn

from models.cyclegan.networks import PICTURE_GENERATORS
from models.cyclegan.pair_loss import pair_loss
from models.tensors import to_signed
from pipeline.convert import baselines
from pipeline.cyclegan.pairs.source import PairSource, read_natives
from pipeline.cyclegan.samples import draw_free
from pipeline.errors import PipelineError
from pipeline.images.files import Pixels, write_png
from pipeline.images.reduction import reduce_colours
from pipeline.images.resample import Grid, box, enlarge
from pipeline.metrics.pixel_art import cell_residual, grid_alignment
from pipeline.runtime import devices
from pipeline.runtime.spacing import evenly_spaced

FACTOR, CELLS = 2, 48  # pixels a cell, cells a side
GENERATOR = "resnet"
LR, BETAS, CONSTANT = 2e-4, (0.5, 0.999), 0.5  # of the report's optimiser; the rate falls after that share of the steps
POOL = 4000
SHOWN, TILE = 12, 288  # faces of a sheet, pixels a side of a picture there


@dataclass(frozen=True)
class Drawn:
    """The network as a method: draws pixels, of which each cell gets the mean, in 16 colours."""

    net: nn.Module

    def free(self, rgb: Pixels, grid: Grid) -> Pixels:
        """The picture as the network draws it, FACTOR pixels a cell."""
        size = (grid[1] * FACTOR, grid[0] * FACTOR)
        drawn: Pixels = draw_free(self.net, np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))[None])
        return drawn[0]

    def __call__(self, rgb: Pixels, grid: Grid) -> Pixels:
        return reduce_colours(box(self.free(rgb, grid), grid), real_faces.DEFAULT_COLOURS)


def train(width: int, blocks: int, steps: int, batch: int, seed: int) -> nn.Module:
    """The report's generator, trained on pairs alone."""
    torch.manual_seed(seed)
    net = PICTURE_GENERATORS[GENERATOR](width, blocks)
    optimiser = torch.optim.Adam(net.parameters(), lr=LR, betas=BETAS)
    constant = CONSTANT * steps
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 1 - max(0.0, (step - constant) / (steps - constant))
    )
    natives, weights = read_natives(Path("data/split"), Path("data/grid"))
    pairs = PairSource(natives, weights, factor=FACTOR, cells=[CELLS], pool=POOL, batch_size=batch, seed=seed)
    bf16 = devices.pick_bf16("auto", "cpu")
    for step in range(steps):
        smooth, native = pairs(step, slice(0, batch))
        art = to_signed(np.stack([enlarge(one, FACTOR) for one in native]))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = pair_loss(net(to_signed(smooth)), art)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        if step % 20 == 0:
            sys.stderr.write(f"{step}/{steps} {loss.item():.3f}\n")
    return net.eval()


def held_out_heads() -> list[real_faces.Sample]:
    """Heads of portraits that take part in no training, with their smooth versions."""
    chosen = real_faces.portraits(real_faces.HERE / "held_out.txt", 60)
    return real_faces.samples([real_faces.head(rgba, path, CELLS) for path, rgba in chosen], f"heads {CELLS}")


def measure(method: Drawn, heads: Sequence[real_faces.Sample], inputs: Sequence[Pixels]) -> dict[str, Any]:
    """Figures on held-out heads and on real faces, of the network and of majority reduction."""
    by: dict[str, Any] = {"network": method, "majority": majority}
    free = [method.free(one.smooth, (CELLS, CELLS)) for one in heads]
    made = {name: [one(face, (CELLS, CELLS)) for face in inputs] for name, one in by.items()}
    return {
        "pixels": {
            "grid_alignment": float(np.mean([grid_alignment(one, FACTOR) for one in free])),
            "cell_residual": float(np.mean([cell_residual(one, FACTOR) for one in free])),
        },
        "heads": real_faces.judged(heads, by)["methods"],
        "faces": real_faces.judged_faces(made, inputs, heads, CELLS)["methods"],
    }


def majority(rgb: Pixels, grid: Grid) -> Pixels:
    """The commonest colour of each cell, of 16."""
    return baselines.majority_palette(rgb, grid, colours=real_faces.DEFAULT_COLOURS, seed=0)


def sheet(method: Drawn) -> Pixels:
    """Real faces, a row each: the face, the network's pixels, its cells in 16 colours, majority reduction."""
    rows = []
    for face in evenly_spaced(real_faces.faces(None), SHOWN):
        grid = (CELLS, CELLS)
        columns = [method.free(face, grid), method(face, grid), majority(face, grid)]
        shown = [np.asarray(Image.fromarray(face).resize((TILE, TILE), Image.Resampling.LANCZOS))]
        shown += [enlarge(one, TILE // len(one)) for one in columns]
        rows.append(np.concatenate(shown, axis=1))
    return np.concatenate(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1380)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        heads, inputs = held_out_heads(), real_faces.faces(120)
        given.folder.mkdir(parents=True, exist_ok=True)
        method = Drawn(train(given.width, given.blocks, given.steps, given.batch, given.seed))
    except PipelineError as error:
        parser.error(str(error))
    write_png(given.folder / "sheet.png", sheet(method))
    numbers = {name: value for name, value in vars(given).items() if name != "folder"}
    text = json.dumps({**numbers, **measure(method, heads, inputs)}, indent=1, sort_keys=True) + "\n"
    (given.folder / "figures.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
