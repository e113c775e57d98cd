from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.convert import baselines
from pipeline.images import palettes, resample

natives = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (200, 20, 30)


@given(natives, st.integers(1, 5))
def test_every_method_undoes_an_enlargement(native, factor):
    """Art that is on the grid already comes back as it was, given colours enough."""
    large, grid = resample.enlarge(native, factor), native.shape[:2]
    assert (resample.nearest(large, grid) == native).all()
    assert (baselines.box(large, grid) == native).all()
    assert (baselines.box_palette(large, grid, colours=36, seed=1) == native).all()
    assert (baselines.majority_palette(large, grid, colours=36, seed=1) == native).all()


@given(arrays(np.uint8, st.tuples(st.integers(5, 20), st.integers(5, 20), st.just(3))))
def test_sizes_that_do_not_divide_give_every_cell_a_colour_from_where_it_lies(rgb):
    grid = (4, 5)
    assert resample.nearest(rgb, grid).shape == (4, 5, 3)
    box = baselines.box(rgb, grid)
    assert (box[0, 0] >= rgb.min(axis=(0, 1))).all()
    assert (box <= rgb.max(axis=(0, 1))).all()


def test_box_is_the_mean_and_majority_the_most_frequent_colour():
    cell = np.array([[BLACK, BLACK], [BLACK, WHITE]], np.uint8)
    assert baselines.box(cell, (1, 1)).tolist() == [[[64, 64, 64]]]
    assert baselines.majority(cell, (1, 1), palette=np.array([WHITE, BLACK], np.uint8)).tolist() == [[list(BLACK)]]


def test_nearest_takes_the_pixel_at_the_centre_of_the_cell():
    ramp = np.arange(8, dtype=np.uint8)[None, :, None].repeat(8, axis=0).repeat(3, axis=2)
    assert resample.nearest(ramp, (2, 2))[0, :, 0].tolist() == [2, 6]


def test_palette_methods_stay_within_their_colours():
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    shipped = palettes.load("facetopix-32")
    fixed = baselines.fixed_palette(rgb, (8, 8), palette=shipped)
    assert {tuple(c) for c in fixed.reshape(-1, 3)} <= {tuple(c) for c in shipped}
    for method in (baselines.box_palette, baselines.majority_palette):
        drawn = method(rgb, (8, 8), colours=5, seed=1)
        assert 1 < len({tuple(c) for c in drawn.reshape(-1, 3)}) <= 5


@pytest.mark.parametrize("method", [baselines.box_palette, baselines.majority_palette])
def test_the_same_seed_gives_the_same_picture(method):
    rgb = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    first, second = (method(rgb, (16, 16), colours=8, seed=5) for _ in range(2))
    assert (first == second).all()


def test_majority_of_equals_is_the_first_of_the_palette():
    cell = np.array([[BLACK, RED]], np.uint8)
    for palette in ([BLACK, RED], [RED, BLACK]):
        assert tuple(baselines.majority(cell, (1, 1), palette=np.array(palette, np.uint8))[0, 0]) == palette[0]
