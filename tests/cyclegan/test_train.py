"""The train and translate stages on a small split."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import PARAMS, ROOT, SIDE_BY_SIDE, draw_split, train, with_train

from pipeline.cyclegan import generators, translate
from pipeline.cyclegan.pairs.source import PairSource, read_natives
from pipeline.cyclegan.samples import draw
from pipeline.errors import BadInput, BadParams
from pipeline.images.files import read_rgb, write_png
from pipeline.images.resample import enlarge
from pipeline.metrics.smoothing import smooth_version
from pipeline.runtime import devices, manifest, seeds
from pipeline.runtime.files import folder_digest

GENERATORS = ("resnet", "cell")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_split(tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def trained(split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    train(split, root)
    return root


def test_every_generator_leaves_weights_samples_curves_and_its_facts(trained: Path) -> None:
    for name in ("resnet", "cell"):
        out = trained / "cyclegan" / name
        files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
        own = {"resnet": ["b2a.safetensors"], "cell": ["pairs.png"]}  # pairs teach one direction
        assert files == sorted([
            "a2b.safetensors", "activations.json", "activations.png", "samples/epoch-001.png",
            "samples/epoch-002.png", "samples/inputs.png", "training.json", *own[name],
        ])  # fmt: skip
        curve = (trained / "plots" / name / "plots/metrics/train/generators.tsv").read_text().splitlines()
        assert curve[0] == "step\tgenerators"
        assert curve[-1].split("\t")[0] == "8"


def test_a_training_records_its_readings_and_its_convolutions(trained: Path) -> None:
    for name in ("resnet", "cell"):
        facts = json.loads((trained / "cyclegan" / name / "training.json").read_text())
        assert len(facts["epochs"]) == PARAMS.epochs
        critics = {"disc_a", "disc_b"} if name == "resnet" else set()
        assert {"spread_ratio", "comb_db", "comb_excess_db", "skipped"} | critics == set(facts["epochs"][0])
        assert facts["skipped_steps"] == 0
        layers = json.loads((trained / "cyclegan" / name / "activations.json").read_text())["layers"]
        assert len(layers) >= 7
        assert read_rgb(trained / "cyclegan" / name / "activations.png").shape[0] > 64 * len(layers)
        assert (trained / "plots" / name / "plots/metrics/train/spread_ratio.tsv").is_file()


def test_a_finished_training_leaves_no_state(trained: Path) -> None:
    assert not list((trained / ".state" / "train").iterdir())


def test_training_twice_or_side_by_side_gives_the_same_bytes(split: Path, trained: Path, tmp_path: Path) -> None:
    train(split, tmp_path, executor=SIDE_BY_SIDE)
    assert folder_digest(tmp_path / "cyclegan") == folder_digest(trained / "cyclegan")
    assert folder_digest(tmp_path / "plots") == folder_digest(trained / "plots")


def test_other_values_give_other_weights(split: Path, trained: Path, tmp_path: Path) -> None:
    train(split, tmp_path, seed=8)
    assert folder_digest(tmp_path / "cyclegan") != folder_digest(trained / "cyclegan")


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/support")
from small import SIDE_BY_SIDE, train
from pipeline.cyclegan import training

training.SAVE_EVERY = 0.0
if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), executor=SIDE_BY_SIDE)
"""


def test_trainings_side_by_side_that_were_killed_go_on_and_end_with_the_very_same_bytes(
    split: Path, trained: Path, tmp_path: Path
) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(split), str(tmp_path)],
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


UNCOMPILED = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/support")
from small import PARAMS, train, with_train
from pipeline.errors import BadParams

if __name__ == "__main__":
    params = with_train(generators=["resnet"], compile=True)
    try:
        train(Path(sys.argv[1]), Path(sys.argv[2]), params=params)
    except BadParams as error:
        print(error)
"""


def test_without_a_compiler_a_training_that_is_to_be_compiled_is_a_parameter_error(split: Path, tmp_path: Path) -> None:
    nowhere = {
        "CXX": str(tmp_path / "c++"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of processes
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", UNCOMPILED, split, tmp_path], cwd=ROOT, env={**os.environ, **nowhere},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("train.compile: expected false, torch cannot compile the networks here: ")
    assert "compiler" in done.stdout
    assert not (tmp_path / "cyclegan").exists()


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
        ("cell", 24, 6, "even number of at least 10 for the cell generator, got 6"),
        ("cell", 36, 9, "even number of at least 10 for the cell generator, got 9"),
        ("resnet", 16, 8, "at least 32 and a multiple of 4 for the resnet generator, got 16"),
        ("resize", 34, 17, "at least 32 and a multiple of 4 for the resize generator, got 34"),
    ],
)
def test_sizes_that_a_generator_cannot_have_are_parameter_errors(
    generator: str, size: int, cells: int, words: str
) -> None:
    shape = generators.Shape(generator=generator, width=4, blocks=1, size=size, cells=cells, palette=4, critics=4)
    with pytest.raises(BadParams, match=words):
        generators.new_system(shape)


@pytest.mark.parametrize(
    ("generator", "size", "cells"), [("cell", 40, 10), ("cell", 16, 16), ("resnet", 32, 32), ("resize", 32, 16)]
)
def test_the_smallest_sizes_allowed_can_be_trained(generator: str, size: int, cells: int) -> None:
    torch.manual_seed(0)
    shape = generators.Shape(generator=generator, width=4, blocks=1, size=size, cells=cells, palette=4, critics=4)
    system = generators.new_system(shape)
    drawn = system.a2b(torch.rand(1, 3, size, size))
    logits = system.disc_b(drawn)
    assert all(torch.isfinite(voice).all() for voice in (logits if generator == "cell" else [logits]))
    assert torch.isfinite(system.disc_a(system.b2a(drawn))).all()


def test_without_a_val_split_train_faces_are_shown(split: Path, tmp_path: Path) -> None:
    shutil.copytree(split, tmp_path / "split")
    shutil.rmtree(tmp_path / "split" / "faces" / "val")
    (tmp_path / "split" / "faces" / "val").mkdir()
    params = with_train(generators=["cell"], cell={"images_per_epoch": 2})
    train(tmp_path / "split", tmp_path, params=params, epochs=1)
    shown = read_rgb(tmp_path / "cyclegan/cell/samples/inputs.png")
    assert np.array_equal(shown[:, :64], read_rgb(split / "faces/train/f0.png"))


def test_translations_are_on_the_grid_with_few_colours_and_every_face_is_there(
    split: Path, trained: Path, tmp_path: Path
) -> None:
    stats = translate.run(split, trained / "cyclegan", tmp_path / "out", params=PARAMS.translate, device="cpu")
    assert stats["kept"] == 12
    for name in ("resnet", "cell"):
        assert sorted(path.name for path in (tmp_path / "out" / name).iterdir()) == ["f0.png", "f1.png", "f2.png"]
    for path in (tmp_path / "out" / "cell").iterdir():
        picture = read_rgb(path)
        native = picture[::2, ::2]
        assert np.array_equal(native.repeat(2, 0).repeat(2, 1), picture)
        assert len(np.unique(native.reshape(-1, 3), axis=0)) <= PARAMS.train.cell.palette


def translated(split: Path, trained: Path, out: Path, **values: object) -> Path:
    translate.run(split, trained, out, params=PARAMS.translate.model_copy(update=values), device="cpu")
    return out


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


@pytest.mark.parametrize(("artworks", "drawn"), [(None, "p0 p1 p2"), (2, "p0 p1"), (1, "p0"), (9, "p0 p1 p2")])
def test_so_many_test_artworks_are_drawn_from_smooth_versions_and_the_books_balance(
    artworks: int | None, drawn: str, split: Path, trained: Path, tmp_path: Path
) -> None:
    out = translated(split, trained / "cyclegan", tmp_path / "out", artworks=artworks)
    ids = drawn.split()
    assert names(out / "pairs") == ["cell", "inputs", "resnet"]
    assert all(names(folder) == ids for folder in (out / "pairs").iterdir())
    assert all(read_rgb(path).shape == (64, 64, 3) for path in (out / "pairs").rglob("*.png"))
    rows = manifest.read(out)
    assert {row["id"] for row in rows if "artwork" in row} == {f"{key}-{name}" for key in ids for name in GENERATORS}
    assert {row["id"] for row in rows if "face" in row} == {f"f{n}-{name}" for n in range(3) for name in GENERATORS}
    stats = json.loads((out / "stats.json").read_text())
    assert stats["inputs"] == stats["kept"] == len(rows) == 2 * (3 + len(ids))


def test_the_drawn_pairs_are_those_of_the_generator_on_the_smooth_versions(
    split: Path, trained: Path, tmp_path: Path
) -> None:
    out = translated(split, trained / "cyclegan", tmp_path / "out")
    smooth = read_rgb(out / "pairs/inputs/p1.png")
    native = read_rgb(split / "pixel/test/p1.png")[::2, ::2]
    assert np.array_equal(smooth, smooth_version(native, 2, seeds.generator(0, "smooth", "p1")))
    net, shape = generators.load(trained / "cyclegan/cell/a2b.safetensors")
    assert np.array_equal(draw(net, smooth[None], shape, 1)[0], read_rgb(out / "pairs/cell/p1.png"))


def test_the_smooth_versions_depend_on_the_artwork_alone(split: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "cyclegan" / "resnet", tmp_path / "other" / "resnet")
    one = translated(split, trained / "cyclegan", tmp_path / "one", artworks=None)
    other = translated(split, tmp_path / "other", tmp_path / "two", artworks=2)
    for name in ("p0.png", "p1.png"):
        assert (one / "pairs/inputs" / name).read_bytes() == (other / "pairs/inputs" / name).read_bytes()


def test_artworks_and_generators_of_other_sizes_are_named(split: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(split, tmp_path / "split")
    write_png(tmp_path / "split/pixel/test/p1.png", np.zeros((32, 48, 3), np.uint8))
    with pytest.raises(BadInput, match=r"test/p1\.png: expected 64x64 pixels, got 48x32"):
        translated(tmp_path / "split", trained / "cyclegan", tmp_path / "out")
    net, shape = generators.load(trained / "cyclegan/resnet/a2b.safetensors")
    shutil.copytree(trained / "cyclegan", tmp_path / "two")
    generators.save(tmp_path / "two/resnet/a2b.safetensors", net, replace(shape, cells=16))
    with pytest.raises(
        BadInput, match=r"expected generators of one size, got \(pixels, cells\) \[\(64, 16\), \(64, 32\)"
    ):
        translated(split, tmp_path / "two", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_split_without_test_artworks_has_no_pairs(split: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(split, tmp_path / "split")
    shutil.rmtree(tmp_path / "split/pixel/test")
    out = translated(tmp_path / "split", trained / "cyclegan", tmp_path / "out")
    assert names(out) == ["cell", "manifest", "resnet", "stats"]


def test_the_strip_of_pairs_shows_what_was_learned_from(split: Path, trained: Path) -> None:
    strip = read_rgb(trained / "cyclegan/cell/pairs.png")
    assert strip.shape == (2 * 132 - 4, 8 * 132 - 4, 3)
    natives, weights = read_natives(split, split / "grid")
    cell = PARAMS.train.cell
    seed = seeds.derive(PARAMS.seed, "train", "cell") % 2**31
    source = PairSource(
        natives, weights, factor=2, cells=cell.cells, pool=cell.pool, batch_size=cell.batch_size, seed=seed
    )
    for column, (side, number) in enumerate([(16, 0), (32, 0), (16, 1), (32, 1)]):
        pair, left = source.pair(side, number), 132 * column
        assert np.array_equal(strip[:128, left : left + 128], enlarge(pair.smooth, 64 // side))
        assert np.array_equal(strip[132:, left : left + 128], enlarge(pair.native, 128 // side))


def test_weights_carry_their_shape_and_strangers_are_refused(trained: Path, tmp_path: Path) -> None:
    net, shape = generators.load(trained / "cyclegan" / "cell" / "a2b.safetensors")
    assert (shape.generator, shape.size, shape.cells, shape.factor) == ("cell", 64, 32, 2)
    assert not net.training
    (tmp_path / "x.safetensors").write_bytes(b"not weights")
    with pytest.raises(BadInput, match=r"expected the \.safetensors file of a generator, found no file"):
        generators.load(tmp_path)
    with pytest.raises(BadInput, match="not the weights of a facetopix generator"):
        generators.load(tmp_path / "x.safetensors")
    with pytest.raises(BadInput, match="run `facetopix train` first"):
        generators.load(tmp_path / "none.safetensors")


def test_a_gpu_that_is_not_there_is_a_clear_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BadParams, match="no CUDA device"):
        devices.pick_device("cuda")
    assert devices.pick_device("auto") == "cpu"


@pytest.mark.parametrize(("capability", "chosen"), [((6, 1), "cpu"), ((7, 5), "cuda"), ((12, 1), "cuda")])
def test_auto_leaves_a_gpu_alone_that_is_older_than_pytorchs_kernels(
    capability: tuple[int, int], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers of a machine that has such a GPU; all else is our own."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90a", "compute_120"])
    made_exact: list[bool] = []
    monkeypatch.setattr(devices, "exact", lambda: made_exact.append(True))
    assert devices.pick_device("auto") == chosen
    assert bool(made_exact) == (chosen == "cuda")
    if chosen == "cpu":
        with pytest.raises(BadParams, match="that this PyTorch can use"):
            devices.pick_device("cuda")


def test_arithmetic_is_exact() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXACT], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False", "False"], done.stderr


EXACT = """
import torch
from pipeline.runtime.devices import exact
exact()
print(torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.allow_tf32)
print(torch.utils.deterministic.fill_uninitialized_memory)
"""
