"""Soft drawings of native art: another picture, of which the artwork is the truth in place and in hue."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import pipeline
from pipeline.convert.baselines import majority_palette
from pipeline.images.colour import to_oklab
from pipeline.images.resample import box
from pipeline.metrics.pixel_art import colours, grid_alignment
from pipeline.metrics.recovery import compare, total
from pipeline.metrics.smoothing import smooth_version
from pipeline.runtime.seeds import generator

COLOURFUL = 0.08  # OKLab chroma from which a hue is a hue


def hue_turn(smooth, native) -> float:
    """Degrees by which cells amid colourful ones turned their hue, as one; 0 where there are too few to say."""
    ours, truth = (lab[..., 1] + 1j * lab[..., 2] for lab in (to_oklab(box_of(smooth, native)), to_oklab(native)))
    amid = ndimage.binary_erosion(np.abs(truth) >= COLOURFUL, np.ones((3, 3)))
    return abs(float(np.angle((ours * truth.conj())[amid].sum(), deg=True))) if amid.sum() >= 20 else 0.0


def box_of(smooth, native):
    return box(smooth, native.shape[:2])


@pytest.fixture(scope="module")
def works(shared_images) -> list[np.ndarray]:
    """Portraits, monsters and tiles, the middle 48 cells a side at most."""
    pictures = [*shared_images("pixel_faces", 6), *shared_images("pixel_chars", 6), *shared_images("pixel_tiles", 4)]
    return [middle(picture, 48) for picture in pictures]


def middle(picture, cells):
    top, left = (max(0, (side - cells) // 2) for side in picture.shape[:2])
    return picture[top : top + cells, left : left + cells]


@pytest.mark.parametrize("factor", [1, 3, 4, 8, 11])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 2), (16, 24)])
def test_every_size_comes_out_at_the_factor(shape, factor) -> None:
    native = generator(1, "cells").integers(0, 256, (*shape, 3), np.uint8)
    smooth = smooth_version(native, factor, generator(1, "smooth"))
    assert (smooth.shape, smooth.dtype) == ((shape[0] * factor, shape[1] * factor, 3), np.uint8)


def test_more_colours_than_a_byte_counts_are_drawn_as_well() -> None:
    native = np.stack(np.meshgrid(np.arange(24) * 10, np.arange(24) * 10, [0]), axis=-1)[:, :, 0].astype(np.uint8)
    assert colours(native) > 256
    assert compare(box_of(smooth_version(native, 4, generator(1, "many")), native), native).error < 0.1


@pytest.mark.parametrize(("shape", "factor"), [((0, 4, 3), 4), ((4, 4, 3), 0)])
def test_nothing_to_draw_is_refused(shape, factor) -> None:
    with pytest.raises(ValueError, match="expected at least one cell and a factor of at least 1"):
        smooth_version(np.zeros(shape, np.uint8), factor, generator(1, "none"))


def test_a_diagonal_line_stays_one_line() -> None:
    """As strokes from cell to cell: rounding alone would cut it where its cells touch by a corner."""
    native = np.full((16, 16, 3), 230, np.uint8)
    native[np.arange(2, 14), np.arange(2, 14)] = 20
    for seed in range(4):
        smooth = smooth_version(native, 8, generator(seed, "line")).astype(int).sum(axis=-1) / 3
        along = [smooth[at - 4 : at + 5, at - 4 : at + 5].min() for at in range(24, 104)]  # it moves by up to 3 pixels
        assert max(along) < smooth[:, -8:].mean() - 60


def test_the_ground_changes_where_the_art_does_not() -> None:
    native = np.full((24, 24, 3), (120, 160, 220), np.uint8)
    native[8:16, 8:16] = (200, 60, 60)
    lightness = to_oklab(smooth_version(native, 4, generator(3, "ground")))[..., 0]
    assert np.ptp(lightness[:8]) > 0.01


def test_equal_streams_draw_equal_pictures_and_others_do_not(sprites) -> None:
    first, again, other = (smooth_version(sprites[0], 4, generator(seed, "smooth")) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_artwork_is_left_as_it_was(sprites) -> None:
    before = sprites[0].copy()
    smooth_version(sprites[0], 4, generator(1, "smooth"))
    assert np.array_equal(sprites[0], before)


@pytest.mark.shared
def test_real_art_becomes_smooth_and_keeps_its_hue_and_place(works) -> None:
    recoveries, turns = [], []
    for number, native in enumerate(works):
        smooth = smooth_version(native, 4, generator(1, "works", number))
        assert np.array_equal(smooth, smooth_version(native, 4, generator(1, "works", number)))
        assert colours(smooth) > 4 * colours(native)
        assert grid_alignment(smooth, 4) < 0.5
        turns.append(hue_turn(smooth, native))
        recoveries.append(compare(box_of(smooth, native), native))
    assert np.count_nonzero(turns) >= 6
    assert max(turns) < 5
    assert 0.02 < total(recoveries).error < 0.12
    assert 0.4 < total(recoveries).lines < 0.9


@pytest.mark.shared
def test_a_trivial_baseline_neither_fails_nor_passes(works) -> None:
    """Majority in 16 colours; of 48 portraits at 48 cells: error 0.062, within 0.66, lines 0.72, accents 0.64."""
    recoveries = []
    for number, native in enumerate(works):
        smooth = smooth_version(native, 4, generator(1, "works", number))
        recoveries.append(compare(majority_palette(smooth, native.shape[:2], colours=16, seed=1), native))
    figures = total(recoveries)
    assert 0.03 < figures.error < 0.09
    assert 0.4 < figures.within < 0.85
    assert 0.55 < figures.lines < 0.85
    assert 0.45 < figures.accents < 0.85


def test_the_judge_takes_nothing_from_training() -> None:
    """In a process of its own: whatever else is imported, these two modules bring neither training nor PyTorch."""
    code = (
        "import sys, pipeline.metrics.smoothing, pipeline.metrics.recovery\n"
        "print([name for name in sys.modules if name.startswith(('pipeline.cyclegan', 'models', 'torch'))])"
    )
    root = Path(pipeline.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
