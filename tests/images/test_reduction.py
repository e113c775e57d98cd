from __future__ import annotations

import numpy as np
import pytest
from drawings import draw_smooth, draw_sprite
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.errors import BadInput, BadParams
from pipeline.images import palettes
from pipeline.images.colour import from_oklab, to_oklab
from pipeline.images.reduction import TONE, reduce_colours
from pipeline.images.resample import box
from pipeline.runtime import seeds

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))

GROUND, SKIN, HAIR, INK = [0.75, -0.03, -0.04], [0.86, 0.03, 0.04], [0.45, 0.06, 0.08], [0.2, 0.01, 0.01]
IRIS, LIPS, LIGHT = [0.55, -0.04, -0.14], [0.62, 0.15, 0.06], [0.97, 0, 0]
EYES = ((20, 15), (20, 30))


def face() -> np.ndarray:
    """OKLab of a face on 48 cells: an iris of two cells and a light of one in each eye, a mouth of four."""
    y, x = np.mgrid[:48, :48]
    lab = np.empty((48, 48, 3))
    lab[:] = GROUND
    lab[(x - 23.5) ** 2 + (y - 22) ** 2 < 19**2] = HAIR
    lab[(x - 23.5) ** 2 + (y - 25) ** 2 < 14**2] = SKIN
    for row, column in EYES:
        lab[row - 1, column - 1 : column + 4] = INK
        lab[row : row + 2, column : column + 3] = LIGHT
        lab[row : row + 2, column + 1] = IRIS
        lab[row + 3, column] = LIGHT
    lab[32, 22:26] = LIPS
    return lab


def drawn(lab: np.ndarray, seed: int = 0, blur: float = 0.12, noise: float = 0.012, grey: float = 0.95) -> np.ndarray:
    """What a regression leaves of a picture: a little of the neighbours in each cell, less chroma, noise."""
    padded = np.pad(lab, ((1, 1), (1, 1), (0, 0)), "edge")
    around = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
    mixed = ((1 - blur) * lab + blur * around) * [1, grey, grey]
    return from_oklab(
        mixed + [noise, 0.7 * noise, 0.7 * noise] * seeds.generator(seed, "drawn").standard_normal(lab.shape)
    )


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sqrt(((to_oklab(one) - to_oklab(other)) ** 2).sum(axis=-1))


def lone(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[:2]
    padded = np.pad(picture.astype(int), ((1, 1), (1, 1), (0, 0)), constant_values=-1)
    equal = np.zeros((rows, columns), bool)
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                equal |= (padded[down : down + rows, right : right + columns] == picture).all(axis=-1)
    return ~equal


def count(picture: np.ndarray) -> int:
    return len(np.unique(picture.reshape(-1, 3), axis=0))


@given(pictures, st.integers(1, 12))
def test_any_picture_keeps_its_shape_and_has_few_enough_colours(native, colours):
    reduced = reduce_colours(native, colours)
    assert reduced.shape == native.shape
    assert reduced.dtype == np.uint8
    assert count(reduced) <= colours
    if count(native) <= colours:
        assert (reduced == native).all()


@given(pictures, st.integers(1, 12), arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(3))))
def test_any_palette_is_kept_to_and_tones_keep_their_order(native, colours, palette):
    before = native.copy()
    reduced = reduce_colours(native, colours, palette)
    used = np.unique(reduced.reshape(-1, 3), axis=0)
    assert len(used) <= colours
    assert set(map(tuple, used.tolist())) <= set(map(tuple, palette.tolist()))
    assert (native == before).all()
    if count(native) <= colours:
        old, new = to_oklab(native)[..., 0].ravel(), to_oklab(reduced)[..., 0].ravel()
        stays = set(map(tuple, native.reshape(-1, 3).tolist())) <= set(map(tuple, palette.tolist()))
        lighter = old[:, None] > old + TONE
        assert stays or (new[:, None] - new)[lighter].min(initial=0) >= 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 50)])
@pytest.mark.parametrize("colours", [1, 2, 256])
def test_small_and_flat_pictures(shape, colours):
    noise = seeds.generator(0, "small").integers(0, 256, (*shape, 3), dtype=np.uint8)
    flat = np.full((*shape, 3), 77, np.uint8)
    assert count(reduce_colours(noise, colours)) <= colours
    assert (reduce_colours(flat, colours) == 77).all()
    assert (reduce_colours(flat, colours, np.array([[0, 0, 0], [90, 90, 90]], np.uint8)) == 90).all()


def test_one_colour_lies_between_all():
    halves = from_oklab(np.repeat([[[0.4, 0.0, 0.0]], [[0.6, 0.0, 0.0]]], 8, axis=1).repeat(4, axis=0))
    assert to_oklab(reduce_colours(halves, 1))[..., 0] == pytest.approx(0.5, abs=0.03)


def test_many_colours_leave_a_picture_nearly_as_it_is():
    native = drawn(face())
    reduced = reduce_colours(native, 256)
    assert count(native) > 256 >= count(reduced)
    assert distances(reduced, from_oklab(face())).mean() < 0.015


def test_the_same_picture_gives_the_same_bytes():
    native = drawn(face())
    assert reduce_colours(native, 16).tobytes() == reduce_colours(native.copy(order="F"), 16).tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_irises_lips_and_single_lights_of_a_face_survive(seed):
    truth = from_oklab(face())
    reduced = reduce_colours(drawn(face(), seed), 8)
    assert distances(reduced, truth).mean() < 0.01
    for row, column in EYES:
        assert distances(reduced, truth)[row : row + 2, column + 1].max() < 0.05
        assert distances(reduced, truth)[row + 3, column] < 0.05
        assert distances(reduced, truth)[row - 1, column - 1 : column + 4].max() < 0.05
    assert distances(reduced, truth)[32, 22:26].max() < 0.05


def test_blur_and_greying_are_taken_back():
    """An accent nearer to what it was than what was drawn of it is."""
    truth, native = from_oklab(face()), drawn(face(), noise=0.005)
    reduced = reduce_colours(native, 16)
    small = (face() == IRIS).all(axis=-1) | (face() == LIPS).all(axis=-1)
    assert distances(reduced, truth)[small].mean() < 0.6 * distances(native, truth)[small].mean()


def test_noise_alone_gets_no_colours():
    native = drawn(np.full((24, 24, 3), [0.6, 0.05, 0.05]))
    assert count(native) > 100
    assert count(reduce_colours(native, 16)) == 1


def test_a_ramp_of_one_hue_stays_a_ramp():
    tones = np.repeat(np.linspace(0.3, 0.9, 8), 6)
    ramp = np.stack([tones, 0.08 * np.ones(48), 0.05 * np.ones(48)], axis=-1)[None].repeat(48, axis=0)
    reduced = reduce_colours(drawn(ramp), 8)
    lab = to_oklab(reduced)
    assert count(reduced) == 8
    assert (reduced == reduced[:1]).mean() > 0.995
    assert (np.diff(lab[0, ::6, 0]) > 0.05).all()
    hues = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    assert abs(hues - np.degrees(np.arctan2(0.05, 0.08))).max() < 6


def test_a_smooth_gradient_becomes_bands_without_a_lone_cell():
    y, x = np.mgrid[:48, :48] / 48
    gradient = np.stack([0.3 + 0.3 * y + 0.3 * x, 0.1 - 0.1 * x, 0.05 + 0.05 * y], axis=-1)
    for native in (from_oklab(gradient), drawn(gradient, noise=0.005)):
        reduced = reduce_colours(native, 8)
        assert count(reduced) == 8
        assert not lone(reduced).any()


def test_a_thin_line_stays_whole():
    lab = np.empty((24, 24, 3))
    lab[:] = SKIN
    lab[12] = INK
    lab[np.arange(10), np.arange(10)] = INK
    reduced = to_oklab(reduce_colours(drawn(lab), 2))[..., 0] < 0.5
    assert (reduced == (lab[..., 0] < 0.5)).all()


def test_a_doubled_diagonal_is_straightened_where_that_costs_little_and_corners_stay():
    lab = np.empty((24, 24, 3))
    lab[:] = SKIN
    steps = np.arange(4, 20)
    lab[steps, steps] = INK
    clean = lab.copy()
    lab[steps[1:], steps[1:] - 1] = 0.4 * np.array(INK) + 0.6 * np.array(SKIN)  # half a corner too many
    lab[2, 6:20] = lab[2:16, 20] = clean[2, 6:20] = clean[2:16, 20] = INK
    native = from_oklab(lab + 0.004 * seeds.generator(0, "diagonal").standard_normal(lab.shape))
    dark = to_oklab(reduce_colours(native, 2))[..., 0] < 0.5
    assert (dark == (clean[..., 0] < 0.5)).all()


def test_blonde_hair_becomes_yellow_not_the_peach_of_the_skin():
    """The nearest colour of the palette, cell by cell, is the same for both."""
    skin, blonde = [0.84, 0.02, 0.04], [0.82, 0.0, 0.07]
    lab = np.empty((24, 24, 3))
    lab[:] = skin
    lab[:12] = blonde
    palette = from_oklab(np.array([[0.2, 0, 0], [0.86, 0.04, 0.06], [0.89, -0.01, 0.13], [0.8, -0.01, -0.05]]))
    native = drawn(lab)
    assert (palettes.quantise(from_oklab(lab), palette) == palette[1]).all()
    reduced = reduce_colours(native, 16, palette)
    assert (reduced[:12] == palette[2]).mean() > 0.95
    assert (reduced[12:] == palette[1]).mean() > 0.95


def test_a_vivid_palette_keeps_the_hues_of_a_pale_picture():
    """Of orange and grey, orange is the farther one from a pale blonde, and the right one; grey stays grey."""
    blonde, grey = [0.77, 0.02, 0.07], [0.6, 0, 0]
    lab = np.empty((24, 24, 3))
    lab[:] = grey
    lab[:12] = blonde
    palette = from_oklab(np.array([[0.79, 0.05, 0.16], [0.79, 0, 0], [0.6, 0.005, 0], [0.58, -0.05, -0.03]]))
    assert (palettes.quantise(from_oklab(lab), palette)[:12] == palette[1]).all()
    reduced = reduce_colours(drawn(lab), 16, palette)
    assert (reduced[:12] == palette[0]).mean() > 0.95
    assert (reduced[12:] == palette[2]).mean() > 0.95


def test_tones_keep_their_order_in_a_palette_that_would_turn_it():
    """Of blue and skin the palette has only a light blue and a dark skin."""
    blue, skin = [0.5, -0.02, -0.12], [0.7, 0.05, 0.06]
    lab = np.empty((16, 16, 3))
    lab[:] = blue
    lab[4:12, 4:12] = skin
    palette = from_oklab(np.array([[0.72, -0.02, -0.11], [0.58, 0.06, 0.07], [0.9, 0, 0]]))
    turned = to_oklab(palettes.quantise(from_oklab(lab), palette))[..., 0]
    assert turned[8, 8] < turned[0, 0]
    reduced = to_oklab(reduce_colours(drawn(lab), 16, palette))[..., 0]
    assert reduced[8, 8] > reduced[0, 0]


def test_a_picture_of_the_palette_stays_as_it_is():
    native = draw_sprite(3)
    palette = np.concatenate([np.unique(native.reshape(-1, 3), axis=0), [[1, 2, 3]]]).astype(np.uint8)
    assert (reduce_colours(native, 16, palette) == native).all()


def test_fewer_colours_than_the_palette_has_are_used_when_fewer_are_allowed():
    palette = palettes.load("facetopix-32")
    for colours in (1, 3, 8):
        assert count(reduce_colours(drawn(face()), colours, palette)) <= colours
    assert count(reduce_colours(drawn(face()), palettes.MAX_COLOURS, palette)) >= 6


def test_of_colours_drawn_exactly_those_of_areas_stay_exact():
    native = draw_sprite(0, cells=48)
    native[::7, ::5] += seeds.generator(0, "specks").integers(0, 6, native[::7, ::5].shape, dtype=np.uint8)
    assert count(native) > 16
    areas = {tuple(colour) for colour in np.unique(draw_sprite(0, cells=48).reshape(-1, 3), axis=0).tolist()}
    assert {tuple(colour) for colour in np.unique(reduce_colours(native, 16).reshape(-1, 3), axis=0).tolist()} == areas


@pytest.mark.parametrize("seed", range(4))
def test_a_source_moved_by_one_pixel_gives_nearly_the_same_picture(seed):
    """To the eye, by 0.03 in OKLab; 8 source pixels are a cell, so that an eighth of each edge cell changes itself."""
    source = draw_smooth(seed, size=385)
    one, other = (reduce_colours(box(view, (48, 48)), 16) for view in (source[:-1, :-1], source[1:, 1:]))
    assert (distances(one, other) > 0.03).mean() < 0.2


def test_bad_input_is_named():
    native = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(BadParams, match="colours: expected 1 or more, found 0"):
        reduce_colours(native, 0)
    with pytest.raises(BadInput, match="palette: expected 1 or more colours"):
        reduce_colours(native, 4, np.zeros((0, 3), np.uint8))


@pytest.mark.shared
def test_portraits_are_told_from_what_a_regression_leaves_of_them(shared_images):
    """The colours of real art come back: much nearer than by k-means, and as calm as the art itself."""
    ours, means, calm, art = [], [], [], []
    for seed, picture in enumerate(shared_images("pixel_faces", 24)):
        truth = picture[:48, max(0, picture.shape[1] // 2 - 24) :][:, :48]
        native = drawn(to_oklab(truth), seed, noise=0.015)
        reduced = reduce_colours(native, 16)
        plain = palettes.quantise(native, palettes.adaptive_palette(native, 16, seed=0))
        ours.append(distances(reduced, truth).mean())
        means.append(distances(plain, truth).mean())
        calm.append(lone(reduced).mean())
        art.append(lone(truth).mean())
    assert np.mean(ours) < 0.6 * np.mean(means)
    assert np.mean(calm) == pytest.approx(np.mean(art), abs=0.01)
