"""Where everything lies below the root of a working copy. dvc.yaml names the same folders; a test compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

MARKS = ("params.yaml", "dvc.yaml")  # files of the root

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


def root_of(folder: Path) -> Path:
    """The working copy that a folder lies in: itself if it has parameters of its own or lies in none."""
    if (folder / MARKS[0]).is_file():
        return folder
    return next((above for above in folder.parents if all((above / mark).is_file() for mark in MARKS)), folder)
