from __future__ import annotations

import numpy as np
import pytest
from sprites import FOE, HERO, SERIAL, art, colours_of, load, noise_art, rows_of, stage_folder

from pipeline.curate import flatten
from pipeline.curate.params import Flatten
from pipeline.images.files import WORD

PALE, DARK, RED = "#c8d2dc", "#181425", "#e43b44"
PARAMS = Flatten(policy="contrast", backgrounds=[PALE, "#e4c9a8", "#a8c8a0"], alpha_threshold=128, max_transparent=0.97)


def flattened(tmp_path, works, params=PARAMS):
    src = stage_folder(tmp_path / "dedup", works)
    stats = flatten.run(src, tmp_path / "flatten", params, SERIAL)
    return stats, rows_of(tmp_path / "flatten")


def test_the_background_is_noted_and_stands_exactly_where_it_was_transparent(tmp_path) -> None:
    _, rows = flattened(tmp_path, {"a": art(HERO)})
    rgb = load(tmp_path / "flatten", "a")
    assert rgb.shape == (8, 8, 3)
    background = tuple(bytes.fromhex(rows["a"]["background"][1:]))
    transparent = art(HERO)[..., 3] == 0
    assert ((rgb == background).all(axis=2) == transparent).all()
    np.testing.assert_array_equal(rgb[~transparent], art(HERO)[~transparent][:, :3])
    assert rows["a"]["transparent_share"] == round(transparent.mean(), 4)


def test_partial_alpha_is_thresholded_never_blended(tmp_path) -> None:
    rgba = art(HERO).copy()
    rgba[0, 2], rgba[0, 3] = (200, 10, 10, 127), (200, 10, 10, 128)
    _, rows = flattened(tmp_path, {"a": rgba})
    rgb = load(tmp_path / "flatten", "a")
    assert rgb[0, 2].tolist() == list(bytes.fromhex(rows["a"]["background"][1:]))
    assert rgb[0, 3].tolist() == [200, 10, 10]


def test_opaque_works_keep_their_pixels_and_name_their_border(tmp_path) -> None:
    rgba = noise_art(2)
    rgba[0], rgba[-1], rgba[:, 0] = ((9, 8, 7, 255),) * 3
    _, rows = flattened(tmp_path, {"a": rgba})
    np.testing.assert_array_equal(load(tmp_path / "flatten", "a"), rgba[..., :3])
    assert (rows["a"]["background"], rows["a"]["transparent_share"]) == ("#090807", 0.0)


def test_a_background_like_the_outline_is_avoided(tmp_path) -> None:
    works = {f"w-{number}": art(HERO) for number in range(12)}
    _, rows = flattened(tmp_path, works, PARAMS.model_copy(update={"backgrounds": [DARK, PALE]}))
    assert {row["background"] for row in rows.values()} == {PALE}


def test_backgrounds_vary_between_works_but_not_between_runs(tmp_path) -> None:
    works = {f"w-{number}": art(FOE) for number in range(40)}
    _, rows = flattened(tmp_path / "one", works)
    _, again = flattened(tmp_path / "two", dict(list(works.items())[10:20]))
    assert {row["background"] for row in rows.values()} == set(PARAMS.backgrounds)
    assert {name: rows[name]["background"] for name in again} == {n: row["background"] for n, row in again.items()}


def test_without_a_contrasting_candidate_there_still_is_a_background(tmp_path) -> None:
    _, rows = flattened(tmp_path, {"a": art(HERO)}, PARAMS.model_copy(update={"backgrounds": [DARK]}))
    assert rows["a"]["background"] == DARK


def test_nearly_empty_works_are_dropped(tmp_path) -> None:
    dot = np.zeros((16, 16, 4), np.uint8)
    dot[3, 3] = 255
    faint = np.full((8, 8, 4), 90, np.uint8)
    stats, rows = flattened(tmp_path, {"a-dot": dot, "b-faint": faint, "c": art(HERO)})
    assert stats["reasons"] == {"mostly_transparent": 2}
    assert rows["a-dot"]["transparent_share"] == 0.9961
    assert (rows["b-faint"]["reason"], rows["b-faint"]["transparent_share"]) == ("mostly_transparent", 1.0)


def test_a_work_without_a_solid_pixel_is_dropped_whatever_the_limit(tmp_path) -> None:
    params = PARAMS.model_copy(update={"max_transparent": 1.0})
    stats, _ = flattened(tmp_path, {"a": np.full((8, 8, 4), 90, np.uint8)}, params)
    assert stats["reasons"] == {"mostly_transparent": 1}


def test_a_damaged_file_becomes_a_failed_row(tmp_path) -> None:
    src = stage_folder(tmp_path / "dedup", {"a": art(HERO), "b": art(FOE)})
    (src / "images" / "a.png").write_bytes(b"nothing")
    stats = flatten.run(src, tmp_path / "flatten", PARAMS, SERIAL)
    assert (stats["failed"], stats["reasons"]) == (1, {"unreadable": 1})


def test_facts_of_the_family_come_along(tmp_path) -> None:
    src = stage_folder(tmp_path / "dedup", {"a": art(HERO)}, a={"family": "fam", "frames": 3, "artist": "Ann"})
    flatten.run(src, tmp_path / "flatten", PARAMS, SERIAL)
    row = rows_of(tmp_path / "flatten")["a"]
    assert (row["family"], row["frames"], row["artist"]) == ("fam", 3, "Ann")


def test_no_colour_is_invented(tmp_path) -> None:
    rgba = noise_art(7)
    rgba[..., 3] = np.random.default_rng(7).integers(0, 256, rgba.shape[:2])
    _, rows = flattened(tmp_path, {"a": rgba})
    allowed = colours_of(rgba) | {tuple(bytes.fromhex(rows["a"]["background"][1:]))}
    assert colours_of(load(tmp_path / "flatten", "a")) <= allowed


def test_one_ground_for_all_is_the_first_whatever_the_outline(tmp_path) -> None:
    solid = PARAMS.model_copy(update={"policy": "solid", "backgrounds": [DARK, PALE]})
    works = {f"w-{number}": art(HERO) for number in range(12)}
    _, rows = flattened(tmp_path, works, solid)
    assert {row["background"] for row in rows.values()} == {DARK}


@pytest.mark.parametrize("policy", ["solid", "contrast"])
def test_opaque_works_have_their_border_for_a_background_under_either_policy(tmp_path, policy) -> None:
    rgba = noise_art(2)
    rgba[0], rgba[-1], rgba[:, 0] = ((9, 8, 7, 255),) * 3
    _, rows = flattened(tmp_path, {"a": rgba}, PARAMS.model_copy(update={"policy": policy}))
    assert rows["a"]["background"] == "#090807"


@pytest.mark.parametrize("policy", ["solid", "contrast"])
@pytest.mark.parametrize("alpha", [0, 1, 127])
def test_colours_below_the_threshold_never_leak(tmp_path, policy, alpha) -> None:
    rgba = art(HERO)
    rgba[rgba[..., 3] == 0] = (255, 0, 255, alpha)
    flattened(tmp_path, {"a": rgba}, PARAMS.model_copy(update={"policy": policy}))
    assert (255, 0, 255) not in colours_of(load(tmp_path / "flatten", "a"))


def test_shares_are_0_or_1_only_when_exactly_so(tmp_path) -> None:
    rgba = noise_art(1, 200, 200)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 200
    _, rows = flattened(tmp_path, {"a": rgba})
    assert (rows["a"]["transparent_share"], rows["a"]["partial_share"]) == (0.0001, 0.0001)


@pytest.mark.parametrize("alphas", [(255,), (128, 255), (0, 255), (0, 1, 127, 128, 254, 255), (0,)])
def test_verdict_and_picture_are_those_of_the_plain_rule(alphas) -> None:
    rgba = noise_art(7, 20, 30)
    rgba[..., 3] = np.random.default_rng(1).choice(alphas, (30, 20))
    alpha = rgba[..., 3]
    verdict, rgb = flatten.judge(rgba.view(WORD)[..., 0], "work", PARAMS)
    assert verdict["transparent_share"] == round((alpha < 128).mean(), 4)
    assert verdict["partial_share"] == round(((alpha > 0) & (alpha < 255)).mean(), 4)
    assert (rgb is None) == (alphas == (0,))
    if rgb is not None:
        ground = np.array(tuple(bytes.fromhex(verdict["background"][1:])), np.uint8)
        np.testing.assert_array_equal(rgb, np.where(alpha[..., None] >= 128, rgba[..., :3], ground))
