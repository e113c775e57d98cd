"""Style transfer at its smallest."""

from __future__ import annotations

from pathlib import Path

from pipeline.style.params import Style, Temperature

ROOT = Path(__file__).parents[2]
STYLE = Style(
    features="random",
    canvases=["free", "cell"],
    pairs=3,
    artworks=1,
    pairs_file=str(ROOT / "inputs/pairs.jsonl"),
    batch_size=2,
    iterations=6,
    optimiser="adam",
    lr=0.05,
    lr_end=1.0,
    levels=1,
    ema=0.0,
    plateau=None,
    patience=3,
    statistics="gram",
    falloff=1.0,
    tv_weight=0.0,
    content_weight=1.0,
    style_weight=1e4,
    content_layer="conv2_2",
    style_layers=["conv1_1", "conv2_1"],
    pooling="average",
    start="content",
    precision="fp32",
    threads=1,
    palette=4,
    palette_from="artwork",
    palette_file=str(ROOT / "pipeline/images/shipped/grey-4.hex"),
    ground="style",
    toning=0.0,
    colour_weight=0.0,
    neighbour_weight=0.0,
    choice="hard",
    gumbel=0.0,
    temperature=Temperature(start=1.0, end=1.0),
)
