from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.convert import baselines, command, pictures
from pipeline.errors import BadInput
from pipeline.images import files, resample

RED, BLUE, CLEAR = (200, 20, 30, 255), (30, 60, 200, 255), (0, 255, 0, 0)
ART = np.array([[RED, BLUE], [BLUE, RED]], np.uint8)


def convert(paths, out, **changes):
    options = {"method": resample.nearest, "cells": 2, "scale": 3, "force": False}
    return pictures.convert(paths, out, **(options | changes))


def reasons(result):
    return [row["reason"] for row in result["pictures"]]


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "in" / "face.png"
    files.write_png(path, resample.enlarge(ART[..., :3], 8))
    return path


def test_a_picture_becomes_one_pixel_per_cell_and_an_enlargement(large, tmp_path):
    result = convert([large], tmp_path / "out")
    assert result["counts"] == {"kept": 1, "dropped": 0, "failed": 0, "reasons": {}}
    assert (files.read_rgb(tmp_path / "out/face.png") == ART[..., :3]).all()
    assert (files.read_rgb(tmp_path / "out/face@3x.png") == resample.enlarge(ART[..., :3], 3)).all()


@pytest.mark.usefixtures("large")
def test_subfolders_are_kept_and_the_output_folder_is_no_input(tmp_path):
    files.write_png(tmp_path / "in/deep/er/other.png", ART)
    (tmp_path / "in/notes.txt").write_text("hello")
    out = tmp_path / "in" / "out"
    for _ in range(2):
        result = convert([tmp_path / "in"], out, force=True)
        assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
            "deep/er/other.png", "deep/er/other@3x.png", "face.png", "face@3x.png",
        ]  # fmt: skip
        assert sorted(reasons(result), key=str) == [None, None, "not_an_image"]


@pytest.mark.usefixtures("large")
def test_a_pattern_is_expanded_and_one_without_matches_is_an_error(tmp_path):
    assert convert([str(tmp_path / "in" / "*.png")], tmp_path / "out")["counts"]["kept"] == 1
    with pytest.raises(BadInput, match="nothing"):
        convert([str(tmp_path / "nothing*.png")], tmp_path / "out")


@pytest.mark.parametrize("out", ["in", "in/face.png"])
def test_an_output_that_holds_all_inputs_is_an_error(large, tmp_path, out):
    before = large.read_bytes()
    with pytest.raises(BadInput, match="nothing to convert"):
        convert([large], tmp_path / out)
    assert large.read_bytes() == before


def test_nothing_is_overwritten_without_force(large, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "face@3x.png").write_bytes(b"mine")
    result = convert([large], out)
    assert reasons(result) == ["exists"]
    assert (out / "face@3x.png").read_bytes() == b"mine"
    assert not (out / "face.png").exists()
    assert reasons(convert([large], out, force=True)) == [None]


def test_two_inputs_for_one_output_are_a_failure(large, tmp_path):
    twin = large.with_suffix(".bmp")
    Image.open(large).save(twin)
    result = convert([large, twin], tmp_path / "out", force=True)
    assert reasons(result) == [None, "name_clash"]


def test_a_broken_file_is_a_row_and_the_others_are_converted(large, tmp_path):
    large.with_name("broken.png").write_bytes(large.read_bytes()[:40])
    result = convert([tmp_path / "in"], tmp_path / "out")
    assert reasons(result) == ["unreadable", None]
    with pytest.raises(BadInput, match=r"1 of 2 pictures failed: .*broken.png"):
        pictures.raise_for_failures(result)


def test_without_failures_nothing_is_raised(large, tmp_path):
    pictures.raise_for_failures(convert([large], tmp_path / "out"))


def test_a_cell_that_is_mostly_transparent_is_transparent_and_no_hidden_colour_reaches_the_rest():
    """The left cell is opaque in one of four pixels, the right in three; green hides under alpha 0."""
    rgba = np.array([[RED, CLEAR, BLUE, BLUE], [CLEAR, CLEAR, CLEAR, BLUE]], np.uint8)
    for method in (resample.nearest, baselines.box):
        native = pictures.to_native(rgba, method, (1, 2))
        assert native.tolist() == [[[0, 0, 0, 0], list(BLUE)]]


def test_partial_alpha_becomes_hard():
    rgba = np.array([[(*RED[:3], 127), (*BLUE[:3], 128)]], np.uint8)
    assert pictures.to_native(rgba, resample.nearest, (1, 2))[..., 3].tolist() == [[0, 255]]


def test_a_fully_transparent_picture_fails_with_its_reason(tmp_path):
    files.write_png(tmp_path / "empty.png", np.zeros((4, 4, 4), np.uint8))
    assert reasons(convert([tmp_path / "empty.png"], tmp_path / "out")) == ["transparent"]


def test_an_opaque_picture_has_no_alpha_channel(large, tmp_path):
    convert([large], tmp_path / "out")
    with Image.open(tmp_path / "out/face.png") as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("height", "width", "cells", "grid"),
    [
        (100, 50, 20, (20, 10)),
        (50, 100, 20, (10, 20)),
        (97, 100, 32, (31, 32)),
        (3, 1000, 100, (1, 100)),
        (10, 8, 32, (10, 8)),
        (100, 50, (7, 9), (7, 9)),
    ],
)
def test_a_single_number_keeps_the_aspect_ratio_and_invents_no_pixels(height, width, cells, grid):
    assert pictures.grid_for(height, width, cells) == grid


def test_an_exact_grid_larger_than_the_picture_fails(large, tmp_path):
    assert reasons(convert([large], tmp_path / "out", cells=(17, 2))) == ["too_small"]


@pytest.mark.parametrize(("text", "cells"), [("32", 32), ("32x24", (24, 32)), ("8X9", (9, 8))])
def test_cells_are_read_as_width_by_height(text, cells):
    assert pictures.parse_cells(text) == cells


@pytest.mark.parametrize("text", ["", "0", "x", "4x", "1025", "-3", "3x4x5", "4.5", "²"])
def test_other_cells_are_refused(text):
    with pytest.raises(BadInput, match="N or WxH"):
        pictures.parse_cells(text)


def test_methods_follow_the_palette_and_the_number_of_colours():
    rgb = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for options, most in (({"colours": 4, "palette": None}, 4), ({"colours": None, "palette": "grey-4"}, 4)):
        for name in ("majority", "nearest"):
            method = command.trivial_method(name, **options)
            assert len(np.unique(method(rgb, (8, 8)).reshape(-1, 3), axis=0)) <= most
    plain = command.trivial_method("nearest", colours=None, palette=None)
    assert (plain(rgb, (8, 8)) == resample.nearest(rgb, (8, 8))).all()


@pytest.mark.parametrize("method", ["majority", "nearest", "cell"])
def test_colours_and_palette_together_are_refused(large, tmp_path, method):
    with pytest.raises(BadInput, match="either"):
        command.run(
            [large], tmp_path / "out", method=method, cells=None, colours=4, palette="grey-4", scale=1, force=False,
            trained=tmp_path, device="cpu",
        )  # fmt: skip


@pytest.mark.parametrize("scale", [0, 65])
def test_a_scale_out_of_range_is_refused(large, tmp_path, scale):
    with pytest.raises(BadInput, match=r"1\.\.64"):
        convert([large], tmp_path / "out", scale=scale)
