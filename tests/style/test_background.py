"""What of an artwork has style, and the tones and colours that a face should have in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.images.colour import to_oklab
from pipeline.style import pairs, palette_losses, transfer
from pipeline.style.background import figure_mask
from pipeline.style.tone_match import match_tones

GROUND, INK, SKIN = (10, 20, 30), (200, 40, 40), (240, 200, 170)
COLOURS = np.array([INK, SKIN], np.uint8)


def disc(side: int = 16) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return x**2 + y**2 < (side / 3) ** 2


def ink(mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], np.array(INK, np.uint8), np.array(GROUND, np.uint8)).astype(np.uint8)


def test_the_figure_is_what_the_ground_does_not_reach():
    assert np.array_equal(figure_mask(ink(disc())), disc())


def test_ground_inside_the_figure_belongs_to_it():
    hole = disc()
    hole[7:9, 7:9] = False
    assert np.array_equal(figure_mask(ink(hole)), disc())


def test_a_picture_that_fills_its_square_has_no_ground():
    rng = np.random.default_rng(0)
    assert figure_mask(rng.integers(0, 4, (16, 16, 3), np.uint8)).all()
    assert figure_mask(np.full((16, 16, 3), 9, np.uint8)).all()


def test_a_figure_at_the_edge_is_told_from_the_ground_around_it():
    mask = disc()
    mask[8:, 3:13] = True
    assert np.array_equal(figure_mask(ink(mask)), mask)


def face(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 140, (16, 16, 3)).astype(np.uint8)


def test_toning_brings_lightness_and_saturation_to_those_of_the_artwork():
    pixels = np.random.default_rng(1).integers(90, 200, (400, 3)).astype(np.uint8)
    lab, target = to_oklab(match_tones(face(), pixels, 1.0)), to_oklab(pixels)
    assert lab[..., 0].mean() == pytest.approx(target[..., 0].mean(), abs=0.01)
    assert lab[..., 0].std() == pytest.approx(target[..., 0].std(), abs=0.01)
    chroma = [np.sqrt((colours[..., 1:] ** 2).sum(axis=-1).mean()) for colours in (lab, target)]
    assert chroma[0] == pytest.approx(chroma[1], rel=0.05)


def test_toning_keeps_the_order_of_lightness_and_the_hue():
    greys = np.repeat(np.linspace(40, 200, 16).astype(np.uint8)[:, None, None], 3, axis=2).repeat(4, axis=1)
    lightness = to_oklab(match_tones(greys, COLOURS, 0.6))[:, 0, 0]
    assert (np.diff(lightness) > 0).all()
    before, after = (
        np.arctan2(lab[..., 2], lab[..., 1]) for lab in map(to_oklab, (face(), match_tones(face(), COLOURS, 0.3)))
    )
    vivid = np.hypot(*np.moveaxis(to_oklab(face())[..., 1:], -1, 0)) > 0.05
    assert np.abs(np.angle(np.exp(1j * (after - before))))[vivid].max() < 0.1


def test_no_toning_is_no_change_and_a_flat_face_stays_flat():
    assert np.array_equal(match_tones(face(), COLOURS, 0.0), face())
    assert len(np.unique(match_tones(np.full((4, 4, 3), 90, np.uint8), COLOURS, 1.0).reshape(-1, 3), axis=0)) == 1


def artwork(mask: np.ndarray, **values: object) -> pairs.Artwork:
    return pairs.Artwork("art", ink(mask).repeat(2, 0).repeat(2, 1), **values)


def test_native_colours_are_those_of_the_figure():
    mask = disc()
    pair = pairs.Pair("face", face(), (artwork(mask, figure=mask.repeat(2, 0).repeat(2, 1)),))
    colours, areas = transfer.native_pixels(pair, 2)
    assert np.unique(colours, axis=0).tolist() == [list(INK)]
    assert areas.tolist() == [1.0] * mask.sum()


@pytest.mark.parametrize("weight", [1.4, 1e-6, 1e6])
def test_an_artwork_counts_by_its_weight_and_not_by_its_size(weight):
    """Also where no whole number of repeats could say it."""
    small = pairs.Artwork("small", np.full((4, 4, 3), 200, np.uint8), weight)
    pair = pairs.Pair("face", face(), (artwork(disc()), small))
    colours, areas = transfer.native_pixels(pair, 2)
    assert len(colours) == len(areas) == 16 * 16 + 4
    assert areas[-4:].sum() == pytest.approx(weight * areas[:-4].sum())


def test_areas_tone_a_face_as_that_many_pixels_would():
    weighed = match_tones(face(), COLOURS, 1.0, np.array([3.0, 1.0]))
    assert np.array_equal(weighed, match_tones(face(), np.repeat(COLOURS, [3, 1], axis=0), 1.0))
    assert not np.array_equal(weighed, match_tones(face(), COLOURS, 1.0))


def costs_of(pair: pairs.Pair, *, colour_weight: float = 0.0, cooccurrence_weight: float = 0.0):
    return palette_losses.choice_costs([pair], [COLOURS], 2, colour_weight, cooccurrence_weight, "cpu")


def test_a_colour_costs_its_distance_from_the_cell():
    cells = np.array([[INK, SKIN], [SKIN, INK]], np.uint8)
    pair = pairs.Pair("face", cells.repeat(2, 0).repeat(2, 1), (artwork(disc(4)),))
    costs = costs_of(pair, colour_weight=1.0).colours
    assert costs.shape == (1, 2, 2, 2)
    assert costs[0].argmin(dim=0).tolist() == [[0, 1], [1, 0]]
    assert costs[0, 0, 0, 0] == costs[0, 1, 1, 0] == 0


def test_neighbours_are_the_figures_with_the_flatness_of_the_whole():
    mask = np.zeros((8, 8), bool)
    mask[:, 2:4] = True
    native = np.full((8, 8, 3), GROUND, np.uint8)
    native[:, 2], native[:, 3] = INK, SKIN
    columns = pairs.Artwork("art", native.repeat(2, 0).repeat(2, 1), figure=mask.repeat(2, 0).repeat(2, 1))
    costs = costs_of(pairs.Pair("face", face(), (columns,)), cooccurrence_weight=1.0)
    across, down = costs.cooccurrence[0][:2]
    assert torch.allclose(down, torch.eye(2) / 2)  # each column is one colour
    assert across[0, 1] == across[1, 0]
    assert float(across.trace()) == pytest.approx(
        40 / 56
    )  # five of seven pairs in a row: the ground's colour is SKIN's
