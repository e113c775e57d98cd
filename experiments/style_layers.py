"""Which layers carry pixel structure? The report's conclusion 4, tested: style layers swept on a free canvas.

    python experiments/style_layers.py [--faces 2] [--iterations 60] [--json FILE] [--sheet FILE.png]

Needs the folder of real data (`FACETOPIX_SHARED`, by default `../shared` beside the checkout): anime faces, a portrait
at its native cells, the first layers of a trained VGG-19, and a distilled one down to conv5_1 (`distilled.py`: an
approximation of the trained layers behind conv3_1). The table says how far each set's own loss fell, and whether the
edges of the picture then lie on the grid of the artwork.
Content only is the start: without a loss of its own it cannot hold a set back, and Adam does not mind a set's scale.
Results and verdict: STYLE.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import distilled
import style_faces
from real_data import SHARED

from models.styletransfer.vgg import VGG19
from pipeline import params
from pipeline.errors import BadInput
from pipeline.images import resample
from pipeline.images.files import Pixels, write_png
from pipeline.metrics import pixel_art
from pipeline.metrics.tiles import comb_db
from pipeline.style import stage
from pipeline.style.pairs import Artwork, Pair
from pipeline.style.params import Canvas, Style
from pipeline.style.transfer import stylize

ROOT = Path(__file__).parents[1]
CELLS = 32
CELL = style_faces.SIDE // CELLS
DISTILLED = SHARED / "weights" / "vgg19_distilled16x_conv1_1-conv5_1.fp16.safetensors"
PORTRAIT = style_faces.PORTRAITS[0]


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    features: str  # trained | distilled | random
    layers: list[str]
    statistics: str = "gram"
    canvas: Canvas = "free"

    @property
    def name(self) -> str:
        return f"{self.features}: {' '.join(self.layers)}, {self.statistics}, {self.canvas} canvas"


SETTINGS = (
    Setting("trained", ["conv1_1"]),
    Setting("trained", ["conv1_1", "conv1_2"]),
    Setting("trained", ["conv2_1", "conv2_2"]),
    Setting("trained", ["conv3_1"]),
    Setting("trained", ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]),
    Setting("trained", ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"], "wasserstein"),
    Setting("distilled", ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]),
    Setting("distilled", ["conv4_1"]),
    Setting("distilled", ["conv5_1"]),
    Setting("distilled", ["conv4_1", "conv5_1"]),
    Setting("distilled", ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
    Setting("distilled", ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"], "wasserstein"),
    Setting("random", ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
    Setting("random", ["conv4_1", "conv5_1"]),
    Setting("trained", ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"], canvas="cell"),
)


@dataclass(frozen=True)
class Outcome:
    """Means over the faces."""

    name: str
    fall: float  # of the style loss: its end over its start
    grid_alignment: float
    cell_residual: float
    comb_db: float
    n99: float
    seconds: float  # CPU, a face


def style_of(setting: Setting, iterations: int) -> Style:
    """The values of a setting; no palette, so that nothing but the canvas makes a grid."""
    changes = {
        "features": str(style_faces.FEATURES) if setting.features == "trained" else "random",
        "style_layers": setting.layers, "content_layer": "conv2_2", "statistics": setting.statistics,
        "content_weight": 0.0, "style_weight": 1.0, "iterations": iterations, "lr": 0.03, "palette": None,
    }  # fmt: skip
    return params.load(ROOT / "params.yaml").style.model_copy(update=changes)


def network_of(setting: Setting, style: Style) -> VGG19:
    """The features of a setting."""
    if setting.features == "distilled":
        return VGG19(distilled.load(DISTILLED), average_pooling=True)
    return stage.load_features(style, 0)


def measure(setting: Setting, faces: Sequence[Pixels], art: Pixels, iterations: int) -> tuple[Outcome, Pixels]:
    """One setting on all faces: its row and its pictures."""
    style = style_of(setting, iterations)
    transfer = stage.transfer_of(style, setting.canvas, network_of(setting, style), CELL, 0, "cpu")
    artwork = Artwork(PORTRAIT, resample.enlarge(art, CELL))
    began = time.process_time()
    made = stylize(transfer, [Pair(str(at), face, (artwork,)) for at, face in enumerate(faces)], lambda _: None)
    spent = (time.process_time() - began) / len(faces)
    outcome = Outcome(
        name=setting.name,
        fall=float((made.style[-1] / made.style[0]).mean()),
        grid_alignment=float(np.mean([pixel_art.grid_alignment(one, CELL) for one in made.pixels])),
        cell_residual=float(np.mean([pixel_art.cell_residual(one, CELL) for one in made.pixels])),
        comb_db=float(np.mean([comb_db(one, CELL) for one in made.pixels])),
        n99=float(np.mean([pixel_art.colours_covering(one) for one in made.pixels])),
        seconds=spent,
    )
    return outcome, made.pixels


def line(outcome: Outcome) -> str:
    numbers = [f"{outcome.fall:.3f}", f"{outcome.grid_alignment:.3f}", f"{outcome.cell_residual:.3f}"]
    numbers += [f"{outcome.comb_db:.1f}", f"{outcome.n99:.0f}", f"{outcome.seconds:.1f}"]
    return f"| {outcome.name} | {' | '.join(numbers)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    try:
        faces, (art, _) = style_faces.faces(asked.faces), style_faces.portrait(PORTRAIT, CELLS)
    except BadInput as error:
        parser.error(str(error))
    sys.stdout.write("| style layers | style loss, end / start | GA4 | cell residual | comb dB | n99 | s CPU |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    outcomes, columns = [], []
    for setting in SETTINGS:
        outcome, pixels = measure(setting, faces, art, asked.iterations)
        sys.stdout.write(line(outcome) + "\n")
        sys.stdout.flush()
        outcomes.append(outcome)
        columns.append(np.concatenate(list(pixels)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    if asked.sheet:
        write_png(asked.sheet, np.concatenate(columns, axis=1))


if __name__ == "__main__":
    main()
