"""What must hold of cells for any art, and the cases that are hard."""

from __future__ import annotations

import time

import numpy as np
import pytest
from enlarged import detect, jpeg, portrait
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sprites import HERO, art, colours_of, noise_art, scaled

from pipeline.cells import combs
from pipeline.cells import detect as cells
from pipeline.cells.edges import common_factor, find_edges

natives = st.builds(
    lambda *shape: noise_art(*shape)[..., :3].copy(),
    st.integers(0, 10**6),
    st.integers(8, 24),
    st.integers(8, 24),
    st.integers(3, 12),
)
anything = st.builds(
    lambda seed, height, width, colours: noise_art(seed, width, height, colours)[..., :3].copy(),
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 200),
)
often = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def nearest(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.NEAREST))


def corner_sampled(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """Nearest neighbour as OpenCV does it."""
    y, x = np.arange(height) * rgb.shape[0] // height, np.arange(width) * rgb.shape[1] // width
    return np.ascontiguousarray(rgb[y][:, x])


def noisy(rgb: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, rgb.shape)
    return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)


@often
@given(natives)
def test_native_art_is_native_and_comes_back_whole(native) -> None:
    cell = detect(native)
    assert (cell.size, cell.native_width, cell.native_height) == (1, native.shape[1], native.shape[0])
    np.testing.assert_array_equal(cells.reduce(native, cell), native)


@often
@given(natives, st.integers(2, 12), st.lists(st.integers(0, 11), min_size=4, max_size=4))
def test_any_crop_of_an_enlargement_gives_the_cells_it_cuts(native, factor, trimmed) -> None:
    left, top, right, bottom = (margin % factor for margin in trimmed)
    enlarged = scaled(native, factor)
    cropped = enlarged[top : len(enlarged) - bottom, left : enlarged.shape[1] - right]
    cell = detect(cropped)
    assert (cell.size, cell.phase) == (factor, (-left % factor, -top % factor))
    np.testing.assert_array_equal(cells.reduce(np.ascontiguousarray(cropped), cell), native)


@often
@given(natives, st.floats(1.5, 6.5), st.sampled_from([nearest, corner_sampled]))
def test_a_fractional_enlargement_is_undone_or_left_and_nothing_is_lost(native, pitch, enlarge) -> None:
    """17 pixels of 8 cells may just as well be x2, cropped to 8 cells and a half: off by one, and still whole."""
    height, width = native.shape[:2]
    enlarged = enlarge(native, round(width * pitch), round(height * pitch))
    cell = detect(enlarged)
    if cell.size not in (1, None):
        assert max(abs(cell.native_width - width), abs(cell.native_height - height)) <= 1
        np.testing.assert_array_equal(drawn_again(cells.reduce(enlarged, cell), cell, enlarged.shape), enlarged)


def drawn_again(reduced: np.ndarray, cell: cells.Cell, shape: tuple[int, ...]) -> np.ndarray:
    rows = np.diff(np.r_[0, cell.rows, shape[0]])
    columns = np.diff(np.r_[0, cell.columns, shape[1]])
    return reduced.repeat(rows, 0).repeat(columns, 1)


@often
@given(natives, st.sampled_from([2.5, 3.3, 16 / 3, 4.5]), st.sampled_from([nearest, corner_sampled]))
def test_full_art_comes_back_from_common_fractional_pitches(native, pitch, enlarge) -> None:
    height, width = native.shape[:2]
    enlarged = enlarge(native, round(width * pitch), round(height * pitch))
    np.testing.assert_array_equal(cells.reduce(enlarged, detect(enlarged)), native)


@often
@given(natives, st.integers(3, 8), st.floats(0, 6), st.integers(40, 95))
def test_no_colour_is_invented(native, factor, deviation, quality) -> None:
    for spoilt in (noisy(scaled(native, factor), deviation), jpeg(scaled(native, factor), quality)):
        cell = detect(spoilt)
        if cell.size is not None:
            assert colours_of(cells.reduce(spoilt, cell)) <= colours_of(spoilt)


@often
@given(anything)
def test_every_image_has_an_answer_whose_parts_agree(rgb) -> None:
    cell = detect(rgb)
    assert 0 <= cell.confidence <= 1
    if cell.size is None:
        assert (cell.native_width, cell.native_height) == (None, None)
    else:
        assert cells.reduce(rgb, cell).shape == (cell.native_height, cell.native_width, 3)
        for starts, side in ((cell.rows, rgb.shape[0]), (cell.columns, rgb.shape[1])):
            assert (np.diff(np.r_[0, starts, side]) > 0).all()


@often
@given(natives, st.integers(2, 8))
def test_mirror_and_transposition_do_not_change_the_cell(native, factor) -> None:
    enlarged = scaled(native, factor)[1:, 1:]
    views = (enlarged, enlarged[::-1], enlarged[:, ::-1], enlarged.transpose(1, 0, 2))
    assert {detect(view).size for view in views} == {factor}


@pytest.mark.parametrize("side", [15, 16, 17, 31, 32, 33, 64])
@pytest.mark.parametrize("enlarge", [nearest, corner_sampled])
def test_ties_of_half_pixels_may_be_rounded_either_way(side: int, enlarge) -> None:
    """At x2.5 every other boundary ends on half a pixel; Pillow rounds some of them up and some down."""
    native = noise_art(side, side, side)[..., :3].copy()
    enlarged = enlarge(native, round(side * 2.5), round(side * 2.5))
    np.testing.assert_array_equal(cells.reduce(enlarged, detect(enlarged)), native)


def test_one_and_a_half_is_the_smallest_common_fraction() -> None:
    native = portrait()
    enlarged = nearest(native, 48, 48)
    cell = detect(enlarged)
    assert cell.size == 1.5
    np.testing.assert_array_equal(cells.reduce(enlarged, cell), native)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 60), (60, 1), (2, 2), (2, 40), (3, 3)])
def test_a_picture_of_a_row_or_a_column_has_an_answer(shape: tuple[int, int]) -> None:
    for rgb in (np.full((*shape, 3), 7, np.uint8), noise_art(0, shape[1], shape[0], 200)[..., :3].copy()):
        cell = detect(rgb)
        assert cell.size == 1
        np.testing.assert_array_equal(cells.reduce(rgb, cell), rgb)


def test_a_row_of_enlarged_cells_is_undone() -> None:
    native = noise_art(5, 30, 1)[..., :3]
    cell = detect(scaled(native, 6))
    assert cell.size == 6
    np.testing.assert_array_equal(cells.reduce(scaled(native, 6), cell), native)


def test_symmetry_is_no_evidence() -> None:
    """A native cross of thick arms has its edges three apart on both axes, each told four times over."""
    rgb = np.full((19, 19, 3), (143, 163, 184), np.uint8)
    rgb[8:11] = rgb[:, 8:11] = (255, 253, 250)
    rgb[5:14, 5:14] = (143, 163, 184)
    assert common_factor(find_edges(rgb))[0] == 3
    assert detect(rgb).size == 1
    np.testing.assert_array_equal(cells.reduce(rgb, detect(rgb)), rgb)


def test_a_mirrored_half_is_no_evidence() -> None:
    left, right = (scaled(noise_art(seed, 5, 3)[..., :3], 3) for seed in (7, 8))
    mirrored, plain = (
        common_factor(find_edges(np.ascontiguousarray(np.hstack([left, half])))) for half in (left[:, ::-1], right)
    )
    assert mirrored[0] == plain[0] == 3
    assert mirrored[1] <= plain[1] - 3 * np.log2(3)


def test_an_enlargement_of_next_to_nothing_stays_as_it_is() -> None:
    """Three pixels of eight by eight: enlarged, they might as well be three native squares."""
    rgb = np.full((8, 8, 3), 200, np.uint8)
    rgb[1, 1] = rgb[4, 5] = rgb[5, 6] = 20
    assert detect(scaled(rgb, 4)).size in (1, 4)
    assert detect(scaled(rgb[:5, :5].copy(), 4)).size == 1


def test_enlarged_sprites_on_a_finer_ground_are_native() -> None:
    """Mixed pixel sizes: reducing would lose the finer ones."""
    rgb = noise_art(2, 64, 64, 5)[..., :3].copy()
    rgb[8:40, 8:40] = scaled(noise_art(3, 8, 8)[..., :3], 4)
    assert detect(rgb).size == 1


@pytest.mark.parametrize(("fine", "share"), [(10, 0.3), (14, 0.1), (18, 0.1)])
def test_compressed_art_of_mixed_pixel_sizes_is_never_shrunk(fine: int, share: float) -> None:
    """Broad shades in cells of four, strewn with native pixels of little contrast: cells explain nearly all of it."""
    random = np.random.default_rng(4)
    shade = np.linspace(20, 200, 40).astype(int) + random.integers(0, 2, (30, 40)) * 40
    rgb = scaled(shade.astype(np.uint8)[..., None].repeat(3, 2), 4)
    rgb[random.random(rgb.shape[:2]) < share] += np.uint8(fine)
    assert detect(jpeg(rgb, 90)).size in (1, None)


@pytest.mark.parametrize("factor", [2, 3])
def test_little_evidence_of_a_whole_factor_weighs_more_than_of_a_fraction(factor: int) -> None:
    """A fraction is the best of many that were tried; a whole factor is one of a few."""
    native = noise_art(3, 7, 7)[..., :3].copy()
    assert detect(noisy(scaled(native, factor), 2)).size == factor


def test_a_fraction_pays_for_the_search_that_found_it() -> None:
    native = portrait()
    for enlarged, pitch in ((scaled(native, 4), 4), (nearest(native, 106, 106), 106 / 32)):
        comb = combs.best(combs.profile_of(combs.luma_of(enlarged)), 16)
        assert comb is not None
        assert comb.pitch == pitch
        paid = comb.edges * np.log2(pitch) - comb.bits
        assert paid == 0 if pitch == 4 else paid > 5


@pytest.mark.parametrize("step", [5, 6, 8, 12])
@pytest.mark.parametrize("spoil", [lambda rgb: jpeg(rgb, 75), lambda rgb: noisy(rgb, 2)])
def test_dark_art_of_little_contrast_is_recognised_when_spoilt(spoil, step: int) -> None:
    palette = np.array([(30 + step * shade,) * 3 for shade in range(4)], np.uint8)
    native = palette[np.random.default_rng(1).integers(0, 4, (24, 24))]
    cell = detect(spoil(scaled(native, 2)))
    assert (cell.size, cell.native_width, cell.native_height) == (2, 24, 24)


def test_a_lanczos_reduction_of_an_enlargement_is_undone() -> None:
    native = portrait()
    smeared = np.array(Image.fromarray(scaled(native, 8)).resize((171, 171), Image.Resampling.LANCZOS))
    cell = detect(smeared)
    assert cell.size == pytest.approx(171 / 32)
    assert np.abs(cells.reduce(smeared, cell).astype(int) - native).mean() < 12


def test_small_smooth_drawings_are_native() -> None:
    """Nobody enlarges to 24 pixels: what is smooth there was drawn so."""
    y, x = np.mgrid[:24, :24]
    rgb = np.stack([9 + 7 * x + 3 * y, 30 + 6 * y + 3 * x, 20 + 4 * x + 5 * y], axis=2).astype(np.uint8)
    assert detect(rgb).size == 1
    assert detect(np.kron(rgb, np.ones((2, 2, 1), np.uint8))).size == 2


def test_huge_images_take_bounded_time() -> None:
    """16 million pixels, the most that is read: noise, few edges, an enlargement, a photograph."""
    small = np.random.default_rng(0).integers(0, 256, (250, 250, 3), dtype=np.uint8)
    smooth = np.array(Image.fromarray(small).resize((4000, 4000), Image.Resampling.BICUBIC))
    few = np.full((4000, 4000, 3), 90, np.uint8)
    few[100:900:7, 1000:1900] = few[2000:2002, ::311] = 10
    for rgb, sizes in ((scaled(small, 16), {16}), (smooth, {1, None}), (few, {1, None})):
        began = time.process_time()
        assert detect(rgb).size in sizes
        assert time.process_time() - began < 30


@pytest.mark.shared
@pytest.mark.parametrize(
    ("spoil", "size", "least"),
    [
        pytest.param(lambda rgb: rgb, 1, 1.0, id="native"),
        pytest.param(lambda rgb: scaled(rgb, 3), 3, 1.0, id="x3"),
        pytest.param(lambda rgb: scaled(rgb, 6)[5:-3, 2:-1], 6, 1.0, id="x6, crop"),
        pytest.param(lambda rgb: nearest(rgb, rgb.shape[1] * 5 // 2, rgb.shape[0] * 5 // 2), 2.5, 0.95, id="x2.5"),
        pytest.param(lambda rgb: jpeg(scaled(rgb, 4), 75), 4, 0.95, id="x4, JPEG 75"),
        pytest.param(lambda rgb: noisy(scaled(rgb, 4), 2), 4, 0.95, id="x4, noise 2"),
    ],
)
def test_real_art_is_recognised_under_every_condition(shared_images, spoil, size: float, least: float) -> None:
    images = [rgb for name in ("pixel_faces", "pixel_chars", "pixel_tiles") for rgb in shared_images(name, 25)]
    detailed = [rgb for rgb in images if find_edges(rgb).count >= 12]
    assert len(detailed) >= 0.9 * len(images)
    answers = [detect(spoil(rgb)).size for rgb in detailed]
    right = sum(answer is not None and abs(answer - size) < 0.05 * size for answer in answers)
    assert right >= least * len(detailed)


@pytest.mark.shared
def test_real_native_art_is_never_shrunk_by_compression_or_noise(shared_images) -> None:
    images = [rgb for name in ("pixel_faces", "pixel_chars", "pixel_tiles") for rgb in shared_images(name, 25)]
    spoilt = [view for rgb in images for view in (jpeg(rgb, 90), jpeg(rgb, 75), noisy(rgb, 2))]
    assert {detect(rgb).size for rgb in spoilt} <= {1, None}


def test_a_hero_is_found_however_he_is_enlarged() -> None:
    native = art(HERO)[..., :3].copy()
    for factor in range(2, 13):
        np.testing.assert_array_equal(cells.reduce(scaled(native, factor), detect(scaled(native, factor))), native)
