"""Figures of cells that are made piece by piece are those of the plain definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.cells import colours as cell_colours
from pipeline.cells import combs
from pipeline.cells import edges as cell_edges

SIZES = pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (40, 30), (256, 20), (600, 200)])


def smooth(size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Steps of every size, many of them none, on both axes."""
    rng = np.random.default_rng(sum(size))
    steps = rng.integers(-4, 5, (*size, channels)) * (rng.random((*size, 1)) < 0.4)
    return np.abs(steps.cumsum(axis=0) + steps.cumsum(axis=1)).clip(0, 255).astype(np.uint8)


@SIZES
def test_edges_and_faintness(size) -> None:
    rgb = smooth(size)
    edges = cell_edges.find(rgb)
    sides = [np.abs(np.diff(rgb.astype(int), axis=axis)) for axis in (1, 0)]
    np.testing.assert_array_equal(edges.across, (sides[0] > 0).sum(axis=(0, 2)))
    np.testing.assert_array_equal(edges.down, (sides[1] > 0).sum(axis=(1, 2)))
    steps = np.concatenate([side[side > 0] for side in sides])
    assert edges.faintness == pytest.approx((steps <= cell_edges.FAINT).mean() if len(steps) else 0)


@SIZES
def test_profile_and_crispness(size) -> None:
    luma = smooth(size, channels=1)[..., 0] * np.uint8(3)
    whole = luma.astype(int)
    profile = combs.profile_of(luma, 2)
    np.testing.assert_array_equal(profile.across, (np.abs(np.diff(whole, axis=1)) - 2).clip(0).sum(axis=0))
    np.testing.assert_array_equal(profile.down, (np.abs(np.diff(whole, axis=0)) - 2).clip(0).sum(axis=1))
    second, first = (sum((np.diff(whole, n, axis) ** 2).sum() for axis in (0, 1)) for n in (2, 1))
    assert combs.crispness(luma) == pytest.approx(second / first if first else np.inf, rel=1e-4)


def test_from_black_to_white_is_no_faint_step() -> None:
    """255 is next to 0 only where bytes overflow."""
    rgb = np.tile(np.array([[0, 255], [255, 0]], np.uint8)[..., None], (4, 4, 3))
    assert cell_edges.find(rgb).faintness == 0
    assert cell_edges.find(rgb // np.uint8(85)).faintness == 1


def test_luma_is_that_of_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)
    np.testing.assert_array_equal(combs.luma_of(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


@pytest.mark.parametrize("pattern", ["", "1", "0", "0110", "111011", "0101111"])
def test_the_longest_run_is_counted_on_each_side_for_itself(pattern) -> None:
    strengths = np.array([9 * int(mark) for mark in pattern], np.uint32)
    edges = cell_edges.Edges(8, 8, strengths, strengths[::-1], np.flatnonzero(strengths), np.flatnonzero(strengths))
    assert edges.longest_run == max(map(len, pattern.split("0")))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 24), st.integers(2, 24), st.integers(1, 6), st.data())
def test_the_majority_is_that_of_a_plain_loop(seed, height, width, colours, data) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (colours, 3), dtype=np.uint8)[rng.integers(0, colours, (height, width))]
    rows, columns = (
        np.array(sorted(data.draw(st.sets(st.integers(1, side - 1)))), np.intp) for side in (height, width)
    )
    found = cell_colours.majority(rgb, columns, rows)
    for y, (top, bottom) in enumerate(pairwise([0, *rows, height])):
        for x, (left, right) in enumerate(pairwise([0, *columns, width])):
            cell = rgb[top:bottom, left:right].reshape(-1, 3)
            assert found[y, x].tolist() == plain_majority(cell)


def plain_majority(cell: np.ndarray) -> list[int]:
    listed = cell.tolist()
    mean = cell.sum(axis=0) / len(cell)
    return min(listed, key=lambda colour: (-listed.count(colour), np.square(colour - mean).sum(), colour))


@pytest.mark.parametrize("side", [1, 3, 10, 17])
def test_cells_of_every_size_have_their_majority(side) -> None:
    """Of a few pixels each is compared with each, more are counted in a table."""
    rng = np.random.default_rng(side)
    rgb = rng.integers(0, 256, (side, 2 * side, 3), np.uint8)
    rgb[rng.random(rgb.shape[:2]) < 0.4] = 7, 8, 9
    found = cell_colours.majority(rgb, np.array([side]), np.empty(0, np.intp))
    assert [found[0, x].tolist() for x in (0, 1)] == [
        plain_majority(rgb[:, x * side : (x + 1) * side].reshape(-1, 3)) for x in (0, 1)
    ]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 90))
def test_near_colours_are_merged_as_by_a_plain_loop(seed, count, spread) -> None:
    rgb = np.random.default_rng(seed).integers(100 - spread, 100 + spread, (1, count, 3)).astype(np.uint8)
    rgb[0, : count // 3] = rgb[0, 0]
    listed = rgb[0].tolist()
    waiting = sorted({tuple(colour) for colour in listed}, key=lambda colour: (-listed.count(list(colour)), colour))
    became = {}
    while waiting:
        near = [one for one in waiting if max(abs(a - b) for a, b in zip(one, waiting[0], strict=True)) < 24]
        became.update(dict.fromkeys(near, waiting[0]))
        waiting = [one for one in waiting if one not in near]
    merged = cell_colours.merge_near(rgb)
    assert merged[0].tolist() == [list(became[tuple(colour)]) for colour in listed]


@pytest.mark.parametrize("colours", [1, 3, 4, 5, 64, 65, 900])
def test_colours_are_counted_up_to_a_limit(colours) -> None:
    numbers = np.random.default_rng(1).permutation(np.arange(3600) % colours).reshape(60, 60)
    rgb = np.stack([numbers % 7 * 3, numbers // 7 % 11 * 5, numbers // 77 * 9], axis=2).astype(np.uint8)
    for most in (1, 4, 64):
        assert cell_colours.has_at_most(rgb, most) == (colours <= most)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 24), st.integers(2, 24), st.data())
def test_variance_and_visible_misfit_are_those_of_a_plain_loop(seed, height, width, data) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    rows, columns = (
        np.array([0, *sorted(data.draw(st.sets(st.integers(1, side - 1)))), side]) for side in (height, width)
    )
    explained, visible = 0.0, 0
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            cell = rgb[top:bottom, left:right].astype(float)
            explained += np.square(cell.mean(axis=(0, 1))).sum() * cell[..., 0].size
            visible += (np.abs(cell[..., 0] - cell[..., 0].mean()) > cell_colours.VISIBLE).sum()
    found = cell_colours._variance(rgb, columns, rows)
    squares, sums = np.square(rgb.astype(float)).sum(), rgb.sum(axis=(0, 1))
    np.testing.assert_allclose(found, [explained, squares, *sums], rtol=1e-9)
    assert cell_colours._visible(np.ascontiguousarray(rgb[..., 0]), columns, rows) == visible
