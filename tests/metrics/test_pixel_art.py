"""The metrics on sets where their values were measured before: see the table of each test."""

from __future__ import annotations

import io as streams

import numpy as np
import pytest
from drawings import PALETTE, with_tiles
from PIL import Image

from pipeline.convert import baselines
from pipeline.images import resample
from pipeline.metrics import pixel_art
from pipeline.metrics.tiles import comb_db


def mean(metric, pictures, *rest):
    return float(np.mean([metric(picture, *rest) for picture in pictures]))


def resized(picture, size, how):
    return np.array(Image.fromarray(picture).resize((size, size), how))


def jpeg(picture):
    buffer = streams.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return np.array(Image.open(buffer).convert("RGB"))


@pytest.fixture(scope="module")
def sets(sprites, art, smooth):
    bilinear, nearest = Image.Resampling.BILINEAR, Image.Resampling.NEAREST
    return {
        "art": art,
        "shifted": [np.roll(picture, (1, 2), (0, 1)) for picture in art],
        "jpeg": [jpeg(picture) for picture in art],
        "bilinear": [resized(sprite, 128, bilinear) for sprite in sprites],
        "stretched": [resized(sprite[:29, :29], 128, nearest) for sprite in sprites],
        "doubled then bilinear": [resized(resized(sprite, 64, nearest), 128, bilinear) for sprite in sprites],
        "smooth": smooth,
        "box": [resample.enlarge(baselines.box(face, (32, 32)), 4) for face in smooth],
        "tiles": [with_tiles(face, 4) for face in smooth],
    }


@pytest.mark.parametrize(
    ("name", "alignment", "tolerance"),
    [
        ("art", 1.00, 1e-9),
        ("shifted", 1.00, 1e-9),
        ("jpeg", 0.68, 0.1),
        ("bilinear", 0.04, 0.04),
        ("stretched", 0.11, 0.12),
        ("doubled then bilinear", 0.33, 0.05),
        ("smooth", 0.01, 0.03),
        ("box", 1.00, 1e-9),
        ("tiles", 0.05, 0.04),
    ],
)
def test_grid_alignment_is_one_on_the_grid_only(sets, name, alignment, tolerance):
    assert mean(pixel_art.grid_alignment, sets[name], 4) == pytest.approx(alignment, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("art", -50, -35),
        ("shifted", -50, -35),
        ("box", -50, -35),
        ("bilinear", -3, 12),
        ("stretched", 3, 14),
        ("smooth", 6, 13),
        ("tiles", 30, 50),
    ],
)
def test_comb_energy_is_far_below_zero_for_art_and_high_for_tiles(sets, name, low, high):
    assert low < mean(comb_db, sets[name], 4) < high


def test_the_comb_of_a_flat_picture_is_zero():
    assert comb_db(np.full((32, 32, 3), 90, np.uint8), 4) == pytest.approx(0, abs=1e-6)


def test_the_comb_sees_tiles_of_period_two_as_well(smooth):
    checkers = (np.indices((128, 128)).sum(axis=0) % 2 * 8)[..., None]
    striped = [np.clip(face.astype(int) + checkers, 0, 255).astype(np.uint8) for face in smooth]
    assert mean(comb_db, striped, 4) > 30


def test_within_cell_variance_is_zero_for_art_at_any_phase(sets):
    assert mean(pixel_art.cell_residual, sets["art"], 4) == 0
    assert mean(pixel_art.cell_residual, sets["shifted"], 4) == 0
    assert 0.03 < mean(pixel_art.cell_residual, sets["smooth"], 4) < 0.15


def test_a_flat_picture_has_no_residual_and_no_edge_off_the_grid():
    flat = np.full((16, 16, 3), 90, np.uint8)
    assert pixel_art.cell_residual(flat, 4) == 0
    assert pixel_art.grid_alignment(flat, 4) == 1


def test_colours_of_true_art_are_few_and_of_smooth_pictures_many(sets):
    assert mean(pixel_art.colours_covering, sets["art"]) < 8
    assert mean(pixel_art.effective_palette, sets["art"]) < 6
    assert mean(pixel_art.colours_covering, sets["smooth"]) > 300
    assert mean(pixel_art.colours_covering, sets["bilinear"]) > 100


def test_n99_counts_the_colours_that_cover_the_share():
    """100 pixels: 98 of one colour, one each of two more."""
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[0, 0], picture[0, 1] = 50, 200
    assert pixel_art.colours_covering(picture) == 2
    assert pixel_art.colours_covering(picture, share=0.98) == 1
    assert pixel_art.colours_covering(picture, share=1.0) == 3
    assert pixel_art.colours(picture) == 3


def test_effective_palette_of_equal_shares_is_their_number():
    picture = np.repeat(PALETTE[:4], 4, axis=0).reshape(4, 4, 3)
    assert pixel_art.effective_palette(picture) == pytest.approx(4)


def test_equal_neighbours_counts_both_directions():
    """A B / A A: of four adjacent pairs, A-A below the first column's top and A-A in the lower row are equal."""
    a, b = PALETTE[0], PALETTE[1]
    assert pixel_art.equal_neighbours(np.array([[a, b], [a, a]])) == pytest.approx(0.5)


def test_dark_cells_are_those_that_read_as_outline():
    native = np.array([[PALETTE[0], PALETTE[6]], [PALETTE[3], [255, 255, 255]]], np.uint8)
    assert pixel_art.dark_cells(native) == 0.25


def test_dark_details_are_kept_where_they_are_drawn_half_as_deep_or_deeper():
    face = np.full((9, 9, 3), 220, np.uint8)
    face[2, 2] = face[6, 4] = 60
    faint, lost, elsewhere = face.copy(), face.copy(), np.full_like(face, 220)
    faint[6, 4], lost[6, 4], elsewhere[6, 6] = 130, 215, 0
    assert pixel_art.dark_details_kept([face], [face]) == pixel_art.dark_details_kept([faint], [face]) == 1
    assert pixel_art.dark_details_kept([lost], [face]) == 0.5
    assert pixel_art.dark_details_kept([elsewhere], [face]) == 0
    assert pixel_art.dark_details_kept([face, elsewhere], [face, face]) == 0.5
    assert pixel_art.dark_details_kept([face], [np.full_like(face, 90)]) is None


def test_reading_a_picture_on_the_grid_gives_its_cells_back(sprites, art):
    assert all(
        (pixel_art.read_native(picture, 32) == sprite).all() for picture, sprite in zip(art, sprites, strict=True)
    )


def test_reading_a_full_resolution_picture_does_not_average_it(smooth):
    assert (pixel_art.read_native(smooth[0], 32)[5, 7] == smooth[0][22, 30]).all()
