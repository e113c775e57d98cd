"""A training that is killed at any moment, its checkpoints and its locks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import PARAMS, ROOT, draw_split, with_train

from pipeline.cyclegan import training
from pipeline.cyclegan.checkpoints import Checkpoint, read
from pipeline.cyclegan.job import Job
from pipeline.errors import BadInput
from pipeline.runtime import fingerprint
from pipeline.runtime.devices import run_name


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_split(tmp_path_factory.mktemp("split"))


@pytest.mark.timeout(900)
def test_a_training_that_is_killed_again_and_again_ends_with_the_very_same_bytes(tmp_path: Path) -> None:
    """At random moments, every other time while a checkpoint is written: in processes of the benchmark's own."""
    command = [sys.executable, ROOT / "benchmarks" / "resume.py", "--generators", "cell"]
    options = ["--kills", "10", "--epochs", "12", "--json", tmp_path / "figures.json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (figures,) = json.loads((tmp_path / "figures.json").read_text())
    assert figures["identical"]
    assert figures["kills"] == 10
    assert figures["torn"] >= 2, "no kill hit a save"


def save_steps(folder: Path, *steps: int) -> Checkpoint:
    checkpoint = Checkpoint(folder)
    with checkpoint.locked():
        for step in steps:
            checkpoint.save({"step": step, "weights": torch.full((5000,), float(step))})
    return checkpoint


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes({"torn": bytes(data[: len(data) // 2]), "empty": b"", "zeros": bytes(len(data))}.get(how, data))


@pytest.mark.parametrize("how", ["torn", "empty", "zeros", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it_with_a_word(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = save_steps(tmp_path / "run", 1, 2)
    damage(checkpoint.file, how)
    data = checkpoint.newest()
    assert data is not None
    assert read(data)["step"] == 1
    assert "checkpoint.pt: damaged; going back to the checkpoint before it" in caplog.text


def test_when_no_checkpoint_is_whole_nothing_is_lost_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    checkpoint = save_steps(tmp_path / "run", 1, 2)
    damage(checkpoint.file, "torn")
    damage(checkpoint.previous, "flipped")
    with pytest.raises(BadInput, match=r"damaged, not a whole checkpoint; remove .*run to start afresh"):
        checkpoint.newest()
    assert checkpoint.file.is_file()


def test_a_kill_between_the_two_renames_leaves_the_previous_one(tmp_path: Path) -> None:
    checkpoint = save_steps(tmp_path / "run", 1, 2)
    checkpoint.file.unlink()
    data = checkpoint.newest()
    assert data is not None
    assert read(data)["step"] == 1


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def test_a_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "was here"
    checkpoint = save_steps(tmp_path / "run", 1)
    torch.save({"step": 2, "weights": Hostile(trace)}, checkpoint.file)
    data = checkpoint.newest()
    assert data is not None
    with pytest.raises(BadInput, match="refused: not a checkpoint of plain data"):
        read(data)
    assert not trace.exists()
    torch.load(checkpoint.file, weights_only=False)  # it would have
    assert trace.exists()


SECOND = """
import sys
from pathlib import Path
from pipeline.cyclegan.checkpoints import Checkpoint
with Checkpoint(Path(sys.argv[1])).locked(patience=0):
    pass
"""


def test_two_processes_do_not_train_the_same_thing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Checkpoint(folder).locked():
        command = [sys.executable, "-c", SECOND, str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "another process is training this very thing" in done.stderr


def test_trainings_that_were_given_up_do_not_pile_up_and_running_ones_stay(tmp_path: Path) -> None:
    for number in range(7):
        folder = save_steps(tmp_path / f"run{number}", 1).folder
        os.utime(folder, (number, number))
    ours = save_steps(tmp_path / "ours", 1)
    with Checkpoint(tmp_path / "run1").locked():
        os.utime(tmp_path / "run1", (1, 1))
        ours.make_room(most=3)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["ours", "run1", "run4", "run5", "run6"]


def job(split: Path, **changes: object) -> Job:
    values = {
        "generator": "cell", "split": split, "grid": split / "grid", "out": split, "curves": split, "state": split,
        "params": PARAMS.train,
        "resize": PARAMS.resize, "epochs": 2, "seed": 1, "device": "cpu",
    }  # fmt: skip
    return Job(**{**values, **changes})  # type: ignore[arg-type]


def test_the_fingerprint_follows_all_that_decides_the_result(split: Path, tmp_path: Path) -> None:
    other = draw_split(tmp_path / "split")
    (other / "pixel/train/p0.png").write_bytes((other / "pixel/train/p1.png").read_bytes())
    facts = [
        job(split).facts(), job(split).facts(processes=2), job(split, seed=2).facts(), job(split, epochs=3).facts(),
        job(split, generator="resnet").facts(), job(other).facts(),
        *(
            job(split, params=with_train(**{key: value}).train).facts()
            for key, value in (
                ("threads", 2), ("precision", "bf16"), ("replay", 5), ("cell", {"batch_size": 1}),
                ("cell", {"ema": 0.5}), ("cell", {"pairs": 0.5}), ("cell", {"pool": 9}), ("cell", {"cells": [16]}),
            )
        ),
    ]  # fmt: skip
    relabelled, redrawn = draw_split(tmp_path / "relabelled"), draw_split(tmp_path / "redrawn")
    manifest = relabelled / "manifest.jsonl"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"p0"', '"p9"'), encoding="utf-8")
    natives = redrawn / "grid/images"
    (natives / "train-p0.png").write_bytes((natives / "train-p1.png").read_bytes())
    facts += [job(relabelled).facts(), job(redrawn).facts()]
    prints = [run_name(values, training.__name__) for values in facts]
    prints.append(run_name(facts[0], "pipeline.cyclegan.translate"))  # other code
    assert len(set(prints)) == len(prints)
    assert run_name(job(split).facts(), training.__name__) == prints[0]


def test_what_pairs_learn_from_does_not_count_where_there_are_none(split: Path, tmp_path: Path) -> None:
    redrawn = draw_split(tmp_path)
    (redrawn / "grid/images/train-p0.png").unlink()
    more = with_train(cell={"pool": 9}).train
    assert job(split, generator="resnet").facts() == job(redrawn, generator="resnet", params=more).facts()


def test_the_code_of_a_training_is_every_module_it_computes_with() -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in fingerprint.closure(training.__name__)}
    computing = {
        "models/cyclegan/train.py", "models/cyclegan/networks.py", "models/cyclegan/cycle_losses.py",
        "models/cyclegan/replay.py", "models/cyclegan/distributed.py", "models/tensors/__init__.py",
        "pipeline/cyclegan/generators.py", "pipeline/cyclegan/samples.py", "pipeline/runtime/seeds.py",
        "pipeline/runtime/files.py",
    }  # fmt: skip
    assert computing <= modules
