"""The train and translate stages on a small split, kill -9 included."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import BadInput, BadParams
from pipeline.io import folder_digest, read_rgb, write_png
from pipeline.modelling import generators, train_cyclegan, translate
from pipeline.modelling.checkpoints import Checkpoint
from pipeline.params import Params, load

ROOT = Path(__file__).parents[2]
PARAMS = load(ROOT / "tests" / "params.yaml")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth faces and art on a grid of 32 cells, at 64 pixels."""
    folder, rng = tmp_path_factory.mktemp("split"), np.random.default_rng(0)
    ramp = np.linspace(0, 255, 64)
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        for number in range(count):
            colours = rng.integers(0, 256, (3, 2))
            smooth = [a + (b - a) * ramp[:, None] / 255 * np.ones((1, 64)) for a, b in colours]
            write_png(folder / "faces" / part / f"f{number}.png", np.stack(smooth, -1).astype(np.uint8))
            native = rng.integers(0, 256, (4, 3), dtype=np.uint8)[rng.integers(0, 4, (32, 32))]
            write_png(folder / "pixel" / part / f"p{number}.png", native.repeat(2, 0).repeat(2, 1))
    return folder


def train(split: Path, root: Path, params: Params = PARAMS, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "params": params.train, "resize": params.resize, "epochs": params.epochs, "seed": params.seed,
        "executor": params.executor.model_copy(update={"n_jobs": 1}), "state": root / ".state", "device": "cpu",
    }  # fmt: skip
    return train_cyclegan.run(split, root / "cyclegan", root / "plots", root / "metrics.json", **{**values, **changes})


@pytest.fixture(scope="module")
def trained(split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    train(split, root)
    return root


def test_every_generator_leaves_weights_samples_curves_and_its_facts(trained: Path) -> None:
    for name in ("resnet", "cell"):
        out = trained / "cyclegan" / name
        found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
        assert found == [
            "a2b.safetensors", "activations.json", "activations.png", "b2a.safetensors", "samples/epoch-001.png",
            "samples/epoch-002.png", "samples/inputs.png", "training.json",
        ]  # fmt: skip
        curve = (trained / "plots" / name / "plots/metrics/train/generators.tsv").read_text().splitlines()
        assert curve[0] == "step\tgenerators"
        assert curve[-1].split("\t")[0] == "8"


def test_a_finished_training_leaves_no_state(trained: Path) -> None:
    assert not list((trained / ".state" / "train").iterdir())


def test_training_twice_or_side_by_side_gives_the_same_bytes(split: Path, trained: Path, tmp_path: Path) -> None:
    train(split, tmp_path, executor=PARAMS.executor)
    assert folder_digest(tmp_path / "cyclegan") == folder_digest(trained / "cyclegan")
    assert folder_digest(tmp_path / "plots") == folder_digest(trained / "plots")


def test_other_values_give_other_weights(split: Path, trained: Path, tmp_path: Path) -> None:
    train(split, tmp_path, seed=8)
    assert folder_digest(tmp_path / "cyclegan") != folder_digest(trained / "cyclegan")


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/modelling")
from pipeline.modelling import training
from test_train import PARAMS, train

training.SAVE_EVERY = 0.0
if __name__ == "__main__":
    executor = PARAMS.executor.model_copy(update={"n_jobs": int(sys.argv[3])})
    train(Path(sys.argv[1]), Path(sys.argv[2]), executor=executor)
"""


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_training_that_was_killed_goes_on_and_ends_with_the_very_same_bytes(
    split: Path, trained: Path, tmp_path: Path, processes: str
) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(split), str(tmp_path), processes],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / ".state").glob("train/*/checkpoint.pt")):
        assert victim.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / "cyclegan").exists()
    train(split, tmp_path)
    assert folder_digest(tmp_path / "cyclegan") == folder_digest(trained / "cyclegan")
    assert folder_digest(tmp_path / "plots") == folder_digest(trained / "plots")


def test_a_checkpoint_that_is_not_plain_data_is_refused(tmp_path: Path) -> None:
    """A pickled object could run code when it is loaded."""
    checkpoint = Checkpoint(tmp_path / "run")
    with checkpoint.locked():
        torch.save({"net": torch.nn.Linear(1, 1)}, checkpoint.file)
        with pytest.raises(BadInput, match="plain data"):
            checkpoint.load()


SECOND = """
import sys
from pathlib import Path
from pipeline.modelling.checkpoints import Checkpoint
with Checkpoint(Path(sys.argv[1])).locked(patience=0):
    pass
"""


def test_two_processes_do_not_train_the_same_thing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Checkpoint(folder).locked():
        command = [sys.executable, "-c", SECOND, str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "another process is training this very thing" in done.stderr


def test_no_pictures_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="faces/train: no pictures"):
        train(tmp_path / "nothing", tmp_path)


def test_pictures_of_another_size_are_named(split: Path, tmp_path: Path) -> None:
    resize = PARAMS.resize.model_copy(update={"size": 128})
    with pytest.raises(BadInput, match=r"f0\.png: expected 128x128 pixels, got 64x64"):
        train(split, tmp_path, resize=resize)


@pytest.mark.parametrize(
    ("generator", "size", "cells", "words"),
    [
        ("cell", 96, 32, "power of two for the cell generator, got 96 / 32"),
        ("cell", 24, 6, "even number of at least 8 for the cell generator, got 6"),
        ("cell", 36, 9, "even number of at least 8 for the cell generator, got 9"),
        ("resnet", 16, 8, "at least 32 and a multiple of 4 for the resnet generator, got 16"),
        ("resize", 34, 17, "at least 32 and a multiple of 4 for the resize generator, got 34"),
    ],
)
def test_sizes_that_a_generator_cannot_have_are_parameter_errors(
    generator: str, size: int, cells: int, words: str
) -> None:
    shape = generators.Shape(
        generator=generator, width=4, blocks=1, size=size, cells=cells, palette=4, colours="own", critics=4
    )
    with pytest.raises(BadParams, match=words):
        generators.new_system(shape)


@pytest.mark.parametrize(
    ("generator", "size", "cells"), [("cell", 32, 8), ("cell", 16, 16), ("resnet", 32, 32), ("resize", 32, 16)]
)
def test_the_smallest_sizes_allowed_can_be_trained(generator: str, size: int, cells: int) -> None:
    torch.manual_seed(0)
    shape = generators.Shape(
        generator=generator, width=4, blocks=1, size=size, cells=cells, palette=4, colours="own", critics=4
    )
    system = generators.new_system(shape)
    drawn = system.a2b(torch.rand(1, 3, size, size))
    assert torch.isfinite(system.disc_b(drawn)).all()
    assert torch.isfinite(system.disc_a(system.b2a(drawn))).all()


def test_without_a_val_split_train_faces_are_shown(split: Path, tmp_path: Path) -> None:
    shutil.copytree(split, tmp_path / "split")
    shutil.rmtree(tmp_path / "split" / "faces" / "val")
    (tmp_path / "split" / "faces" / "val").mkdir()
    one = PARAMS.train.model_copy(update={"generators": ["cell"], "images_per_epoch": 1})
    train(tmp_path / "split", tmp_path, params=PARAMS.model_copy(update={"train": one}), epochs=1)
    shown = read_rgb(tmp_path / "cyclegan/cell/samples/inputs.png")
    assert np.array_equal(shown[:, :64], read_rgb(split / "faces/train/f0.png"))


def test_translations_are_on_the_grid_with_few_colours_and_every_face_is_there(
    split: Path, trained: Path, tmp_path: Path
) -> None:
    stats = translate.run(split, trained / "cyclegan", tmp_path / "out", params=PARAMS.translate, device="cpu")
    assert stats["kept"] == 6
    for name in ("resnet", "cell"):
        assert sorted(path.name for path in (tmp_path / "out" / name).iterdir()) == ["f0.png", "f1.png", "f2.png"]
    for path in (tmp_path / "out" / "cell").iterdir():
        picture = read_rgb(path)
        native = picture[::2, ::2]
        assert np.array_equal(native.repeat(2, 0).repeat(2, 1), picture)
        assert len(np.unique(native.reshape(-1, 3), axis=0)) <= PARAMS.train.cell.palette


def test_weights_carry_their_shape_and_strangers_are_refused(trained: Path, tmp_path: Path) -> None:
    net, shape = generators.load(trained / "cyclegan" / "cell" / "a2b.safetensors")
    assert (shape.generator, shape.size, shape.cells, shape.factor) == ("cell", 64, 32, 2)
    assert not net.training
    (tmp_path / "x.safetensors").write_bytes(b"not weights")
    with pytest.raises(BadInput, match="not the weights of a facetopix generator"):
        generators.load(tmp_path / "x.safetensors")
    with pytest.raises(BadInput, match="run `facetopix train` first"):
        generators.load(tmp_path / "none.safetensors")


def test_a_gpu_that_is_not_there_is_a_clear_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BadParams, match="no CUDA device"):
        generators.pick_device("cuda")
    assert generators.pick_device("auto") == "cpu"
