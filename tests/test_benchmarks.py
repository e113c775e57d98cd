"""The benchmarks run and report. What they measure is for a quiet machine, not for a test."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.cyclegan.networks import CellGenerator
from models.styletransfer.vgg import VGG19
from pipeline import params
from pipeline.convert import baselines, command
from pipeline.cyclegan.generators import Shape, save
from pipeline.errors import BadInput
from pipeline.images import resample
from pipeline.images.files import read_rgb, without_alpha, write_png
from pipeline.sample.drawing.portraits import portrait

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("FACETOPIX_SHARED", ROOT.parent / "shared")) / "data"
WORKS = 40  # two batches of the listing

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A script as `python SCRIPT OPTIONS` runs it, but in this process: to import PyTorch again takes seconds."""

    def run_script(script: str, *options: str) -> subprocess.CompletedProcess[str]:
        path = ROOT / script
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(path.parent)
        monkeypatch.setattr(sys, "argv", [str(path), *options])
        threads = torch.get_num_threads()
        code: Any = 0
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
        finally:
            torch.set_num_threads(threads)
        return subprocess.CompletedProcess(sys.argv, code, *capfd.readouterr())

    return run_script


@pytest.fixture
def scrape(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import scrape

    return scrape


def test_the_crawl_benchmark_runs_all_loops_over_the_same_addresses_and_reports(tmp_path: Path) -> None:
    """The benchmark itself fails when a loop asks for anything but the plan, or keeps fewer works than there are."""
    command = [sys.executable, ROOT / "benchmarks" / "scrape.py", "--items", str(WORKS), "--pace", "0.01"]
    options = ["--sources", "lospec", "--json", str(tmp_path / "report.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(run["contestant"], run["items"]) for run in report["runs"]] == [
        ("bare", 4), ("plain", 4), ("crawl", 4), ("crawl", 40), ("plain", 40), ("bare", 40), ("crawl", 40),
    ]  # fmt: skip
    assert {run["requests"] for run in report["runs"] if run["items"] == WORKS} == {2 + 3 + 2 * WORKS}
    assert [demand["what"] for demand in report["demands"]] == [
        "crawl / bare, requests a second", "crawl / plain, requests a second", "crawl / bare, best tenths",
        "crawl / plain, best tenths", "peak memory, large / small", "rate / pace",
    ]  # fmt: skip
    assert done.returncode == (0 if all(demand["met"] for demand in report["demands"]) else 1)
    assert report["setting"] in done.stdout


def test_a_figure_that_misses_its_bound_is_said_to(scrape: ModuleType) -> None:
    def run(contestant: str, items: int, seconds: float, peak_mb: float = 70.0, delay: float = 0.0) -> object:
        return scrape.Run("lospec", contestant, items, delay, 100, seconds, 1.0, peak_mb, 0.0, 100 / seconds)

    small = [run("bare", 10, 1.0), run("plain", 10, 1.0), run("crawl", 10, 1.0)]
    large = [run("crawl", 100, 2.1, peak_mb=90.0), run("plain", 100, 2.0), run("bare", 100, 1.0)]
    shown = scrape.demands([*small, *large, run("crawl", 50, 5.1, delay=0.05)])
    assert [demand.met for demand in shown] == [False, True, True, True, False, True]
    assert scrape.table([], [("lospec", demand) for demand in shown]).count("MISSED") == 2


@pytest.fixture
def curate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import curate

    return curate


def test_the_benchmark_of_curation_runs_kills_resumes_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "curate.py", "--items", "400", "--chains", "2"]
    options = ["--forked", "--json", str(tmp_path / "report.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert {"drawn", "drawn x4", "drawn x2.5", "drawn x4 JPEG"} <= {one["works"] for one in report["chains"]}
    assert [(cost["run"], cost["works"]) for cost in report["runs"] if cost["stage"] == "flatten"] == [
        ("a tenth", 40), ("resumed", 40), ("all", 396), ("1 % more", 400)
    ]  # fmt: skip
    assert [cost["remembered"] for cost in report["runs"] if cost["stage"] == "flatten"][3] == 396
    figures = {demand["what"]: demand for demand in report["demands"]}
    assert figures["1 % more: share of works computed"]["met"]
    assert figures["killed: written and yet computed again"]["met"]
    assert figures["killed: outputs that differ from an undisturbed run's"]["met"]
    assert done.returncode == (0 if all(demand["met"] for demand in report["demands"]) else 1)
    assert report["setting"] in done.stdout


def test_a_figure_of_curation_that_misses_its_bound_is_said_to(curate: ModuleType) -> None:
    told = [curate.Demand("a", 1.6, most=1.5), curate.Demand("b", 1.4, most=1.5), curate.Demand("c", 9.0)]
    assert [curate.row(one)[1][-1] for one in told] == ["MISSED", "", ""]


def test_each_figure_of_curation_is_printed_and_written_as_soon_as_it_is_known(
    curate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = curate.Report("here", tmp_path / "report.json")
    costs = {"cpu": 2.0, "inputs": 10, "remembered": 3, "peak_mb": 99.5, "seconds": 2.5}
    for number, one in enumerate([curate.Cost("all", 10, "grid", **costs), curate.Demand("a", 1.6, most=1.5)]):
        report.add(one)
        assert (
            capsys.readouterr().out.splitlines()[-1].startswith(("| all | 10 | grid | 200000 |", "| a | 1.6 |")[number])
        )
        written = json.loads((tmp_path / "report.json").read_text())
        assert [len(written[kind]) for kind in ("chains", "runs", "demands")] == [0, 1, number]


def run_dedup(tmp_path: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    report = tmp_path / "report.json"
    command = [sys.executable, ROOT / "benchmarks" / "dedup.py", "--json", report, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    figures = json.loads(report.read_text())["figures"]
    assert done.returncode == (0 if all(figure["met"] for figure in figures) else 1)
    return done, figures


def test_the_search_benchmark_compares_searches_that_agree_and_reports(tmp_path: Path) -> None:
    """The benchmark itself fails when two searches find different numbers of pairs."""
    done, figures = run_dedup(tmp_path, "--parts", "search", "--hashes", "0.02")
    told = [figure["what"] for figure in figures]
    assert "banded: 20000 random hashes within 4 bits" in told
    assert "blocks: 1000 skewed hashes within 10 bits" in told
    assert [figure["unit"] for figure in figures if figure["most"] is not None] == ["s", "MB"]
    assert all(f"| {what} |" in done.stdout for what in told)


@pytest.mark.shared
def test_the_sprite_benchmark_counts_what_is_merged_and_what_is_found(tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    sheets = tmp_path / "sheets"
    _, figures = run_dedup(tmp_path, "--parts", "distinct", "copies", "--limit", "48", "--sheets", str(sheets))
    found = {figure["what"]: figure["value"] for figure in figures}
    assert found["x8 nearest: found"] == found["padded, shifted: found"] == 100
    assert found["JPEG q85, white: found"] >= 80
    assert found["distinct sprites dropped, original"] <= 3
    assert found["JPEG q85, white: found by imagehash pHash <= 10"] >= 80
    assert sorted(sheets.iterdir())


def test_the_decoding_benchmark_measures_every_kind_of_file(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "decoding.py", "--works", "3", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "figures.json")], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stderr == ""
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [(one["kind"], one["files"]) for one in figures] == [
        ("GIF", 3), ("GIF, animated", 3), ("JPEG", 3), ("PNG", 6), ("WEBP", 3), ("all others", 15),
    ]  # fmt: skip
    assert done.returncode == (0 if figures[-1]["ratio"] <= 1.15 else 1)


def test_the_benchmark_of_reduction_times_every_way_at_every_size(run: Run, tmp_path: Path) -> None:
    done = run("benchmarks/reduction.py", "--pictures", "1", "--rounds", "1", "--json", str(tmp_path / "figures.json"))
    assert done.stderr == ""
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [row["cells"] for row in figures["times"]] == [16, 32, 48, 64, 96]
    assert all(row["ratio"] == pytest.approx(row["joint"] / row["k-means"]) for row in figures["times"])
    assert [demand["most"] for demand in figures["demands"]] == [10, 10]
    assert done.returncode == (0 if all(demand["value"] <= 10 for demand in figures["demands"]) else 1)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training

    return training


def test_the_training_benchmark_measures_every_contestant_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "training.py", "--size", "40", "--scale", "4", "1"]
    options = ["--rounds", "1", "--steps", "3", "--start", "forkserver", "--json", str(tmp_path / "report.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    names = [one["contestant"].rpartition(" ")[0] for one in report["costs"]]
    assert names[:6] == [
        "plain 4/1", "resnet 4/1", "cell unpaired 4/1", "cell unpaired 2/1", "cell paired 4/1", "cell paired 2/1"
    ]  # fmt: skip
    assert all(one["cpu"] > 0 and one["memory"] > 0 for one in report["costs"])
    figures = {demand["what"]: demand for demand in report["demands"]}
    assert [demand["least"] for demand in figures.values() if demand["least"]] == [1.6, 6.0, 100.0]
    assert figures["rendering a pair, % of learning from it once"]["value"] > 0
    assert figures["curve generators: ours in fp32 off plain, %"]["value"] < 0.1
    assert done.returncode == (0 if all(demand["met"] for demand in report["demands"]) else 1)
    assert report["setting"] in done.stdout


def test_cell_is_timed_with_its_own_values(training: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    train = params.load(ROOT / "params.yaml").train
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(training, "step_part", lambda *given: asked.append(given[3]) or ([], []))
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["training.py", "--parts", "step"])
    assert training.main() == 0
    assert asked == [(train.cell.width, train.cell.blocks)] != [(train.resnet.width, train.resnet.blocks)]


def test_one_way_of_cell_learns_from_pairs_alone_the_other_from_none(training: ModuleType) -> None:
    ways = [training.Contestant(kind, 4, 1, False) for kind in (training.PAIRED, training.UNPAIRED)]
    paired, unpaired = (set(way.step(40, 4)().losses) for way in ways)
    assert paired == {"pairs", "generators", "gradient_generators"}
    assert {"identity_a", "patterns", "disc_a", "disc_b"} <= unpaired
    assert "pairs" not in unpaired
    assert [way.batch for way in ways] == [params.load(ROOT / "params.yaml").train.cell.batch_size, 1]


def test_curves_are_compared_after_smoothing_and_missed_figures_are_said_to(training: ModuleType) -> None:
    noise = [1.0, 3.0] * training.WINDOW
    assert training.distance(noise, noise[::-1]) < 5
    assert training.distance([2.2] * 50, [2.0] * 50) == pytest.approx(10)
    demands = [training.Demand("a", 1.5, least=1.6), training.Demand("b", 0.9, most=0.9), training.Demand("c", 9.0)]
    assert [line.endswith("MISSED |") for line in training.table(demands).splitlines()[-3:]] == [True, False, False]


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import grid

    return grid


@pytest.mark.shared
def test_the_grid_benchmark_runs_every_condition_on_real_art_and_reports(grid: ModuleType, tmp_path: Path) -> None:
    if not all((SHARED / f"{tar}.tar").is_file() for tar in (*grid.ART, *grid.SMOOTH)):
        pytest.skip("shared data are absent")
    command = [sys.executable, ROOT / "benchmarks" / "grid.py", "--works", "2", "--peers", "0"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "report.json")], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert [one["works"] for one in report["sample"]] == [2] * len(grid.ART)
    assert [one["condition"] for one in report["conditions"]] == [one.name for one in grid.CONDITIONS]
    assert all(sum(one["answers"].values()) + sum(one["scant"].values()) <= 8 for one in report["conditions"])
    assert sum(report["conditions"][0]["answers"].values()) + sum(report["conditions"][0]["scant"].values()) == 8
    assert {tar: found["pictures"] for tar, found in report["smooth"].items()} == dict.fromkeys(grid.SMOOTH, 2)
    shrunk = any(found["shrunk"] for found in report["smooth"].values())
    assert done.returncode == (1 if shrunk or not all(one["met"] for one in report["conditions"]) else 0)
    assert report["setting"] in done.stdout


def test_every_condition_makes_what_it_says(grid: ModuleType) -> None:
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (10, 12, 3), dtype=np.uint8)
    for condition in grid.CONDITIONS:
        case = condition.make(rgb, np.random.default_rng(1))
        height, width = case.native.shape[:2]
        assert case.rgb.dtype == np.uint8
        if case.cell > 0 and "crop" not in condition.name and "caption" not in condition.name:
            slack = 2 if "frame" in condition.name else 0  # of cells: a frame is thinner than the cells that it adds
            assert (case.cell - 1) * (width - slack) <= case.rgb.shape[1] <= (case.cell + 0.1) * width + 1, (
                condition.name
            )
            assert abs(case.rgb.shape[0] - case.cell * height) <= max(2 * case.cell, 1), condition.name
        kept = case.native.shape == rgb.shape
        assert kept or any(word in condition.name for word in ("crop", "caption", "frame")), condition.name


def test_an_answer_about_the_grid_is_judged_by_size_and_by_kind(grid: ModuleType) -> None:
    def answer(condition: str, size: float | None, width: int, height: int) -> str:
        case = next(one for one in grid.CONDITIONS if one.name == condition)
        columns, rows = np.arange(1, width), np.arange(1, height)
        cell = grid.detect.Cell(size, 1.0, columns, rows, exact=True)
        return grid.judge(case, case.make(np.zeros((30, 20, 3), np.uint8), np.random.default_rng(0)), cell)

    assert answer("x4", 4, 20, 30) == "exact"
    assert answer("x4", None, 1, 1) == "unknown"
    assert answer("x4", 4, 21, 30) == "within 1"
    assert answer("x4", 2, 40, 60) == "wrong"
    assert answer("x4", 1, 80, 120) == "left native"
    assert answer("native", 1, 20, 30) == "exact"
    assert answer("native", 2, 10, 15) == "wrong"


def test_a_missed_share_is_said_to(grid: ModuleType) -> None:
    kept = grid.Tally("native, JPEG 90", 1.0, Counter({"exact": 9, "unknown": 1}))
    shrunk = grid.Tally("native, JPEG 90", 1.0, Counter({"exact": 99, "wrong": 1}))
    unknown = grid.Tally("x4", 0.95, Counter({"exact": 9, "unknown": 1}))
    assert [one.met for one in (kept, shrunk, unknown)] == [True, False, False]
    rows = list(grid.answer_rows([kept, shrunk]))
    assert ["MISSED" in row for row in rows] == [False, True]
    assert rows[0][:6] == ["native, JPEG 90", 10, "90", "0", "10", "0"]


def test_a_wrong_size_counts_where_the_detector_is_sure_of_it(grid: ModuleType) -> None:
    told = [(0.9, True)] * 47 + [(0.4, False)] * 2 + [(0.6, False)]
    tally = grid.Tally("x4, caption", None, Counter({"exact": 47, "wrong": 3}), said=told)
    assert (tally.sure_wrong, tally.met) == (0.02, True)
    tally.said.append((0.51, False))
    assert not tally.met
    rows = {row[0]: row[1:] for row in grid.confidence_rows([tally])}
    assert (rows["0.9 to 0.95"], rows["0.3 to 0.5"], rows["0.99 to 1.0"]) == ([47, "100"], [2, "0"], [0, ""])


def test_scant_works_are_told_apart_never_hidden(grid: ModuleType) -> None:
    """A plain image has no edge that could tell of an enlargement."""
    plain = grid.Work("plain", np.full((8, 8, 3), 9, np.uint8))
    told = grid.tally(next(one for one in grid.CONDITIONS if one.name == "x4"), [plain], seed=0)
    assert (told.answers.total(), told.scant.total()) == (0, 1)
    assert next(grid.answer_rows([told]))[-2] == "0 of 1"


def test_the_style_benchmark_races_every_way_against_the_reference(run: Run, tmp_path: Path) -> None:
    options = ["--pairs", "1", "--side", "64", "--iterations", "3", "--rounds", "1"]
    done = run("benchmarks/style.py", *options, "--json", str(tmp_path / "figures.json"))
    assert done.stderr == ""
    runs = json.loads((tmp_path / "figures.json").read_text())
    assert [run["name"].split(",")[0] for run in runs] == [
        "Adam 0.003", "Adam 0.003", "Adam 0.03", "L-BFGS", "Adam 0.03", "Adam 0.03",
    ]  # fmt: skip
    assert runs[0]["iterations"] == 3
    assert all(0 < run["iterations"] < 30 for run in runs)
    met = runs[-1]["reached"] and runs[0]["seconds"] >= 4 * runs[-1]["seconds"]
    assert done.returncode == (0 if met else 1)
    assert all(f"| {run['name']} |" in done.stdout for run in runs)


@pytest.mark.shared
def test_the_benchmark_on_real_faces_measures_every_figure(run: Run, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    options = ["--faces", "4", "--iterations", "1", "--patches", "4000"]
    options += ["--json", str(tmp_path / "figures.json"), "--sheet", str(tmp_path / "sheet.png")]
    done = run("benchmarks/style_faces.py", *options)
    assert done.stderr == ""
    found = json.loads((tmp_path / "figures.json").read_text())
    assert list(found) == ["left_out", "style"]
    figures = [figure for ground in found.values() for figure in ground["figures"]]
    assert [figure["met"] for figure in figures[:3]] == [True, True, True]
    bounded = {"left_out": [0.8, None] * 3, "style": [None, 0.8] * 3}
    assert {ground: [one["most"] for one in of["figures"][3:]] for ground, of in found.items()} == bounded
    assert done.returncode == (0 if all(figure["met"] for figure in figures) else 1)
    assert (tmp_path / "sheet-left_out.png").read_bytes() != (tmp_path / "sheet-style.png").read_bytes()


@pytest.mark.shared
def test_the_sweep_over_style_layers_runs(run: Run, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    options = ["--faces", "1", "--iterations", "1", "--json", str(tmp_path / "rows.json")]
    done = run("experiments/style_layers.py", *options)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert rows[-1]["name"].endswith("cell canvas")
    assert rows[-1]["grid_alignment"] == 1
    assert all(row["grid_alignment"] < 0.5 for row in rows[:-1])
    assert sum(row["name"].startswith("distilled: ") for row in rows) == 6


@pytest.fixture
def distilled(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import distilled

    return distilled


def test_the_distilled_network_under_torchvisions_keys_computes_the_same(distilled: ModuleType) -> None:
    """Away from the border, where it pads with the mean colour and its origin by reflection."""
    shapes = {"conv0": (3, 3, 1, 1), "conv11": (4, 3, 3, 3), "conv12": (5, 4, 3, 3)}
    seeded = torch.Generator().manual_seed(0)
    own = {f"{name}.weight": torch.randn(shape, generator=seeded) for name, shape in shapes.items()}
    own |= {f"{name}.bias": torch.randn(shape[0], generator=seeded) for name, shape in shapes.items()}
    image = torch.rand(1, 3, 12, 12, generator=seeded)
    network = VGG19(distilled.renamed(own))
    assert network.layers == ("conv1_1", "conv1_2")
    x = functional.conv2d(image, own["conv0.weight"], own["conv0.bias"])
    for name, layer in (("conv11", "conv1_1"), ("conv12", "conv1_2")):
        x = functional.conv2d(x, own[f"{name}.weight"], own[f"{name}.bias"], padding=1).relu()
        found = network(2 * image - 1, [layer])[layer]
        torch.testing.assert_close(found[..., 2:-2, 2:-2], x[..., 2:-2, 2:-2], atol=1e-4, rtol=1e-4)


@pytest.fixture
def real_faces(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import real_faces

    return real_faces


def test_kid_is_the_unbiased_estimate_written_out(real_faces: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x, y, far = rng.standard_normal((9, 5)), rng.standard_normal((7, 5)), rng.standard_normal((7, 5)) + 3

    def mean(one: np.ndarray, other: np.ndarray) -> float:
        pairs = [(a, b) for i, a in enumerate(one) for j, b in enumerate(other) if one is not other or i != j]
        return float(np.mean([(a @ b / 5 + 1) ** 3 for a, b in pairs]))

    assert real_faces.kid(x, y) == pytest.approx(mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert real_faces.kid(x, far) > 10 * abs(real_faces.kid(x, y))


def save_plain(path: Path, palette: int | None) -> Path:
    """A small cell generator that draws the mean of each cell, then chooses so many colours."""
    torch.manual_seed(0)
    shape = Shape(generator="cell", width=8, blocks=1, size=192, cells=48, palette=palette, critics=8)
    net = CellGenerator(shape.cell_shape)
    net.start_plain()
    save(path, net, shape)
    return path


@pytest.fixture
def plain_weights(tmp_path: Path) -> Path:
    return save_plain(tmp_path / "plain.safetensors", 16)


def busts(count: int) -> list[np.ndarray]:
    return [without_alpha(portrait(np.random.default_rng(number), 32)) for number in range(count)]


def test_only_a_method_that_returns_the_truth_is_without_error(real_faces: ModuleType) -> None:
    drawn = real_faces.samples(busts(6), "busts")
    truths = {one.smooth.tobytes(): one.truth for one in drawn}
    by = {"truth": lambda smooth, _: truths[smooth.tobytes()], "nearest": resample.nearest}
    found = real_faces.judged(drawn, by)
    assert found["pictures"] == 6
    perfect, nearest = found["methods"]["truth"], found["methods"]["nearest"]
    assert [perfect[name] for name in ("error", "within", "lines", "accents")] == [0, 1, 1, 1]
    assert perfect["lone"] == perfect["lone_truth"] == nearest["lone_truth"] < nearest["lone"]
    assert perfect == found["methods"]["the art itself"]
    assert nearest["error"] > 1
    assert all(nearest[name] < 1 for name in ("within", "lines", "accents"))
    assert perfect["intervals"]["error"] == (0, 0)
    for name, (low, high) in nearest["intervals"].items():
        assert low < nearest[name] < high
    assert set(nearest["intervals"]) == {"error", "within", "lines", "accents", "lone", "lone_truth"}


def test_what_is_demanded_of_perfect_drawings_is_met_and_of_majority_missed(real_faces: ModuleType) -> None:
    drawn = real_faces.samples(busts(3), "busts")
    truths = {one.smooth.tobytes(): one.truth for one in drawn}
    majority = partial(baselines.majority_palette, colours=16, seed=0)

    def demanded(weights: Callable[..., np.ndarray], share: float | None) -> list[bool]:
        found = real_faces.judged(drawn, {"weights": weights, "majority + 16": majority})
        return [one.met for one in real_faces.demands_of_pairs("busts", found, share)]

    for share in (None, 0.5):
        assert demanded(lambda smooth, _: truths[smooth.tobytes()], share) == [True] * 5
    assert demanded(majority, 0.5) == [False, True, True, True, True]
    assert not any(demanded(resample.nearest, None))


def good_report() -> dict[str, Any]:
    """Figures that meet every bound, by a hair."""
    majority = {"error": 6.0, "within": 0.5, "lines": 0.7, "accents": 0.6, "lone": 0.06, "lone_truth": 0.03}
    ours = {"error": 2.5, "within": 0.88, "lines": 0.94, "accents": 0.92, "lone": 0.026, "lone_truth": 0.03}
    half = {**majority, "error": 3.0, "lone": 0.0}
    pairs = {"48": ours, "24": half, "monsters": {**half, "error": 4.19}}
    methods = {name: {"methods": {"majority + 16": majority, "weights": row}} for name, row in pairs.items()}
    least = {"48": 0.95, "32": 0.85}
    faces = {cells: {"methods": {"weights": {"found": one, "accents": 0.85}}} for cells, one in least.items()}
    return {
        "heads": {"48": methods["48"], "24": methods["24"]}, "works": {"monsters": methods["monsters"]}, "faces": faces,
        "stability": {"weights": {"to_the_eye": 0.2}}, "milliseconds": {"together": 30.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "missed"),
    [
        (("heads", "48", "error"), 2.51, "heads, 48 cells: error x100"),
        (("heads", "48", "within"), 0.879, "heads, 48 cells: within"),
        (("heads", "48", "lines"), 0.939, "heads, 48 cells: lines"),
        (("heads", "48", "accents"), 0.919, "heads, 48 cells: accents"),
        (("heads", "48", "lone"), 0.036, "heads, 48 cells: lone cells, off the art's"),
        (("heads", "48", "lone"), 0.024, "heads, 48 cells: lone cells, off the art's"),
        (("heads", "24", "error"), 3.01, "heads, 24 cells: error, of majority's"),
        (("heads", "24", "within"), 0.49, "heads, 24 cells: within"),
        (("works", "monsters", "error"), 4.21, "monsters: error, of majority's"),
        (("works", "monsters", "lone"), 0.061, "monsters: lone cells, off the art's"),
        (("faces", "48", "found"), 0.94, "faces, 48 cells: found"),
        (("faces", "32", "found"), 0.84, "faces, 32 cells: found"),
        (("faces", "32", "accents"), 0.84, "faces, 32 cells: accents"),
        (("stability",), {"weights": {"to_the_eye": 0.21}}, "moved by a source pixel: cells that change"),
        (("milliseconds",), {"together": 30.1}, "ms of CPU, a face on 48 cells"),
    ],
)
def test_each_figure_of_the_judge_has_its_own_bound(
    real_faces: ModuleType, place: tuple[str, ...], value: Any, missed: str
) -> None:
    report = good_report()
    assert all(one.met for one in real_faces.demands(report))
    if len(place) == 1:
        report[place[0]] = value
    else:
        group, name, figure = place
        report[group][name]["methods"]["weights"][figure] = value
    assert [one.what for one in real_faces.demands(report) if not one.met] == [missed]


def test_without_a_detector_nothing_is_demanded_of_it(real_faces: ModuleType) -> None:
    report = good_report()
    report["faces"]["48"]["methods"]["weights"]["found"] = None
    names = [one.what for one in real_faces.demands(report)]
    assert "faces, 48 cells: found" not in names
    assert "faces, 48 cells: accents" in names


@pytest.mark.parametrize(("palette", "colours"), [(16, 16), (5, 5), (None, 16)])
def test_the_judge_draws_as_the_command_convert_does_with_the_colours_of_the_weights(
    real_faces: ModuleType, tmp_path: Path, palette: int | None, colours: int
) -> None:
    weights = str(save_plain(tmp_path / "plain.safetensors", palette))
    face = real_faces.samples(busts(1), "busts")[0].smooth
    write_png(tmp_path / "face.png", face)
    command.run(
        [str(tmp_path / "face.png")], tmp_path / "out", method="cell", cells="24", colours=None, palette=None, scale=2,
        force=False, trained=tmp_path, device="cpu", weights=weights,
    )  # fmt: skip
    drawn = real_faces.painter(weights)(face, (24, 24))
    assert (read_rgb(tmp_path / "out" / "face.png") == drawn).all()
    assert colours // 2 < len(np.unique(drawn.reshape(-1, 3), axis=0)) <= colours


def test_a_head_is_the_top_of_a_portrait_and_a_work_stands_on_its_ground(real_faces: ModuleType) -> None:
    """Colours say where a pixel was: red its row, green its column."""
    rgba = np.zeros((80, 70, 4), np.uint8)
    rgba[..., 0], rgba[..., 1] = np.indices((80, 70))
    rgba[5:75, 6:66, 3] = 255
    top = real_faces.head(rgba, "a", 48)
    assert (top[0, 0, :2] == (5, 12)).all()
    assert (top[-1, -1, :2] == (52, 59)).all()
    part = real_faces.head(rgba, "a", 24)
    y, x = part[0, 0, :2] - np.array((5, 12))
    assert (part == top[y : y + 24, x : x + 24]).all()
    larger = real_faces.head(rgba, "a", 80)
    ground = real_faces.on_ground(rgba, "a")[1]
    assert (larger[:10] == ground).all()
    assert (larger[10:, 10:70, 0] == np.arange(5, 75)[:, None]).all()

    small = real_faces.whole_or_part(rgba[:30, :20], "a", 48)
    assert small.shape == (25 + 4, 14 + 4, 3)
    assert (small[2:-2, 2:-2, 1] == np.arange(6, 20)).all()
    assert (np.concatenate([small[:2].reshape(-1, 3), small[:, -2:].reshape(-1, 3)]) == ground).all()
    large = real_faces.whole_or_part(rgba, "a", 48)
    assert (large[-1, -1, :2] - large[0, 0, :2] == 47).all()


def test_a_move_by_one_source_pixel_changes_what_it_moves(real_faces: ModuleType) -> None:
    flat, noise = np.full((65, 65, 3), 90, np.uint8), np.random.default_rng(0).integers(0, 256, (65, 65, 3), np.uint8)
    assert real_faces.changed(resample.nearest, flat, 16) == (0, 0)
    eye, bits = real_faces.changed(resample.nearest, noise, 16)
    assert 0.95 < eye <= bits <= 1
    striped = 90 + np.indices((65, 65, 3), np.uint8)[1] % 2
    assert real_faces.changed(resample.nearest, striped, 16) == (0, 1)


@pytest.mark.shared
def test_held_out_portraits_are_those_of_the_list_and_none_else(real_faces: ModuleType, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    listed = (ROOT / "benchmarks" / "held_out.txt").read_text().splitlines()
    assert listed == sorted(set(listed))
    found = [path for path, _ in real_faces.portraits(ROOT / "benchmarks" / "held_out.txt", None)]
    assert len(found) > 100
    assert all(any(name in path for path in found) for name in listed)
    assert all(any(f"__{name}" in path for name in listed) for path in found)
    (tmp_path / "other.txt").write_text("nobody\n")
    with pytest.raises(BadInput, match="found none"):
        real_faces.portraits(tmp_path / "other.txt", None)


@pytest.mark.shared
def test_the_judge_of_weights_measures_every_figure(run: Run, plain_weights: Path, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    options = ["--weights", str(plain_weights), "--cells", "24", "48", "--works", "2", "--faces", "3"]
    options += ["--json", str(tmp_path / "figures.json"), "--sheet", str(tmp_path / "sheet.png")]
    done = run("benchmarks/real_faces.py", *options)
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads((tmp_path / "figures.json").read_text())
    assert list(result["heads"]) == ["24", "48"]
    assert list(result["works"]) == ["other heads", "monsters", "people", "overworld", "items", "scenes"]
    for group in (*result["heads"].values(), *result["works"].values()):
        rows = group["methods"]
        assert group["pictures"] == 2
        assert rows["the art itself"]["error"] == 0 < rows["majority + 16"]["error"] < rows["box + 16"]["error"]
        assert rows["majority + 16"]["lone"] < rows["nearest"]["lone"]
        for row in rows.values():
            low, high = row["intervals"]["error"]
            assert low <= row["error"] <= high
    for group in result["faces"].values():
        assert group["pictures"] == 3
        assert group["methods"]["weights"]["colours"] <= 16 < group["methods"]["nearest"]["colours"]
        assert group["methods"]["weights"]["lone"] < group["methods"]["nearest"]["lone"]
    assert set(result["stability"]) == set(result["sets"]["methods"]) - {"the art itself"}
    assert list(result["stability"]["weights"]) == ["to_the_eye", "at_all", "128 px", "256 px"]
    assert result["milliseconds"]["network"] > 0 < result["milliseconds"]["colours"]
    missed = {one["what"] for one in result["demands"] if not one["met"]}
    assert {"heads, 48 cells: error x100", "heads, 24 cells: error, of majority's", "monsters: lines"} <= missed
    assert done.stdout.count("MISSED") == len(missed)
    faces, pairs = (read_rgb(tmp_path / f"sheet-{name}.png") for name in ("faces", "pairs"))
    assert (faces.shape, pairs.shape) == ((3 * 288, 4 * 288, 3), (2 * 288, 4 * 288, 3))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the benchmarks look for tars of real pictures: an empty folder."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import real_data

    monkeypatch.setattr(real_data, "SHARED", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "data").mkdir(parents=True)
    return tmp_path / "elsewhere" / "data"


@pytest.mark.parametrize(
    ("script", "options", "tar"),
    [
        ("benchmarks/real_faces.py", [], "pixel_faces"),
        ("benchmarks/style_faces.py", [], "anime_faces_256"),
        ("benchmarks/grid.py", [], "pixel_faces"),
        ("benchmarks/dedup.py", ["--parts", "distinct"], "pixel_tiles"),
        ("experiments/style_layers.py", [], "anime_faces_256"),
        ("experiments/resnet_pairs.py", ["out"], "pixel_faces"),
        ("experiments/portraits.py", ["out"], "pixel_faces"),
    ],
)
def test_without_real_data_a_script_says_which_file_it_misses_and_what_names_the_folder(
    run: Run, elsewhere: Path, tmp_path: Path, script: str, options: list[str], tar: str
) -> None:
    done = run(script, *options)
    assert done.returncode == 2
    assert f"{elsewhere / tar}.tar: no such file; expected FACETOPIX_SHARED to name" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.shared
def test_the_judge_of_weights_misses_works_before_it_draws_anything(run: Run, elsewhere: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    for path in SHARED.glob("*.tar"):
        if path.stem != "pixel_scenes":
            (elsewhere / path.name).symlink_to(path)
    done = run("benchmarks/real_faces.py", "--works", "1", "--faces", "2")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{elsewhere / 'pixel_scenes'}.tar: no such file; expected FACETOPIX_SHARED to name" in done.stderr


def test_weights_that_cannot_be_judged_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    done = run("benchmarks/real_faces.py", "--weights", str(tmp_path / "none.safetensors"))
    assert done.returncode == 2
    assert "none.safetensors: not the weights of a facetopix generator" in done.stderr
