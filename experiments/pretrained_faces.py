"""The faces that the shipped model learns from: drawn by rules, then photographed, so to speak, in many ways.

    python experiments/pretrained_faces.py faces/ --count 600 [--drawings FOLDER]

Faces of `pipeline.sample`, and drawings from a folder (PNG; what is transparent shows a ground), each at a random zoom,
under soft shadows, blurred or not, in other colours: what real drawings and photographs differ in from flat vectors.
Licences come along in manifest.csv, from that of the drawings. The same arguments give the same files.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.images.files import Pixels, encode_png
from pipeline.runtime import seeds
from pipeline.sample import faces

DRAWN, SIDE = 256, 192  # pixels a side, before and after
ZOOM = 1.8  # at most


def seen(face: Pixels, rng: np.random.Generator) -> Pixels:
    """(DRAWN, DRAWN, 3) -> (SIDE, SIDE, 3)."""
    side = round(DRAWN / rng.uniform(1.0, ZOOM))
    left = round((DRAWN - side) * rng.uniform(0.35, 0.65))
    top = round((DRAWN - side) * rng.uniform(0.2, 0.6))
    cut = Image.fromarray(face[top : top + side, left : left + side]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    blurred = cut.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 1.3)))
    light = _clouds(rng, 1) * rng.uniform(0.0, 0.35) + 1.0
    tint = _clouds(rng, 3) * rng.uniform(0.0, 0.08)
    lit = np.asarray(blurred, dtype=np.float64) / 255 * light + tint
    lit = _toned(lit, rng) + rng.normal(0.0, rng.uniform(0.0, 0.02), lit.shape)
    return np.asarray((lit.clip(0, 1) * 255).round(), dtype=np.uint8)


def _clouds(rng: np.random.Generator, channels: int) -> np.ndarray:
    """(SIDE, SIDE, channels) smooth in [-1, 1]."""
    few = rng.uniform(-1.0, 1.0, (4, 4, channels)).astype(np.float32)
    layers = [Image.fromarray(few[..., k]).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for k in range(channels)]
    return np.stack([np.asarray(layer, dtype=np.float64) for layer in layers], axis=2)


def _toned(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = rgb.mean(axis=2, keepdims=True)
    rgb = grey + (rgb - grey) * rng.uniform(0.5, 1.2)
    return np.asarray((rgb - 0.5) * rng.uniform(0.8, 1.2) + 0.5 + rng.uniform(-0.08, 0.12))


def on_ground(path: Path, rng: np.random.Generator) -> Pixels:
    """A drawing on a ground that goes from one colour to another."""
    drawing = Image.open(path).convert("RGBA").resize((DRAWN, DRAWN), Image.Resampling.LANCZOS)
    ends = rng.integers(60, 256, (2, 1, 1, 3))
    share = np.linspace(0, 1, DRAWN)[:, None, None]
    ground = np.broadcast_to(ends[0] * (1 - share) + ends[1] * share, (DRAWN, DRAWN, 3)).astype(np.uint8)
    whole = Image.fromarray(np.ascontiguousarray(ground)).convert("RGBA")
    whole.alpha_composite(drawing)
    return np.asarray(whole.convert("RGB"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=600, help="how many faces drawn by rules")
    parser.add_argument(
        "--drawings", type=Path, help="folder of PNG files with a manifest.csv that has the columns path and licence"
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [_by_rules(given.out, known) for known in faces.rows(given.count)]
    if given.drawings:
        rows += [_of_drawing(given.out, path, said) for path, said in _drawings(given.drawings)]
    with (given.out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["path", "licence", "artist", "identity"], restval="")
        table.writeheader()
        table.writerows(rows)


def _by_rules(out: Path, known: dict[str, Any]) -> dict[str, str]:
    name, rng = f"rules-{known['index']:04}.png", seeds.generator(0, "pretrained", "face", known["index"])
    (out / name).write_bytes(encode_png(seen(faces.draw(known["index"], DRAWN), rng)))
    return {"path": name} | {key: known[key] for key in ("licence", "artist", "identity")}


def _drawings(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    """The drawings that their manifest.csv gives a licence, by name."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        known = {folder / row["path"]: row for row in csv.DictReader(file) if row["licence"]}
    return sorted((path, said) for path, said in known.items() if path.is_file())


def _of_drawing(out: Path, path: Path, said: dict[str, str]) -> dict[str, str]:
    rng = seeds.generator(0, "pretrained", "drawing", path.stem)
    name = f"drawn-{path.stem}.png"
    (out / name).write_bytes(encode_png(seen(on_ground(path, rng), rng)))
    return {"path": name, "licence": said["licence"], "identity": said.get("identity") or path.stem}


if __name__ == "__main__":
    main()
