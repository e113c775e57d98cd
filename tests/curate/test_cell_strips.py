"""Figures of cells that are made piece by piece are those of the plain definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import cell_colours, cell_combs, cell_edges

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
    profile = cell_combs.profile_of(luma, 2)
    np.testing.assert_array_equal(profile.across, (np.abs(np.diff(whole, axis=1)) - 2).clip(0).sum(axis=0))
    np.testing.assert_array_equal(profile.down, (np.abs(np.diff(whole, axis=0)) - 2).clip(0).sum(axis=1))
    second, first = (sum((np.diff(whole, n, axis) ** 2).sum() for axis in (0, 1)) for n in (2, 1))
    assert cell_combs.crispness(luma) == pytest.approx(second / first if first else np.inf, rel=1e-4)


@pytest.mark.parametrize("pattern", ["", "1", "0", "0110", "111011", "0101111"])
def test_the_longest_run_is_counted_on_each_side_for_itself(pattern) -> None:
    strengths = np.array([9 * int(mark) for mark in pattern], np.uint32)
    edges = cell_edges.Edges(8, 8, strengths, strengths[::-1], np.flatnonzero(strengths), np.flatnonzero(strengths))
    assert edges.longest_run == max(map(len, pattern.split("0")))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 24), st.integers(2, 24), st.integers(1, 6), st.data())
def test_majority_and_sums_are_those_of_a_plain_loop(seed, height, width, colours, data) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (colours, 3), dtype=np.uint8)[rng.integers(0, colours, (height, width))]
    rows, columns = (
        np.array(sorted(data.draw(st.sets(st.integers(1, side - 1)))), np.intp) for side in (height, width)
    )
    sums = cell_colours._sums(rgb, columns, rows)
    found = cell_colours.majority(rgb, columns, rows)
    for y, (top, bottom) in enumerate(pairwise([0, *rows, height])):
        for x, (left, right) in enumerate(pairwise([0, *columns, width])):
            cell = rgb[top:bottom, left:right].reshape(-1, 3)
            np.testing.assert_array_equal(sums[y, x], cell.sum(axis=0))
            assert found[y, x].tolist() == plain_majority(cell)


def plain_majority(cell: np.ndarray) -> list[int]:
    listed = cell.tolist()
    mean = cell.sum(axis=0) / len(cell)
    return min(listed, key=lambda colour: (-listed.count(colour), np.square(colour - mean).sum(), colour))
