"""Figures of cells that are made piece by piece are those of the plain definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.cells import colours, combs
from pipeline.cells.edges import FAINT, Edges, faintness, find_edges

SIZES = pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (40, 30), (256, 20), (600, 200), (3, 9000)])


def smooth(size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Steps of every size, many of them none, on both axes."""
    rng = np.random.default_rng(sum(size))
    steps = rng.integers(-4, 5, (*size, channels)) * (rng.random((*size, 1)) < 0.4)
    return np.abs(steps.cumsum(axis=0) + steps.cumsum(axis=1)).clip(0, 255).astype(np.uint8)


@SIZES
def test_edges_and_faintness(size) -> None:
    rgb = smooth(size)
    edges = find_edges(rgb)
    sides = [np.abs(np.diff(rgb.astype(int), axis=axis)) for axis in (1, 0)]
    np.testing.assert_array_equal(edges.across, (sides[0] > 0).sum(axis=(0, 2)))
    np.testing.assert_array_equal(edges.down, (sides[1] > 0).sum(axis=(1, 2)))
    steps = np.concatenate([side[side > 0] for side in sides])
    assert faintness(rgb, edges) == pytest.approx((steps <= FAINT).mean() if len(steps) else 0)


@SIZES
def test_profile_and_crispness(size) -> None:
    luma = smooth(size, channels=1)[..., 0] * np.uint8(3)
    exact = luma.astype(int)
    profile = combs.profile_of(luma, 2)
    np.testing.assert_array_equal(profile.across, (np.abs(np.diff(exact, axis=1)) - 2).clip(0).sum(axis=0))
    np.testing.assert_array_equal(profile.down, (np.abs(np.diff(exact, axis=0)) - 2).clip(0).sum(axis=1))
    second, first = (sum((np.diff(exact, n, axis) ** 2).sum() for axis in (0, 1)) for n in (2, 1))
    assert combs.crispness(luma) == pytest.approx(second / first if first else np.inf)


def test_from_black_to_white_is_no_faint_step() -> None:
    """255 is next to 0 only where bytes overflow."""
    rgb = np.tile(np.array([[0, 255], [255, 0]], np.uint8)[..., None], (4, 4, 3))
    assert faintness(rgb, find_edges(rgb)) == 0
    small = rgb // np.uint8(85)
    assert faintness(small, find_edges(small)) == 1


def test_luma_is_that_of_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)
    np.testing.assert_array_equal(combs.luma_of(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


@pytest.mark.parametrize("pattern", ["", "1", "0", "0110", "111011", "0101111"])
def test_the_longest_run_is_counted_on_each_side_for_itself(pattern) -> None:
    strengths = np.array([9 * int(mark) for mark in pattern], np.uint32)
    edges = Edges(8, 8, strengths, strengths[::-1], np.flatnonzero(strengths), np.flatnonzero(strengths))
    assert edges.longest_run == max(map(len, pattern.split("0")))


@given(st.integers(0, 10**6), st.integers(2, 24), st.integers(2, 24), st.integers(1, 6), st.data())
def test_the_majority_is_that_of_a_plain_loop(seed, height, width, count, data) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (count, 3), dtype=np.uint8)[rng.integers(0, count, (height, width))]
    rows, columns = (
        np.array(sorted(data.draw(st.sets(st.integers(1, side - 1)))), np.intp) for side in (height, width)
    )
    chosen = colours.majority(rgb, columns, rows)
    for y, (top, bottom) in enumerate(pairwise([0, *rows, height])):
        for x, (left, right) in enumerate(pairwise([0, *columns, width])):
            cell = rgb[top:bottom, left:right].reshape(-1, 3)
            assert chosen[y, x].tolist() == plain_majority(cell)


def plain_majority(cell: np.ndarray) -> list[int]:
    listed = cell.tolist()
    mean = cell.sum(axis=0) / len(cell)
    return min(listed, key=lambda colour: (-listed.count(colour), np.square(colour - mean).sum(), colour))


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 90))
def test_near_colours_are_merged_as_by_a_plain_loop(seed, count, spread) -> None:
    rgb = np.random.default_rng(seed).integers(100 - spread, 100 + spread, (1, count, 3)).astype(np.uint8)
    rgb[0, : count // 3] = rgb[0, 0]
    listed = rgb[0].tolist()
    waiting = sorted({tuple(colour) for colour in listed}, key=lambda colour: (-listed.count(list(colour)), colour))
    became = {}
    while waiting:
        near = [colour for colour in waiting if max(abs(a - b) for a, b in zip(colour, waiting[0], strict=True)) < 24]
        became.update(dict.fromkeys(near, waiting[0]))
        waiting = [colour for colour in waiting if colour not in near]
    merged = colours.merge_near(rgb)
    assert merged[0].tolist() == [list(became[tuple(colour)]) for colour in listed]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 64, 65, 900])
@pytest.mark.parametrize("side", [60, 300])
def test_colours_are_counted_up_to_a_limit(count, side) -> None:
    numbers = np.random.default_rng(1).permutation(np.arange(side**2) % count).reshape(side, side)
    rgb = np.stack([numbers % 7 * 3, numbers // 7 % 11 * 5, numbers // 77 * 9], axis=2).astype(np.uint8)
    for most in (1, 4, 64):
        assert colours.number_up_to(rgb, most) == (count if count <= most else None)


@given(st.integers(0, 10**6), st.integers(8, 40), st.integers(8, 40), st.integers(0, 130), st.data())
def test_cells_are_plain_by_the_rule_of_a_plain_loop(seed, height, width, noise, data) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (
        np.array(sorted(data.draw(st.sets(st.integers(1, side - 1)))), np.intp) for side in (height, width)
    )
    cells = rng.integers(0, 256, (len(rows) + 1, len(columns) + 1, 3))
    down, across = np.diff([0, *rows, height]), np.diff([0, *columns, width])
    rgb = cells.repeat(down, 0).repeat(across, 1) + rng.integers(-noise, noise + 1, (height, width, 3))
    rgb = rgb.clip(0, 255).astype(np.uint8)
    luma = combs.luma_of(rgb)
    residual, visible = 0.0, 0
    for top, bottom in pairwise([0, *rows, height]):
        for left, right in pairwise([0, *columns, width]):
            cell, grey = rgb[top:bottom, left:right].astype(float), luma[top:bottom, left:right].astype(float)
            residual += np.square(cell - cell.mean(axis=(0, 1))).sum()
            visible += (np.abs(grey - grey.mean()) > colours.VISIBLE).sum()
    variance = np.square(rgb - rgb.mean(axis=(0, 1))).sum()
    plain = residual <= colours.MAX_RESIDUAL * variance + colours.NOISE * rgb.size
    assert colours.are_plain(rgb, luma, columns, rows) == (plain and visible <= colours.MAX_MISFIT * luma.size)
