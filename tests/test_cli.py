"""The command line through its three doors: exit codes, one line per error, JSON alone on stdout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.convert.command import SHIPPED_WEIGHTS
from pipeline.images.files import write_png
from pipeline.sample.galleries import site
from pipeline.sample.params import Sample

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COMMANDS = [
    "scrape", "scrape-page", "add", "import-art", "faces", "dedup", "flatten", "grid", "resize", "split", "train",
    "translate", "stylize", "evaluate", "report", "convert", "activations", "pairs", "inspect", "export", "forget",
    "clean",
]  # fmt: skip
SAMPLE = Sample(revision="x", pixeljoint=6, lospec=6, pixiehaus=6, faces=8)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "tests" / "params.yaml", tmp_path / "params.yaml")
    return tmp_path


def facetopix(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(home, str(BIN / "facetopix"), *arguments)


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_every_command_has_help() -> None:
    done = facetopix(ROOT, "--help")
    assert done.returncode == 0
    listed = re.findall(r"^\W*([a-z]+(?:-[a-z]+)*)\s{2,}[A-Z]", done.stdout, re.MULTILINE)
    assert set(COMMANDS) <= set(listed)


def test_help_does_not_load_torch() -> None:
    code = "import sys, pipeline.cli; sys.exit('torch' in sys.modules or 'imagehash' in sys.modules)"
    assert run(ROOT, sys.executable, "-c", code).returncode == 0


def test_three_doors_lead_to_the_same_commands(home: Path) -> None:
    for door in (
        [str(BIN / "facetopix")],
        [sys.executable, "-m", "pipeline"],
        [str(BIN / "typer"), "pipeline.cli", "run"],
    ):
        done = run(home, *door, "inspect", "nothing.png")
        assert done.returncode == 3, done.stderr
        assert "nothing.png: no such file or folder" in done.stderr


def test_a_wrong_parameter_stops_every_stage_with_code_3_and_one_line(home: Path) -> None:
    text = (home / "params.yaml").read_text(encoding="utf-8")
    (home / "params.yaml").write_text(text.replace("max_cell: 16", "max_cell: 200"), encoding="utf-8")
    for command in ("scrape --source lospec", "grid", "train", "report"):
        done = facetopix(home, *command.split())
        assert done.returncode == 3
        assert done.stderr.strip() == (
            "facetopix: params.yaml: grid.max_cell: expected a number >= 2 and <= 128, got 200"
        )
    assert not (home / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["scrape", "--source", "nope"], ["scrape"], ["dance"], ["grid", "--speed", "9"], ["convert", "x.png"],
    ],
)  # fmt: skip
def test_wrong_usage_is_code_2(home: Path, arguments: list[str]) -> None:
    done = facetopix(home, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_stage_without_its_input_names_what_to_run(home: Path) -> None:
    done = facetopix(home, "flatten")
    assert done.returncode == 3
    assert "data/dedup/manifest.jsonl: no manifest; run the stage that makes data/dedup first" in done.stderr


BUG = "import sys; from pipeline import cli; from pipeline.curate.importing import stage; stage.run = None; cli.main()"


def test_a_bug_is_code_1_in_one_line_and_a_traceback_with_debug(home: Path) -> None:
    quiet, loud = (
        run(home, sys.executable, "-c", BUG, *options) for options in (["import-art"], ["--debug", "import-art"])
    )
    assert quiet.returncode == 1
    assert len(quiet.stderr.strip().splitlines()) == 1
    assert "Traceback" in loud.stderr


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("data", ["import-art"]),
        (".state", ["import-art"]),
        ("out", ["convert", "a.png", "--out", "out", "--method", "majority"]),
        ("x", ["import-art", "--out", "x" * 252]),
        ("x", ["import-art", "--out", "/sys/facetopix"]),
        ("sheets", ["inspect", "a.png", "--sheet", "sheets/s.png"]),
    ],
)
def test_places_that_cannot_be_written_are_told_in_one_line(home: Path, place: str, arguments: list[str]) -> None:
    """A file where a folder is made, a name that is too long, a tree that nobody writes to."""
    write_png(home / "a.png", np.zeros((32, 32, 3), np.uint8))
    (home / place).write_text("a file where a folder is made")
    done = facetopix(home, "-q", *arguments)
    assert done.returncode in (3, 6)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "bug" not in done.stderr


def test_a_name_of_250_bytes_is_as_good_as_any(home: Path) -> None:
    name = "\u00e9" * 122 + "x" * 6
    write_png(home / "in" / f"{'y' * 246}.png", np.zeros((32, 32, 3), np.uint8))
    assert facetopix(home, "add", "art", "in").returncode == 0
    assert facetopix(home, "import-art", "--out", name[:120]).returncode == 0
    assert facetopix(home, "inspect", "in", "--sheet", f"{name[:-4]}.png").returncode == 0
    assert (home / f"{name[:-4]}.png").is_file()
    done = facetopix(home, "convert", "in", "--out", "out", "--method", "majority")
    assert done.returncode in (0, 3)
    assert "bug" not in done.stderr


def test_two_stages_at_once_do_not_write_one_folder(home: Path) -> None:
    """The second says so, and the first ends as if it had been alone."""
    write_png(home / "in" / "a.png", np.eye(32, dtype=np.uint8)[..., None].repeat(3, 2) * 255)
    facetopix(home, "add", "art", "in")
    hold = "import sys, subprocess; from pathlib import Path; from pipeline.runtime.files import output_dir\n"
    hold += "with output_dir(Path('data/raw/inputs')) as out:\n    (out / 'manifest.jsonl').write_text('')\n"
    hold += "    sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    done = run(home, sys.executable, "-c", hold, str(BIN / "facetopix"), "import-art")
    assert done.returncode == 3
    assert done.stderr.strip() == (
        "facetopix: data/raw/inputs: another process is writing this folder; wait for it to end"
    )
    assert (home / "data" / "raw" / "inputs.partial" / "manifest.jsonl").is_file()
    assert facetopix(home, "import-art").returncode == 0


def test_from_a_subfolder_the_working_copy_is_meant_and_own_paths_are_own_paths(home: Path) -> None:
    shutil.copy(ROOT / "dvc.yaml", home / "dvc.yaml")
    deep = home / "notes" / "deep"
    write_png(deep / "a.png", np.eye(32, dtype=np.uint8)[..., None].repeat(3, 2) * 255)
    assert facetopix(deep, "add", "art", "a.png").returncode == 0
    assert facetopix(deep, "import-art").returncode == 0
    assert (home / "data" / "raw" / "inputs" / "manifest.jsonl").is_file()
    assert facetopix(deep, "convert", "*.png", "--out", "small", "--method", "majority").returncode == 0
    assert (deep / "small" / "a.png").is_file()
    (image,) = json.loads(facetopix(deep, "inspect", "./a.png", "--sheet", "s.png", "--json").stdout)["images"]
    assert Path(image["path"]) == deep / "a.png"
    assert (deep / "s.png").is_file()
    assert sorted(path.name for path in deep.iterdir()) == ["a.png", "s.png", "small"]
    wrong = facetopix(deep, "grid", "--params", "mine.yaml")
    assert (wrong.returncode, "deep/mine.yaml: no such parameter file" in wrong.stderr) == (3, True)


def test_global_options_may_stand_after_the_command(home: Path) -> None:
    write_png(home / "a.png", np.zeros((32, 32, 3), np.uint8))
    plain = facetopix(home, "inspect", "a.png")
    for options in (["--device", "cpu"], ["-q"], ["--quiet", "--debug"], ["--device=cpu", "-v"]):
        done = facetopix(home, "inspect", *options, "a.png")
        assert (done.returncode, done.stdout) == (0, plain.stdout), options
    assert facetopix(home, "import-art", "-q").stderr == facetopix(home, "-q", "import-art").stderr == ""
    assert "Traceback" in facetopix(home, "inspect", "none.png", "--debug").stderr
    assert facetopix(home, "inspect", "a.png", "--version").stdout == facetopix(home, "--version").stdout
    assert facetopix(home, "inspect", "a.png", "--device", "tpu").returncode == 2


def test_a_live_crawl_without_contact_is_refused_and_names_the_terms(home: Path) -> None:
    done = facetopix(home, "scrape", "--source", "lospec", "--origin", "live")
    assert done.returncode == 5
    assert "--contact" in done.stderr
    assert "terms" in done.stderr
    assert not (home / "data").exists()


def test_the_sample_is_crawled_and_said_to_be_the_sample(home: Path) -> None:
    done = facetopix(home, "scrape", "--source", "lospec", "--limit", "5", "--json")
    assert done.returncode == 0, done.stderr
    stats = json.loads(done.stdout)
    assert stats["kept"] + stats["dropped"] + stats["failed"] == stats["inputs"] == 5
    assert "procedural sample" in done.stderr
    again = json.loads(facetopix(home, "scrape", "--source", "lospec", "--limit", "5", "--json").stdout)
    assert again["new"] == 0


def test_a_replica_on_another_port_is_crawled_through_its_base_url(home: Path) -> None:
    with site.serve(SAMPLE, ["lospec"]) as addresses:
        done = facetopix(
            home, "scrape", "--source", "lospec", "--base-url", addresses["lospec"], "--out", "replica", "--json"
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inputs"] == 6
    row = json.loads((home / "replica/lospec/manifest.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert row["page_url"].startswith(addresses["lospec"])


def test_a_dry_run_plans_and_fetches_nothing(home: Path) -> None:
    done = facetopix(home, "scrape", "--source", "pixiehaus", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["robots"]["verdict"] == "allowed"
    assert not (home / "data").exists()


def test_one_page_through_its_parser(home: Path) -> None:
    page = next((ROOT / "tests/golden/pixeljoint").glob("*/page.*"))
    done = facetopix(home, "scrape-page", str(page), "--source", "pixeljoint")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_a_work_is_taken_down_and_stays_away(home: Path) -> None:
    facetopix(home, "scrape", "--source", "lospec", "--limit", "5")
    manifest = home / "data/raw/lospec/manifest.jsonl"
    work = next(
        row["id"] for row in map(json.loads, manifest.read_text(encoding="utf-8").splitlines()) if row["sha256"]
    )
    plan = json.loads(facetopix(home, "forget", "--id", work, "--dry-run", "--json").stdout)
    assert (plan["works"], plan["images"]) == ([work], 1)
    assert not (home / "inputs").exists()
    done = facetopix(home, "forget", "--id", work)
    assert done.returncode == 0, done.stderr
    assert f"{work}: 1 works" in done.stdout
    assert "uv run dvc repro" in done.stdout
    stats = json.loads(facetopix(home, "scrape", "--source", "lospec", "--limit", "5", "--json").stdout)
    assert stats["reasons"]["blocklist"] == 1
    assert facetopix(home, "forget").returncode == 3


def test_inspect_tells_the_native_size(home: Path) -> None:
    native = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    write_png(home / "art" / "a.png", native.repeat(4, 0).repeat(4, 1))
    (home / "art" / "b.png").write_bytes(b"broken")
    done = facetopix(home, "inspect", "art", "--json", "--sheet", "sheet.png")
    report = json.loads(done.stdout)
    assert report["images"][0]["cell"] == 4
    assert (report["images"][0]["native_width"], report["images"][0]["native_height"]) == (10, 12)
    assert "error" in report["images"][1]
    assert (home / "sheet.png").is_file()
    assert "native 10x12" in facetopix(home, "inspect", "art").stdout


def test_convert_writes_a_native_and_an_enlarged_picture_and_overwrites_nothing(home: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    write_png(home / "faces" / "deep" / "a.png", picture)
    arguments = ["convert", "faces", "--out", "out", "--method", "majority", "--cells", "16", "--colors", "4"]
    assert facetopix(home, *arguments).returncode == 0
    assert (home / "out/deep/a.png").is_file()
    assert (home / "out/deep/a@8x.png").is_file()
    again = json.loads(facetopix(home, *arguments, "--json").stdout)
    assert again["counts"]["reasons"] == {"exists": 1}


def test_convert_draws_with_the_shipped_generator_also_where_one_was_trained(home: Path) -> None:
    ramp = np.linspace(40, 220, 96, dtype=np.uint8)
    write_png(
        home / "a.png", np.dstack([np.tile(ramp, (96, 1)), np.tile(ramp[:, None], 96), np.full((96, 96), 90, np.uint8)])
    )
    trained = home / "artifacts/cyclegan/cell/a2b.safetensors"
    trained.parent.mkdir(parents=True)
    trained.write_bytes(b"mine")
    assert facetopix(home, "convert", "a.png", "--out", "out").returncode == 0
    native = np.array(Image.open(home / "out/a.png"))
    assert native.shape == (48, 48, 3)
    assert 2 <= len(np.unique(native.reshape(-1, 3), axis=0)) <= 16
    done = facetopix(home, "convert", "a.png", "--out", "again", "--weights", "trained")
    assert done.returncode == 3
    assert "a2b.safetensors: not the weights of a facetopix generator" in done.stderr


def test_pictures_of_any_shape_are_drawn_and_the_same_each_time(home: Path) -> None:
    """A picture of one pixel, and strips that are thinner than what a network looks around."""
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (3, 500), (400, 4), (2, 2)):
        write_png(home / "in" / f"{width}x{height}.png", rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    for out in ("one", "two"):
        assert facetopix(home, "convert", "in", "--out", out, "--cells", "24").returncode == 0
    pictures = sorted(path.name for path in (home / "one").iterdir())
    assert len(pictures) == 8
    assert all((home / "one" / name).read_bytes() == (home / "two" / name).read_bytes() for name in pictures)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors: no trained generator there"),
        (["--weights", "folder.safetensors"], "folder.safetensors: expected the .safetensors file of a generator"),
        (["--weights", "nan.safetensors"], "nan.safetensors: weights that are no numbers (NaN or infinite)"),
        (["--weights", "foreign.safetensors"], "not the weights of a facetopix generator: of another program"),
        (["--weights", "renamed.safetensors"], "not the weights of a facetopix generator: numbers that no generator"),
        (["--weights", "half.safetensors"], "half.safetensors: not the weights of a facetopix generator"),
        (["--weights", "a.png"], "a.png: not the weights of a facetopix generator"),
        (["--weights", "trained"], "a2b.safetensors: no trained generator there; run `facetopix train` first"),
        (["--weights", "shipped", "--method", "majority"], "give --weights with --method cell, not with majority"),
    ],
)
def test_weights_that_cannot_be_used_are_an_error(home: Path, options: list[str], words: str) -> None:
    write_png(home / "a.png", np.zeros((32, 32, 3), np.uint8))
    spoil_weights(home)
    done = facetopix(home, "convert", "a.png", "--out", "out", *options)
    assert done.returncode == 3
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def spoil_weights(folder: Path) -> None:
    """Files that are nearly the shipped weights."""
    (folder / "folder.safetensors").mkdir()
    with safe_open(SHIPPED_WEIGHTS, framework="np") as file:
        header, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = min(weights)
    save_file({**weights, name: np.full_like(weights[name], np.nan)}, folder / "nan.safetensors", header)
    save_file(weights, folder / "foreign.safetensors", {"format": "pt"})
    numbers = json.loads(header["facetopix"]) | {"cells": 0}
    save_file(weights, folder / "renamed.safetensors", {"facetopix": json.dumps(numbers)})
    save_file({name: weights[name]}, folder / "half.safetensors", header)


def test_convert_takes_the_style_of_an_artwork_and_says_what_its_features_are(home: Path) -> None:
    random = np.random.default_rng(0)
    write_png(home / "face.png", random.integers(0, 256, (40, 32, 3), dtype=np.uint8))
    colours = random.integers(0, 256, (5, 3), dtype=np.uint8)
    write_png(home / "art.png", colours[random.integers(0, 5, (16, 16))].repeat(4, 0).repeat(4, 1))
    arguments = ["convert", "face.png", "--out", "out", "--method", "style", "--cells", "8", "--iterations", "2"]
    done = facetopix(home, *arguments, "--style", "art.png")
    assert done.returncode == 0
    assert "random features" in done.stderr
    native = np.array(Image.open(home / "out/face.png"))
    assert native.shape == (8, 6, 3)
    assert {tuple(c) for c in native.reshape(-1, 3).tolist()} <= {tuple(c) for c in colours.tolist()}
    missing = facetopix(home, *arguments, "--style", "art.png", "--features", "vgg.safetensors")
    assert missing.returncode == 3
    assert "vgg.safetensors: not a readable safetensors file" in missing.stderr
    assert facetopix(home, *arguments).returncode == 3


def test_own_art_goes_in_and_comes_out_with_its_licence(home: Path) -> None:
    write_png(home / "mine" / "cat.png", np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    (home / "mine" / "manifest.csv").write_text("path,licence,artist\ncat.png,CC0-1.0,Ann\n", encoding="utf-8")
    assert facetopix(home, "add", "art", "mine").returncode == 0
    assert facetopix(home, "import-art").returncode == 0
    row = json.loads((home / "data/raw/inputs/manifest.jsonl").read_text(encoding="utf-8"))
    assert (row["licence"], row["artist"], row["status"]) == ("CC0-1.0", "Ann", "kept")


def test_clean_says_what_it_removes(home: Path) -> None:
    facetopix(home, "import-art")
    done = facetopix(home, "clean", "--yes")
    assert ".state/runs.jsonl: 1 files" in done.stdout
    assert not list((home / ".state").iterdir())


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"facetopix \d+\.\d+\.\d+\n", facetopix(ROOT, "--version").stdout)


@pytest.mark.parametrize("words", [("convert", "--help"), ("inspect", "cat.png", "--json")])
def test_a_reader_that_has_seen_enough_is_no_error(words: tuple[str, ...], home: Path) -> None:
    write_png(home / "cat.png", np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    reader, mouth = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(BIN / "facetopix"), *words], cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=mouth,
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(mouth)
    assert (done.returncode, done.stderr) == (1, "")


HUNGRY = """
import typer
from pipeline.console import CommandGroup

app = typer.Typer(cls=CommandGroup)


@app.callback()
def commands() -> None: ...


@app.command()
def python() -> None:
    bytearray(1 << 60)


@app.command()
def torch() -> None:
    import torch

    torch.empty(1 << 60)


app()
"""


@pytest.mark.parametrize("whose", ["python", "torch"])
def test_memory_that_ran_out_is_told_as_such_and_not_as_a_bug(whose: str, home: Path) -> None:
    done = run(home, sys.executable, "-c", HUNGRY, whose)
    assert done.returncode == 3
    assert re.fullmatch(r"facetopix: out of memory: \S.*; in training .* batch_size needs less\n", done.stderr)
