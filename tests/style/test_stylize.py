"""The stylize stage and its features."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file
from style_values import STYLE

from models.styletransfer.vgg import LAYERS, random_weights
from models.tensors import to_signed
from pipeline.errors import BadInput, BadParams, Unreachable
from pipeline.images import files, palettes
from pipeline.runtime import fingerprint, manifest
from pipeline.runtime.files import folder_digest
from pipeline.runtime.settings import Resize
from pipeline.style import features, pairs, stage, transfer
from pipeline.style.params import Style, Temperature

ROOT = Path(__file__).parents[2]
WIDTHS = (4, 4, 6, 6, 8)  # channels of conv1_1 ... conv3_1
RESIZE = Resize(size=32, cells=8, min_cells=1, max_aspect=2.0, larger="crop", crop="saliency")
REAL = Path(os.environ.get("FACETOPIX_SHARED", "../shared")) / "weights"


code_digest = cache(fingerprint.code_digest)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow random features and one digest of the code: 20 million weights, and who imports whom, take longer."""
    monkeypatch.setattr(fingerprint, "code_digest", code_digest)
    monkeypatch.setattr(features, "random_weights", partial(random_weights, widths=WIDTHS))


def draw_split(folder: Path) -> Path:
    """Five noisy faces, two artworks of 8 x 8 cells in nine colours, and two that are all background but for a cell."""
    random = np.random.default_rng(0)
    for n in range(5):
        files.write_png(folder / f"faces/test/face{n}.png", random.integers(0, 256, (32, 32, 3), np.uint8))
    for n in range(2):
        colours = random.integers(0, 256, (9, 3), np.uint8)
        cells = colours[random.integers(0, 9, (8, 8))]
        files.write_png(folder / f"pixel/test/art{n}.png", cells.repeat(4, 0).repeat(4, 1))
        empty = np.full((32, 32, 3), 255, np.uint8)
        empty[8:12, 8:12] = colours[0]
        files.write_png(folder / f"pixel/test/empty{n}.png", empty)
    return folder


@pytest.fixture
def split(tmp_path: Path) -> Path:
    return draw_split(tmp_path / "split")


def run(split: Path, name: str = "out", params: Style = STYLE, seed: int = 7, threads: int = 1) -> Path:
    dst = split.parent / name
    stage.run(split, dst, params, RESIZE, seed, threads, split.parent / "state")
    return dst


def by_seed(split: Path, count: int, artworks: int = 1) -> list[pairs.Pair]:
    return pairs.by_seed(split, pairs=count, artworks=artworks, size=32, seed=7)


def names(pair: pairs.Pair) -> list[str]:
    return [artwork.name for artwork in pair.artworks]


def changed(**values: object) -> Style:
    return STYLE.model_copy(update=values)


def tiny_file(path: Path, layers: int = 5) -> str:
    save_file(random_weights(torch.Generator().manual_seed(3), WIDTHS[:layers]), path)
    return str(path)


def test_each_face_has_a_row_and_a_picture_on_each_canvas(split):
    out = run(split)
    rows = manifest.read_kept(out)
    assert len(rows) == 6
    for row in rows:
        assert row["id"] == f"{row['face']}-{row['canvas']}"
        assert set(row["artworks"]) < {"art0", "art1"}
        assert files.read_rgb(out / row["canvas"] / f"{row['face']}.png").shape == (32, 32, 3)
    assert sum(1 for _ in out.rglob("*.png")) == 6
    assert json.loads((out / "stats.json").read_text())["kept"] == 6


def test_cell_pictures_hold_one_colour_per_cell_and_only_few_of_the_artworks(split):
    out = run(split)
    for row in manifest.read_kept(out):
        picture = files.read_rgb(out / row["canvas"] / f"{row['face']}.png")
        colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
        on_grid = np.array_equal(picture, picture[::4, ::4].repeat(4, 0).repeat(4, 1))
        artwork = files.read_rgb(split / "pixel/test" / f"{row['artworks'][0]}.png")
        of_artwork = colours <= {tuple(colour) for colour in artwork.reshape(-1, 3).tolist()}
        assert (on_grid, of_artwork, len(colours) <= 4) == ((True,) * 3 if row["canvas"] == "cell" else (False,) * 3)


def test_without_a_palette_the_cell_canvas_keeps_the_grid_and_mixes_colours(split):
    out = run(split, params=changed(palette=None, canvases=["cell"]))
    picture = files.read_rgb(out / "cell" / f"{manifest.read_kept(out)[0]['face']}.png")
    assert np.array_equal(picture, picture[::4, ::4].repeat(4, 0).repeat(4, 1))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 9


def test_the_curves_start_and_end_at_the_losses_of_the_rows(split):
    out = run(split)
    with (out / "losses-free.csv").open() as file:
        curve = list(csv.DictReader(file))
    rows = [row for row in manifest.read_kept(out) if row["canvas"] == "free"]
    assert [int(row["iteration"]) for row in curve] == list(range(7))
    assert float(curve[0]["style"]) == pytest.approx(np.mean([row["style_start"] for row in rows]), rel=1e-4)
    assert float(curve[-1]["content"]) == pytest.approx(np.mean([row["content_end"] for row in rows]), rel=1e-4)
    assert all(row["style_end"] < row["style_start"] for row in rows)


def test_twice_the_same_bytes_and_another_seed_other_bytes(split):
    first, again, other = run(split, "a"), run(split, "b"), run(split, "c", seed=8)
    assert folder_digest(first) == folder_digest(again)
    assert folder_digest(first) != folder_digest(other)


def test_each_face_starts_from_noise_of_its_own_whatever_the_batch(split):
    values = {"start": "noise", "canvases": ["free"], "iterations": 1, "lr": 1e-6}
    out, single, reseeded = (
        run(split, name, changed(batch_size=size, **values), seed)
        for name, size, seed in (("out", 2, 7), ("single", 1, 7), ("reseeded", 2, 8))
    )
    pictures = [path.read_bytes() for path in sorted((out / "free").iterdir())]
    assert len(set(pictures)) == 3
    assert [path.read_bytes() for path in sorted((single / "free").iterdir())] == pictures
    assert not {path.read_bytes() for path in (reseeded / "free").iterdir()} & set(pictures)
    assert all(row["content_start"] > 0.01 for row in manifest.read_kept(out))


def test_more_pairs_leave_the_earlier_ones_as_they_were(split):
    few, many = (by_seed(split, 2), by_seed(split, 5))
    assert [(pair.face, names(pair)) for pair in many[:2]] == [(pair.face, names(pair)) for pair in few]
    assert len({pair.face for pair in many}) == 5


def test_artworks_that_are_mostly_background_give_no_style(split):
    assert {name for pair in by_seed(split, 5) for name in names(pair)} == {"art0", "art1"}


def test_fewer_faces_than_pairs_are_all_taken(split):
    assert len(by_seed(split, 99)) == 5


def test_an_empty_test_split_is_bad_input(split):
    for file in (split / "pixel/test").iterdir():
        file.unlink()
    with pytest.raises(BadInput, match=r"pixel/test: expected at least 1 PNG, found none"):
        run(split)


def test_a_picture_of_another_size_is_bad_input(split):
    files.write_png(split / "faces/test/face0.png", np.zeros((16, 24, 3), np.uint8))
    with pytest.raises(BadInput, match=r"face0\.png: expected 32x32, got 24x16"):
        by_seed(split, 5)


@pytest.mark.parametrize("statistics", ["gram", "wasserstein"])
def test_a_pair_that_diverges_is_a_failed_row_without_a_picture(split, tmp_path, statistics):
    broken = random_weights(torch.Generator(), WIDTHS)
    broken["0.weight"] *= 1e30  # of which the next layers make infinity
    save_file(broken, tmp_path / "large.safetensors")
    out = run(split, params=changed(features=str(tmp_path / "large.safetensors"), statistics=statistics))
    rows = manifest.read(out)
    assert {(row["status"], row["reason"]) for row in rows} == {("failed", "diverged")}
    assert not list(out.rglob("*.png"))


def test_features_that_are_no_numbers_are_bad_input(split, tmp_path):
    broken = random_weights(torch.Generator(), WIDTHS)
    broken["0.bias"][0] = torch.nan
    save_file(broken, tmp_path / "nan.safetensors")
    with pytest.raises(BadInput, match=r"nan\.safetensors: weights that are no numbers"):
        run(split, params=changed(features=str(tmp_path / "nan.safetensors")))


def test_the_threads_of_the_process_are_restored(split):
    before = torch.get_num_threads()
    run(split, params=changed(iterations=1, pairs=1), threads=before + 1)
    assert torch.get_num_threads() == before


def test_success_removes_the_state(split):
    run(split)
    assert not list((split.parent / "state/style").iterdir())


KILLED = """
import sys
from functools import partial
from pathlib import Path
from models.styletransfer.vgg import random_weights
from pipeline.runtime.settings import Resize
from pipeline.style import features, stage
from pipeline.style.params import Style
root = Path(sys.argv[1])
features.random_weights = partial(random_weights, widths=(4, 4, 6, 6, 8))
stage.run(root / "split", root / "out", Style.model_validate_json(sys.argv[2]),
          Resize.model_validate_json(sys.argv[3]), 7, 1, root / "state")
"""


LONG = changed(iterations=40, batch_size=1)  # long enough to be killed in time


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that got SIGKILL as soon as its first batch was on disk."""
    root = tmp_path_factory.mktemp("killed")
    draw_split(root / "split")
    return killed_in(root, LONG)


def killed_in(root: Path, params: Style) -> Path:
    arguments = [str(root), params.model_dump_json(), RESIZE.model_dump_json()]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    deadline = time.monotonic() + 120
    while not list(root.glob("state/style/*/*.npz")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (root / "out").exists()
    return root


@pytest.fixture
def interrupted(killed: Path, tmp_path: Path) -> Path:
    """A copy of the killed run: results depend on no path."""
    shutil.copytree(killed, tmp_path / "killed")
    return tmp_path / "killed"


def saved_batch(root: Path) -> Path:
    return min(root.glob("state/style/*/*.npz"))


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(interrupted, split):
    batch = saved_batch(interrupted)
    out = run(interrupted / "split", params=LONG)
    assert not batch.exists()
    assert folder_digest(out) == folder_digest(run(split, "uninterrupted", LONG))


def test_a_list_of_pairs_that_is_killed_loses_at_most_the_batch_in_flight(tmp_path):
    split = draw_split(tmp_path / "split")
    lines = [
        f'{{"face": "face{n}", "artworks": ["art{n % 2}", "art{1 - n % 2}"], "weights": [1, 0.4]}}' for n in range(5)
    ]
    params = params_with(split, *lines).model_copy(update={"iterations": 40, "batch_size": 2})
    killed_in(tmp_path, params)
    batches = list(tmp_path.glob("state/style/*/*.npz"))
    assert 1 <= len(batches) < 3
    for file in batches:
        mark(file)
    out = run(split, params=params)
    marked = [row["style_end"] == 123 for row in manifest.read_kept(out)]
    assert marked == [True] * 2 * len(batches) + [False] * (5 - 2 * len(batches))
    assert folder_digest(out / "cell") == folder_digest(run(split, "uninterrupted", params) / "cell")


def mark(file: Path) -> None:
    """Put losses into a stored batch that no computation gives."""
    with np.load(file) as batch:
        marked = {**batch, "style": np.full_like(batch["style"], 123.0)}
    np.savez(file, **marked)


def test_finished_batches_are_not_done_again(interrupted):
    mark(saved_batch(interrupted))
    rows = manifest.read_kept(run(interrupted / "split", params=LONG))
    assert 1 <= sum(row["style_end"] == 123 for row in rows) < len(rows)


def test_state_of_other_parameters_is_not_used(interrupted):
    batch = saved_batch(interrupted)
    np.savez(batch, pixels=0, style=0, content=0, iterations=0)
    run(interrupted / "split", params=LONG.model_copy(update={"iterations": 3}))
    assert batch.exists()


def test_two_runs_of_the_same_do_not_share_the_state(interrupted):
    with FileLock(saved_batch(interrupted).parent / "lock"), pytest.raises(BadInput, match="another stylize run"):
        run(interrupted / "split", params=LONG)


def params_with(split: Path, *lines: str) -> Style:
    """The style section with a file of these pairs."""
    file = split.parent / "pairs.jsonl"
    file.write_text("".join(line + "\n" for line in lines))
    return changed(pairs_file=str(file), canvases=["cell"])


def test_a_file_of_pairs_says_which_face_takes_which_style(split):
    lines = (
        '{"face": "face3", "artworks": ["empty1"], "note": "asked for"}',
        "",
        '{"face": "face0", "artworks": ["art1", "art0"], "weights": [3, 1.5]}',
    )
    rows = manifest.read_kept(run(split, params=params_with(split, *lines)))
    assert [(row["face"], row["artworks"], row["weights"]) for row in rows] == [
        ("face0", ["art1", "art0"], [3, 1.5]), ("face3", ["empty1"], [1]),
    ]  # fmt: skip


def test_several_artworks_by_seed_are_all_taken_up(split):
    assert [sorted(names(pair)) for pair in by_seed(split, 2, artworks=2)] == [["art0", "art1"]] * 2
    out = run(split, params=changed(artworks=2, palette=16, canvases=["cell"]))
    first, second = (
        {tuple(c) for c in files.read_rgb(split / f"pixel/test/{name}.png").reshape(-1, 3).tolist()}
        for name in ("art0", "art1")
    )
    pictures = [files.read_rgb(path) for path in sorted((out / "cell").iterdir())]
    colours = {tuple(c) for picture in pictures for c in picture.reshape(-1, 3).tolist()}
    assert colours <= first | second
    assert colours & first - second
    assert colours & second - first


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("face0 art0", "pairs.jsonl:1: not JSON"),
        ('{"face": "face0"}', "pairs.jsonl:1: artworks: Field required"),
        ('{"face": "face0", "artworks": []}', "pairs.jsonl:1: artworks: .*at least 1"),
        ('{"face": "face0", "artworks": ["art0"], "weights": [1, 2]}', "2 weights for 1 artworks"),
        ('{"face": "face0", "artworks": ["art0"], "weights": [0]}', r"weights.*greater than 0"),
        ('{"face": "face0", "artworks": ["art0"], "colour": 1}', "colour: Extra inputs"),
        ('{"face": "face9", "artworks": ["art0"]}', r"'face9': expected the id of a picture in .*faces/test"),
        ('{"face": "face0", "artworks": ["../art0"]}', "pairs.jsonl:1: artworks"),
        ('{"face": "face0", "artworks": ["art9"]}', r"'art9': expected the id of a picture in .*pixel/test"),
        ('{"face": "face1", "artworks": ["art0"]}\n{"face": "face1", "artworks": ["art1"]}', r"pairs.jsonl:2: .*once"),
    ],
)
def test_a_line_that_is_no_pair_is_named_with_what_was_expected(split, line, words):
    with pytest.raises(BadInput, match=words):
        run(split, params=params_with(split, line))


def test_a_missing_file_of_pairs_is_bad_input(split):
    with pytest.raises(BadInput, match="expected a file of pairs, it may be empty"):
        run(split, params=changed(pairs_file=str(split / "absent.jsonl")))


def test_a_palette_of_a_file_is_all_that_the_pictures_hold(split):
    out = run(split, params=changed(palette_from="file", canvases=["cell"]))
    greys = {tuple(colour) for colour in palettes.load("grey-4").tolist()}
    for path in (out / "cell").iterdir():
        assert {tuple(colour) for colour in files.read_rgb(path).reshape(-1, 3).tolist()} <= greys


def test_a_learned_palette_is_as_small_and_of_new_colours(split):
    out = run(split, params=changed(palette_from="learned", canvases=["cell"], pairs=1))
    picture = files.read_rgb(next((out / "cell").iterdir()))
    artwork = files.read_rgb(split / f"pixel/test/{manifest.read_kept(out)[0]['artworks'][0]}.png")
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert len(colours) <= 4
    assert not colours <= {tuple(colour) for colour in artwork.reshape(-1, 3).tolist()}


def test_lbfgs_takes_pairs_one_by_one_whatever_the_batch_size(split):
    two, one = (run(split, str(size), changed(optimiser="lbfgs", batch_size=size)) for size in (2, 1))
    assert [row["style_end"] for row in manifest.read_kept(two)] == [
        row["style_end"] for row in manifest.read_kept(one)
    ]
    assert all(row["style_end"] < row["style_start"] for row in manifest.read_kept(two) if row["canvas"] == "free")


@pytest.mark.parametrize("values", [{"precision": "bf16"}, {"pooling": "max"}])
def test_other_arithmetic_gives_other_pictures_and_still_moves_to_the_style(split, values):
    other, usual = run(split, "other", changed(**values)), run(split)
    assert folder_digest(other) != folder_digest(usual)
    assert all(row["style_end"] < row["style_start"] for row in manifest.read_kept(other) if row["canvas"] == "free")


@pytest.mark.parametrize(("optimiser", "start"), [("adam", 2.0), ("lbfgs", 0.2)])
def test_the_line_search_of_lbfgs_sees_one_temperature(split, optimiser, start):
    params = changed(optimiser=optimiser, temperature=Temperature(start=2.0, end=0.2))
    [pair] = by_seed(split, 1)
    cells = stage.transfer_of(params, "cell", stage.load_features(params, 7), 4, 7, "cpu")
    relaxation = transfer._canvas(cells, [pair], to_signed(pair.content[None])).relaxation
    assert (relaxation.start, relaxation.end) == (start, 0.2)


def test_the_modern_objective_runs_coarse_to_fine_with_noise_and_an_average(split):
    modern = {
        "statistics": "wasserstein", "falloff": 0.25, "tv_weight": 1.0, "levels": 2, "ema": 0.9, "lr_end": 0.1,
        "choice": "soft", "gumbel": 0.5, "temperature": Temperature(start=1.0, end=0.1),
        "iterations": 8, "style_weight": 10.0,
    }  # fmt: skip
    first, again = (run(split, name, changed(**modern)) for name in ("a", "b"))
    assert folder_digest(first) == folder_digest(again)
    assert {row["iterations"] for row in manifest.read_kept(first)} == {8}


def test_cells_too_small_for_the_levels_are_a_bad_parameter(split):
    with pytest.raises(BadParams, match=r"style \(canvas cell\): cannot be seen at 1/8: 4 pixels"):
        run(split, params=changed(levels=4, canvases=["cell"]))


def test_a_plateau_ends_pairs_early_and_their_rows_say_when(split):
    out = run(split, params=changed(plateau=0.9, patience=2, iterations=30, batch_size=1))
    rows = manifest.read_kept(out)
    assert {row["iterations"] for row in rows} <= set(range(4, 30))
    with (out / "losses-free.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["style"]) == pytest.approx(
        np.mean([row["style_end"] for row in rows if row["canvas"] == "free"]), rel=1e-4
    )


def test_progress_counts_pairs_and_ends_with_all_of_them(split):
    calls = []
    stage.run(
        split, split.parent / "out", STYLE, RESIZE, 7, 1, split.parent / "state",
        progress=lambda task, done, total, text="": calls.append((task, done, total, text)),
    )  # fmt: skip
    free = [(done, total) for task, done, total, _ in calls if task == "stylize free"]
    assert free[-1] == (3, 3)
    assert (2, 3) in free
    assert [done for done, _ in free] == sorted(done for done, _ in free)
    assert any("iteration 5/6, style loss" in text for *_, text in calls)


def test_weights_of_a_file_serve_whatever_their_width(split, tmp_path):
    out = run(split, params=changed(features=tiny_file(tmp_path / "tiny.safetensors")))
    assert len(manifest.read_kept(out)) == 6


def test_a_layer_that_the_file_lacks_is_named_with_those_it_holds(tmp_path):
    features = tiny_file(tmp_path / "tiny.safetensors", layers=2)
    with pytest.raises(BadInput, match=r"holds conv1_1, conv1_2; .* also ask for conv2_1, conv2_2$"):
        stage.load_features(changed(features=features), 7)


def test_a_layer_that_vgg19_does_not_have_is_a_bad_parameter():
    with pytest.raises(BadParams, match="'conv6_1' is not one of conv1_1, "):
        stage.load_features(changed(style_layers=["conv1_1", "conv6_1"]), 7)


def test_a_file_that_is_no_vgg_says_what_it_holds(tmp_path):
    save_file({"conv11.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match=r"not VGG-19 under torchvision's keys: .* got conv11\.weight"):
        stage.load_features(changed(features=str(tmp_path / "other.safetensors")), 7)


@pytest.mark.parametrize("content", [None, b"not safetensors"])
def test_an_unreadable_file_is_bad_input(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"broken\.safetensors: not a readable safetensors file"):
        stage.load_features(changed(features=str(path)), 7)


@pytest.fixture
def hub(tmp_path: Path):
    """An empty folder in the place of torch's cache of downloads."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub"
    torch.hub.set_dir(before)


def test_offline_imagenet_names_the_file_to_place_and_the_parameter_to_set(hub):
    with pytest.raises(Unreachable) as caught:
        stage.load_features(changed(features="imagenet"), 7)
    assert str(hub / "checkpoints" / "vgg19-dcbb9e9d.pth") in str(caught.value)
    assert "set style.features to <path>.safetensors" in str(caught.value)


@pytest.fixture
def stand_in(hub):
    """A small file in the place of torchvision's own, which cannot be fetched here."""
    state = {f"features.{key}": value for key, value in random_weights(torch.Generator(), WIDTHS).items()}
    (hub / "checkpoints").mkdir(parents=True)
    torch.save({**state, "classifier.0.weight": torch.zeros(2)}, features.imagenet_file())


@pytest.mark.usefixtures("stand_in")
def test_a_file_placed_there_is_used(monkeypatch):
    """Its hash is not torchvision's, so the check of it is left out."""
    monkeypatch.setattr(features, "_check", lambda _: None)
    assert stage.load_features(changed(features="imagenet"), 7).layers == tuple(LAYERS)[:5]


@pytest.mark.usefixtures("stand_in")
def test_a_file_placed_there_with_another_hash_is_refused():
    expected = r"vgg19-dcbb9e9d\.pth: expected a sha256 that starts with dcbb9e9d, got [0-9a-f]{8}; remove it"
    with pytest.raises(BadInput, match=expected):
        stage.load_features(changed(features="imagenet"), 7)


def test_state_belongs_to_all_code_that_a_picture_depends_on():
    """A fix of the toning must not be mixed with pictures from before it."""
    modules = {path.name for path in fingerprint.closure("pipeline.style.stage")}
    assert {
        "tone_match.py",
        "background.py",
        "palette_losses.py",
        "cooccurrence.py",
        "transfer.py",
        "optimise.py",
    } <= modules


def test_the_digest_of_features_follows_their_weights():
    first, again, other = (features.digest(stage.load_features(STYLE, seed)) for seed in (7, 7, 8))
    assert first == again != other


@pytest.mark.shared
@pytest.mark.skipif(not REAL.is_dir(), reason="no shared data")
def test_trained_first_layers_move_both_canvases(split):
    file = REAL / "vgg19_normalised_conv1_1-conv3_1.fp16.safetensors"
    layers = ["conv1_1", "conv2_1", "conv3_1"]
    out = run(split, params=changed(features=str(file), style_layers=layers, content_layer="conv3_1", style_weight=1e3))
    assert all(row["style_end"] < row["style_start"] for row in manifest.read_kept(out))
