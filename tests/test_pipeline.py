"""The whole graph through DVC, in a copy of this repository, with tiny values: twice, and once as an experiment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from wiring import ROOT

from pipeline.runtime import manifest

pytestmark = pytest.mark.timeout(900)  # the first test builds everything

STAGES = [
    "scrape_pixeljoint", "scrape_lospec", "scrape_pixiehaus", "import_art", "faces", "dedup", "flatten", "grid",
    "resize", "split", "train", "translate", "stylize", "evaluate", "report",
]  # fmt: skip
AFTER_TRAIN = {"train", "translate", "evaluate", "report"}


def environment(home: Path) -> dict[str, str]:
    """This interpreter first on the path, nothing of the user's DVC, no analytics."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    git = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = {
        "PATH": path,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "NO_COLOR": "1",
        "CI": "true",
    }
    return {**os.environ, **git, **own}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git tracks or would track, committed in a repository of their own, with tests/params.yaml."""
    folder = tmp_path_factory.mktemp("copy") / "facetopix"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    shutil.copy(ROOT / "tests" / "params.yaml", folder / "params.yaml")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "copy"]):
        subprocess.run(["git", *command], cwd=folder, env=environment(folder.parent), check=True)
    return folder


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder.parent), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def ran(output: str) -> set[str]:
    return {stage for stage in STAGES if f"Running stage '{stage}'" in output}


@pytest.fixture(scope="module")
def built(copy: Path) -> Path:
    assert ran(dvc(copy, "repro")) == set(STAGES)
    return copy


def test_a_second_run_does_nothing_and_leaves_git_clean_but_for_lock_and_metrics(built: Path) -> None:
    assert not ran(dvc(built, "repro"))
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=built, capture_output=True, text=True, check=True)
    names = {line[3:] for line in changed.stdout.splitlines()}
    assert all(name == "dvc.lock" or name.startswith("metrics/") for name in names), names


def test_the_books_balance_from_the_galleries_to_the_split(built: Path) -> None:
    def kept(folder: str) -> set[str]:
        return {row["id"] for row in manifest.read_kept(built / folder)}

    def rows(folder: str) -> set[str]:
        return {row["id"] for row in manifest.read(built / folder)}

    sources = [kept(f"data/raw/{name}") for name in ("pixeljoint", "lospec", "pixiehaus", "inputs")]
    assert set.union(*sources) == rows("data/dedup")
    for before, after in [("dedup", "flatten"), ("flatten", "grid"), ("grid", "resize")]:
        assert kept(f"data/{before}") == rows(f"data/{after}")
    assert kept("data/resize") | kept("data/faces") == rows("data/split")
    pictures = {path.stem for path in (built / "data/split").rglob("*.png")}
    assert pictures == kept("data/split")


def test_the_report_is_one_file_with_every_method(built: Path) -> None:
    page = (built / "reports/index.html").read_text(encoding="utf-8")
    methods = json.loads((built / "plots/evaluate/methods.json").read_text(encoding="utf-8"))["methods"]
    assert {"cyclegan_cell", "cyclegan_resnet", "style_free", "style_cell", "box_palette", "real"} <= set(methods)
    assert "http://" not in page.replace("http://www.w3.org", "").replace(".sample.invalid", "")
    assert "image-rendering: pixelated" in page


def test_the_metrics_are_at_most_a_dozen_figures(built: Path) -> None:
    shown = json.loads(dvc(built, "metrics", "show", "--json"))[""]["data"]
    figures = [figure for file in shown.values() for generator in file["data"].values() for figure in generator]
    assert sorted(shown) == ["metrics/evaluate.json", "metrics/train.json"]
    assert set(shown["metrics/evaluate.json"]["data"]) == {"cell", "resnet"}
    assert len(figures) <= 12


def test_metrics_plots_graph_and_experiments_can_be_shown(built: Path) -> None:
    assert "cell.grid" in dvc(built, "metrics", "show", "--md")
    assert "scrape_lospec" in dvc(built, "dag", "--md")
    assert "index.html" in dvc(built, "plots", "show", "-o", "dvc_plots")
    assert "epochs" in dvc(built, "exp", "show", "--csv")


def test_an_experiment_with_other_epochs_reruns_the_training_and_what_follows_only(built: Path) -> None:
    assert ran(dvc(built, "exp", "run", "-S", "epochs=1")) == AFTER_TRAIN
    training = json.loads((built / "metrics/train.json").read_text(encoding="utf-8"))
    assert {figures["epochs"] for figures in training.values()} == {1}


def test_an_experiment_on_a_set_of_artworks_splits_anew_and_takes_its_palette_for_an_input(built: Path) -> None:
    (built / "mine.hex").write_text("000000\nffffff\n", encoding="utf-8")
    values = ["split.sources=[pixiehaus]", "split.native=[8,64]", "split.palette_near.palette=mine.hex"]
    overrides = [word for value in [*values, "split.palette_near.distance=1.0"] for word in ("-S", value)]
    assert "split" in ran(dvc(built, "exp", "run", *overrides, "split"))
    rows = [row for row in manifest.read(built / "data/split") if row["domain"] == "pixel"]
    assert {row["source"] for row in rows if row["status"] == "kept"} == {"pixiehaus"}
    assert {row["reason"] for row in rows if row["source"] != "pixiehaus"} == {"source"}
    assert not ran(dvc(built, "repro", "split"))
    (built / "mine.hex").write_text("000000\n", encoding="utf-8")
    assert ran(dvc(built, "repro", "split")) == {"split"}
