"""Alarms, journal, curves and activations: what a person learns of a training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.cyclegan.networks import CellShape, resnet_generator
from models.cyclegan.train import StepStats, cell_system
from pipeline.cyclegan import alarms, curves, generators
from pipeline.cyclegan.activations import command
from pipeline.cyclegan.activations.heatmaps import draw_figure, fit, spread
from pipeline.cyclegan.activations.recorder import record_layers
from pipeline.cyclegan.generators import Shape
from pipeline.cyclegan.journal import Journal
from pipeline.errors import BadInput
from pipeline.images.files import read_rgb, write_png

CALM = {"spread_ratio": 0.9, "comb_db": -30.0, "comb_excess_db": -40.0, "disc_a": 0.2, "disc_b": 0.2, "skipped": 0}
RNG = np.random.default_rng(0)
SMOOTH = [
    np.add.outer(np.linspace(0, high, 64), np.linspace(0, 60, 64))[..., None].repeat(3, 2).astype(np.uint8)
    for high in (40, 90, 180)
]


def tiled(picture: np.ndarray) -> np.ndarray:
    striped = picture.astype(int)
    striped[::2] += 6
    return striped.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("changed", "on_grid", "kinds"),
    [
        ({}, True, []),
        ({"spread_ratio": 0.29}, True, ["collapse"]),
        ({"comb_db": 12.0, "comb_excess_db": 2.9}, False, []),
        ({"comb_db": 12.0, "comb_excess_db": 3.1}, False, ["comb"]),
        ({"comb_db": -5.0, "comb_excess_db": -14.0}, True, []),  # smooth, and still on the grid
        ({"comb_db": -5.0, "comb_excess_db": 1.0}, True, ["comb"]),
        ({"disc_a": 0.019}, True, ["saturated_a"]),
        ({"disc_b": 0.0}, False, ["saturated_b"]),
        ({"skipped": 2}, False, ["skipped"]),
    ],
)
def test_each_alarm_has_its_bound(changed: dict[str, float], on_grid: bool, kinds: list[str]) -> None:
    assert alarms.detect({**CALM, **changed}, on_grid=on_grid) == kinds


def test_an_alarm_is_logged_when_it_starts_when_it_lasts_and_when_it_ends() -> None:
    history: list[dict[str, object]] = []
    lines = [alarms.update(history, epoch, kinds) for epoch, kinds in enumerate([[], *[["comb"]] * 4, [], ["comb"]], 1)]
    assert [len(texts) for texts in lines] == [0, 1, 0, 1, 0, 1, 1]
    assert lines[1] == ["epoch 2: comb: the pictures have periodic tiles"]
    assert "comb for 3 epochs now; stop and train a generator without transposed convolutions" in lines[3][0]
    assert lines[5] == ["epoch 6: comb has ended"]
    assert history == [{"kind": "comb", "from": 2, "to": 5}, {"kind": "comb", "from": 7, "to": None}]


def test_pictures_that_are_one_are_a_collapse_and_stripes_are_a_comb() -> None:
    def kinds(drawn: list[np.ndarray]) -> list[str]:
        return alarms.detect({**CALM, **alarms.measure(drawn, SMOOTH, 4)}, on_grid=False)

    assert kinds(SMOOTH) == []
    assert kinds([SMOOTH[0]] * 3) == ["collapse"]
    assert kinds([tiled(picture) for picture in SMOOTH]) == ["comb"]


def test_readings_that_cannot_be_computed_are_left_out() -> None:
    assert "spread_ratio" not in alarms.measure(SMOOTH[:1], SMOOTH[:1], 4)
    assert "comb_db" not in alarms.measure(SMOOTH, SMOOTH, 1)
    flat = [np.full((64, 64, 3), 9, np.uint8)] * 3
    assert "comb_db" not in alarms.measure(flat, SMOOTH, 4)


def steps(journal: Journal, numbers: range, norm: float = 1.0) -> list[str]:
    lines = []
    for step in numbers:
        losses = {"generators": float(step), "disc_a": 0.01, "disc_b": 0.2, "gradient": norm}
        stats = StepStats(step=step, epoch=(step - 1) // 4, epoch_done=step % 4 == 0, losses=losses)
        lines += journal.add(stats, skipped=0, measure=lambda: {"spread_ratio": 0.8}).lines
    return lines


def test_a_journal_that_was_saved_at_any_step_goes_on_as_if_it_had_not_been() -> None:
    undisturbed = Journal(3, on_grid=True)
    lines = steps(undisturbed, range(1, 9))
    assert [record["step"] for record in undisturbed.log] == [3, 4, 6, 8]
    assert undisturbed.log[0]["generators"] == 2.0
    assert len(undisturbed.readings) == 2
    assert lines[0].startswith("epoch 1: saturated_a")
    for cut in range(1, 8):
        first, second = Journal(3, on_grid=True), Journal(3, on_grid=True)
        steps(first, range(1, cut + 1))
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        steps(second, range(cut + 1, 9))
        assert second.state_dict() == undisturbed.state_dict(), cut


def test_gradients_that_were_not_finite_have_no_mean() -> None:
    journal = Journal(4, on_grid=True)
    steps(journal, range(1, 5), norm=float("nan"))
    assert "gradient" not in journal.log[0]


def test_curves_can_be_read_while_they_are_written_and_forget_what_a_kill_left(tmp_path: Path) -> None:
    log = [{"step": 3, "epoch": 1, "loss": 0.5}]
    file = tmp_path / "live" / "plots/metrics/train/loss.tsv"
    with curves.begin(tmp_path / "live", [*log, {"step": 6, "epoch": 1, "loss": 9.0}]):
        pass
    with curves.begin(tmp_path / "live", log) as add:
        assert file.read_text() == "step\tloss\n3\t0.5\n"
        add({"step": 6, "epoch": 1, "loss": 0.25})
        assert file.read_text() == "step\tloss\n3\t0.5\n6\t0.25\n"


def test_every_convolution_is_recorded_in_the_order_of_the_table() -> None:
    torch.manual_seed(0)
    layers = record_layers(resnet_generator(width=4, blocks=1).eval(), SMOOTH[0])
    assert [(layer.kind, layer.stride, layer.maps.shape) for layer in layers] == [
        ("conv", 1, (4, 64, 64)), ("conv", 2, (8, 32, 32)), ("conv", 2, (16, 16, 16)), ("conv", 1, (16, 16, 16)),
        ("conv", 1, (16, 16, 16)), ("transposed", 2, (8, 32, 32)), ("transposed", 2, (4, 64, 64)),
        ("conv", 1, (3, 64, 64)),
    ]  # fmt: skip


def test_the_tiles_of_the_reports_generator_arise_in_its_upscaling_half() -> None:
    torch.manual_seed(0)
    combs = [layer.comb_db for layer in record_layers(resnet_generator(width=8, blocks=2).eval(), SMOOTH[0])]
    readable = [comb for comb in combs if comb is not None]
    assert readable[-2] > readable[-3] > max(readable[:3])
    assert readable[-2] > max(readable[:3]) + 10


def test_a_map_in_the_figure_is_never_shrunk() -> None:
    large = np.arange(100.0)[None].repeat(100, 0)
    assert np.array_equal(np.unique(fit(large, 64)), np.unique(fit(large[:, 18:82], 64)))
    assert fit(np.eye(16) * 255, 64).shape == (64, 64)
    assert spread(100, 4) == [0, 25, 50, 75]
    assert spread(3, 8) == [0, 1, 2]


def test_the_figure_has_a_row_a_layer_and_the_same_pixels_each_time() -> None:
    torch.manual_seed(0)
    net: nn.Module = cell_system(CellShape(factor=2, width=4, blocks=1, critics=4)).a2b.eval()
    pictures = [draw_figure(record_layers(net, SMOOTH[1]), channels=4, side=32) for _ in range(2)]
    assert np.array_equal(*pictures)
    assert len(pictures[0]) == 2 + 34 * sum(isinstance(module, nn.Conv2d) for module in net.modules())


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    for name in ("cell", "resnet"):
        shape = Shape(generator=name, width=4, blocks=1, size=64, cells=32, palette=4, critics=4)
        (tmp_path / "trained" / name).mkdir(parents=True)
        net = generators.new_system(shape).a2b
        generators.save(tmp_path / "trained" / name / "a2b.safetensors", net, shape)
    return tmp_path / "trained"


def test_activations_of_a_folder_of_generators_of_one_and_of_a_file(weights: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "face.png", SMOOTH[0])
    for folder, names in ((weights, ["cell", "resnet"]), (weights / "cell", ["cell"])):
        outcome = command.run(tmp_path / "face.png", folder, tmp_path / "out", "cpu")
        assert sorted(outcome["generators"]) == names
    outcome = command.run(tmp_path / "face.png", weights / "cell/a2b.safetensors", tmp_path / "out", "cpu")
    assert read_rgb(Path(outcome["generators"]["cell"]["figure"])).shape[0] > 300
    assert any("comb" in line for line in command.lines(outcome))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (None, "no such picture; expected a face as PNG"),
        (
            np.zeros((60, 65, 3), np.uint8),
            "65x60 pixels; the cell generator takes sides of 2 to 512 that are multiples",
        ),
        (np.zeros((30, 30, 3), np.uint8), "the resnet generator takes sides of 32 to 512 that are multiples"),
        (np.full((64, 64, 4), 100, np.uint8), "expected an opaque image, found transparency"),
    ],
)
def test_a_face_that_cannot_be_used_is_a_clear_error(
    weights: Path, tmp_path: Path, picture: np.ndarray | None, words: str
) -> None:
    if picture is not None:
        write_png(tmp_path / "face.png", picture)
    with pytest.raises(BadInput, match=words):
        command.run(tmp_path / "face.png", weights, tmp_path / "out", "cpu")


def test_no_weights_is_a_clear_error(tmp_path: Path) -> None:
    write_png(tmp_path / "face.png", SMOOTH[0])
    with pytest.raises(BadInput, match="run `facetopix train` first"):
        command.run(tmp_path / "face.png", tmp_path, tmp_path / "out", "cpu")
