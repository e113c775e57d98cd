"""Where everything lies below the root of a working copy. dvc.yaml names the same folders; a test compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

INPUTS = Path("inputs")
INPUT_ART = INPUTS / "art"
INPUT_FACES = INPUTS / "faces"
BLOCKLIST = INPUTS / "blocklist.jsonl"

DATA = Path("data")
RAW = DATA / "raw"
IMPORTED = RAW / "inputs"
FACES = DATA / "faces"
DEDUP = DATA / "dedup"
FLATTEN = DATA / "flatten"
GRID = DATA / "grid"
RESIZE = DATA / "resize"
SPLIT = DATA / "split"

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
EXPORTS = Path("exports")
STATE = Path(".state")

Source = Literal["pixeljoint", "lospec", "pixiehaus"]  # the galleries; each has a folder below RAW
SOURCES: tuple[Source, ...] = get_args(Source)
