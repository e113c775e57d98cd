"""Stages that look at each image alone: the same bytes on every backend, with and without a cache, after any kill."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sprites import FOE, SERIAL, art, encoded, noise_art, scaled, stage_folder

from pipeline.curate import flatten, grid, resize
from pipeline.curate.params import Flatten, Grid
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.runtime.parallel import CHUNK
from pipeline.runtime.settings import Executor, Resize

ROOT = Path(__file__).parents[2]
FLATTEN = Flatten(policy="contrast", backgrounds=["#c8d2dc", "#5a6478"], alpha_threshold=128, max_transparent=0.97)
GRID = Grid(max_cell=16, min_confidence=0.55)
RESIZE = Resize(size=64, cells=16, min_cells=4, max_aspect=3.0, larger="tile", crop="saliency")
DISTRIBUTED = [
    pytest.param(name, marks=pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"no {module}"))
    for name, module in [("dask", "distributed"), ("ray", "ray"), ("spark", "joblibspark")]
]


def works(count: int, first: int = 0) -> dict[str, np.ndarray]:
    """Small sprites of every kind: transparent, enlarged, large enough for tiles, faint."""
    images = {}
    for number in range(first, first + count):
        rgba = noise_art(number, 6 + number % 15, 8 + number % 11)
        rgba[..., 3] = np.random.default_rng(number).choice([0, 100, 255, 255], rgba.shape[:2])
        images[f"w-{number:05}"] = scaled(rgba, 1 + number % 3) if number % 17 else rgba * 0
    return images


def stages(src: Path, out: Path, executor: Executor = SERIAL, state: Path | None = None) -> str:
    """flatten, grid and resize below `out`; one digest of all that they wrote."""
    flatten.run(src, out / "flatten", FLATTEN, executor, state)
    grid.run(out / "flatten", out / "grid", GRID, executor, state)
    resize.run(out / "grid", out / "resize", RESIZE, executor, state)
    return folder_digest(out)


def cached(caplog: pytest.LogCaptureFixture) -> dict[str, tuple[int, int]]:
    """Stage -> images, and how many of them the last run found in its cache."""
    lines = [re.fullmatch(r"(\w+): (\d+) images, (\d+) of them remembered", line) for line in caplog.messages]
    return {line[1]: (int(line[2]), int(line[3])) for line in lines if line}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of more works than two windows of two workers hold, two of them damaged; the digest of its curation."""
    folder = tmp_path_factory.mktemp("many")
    src = stage_folder(folder / "dedup", works(CHUNK * 9))
    (src / "images" / "w-00007.png").write_bytes(encoded(art(FOE))[:40])
    (src / "images" / "w-00301.png").unlink()
    return src, stages(src, folder / "serial")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize("backend", ["loky", "threading", *DISTRIBUTED])
@pytest.mark.filterwarnings("ignore")  # of the libraries for clusters
def test_every_backend_writes_the_same_bytes(many, tmp_path, monkeypatch, backend) -> None:
    if backend in ("ray", "spark"):
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests/support")]))
    src, digest = many
    assert stages(src, tmp_path / "out", Executor(backend=backend, n_jobs=2)) == digest


def test_a_second_run_computes_nothing_and_writes_the_same_bytes(many, tmp_path, log) -> None:
    src, digest = many
    assert stages(src, tmp_path / "one", state=tmp_path / "state") == digest
    log.clear()
    assert stages(src, tmp_path / "two", Executor(backend="threading", n_jobs=2), tmp_path / "state") == digest
    assert all(images == hits for images, hits in cached(log).values())
    assert set(cached(log)) == {"flatten", "grid", "resize"}


def test_new_works_alone_are_computed(tmp_path, log) -> None:
    stages(stage_folder(tmp_path / "old", works(300)), tmp_path / "one", state=tmp_path / "state")
    more = stage_folder(tmp_path / "new", {**works(300), **works(3, first=1000)})
    log.clear()
    with_cache = stages(more, tmp_path / "two", state=tmp_path / "state")
    assert cached(log)["flatten"] == (303, 300)
    assert all(images - hits <= 3 for images, hits in cached(log).values())
    assert with_cache == stages(more, tmp_path / "three")


def test_a_work_that_changed_under_its_name_is_computed(tmp_path) -> None:
    stages(stage_folder(tmp_path / "old", {"a": noise_art(1)}), tmp_path / "one", state=tmp_path / "state")
    changed = stage_folder(tmp_path / "new", {"a": noise_art(2)})
    assert stages(changed, tmp_path / "two", state=tmp_path / "state") == stages(changed, tmp_path / "three")


def test_facts_that_a_step_reads_are_part_of_its_key(tmp_path) -> None:
    """Two works of one picture: the background follows from the id (flatten) or is noted in the row (resize)."""
    sprite = art(FOE)
    twins = {f"w-{number}": sprite for number in range(12)}
    src = stage_folder(tmp_path / "src", twins)
    assert stages(src, tmp_path / "one", state=tmp_path / "state") == stages(src, tmp_path / "two")
    backgrounds = {row["background"] for row in manifest.read_kept(tmp_path / "one" / "resize")}
    assert len(backgrounds) == 2


def test_other_parameters_find_nothing_and_the_old_ones_everything(many, tmp_path, log) -> None:
    src, _ = many
    flatten.run(src, tmp_path / "one", FLATTEN, SERIAL, tmp_path / "state")
    log.clear()
    flatten.run(src, tmp_path / "two", FLATTEN.model_copy(update={"policy": "solid"}), SERIAL, tmp_path / "state")
    assert cached(log)["flatten"] == (450, 0)
    log.clear()
    flatten.run(src, tmp_path / "three", FLATTEN, SERIAL, tmp_path / "state")
    assert cached(log)["flatten"] == (450, 450)


def test_a_damaged_cache_changes_no_result(many, tmp_path) -> None:
    src, digest = many
    stages(src, tmp_path / "one", state=tmp_path / "state")
    files = sorted((tmp_path / "state" / "cache").glob("*.sqlite"))
    assert [file.stem for file in files] == ["flatten", "grid", "resize"]
    rng = np.random.default_rng(1)
    for file in files:
        data = bytearray(file.read_bytes())
        for start in rng.integers(0, len(data), 40):
            data[start : start + 30] = rng.bytes(len(data[start : start + 30]))
        file.write_bytes(data)
    assert stages(src, tmp_path / "two", state=tmp_path / "state") == digest


SCRIPT = """
import logging, sys
from pathlib import Path
from pipeline.curate import flatten
from pipeline.params import Executor, Flatten
logging.basicConfig(level=logging.INFO, format="%(message)s")
src, dst, state, params, executor = map(str, sys.argv[1:])
flatten.run(
    Path(src), Path(dst), Flatten.model_validate_json(params), Executor.model_validate_json(executor), Path(state)
)
"""


def command(src: Path, dst: Path, state: Path, executor: Executor = SERIAL) -> list[str]:
    arguments = [str(src), str(dst), str(state), FLATTEN.model_dump_json(), executor.model_dump_json()]
    return [sys.executable, "-c", SCRIPT, *arguments]


def test_a_rule_that_was_edited_never_serves_an_old_result(tmp_path) -> None:
    """The package is copied, a constant of flatten edited between two runs that share a cache."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    src = stage_folder(tmp_path / "src", {f"w-{number}": art(FOE) for number in range(8)})
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def backgrounds(name: str) -> set[str]:
        subprocess.run(command(src, tmp_path / name, tmp_path / "state"), env=environment, cwd=tmp_path, check=True)
        return {row["background"] for row in manifest.read_kept(tmp_path / name)}

    assert backgrounds("before") == {"#c8d2dc", "#5a6478"}
    file = tmp_path / "pipeline" / "curate" / "flatten.py"
    text = file.read_text(encoding="utf-8")
    assert "CONTRAST = 48.0" in text
    file.write_text(text.replace("CONTRAST = 48.0", "CONTRAST = 130.0"), encoding="utf-8")
    assert backgrounds("after") == {"#c8d2dc"}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_after_a_kill_only_what_was_in_work_is_computed_again(tmp_path, n_jobs) -> None:
    count = CHUNK * 20
    src = stage_folder(tmp_path / "src", works(count))
    executor = Executor(backend="loky", n_jobs=n_jobs)
    running = subprocess.Popen(command(src, tmp_path / "out", tmp_path / "state", executor), cwd=ROOT, stderr=-3)
    images = tmp_path / "out.partial" / "images"
    while not images.is_dir() or len(list(images.iterdir())) < count // 3:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    written = len(list(images.iterdir()))
    assert not (tmp_path / "out").exists()
    again = command(src, tmp_path / "out", tmp_path / "state", executor)
    done = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=True)
    hits = int(re.search(r"(\d+) of them remembered", done.stderr)[1])
    assert 0 < hits <= count
    assert written - hits <= 2 * CHUNK * n_jobs * 2
    assert not (tmp_path / "out.partial").exists()
    flatten.run(src, tmp_path / "straight", FLATTEN, SERIAL)
    assert folder_digest(tmp_path / "out") == folder_digest(tmp_path / "straight")


def test_a_run_that_fails_leaves_no_output_and_keeps_what_it_computed(many, tmp_path, log) -> None:
    src, _ = many
    broken = tmp_path / "src"
    shutil.copytree(src, broken)
    lines = (broken / "manifest.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (broken / "manifest.jsonl").write_text("".join([*lines[:400], "{torn"]), encoding="utf-8")
    with pytest.raises(manifest.BadInput, match=r"manifest\.jsonl:401"):
        flatten.run(broken, tmp_path / "out", FLATTEN, SERIAL, tmp_path / "state")
    assert not (tmp_path / "out").exists()
    log.clear()
    flatten.run(src, tmp_path / "out", FLATTEN, SERIAL, tmp_path / "state")
    assert cached(log)["flatten"][1] >= 200


def test_stats_say_how_many_works_are_transparent_and_how_large_the_cells_are(tmp_path) -> None:
    opaque, half, soft, large = noise_art(1), noise_art(2), noise_art(3), scaled(noise_art(4), 3)
    half[:8, :, 3] = 0
    soft[0, 0, 3], soft[0, 1, 3] = 200, 3
    src = stage_folder(tmp_path / "src", {"a": opaque, "b": half, "c": soft, "d": large, "e": half * 0})
    stages(src, tmp_path / "out")
    stats = json.loads((tmp_path / "out" / "flatten" / "stats.json").read_text(encoding="utf-8"))
    assert stats["alpha"] == {"opaque": 2, "binary": 2, "partial": 1}
    assert stats["transparent_share"] == {"0": 2, "0.0-0.1": 1, "0.4-0.5": 1, "0.9-1.0": 1}
    shares = {row["id"]: row["partial_share"] for row in manifest.read(tmp_path / "out" / "flatten")}
    assert shares == {"a": 0, "b": 0, "c": round(2 / 256, 4), "d": 0, "e": 0}
    cells = json.loads((tmp_path / "out" / "grid" / "stats.json").read_text(encoding="utf-8"))
    assert (cells["cell"], cells["enlarged"]) == ({"1": 3, "3": 1}, 1)


def test_native_art_goes_through_grid_byte_for_byte(tmp_path) -> None:
    src = stage_folder(tmp_path / "src", {"a": noise_art(1)[..., :3]})
    grid.run(src, tmp_path / "grid", GRID, SERIAL)
    name = Path("images", "a.png")
    assert (tmp_path / "grid" / name).read_bytes() == (src / name).read_bytes()
