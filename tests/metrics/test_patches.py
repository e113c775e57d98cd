from __future__ import annotations

import numpy as np
import pytest

from pipeline.convert import baselines
from pipeline.images import resample
from pipeline.metrics import diversity, patches


def rng(seed=0):
    return np.random.default_rng(seed)


def test_identity_has_the_spread_of_its_inputs_and_a_coin_has_none(smooth):
    assert diversity.spread_ratio(smooth, smooth) == 1
    assert diversity.spread_ratio([smooth[0]] * len(smooth), smooth) == 0
    washed = [(face // 4 + 96).astype(np.uint8) for face in smooth]
    assert diversity.spread_ratio(washed, smooth) == pytest.approx(0.25, abs=0.01)


def test_spread_agrees_with_a_naive_loop(smooth):
    pooled = [baselines.box(face, (8, 8)).astype(float) for face in smooth[:5]]
    pairs = [np.sqrt(((a - b) ** 2).sum()) for i, a in enumerate(pooled) for b in pooled[:i]]
    assert diversity.spread(smooth[:5]) == pytest.approx(np.mean(pairs))


def test_inputs_that_do_not_differ_have_no_ratio_to_speak_of(smooth):
    assert diversity.spread_ratio(smooth[:2], [smooth[0]] * 2) == 0


def test_pixelation_is_recognised_and_a_coin_is_not(smooth):
    sources = range(len(smooth))
    pixelated = [resample.enlarge(baselines.box(face, (32, 32)), 4) for face in smooth]
    assert patches.retrieval(pixelated, smooth, sources) == 1
    assert patches.retrieval([smooth[3]] * len(smooth), smooth, sources) == 1 / len(smooth)
    assert patches.retrieval([np.full_like(smooth[0], 90)] * len(smooth), smooth, sources) <= 1 / len(smooth)


def test_retrieval_ignores_brightness_and_contrast_and_knows_who_is_who(smooth):
    dim = [(face // 3 + 20).astype(np.uint8) for face in smooth]
    assert patches.retrieval(dim, smooth, range(len(smooth))) > 0.9
    assert patches.retrieval([smooth[2], smooth[5]], smooth, [2, 5]) == 1
    assert patches.retrieval([smooth[2], smooth[5]], smooth, [5, 2]) == 0


def test_an_output_between_two_equal_inputs_is_a_miss(smooth):
    assert patches.retrieval([smooth[0]], [smooth[0], smooth[0]], [0]) == 0


def test_sliced_wasserstein_agrees_with_scipy_on_each_projection():
    from scipy.stats import wasserstein_distance

    a, b = rng(1).normal(size=(200, 5)), rng(2).normal(0.5, size=(200, 5))
    directions = patches.draw_directions(5, 7, rng(3))
    expected = np.mean([wasserstein_distance(a @ d, b @ d) for d in directions.T])
    first, second, reordered = (patches.project(drawn, directions) for drawn in (a, b, a[::-1]))
    assert patches.sliced_wasserstein(first, second) == pytest.approx(expected)
    assert patches.sliced_wasserstein(first, reordered) == pytest.approx(0, abs=1e-12)


def test_directions_are_unit_vectors():
    assert np.linalg.norm(patches.draw_directions(27, 9, rng()), axis=0) == pytest.approx(np.ones(9))


def test_centred_patches_forget_colour_and_raw_ones_keep_it(sprites):
    tinted = [np.clip(sprite.astype(int) // 2 + [60, 0, 0], 0, 255).astype(np.uint8) for sprite in sprites]
    flat = [np.full_like(sprite, level) for sprite, level in zip(sprites, range(100, 200, 5), strict=True)]
    for natives in (tinted, flat):
        centred = patches.draw_patches(natives, 3, 500, rng(), centred=True)
        raw = patches.draw_patches(natives, 3, 500, rng(), centred=False)
        per_channel = raw.reshape(500, 3, 9)
        assert centred.reshape(500, 3, 9) == pytest.approx(per_channel - per_channel.mean(axis=2, keepdims=True))
    assert np.abs(centred).max() < 1e-12


def test_patches_are_windows_of_the_natives():
    native = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    drawn = patches.draw_patches([native], 5, 50, rng(), centred=False)
    assert len(np.unique(drawn, axis=0)) == 2  # a 5x5 window fits a 5x6 picture in two places


def test_patches_of_different_grids_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        patches.draw_patches([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)], 3, 9, rng(), centred=True)


def test_real_art_is_nearer_to_itself_than_naive_pixelation_is(sprites, smooth):
    """The order that the trials with real faces showed: real 0, box + palette far off."""
    boxed = [baselines.box_palette(face, (32, 32), colours=16, seed=1) for face in smooth]
    directions = patches.draw_directions(27, 64, rng(4))
    halves, others = (
        [
            patches.project(patches.draw_patches(natives, 3, 4000, rng(5 + i), centred=True), directions)
            for i, natives in enumerate(pair)
        ]
        for pair in ((sprites[:10], sprites[10:]), (boxed, sprites))
    )
    near = patches.sliced_wasserstein(*halves)
    assert near * 2 < patches.sliced_wasserstein(*others)
