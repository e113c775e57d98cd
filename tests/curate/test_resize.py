from __future__ import annotations

import numpy as np
import pytest
from sprites import HERO, SERIAL, art, colours_of, load, noise_art, rows_of, stage_folder

from pipeline.curate import resize
from pipeline.runtime.settings import Resize

PARAMS = Resize(size=64, cells=16, min_cells=6, max_aspect=2.0, larger="crop", crop="saliency")
GROUND = "#8fa3b8"
RGB = tuple(bytes.fromhex(GROUND[1:]))


def resized(tmp_path, works, larger="crop", **changes):
    facts = {name.replace("-", "_"): {"background": GROUND} for name in works}
    src = stage_folder(tmp_path / "grid", {name: rgb[..., :3] for name, rgb in works.items()}, **facts)
    params = Resize(**{**PARAMS.model_dump(), "larger": larger, **changes})
    return resize.run(src, tmp_path / "resize", params, SERIAL), rows_of(tmp_path / "resize")


def cells_of(folder, name, factor=4):
    """The native grid of an output, after checking that every cell is one colour."""
    rgb = load(folder / "resize", name)
    native = rgb[::factor, ::factor]
    np.testing.assert_array_equal(native.repeat(factor, 0).repeat(factor, 1), rgb)
    return native


def plain(height: int, width: int) -> np.ndarray:
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:] = RGB
    return rgb


def test_smaller_works_are_centred_on_their_own_background(tmp_path) -> None:
    _, rows = resized(tmp_path, {"a": noise_art(1, width=7, height=8)})
    native = cells_of(tmp_path, "a")
    assert load(tmp_path / "resize", "a").shape == (64, 64, 3)
    np.testing.assert_array_equal(native[4:12, 4:11], noise_art(1, 7, 8)[..., :3])
    native = native.copy()
    native[4:12, 4:11] = RGB
    assert (native == RGB).all()
    assert (rows["a"]["pad"], rows["a"]["crop"], rows["a"]["background"]) == ([4, 4, 7, 8], None, GROUND)


def test_works_of_the_wanted_size_are_only_enlarged(tmp_path) -> None:
    _, rows = resized(tmp_path, {"a": noise_art(2)})
    np.testing.assert_array_equal(cells_of(tmp_path, "a"), noise_art(2)[..., :3])
    assert (rows["a"]["pad"], rows["a"]["crop"]) == (None, None)


def test_the_crop_keeps_the_content(tmp_path) -> None:
    large = plain(40, 50)
    large[20:28, 33:41] = noise_art(3, 8, 8)[..., :3]
    _, rows = resized(tmp_path, {"a": large})
    left, top, width, height = rows["a"]["crop"]
    assert (width, height) == (16, 16)
    assert 33 + 8 - 16 <= left <= 33
    assert 20 + 8 - 16 <= top <= 20
    np.testing.assert_array_equal(cells_of(tmp_path, "a"), large[top : top + 16, left : left + 16])


def test_of_equal_windows_the_central_topmost_is_taken() -> None:
    assert resize.best_window(plain(30, 31), GROUND, 16) == (7, 0)


def test_a_work_larger_on_one_side_is_cropped_there_and_padded_here(tmp_path) -> None:
    _, rows = resized(tmp_path, {"a": noise_art(4, width=12, height=20)})
    assert rows["a"]["crop"][2:] == [12, 16]
    assert rows["a"]["pad"] == [2, 0, 12, 16]


def test_tiles_cover_the_work_and_name_their_parent(tmp_path) -> None:
    large = noise_art(5, width=40, height=16)[..., :3]
    stats, rows = resized(tmp_path, {"a": large}, larger="tile")
    assert sorted(rows) == ["a-t00x00", "a-t01x00", "a-t02x00"]
    assert {row["parent"] for row in rows.values()} == {"a"}
    assert (stats["inputs"], stats["kept"]) == (1, 3)
    np.testing.assert_array_equal(cells_of(tmp_path, "a-t01x00"), large[:, 16:32])
    assert rows["a-t02x00"]["crop"] == [32, 0, 8, 16]
    assert rows["a-t02x00"]["pad"] == [4, 0, 8, 16]


def test_blank_tiles_and_slivers_are_rows_with_a_reason(tmp_path) -> None:
    large = plain(16, 36)
    large[:, :16] = noise_art(6)[..., :3]
    large[3, 20] = (1, 2, 3)
    _, rows = resized(tmp_path, {"a": large}, larger="tile")
    assert {name: row["reason"] for name, row in rows.items()} == {
        "a-t00x00": None, "a-t01x00": "blank_tile", "a-t02x00": "too_small"
    }  # fmt: skip


def test_tiling_leaves_small_works_whole(tmp_path) -> None:
    _, rows = resized(tmp_path, {"a": art(HERO)}, larger="tile")
    assert list(rows) == ["a"]


@pytest.mark.parametrize(
    ("shape", "larger", "reason"),
    [
        ((5, 5), "crop", "too_small"),
        ((5, 6), "crop", None),
        ((5, 11), "crop", "extreme_aspect"),
        ((12, 6), "crop", None),
        ((20, 50), "crop", "extreme_aspect"),
        ((17, 17), "drop", "too_large"),
        ((16, 16), "drop", None),
    ],
)
def test_each_rule_names_itself(tmp_path, shape, larger, reason) -> None:
    _, rows = resized(tmp_path, {"a": noise_art(8, width=shape[1], height=shape[0])}, larger=larger)
    assert rows["a"]["reason"] == reason


def test_no_colour_but_the_background_is_added(tmp_path) -> None:
    works = {"a": noise_art(1, 9, 8), "b": noise_art(2, 30, 30), "c": noise_art(3, 16, 16)}
    resized(tmp_path, works)
    for name, rgb in works.items():
        assert colours_of(load(tmp_path / "resize", name)) <= colours_of(rgb) | {RGB}


def test_a_work_without_a_noted_background_gets_its_borders(tmp_path) -> None:
    src = stage_folder(tmp_path / "grid", {"a": np.full((8, 8, 3), 77, np.uint8)})
    resize.run(src, tmp_path / "resize", PARAMS, SERIAL)
    assert rows_of(tmp_path / "resize")["a"]["background"] == "#4d4d4d"
    assert (load(tmp_path / "resize", "a") == 77).all()


@pytest.mark.parametrize(
    ("width", "height", "crop"), [(50, 40, [17, 12, 16, 16]), (17, 17, [0, 0, 16, 16]), (12, 20, [0, 2, 12, 16])]
)
def test_the_centre_is_kept_where_that_is_the_rule(tmp_path, width, height, crop) -> None:
    large = noise_art(9, width, height)[..., :3]
    _, rows = resized(tmp_path, {"a": large}, crop="centre")
    assert rows["a"]["crop"] == crop
    left, top, across, down = crop
    shown = cells_of(tmp_path, "a")[:, (16 - across) // 2 :][:, :across]
    np.testing.assert_array_equal(shown, large[top : top + down, left : left + across])


def test_the_rules_of_cropping_differ_where_the_content_is_aside(tmp_path) -> None:
    large = plain(40, 50)
    large[20:28, 40:48] = noise_art(3, 8, 8)[..., :3]
    crops = [resized(tmp_path / crop, {"a": large}, crop=crop)[1]["a"]["crop"] for crop in ("saliency", "centre")]
    assert crops[0][0] > 30 > crops[1][0]


@pytest.mark.parametrize(("first", "top"), [(0, 0), (7, 7), (34, 24)])
def test_the_top_rule_starts_where_the_content_does(tmp_path, first, top) -> None:
    """Below it there is more to see; at the bottom the window stays within the work."""
    large = plain(40, 50)
    large[first : first + 5, 30:36] = noise_art(3, 6, 5)[..., :3]
    large[28:, :20] = noise_art(4, 20, 12)[..., :3]
    _, rows = resized(tmp_path, {"a": large}, crop="top")
    left, first_row, *size = rows["a"]["crop"]
    assert (first_row, size) == (top, [16, 16])
    assert first == 34 or left <= 30 <= 36 <= left + 16


@pytest.mark.parametrize("cells", [1, 2, 12, 160])
@pytest.mark.parametrize("share", [0.0, 0.004, 0.5])
def test_the_best_window_is_that_of_a_plain_count(cells, share) -> None:
    """160 x 160 cells of up to 3 points do not fit in 16 bits; where little is drawn, many windows are as good."""
    rng = np.random.default_rng(8)
    rgb = np.where(rng.random((165, 170, 1)) < share, rng.integers(0, 256, (165, 170, 3)), RGB).astype(np.uint8)
    left, top = resize.best_window(rgb, GROUND, cells)
    points = (rgb != RGB).any(axis=2).astype(int)
    points[:, 1:] += (rgb[:, 1:] != rgb[:, :-1]).any(axis=2)
    points[1:] += (rgb[1:] != rgb[:-1]).any(axis=2)
    running = np.pad(points, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums = running[cells:, cells:] - running[:-cells, cells:] - running[cells:, :-cells] + running[:-cells, :-cells]
    places = [(abs(2 * x - (sums.shape[1] - 1)), y, x) for y, x in np.argwhere(sums == sums.max()).tolist()]
    assert (top, left) == min(places)[1:]
