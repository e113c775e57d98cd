"""Several processes at one training: `torchrun` through the front door, two processes that talk over gloo."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import ROOT, draw_split, train, with_train

from models.cyclegan.distributed import Workers
from pipeline.cyclegan.training import Training
from pipeline.errors import BadParams

pytestmark = pytest.mark.timeout(900)
EPOCHS = 2
UNPAIRED = {"pairs": 0.0, "batch_size": 2, "images_per_epoch": 4}  # two epochs of two steps
BOTH = with_train(generators=["cell"], cell=UNPAIRED)  # of both processes
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy with a split and parameters, as the command wants them."""
    folder = tmp_path_factory.mktemp("home")
    draw_split(folder / "data" / "split")
    text = (ROOT / "tests" / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("[resnet, cell]", "[cell]").replace("pairs: 1.0", "pairs: 0.0")
    text = text.replace("images_per_epoch: 8", "images_per_epoch: 4")
    (folder / "params.yaml").write_text(text)
    return folder


TORCHRUN = [
    sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
    "-m", "pipeline", "--device", "cpu", "train",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(home: Path) -> Path:
    done = subprocess.run(TORCHRUN, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (home / "stderr").write_text(done.stderr)
    return home


@pytest.fixture(scope="module")
def alone(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alone")
    train(home / "data" / "split", root, BOTH, epochs=EPOCHS)
    return root


def curve(folder: Path, name: str) -> list[float]:
    lines = (folder / "plots/metrics/train" / f"{name}.tsv").read_text().splitlines()[1:]
    return [float(line.split("\t")[1]) for line in lines]


def test_two_processes_take_the_steps_of_one(shared: Path, alone: Path) -> None:
    """Replay, sampling and mirrors go by the place in the whole batch: only the order of sums differs."""
    for name in ("generators", "disc_a", "disc_b", "adversarial_a2b", "cycle_a", "cycle_b", "identity_a"):
        ours, theirs = curve(shared / "plots/train/cell", name), curve(alone / "plots/cell", name)
        assert len(ours) == 4
        assert ours[0] == pytest.approx(theirs[0], rel=1e-6), name
        assert ours == pytest.approx(theirs, rel=1e-3), name


def test_two_processes_come_to_the_weights_of_one(shared: Path, alone: Path) -> None:
    """Adam divides rounding by its own size where a gradient is next to nothing, so weights are compared as wholes."""
    for net in ("a2b", "b2a"):
        ours = load_file(shared / f"artifacts/cyclegan/cell/{net}.safetensors")
        theirs = load_file(alone / f"cyclegan/cell/{net}.safetensors")
        assert ours.keys() == theirs.keys()
        mine, plain = (torch.cat([values[key].flatten() for key in sorted(theirs)]) for values in (ours, theirs))
        assert float((mine - plain).norm() / plain.norm()) < 0.01, net


def test_only_the_first_process_writes(shared: Path) -> None:
    assert (shared / "stderr").read_text().count("train cell: curves while it trains") == 1
    assert len((shared / ".state/runs.jsonl").read_text().splitlines()) == 1
    assert not list((shared / ".state" / "train").iterdir())
    facts = json.loads((shared / "artifacts/cyclegan/cell/training.json").read_text())
    assert facts["processes"] == 2


def test_both_processes_go_on_where_they_were_killed(shared: Path, tmp_path: Path) -> None:
    """torchrun itself is killed: its processes notice, save and end."""
    home = tmp_path / "home"
    shutil.copytree(shared / "data", home / "data")
    shutil.copy(shared / "params.yaml", home / "params.yaml")
    victim = subprocess.Popen(TORCHRUN, cwd=home, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(home.glob(".state/train/*/checkpoint.pt")):
        assert victim.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    done = subprocess.run(TORCHRUN, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for net in ("a2b", "b2a"):
        ours, theirs = (root / f"artifacts/cyclegan/cell/{net}.safetensors" for root in (home, shared))
        assert ours.read_bytes() == theirs.read_bytes()


def test_processes_that_do_not_divide_the_batch_are_a_parameter_error(home: Path, tmp_path: Path) -> None:
    from test_goes_on import job

    uneven = job(home / "data" / "split", params=with_train(cell={"batch_size": 3}).train, state=tmp_path)
    with pytest.raises(
        BadParams, match=r"train\.cell\.batch_size: expected a multiple of 2, the number of processes, got 3"
    ):
        Training(uneven, Workers(rank=0, size=2))


def test_the_shares_of_a_batch_are_the_whole_of_it() -> None:
    places = np.arange(12)
    parts = [places[Workers(rank=rank, size=3).share(12)] for rank in range(3)]
    assert np.array_equal(np.concatenate(parts), places)
    assert {len(part) for part in parts} == {4}


def test_a_process_alone_averages_and_gathers_nothing() -> None:
    value = torch.ones(2, 3, 4, 4)
    Workers().average_([value])
    assert torch.equal(Workers().gather(value), torch.ones(2, 3, 4, 4))
