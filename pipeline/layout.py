"""Where everything is, below the root of a working copy. dvc.yaml names the same folders; a test compares them."""

from __future__ import annotations

from pathlib import Path

INPUTS = Path("inputs")
INPUT_ART = INPUTS / "art"
INPUT_FACES = INPUTS / "faces"

RAW = Path("data/raw")
IMPORTED = RAW / "inputs"
FACES = Path("data/faces")
DEDUP = Path("data/dedup")
FLATTEN = Path("data/flatten")
GRID = Path("data/grid")
RESIZE = Path("data/resize")
SPLIT = Path("data/split")

CYCLEGAN = Path("artifacts/cyclegan")
TRANSLATE = Path("artifacts/translate")
STYLE = Path("artifacts/style")
BASELINES = Path("artifacts/baselines")

TRAIN_PLOTS = Path("plots/train")
EVALUATE_PLOTS = Path("plots/evaluate")
TRAIN_METRICS = Path("metrics/train.json")
EVALUATE_METRICS = Path("metrics/evaluate.json")
REPORTS = Path("reports")
DOCS = Path("docs")
STATE = Path(".state")

SOURCES = ("pixeljoint", "lospec", "pixiehaus")
