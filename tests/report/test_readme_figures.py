from __future__ import annotations

import json
import subprocess

import pytest

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.report import readme
from pipeline.runtime.files import write_atomic


def test_the_results_are_those_of_the_evaluation_with_hardware_and_commit(finished_run, tmp_path):
    results = readme.write(finished_run, tmp_path / "docs")
    written = json.loads((tmp_path / "docs/results.json").read_text())
    scores = json.loads((finished_run / "plots/evaluate/methods.json").read_text())
    assert written == results
    assert written["methods"] == scores["methods"]
    assert written["targets"] == scores["targets"]
    assert written["hardware"]["cores"] >= 1
    assert written["hardware"]["cpu"]
    assert written["commit"] is None
    assert written["seconds"] == {}


def test_the_commit_is_the_one_checked_out(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x.invalid"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "log", "-1", "--format=%H"], check=True, capture_output=True, text=True).stdout
    assert readme.commit(tmp_path) == head.strip()


def test_the_latest_duration_of_a_stage_counts(tmp_path):
    runs = [("train", 90.0), ("grid", 2.04), ("train", 61.27)]
    lines = "".join(json.dumps({"stage": stage, "seconds": seconds}) + "\n" for stage, seconds in runs)
    write_atomic(tmp_path / ".state/runs.jsonl", lines.encode())
    assert readme.seconds(tmp_path) == {"train": 61.3, "grid": 2.0}


def test_the_strip_has_a_column_per_method_with_its_pixels_untouched(untouched_run, tmp_path):
    (tmp_path / "strip.png").write_bytes(readme.strip(untouched_run))
    strip = files.read_rgb(tmp_path / "strip.png")
    step = readme.TILE + readme.GAP
    assert strip.shape == (readme.LABEL + 3 * step - readme.GAP, 7 * step - readme.GAP, 3)
    cell = files.read_rgb(untouched_run / "artifacts/translate/cell/faces-00.png")
    assert (strip[readme.LABEL : readme.LABEL + 128, 5 * step : 5 * step + 128] == cell).all()
    assert readme.strip(untouched_run) == readme.strip(untouched_run)


def test_without_pictures_there_is_no_strip(tmp_path):
    with pytest.raises(BadInput, match="evaluate"):
        readme.strip(tmp_path)
