from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline.runtime import seeds
from pipeline.sample.drawing import art, portraits
from pipeline.sample.drawing.anime_faces import draw as draw_face
from pipeline.sample.drawing.character import BACKS, EXTRAS, FRINGES, HEADWEAR, LIDS, MOUTHS, OUTFITS, draw_character
from pipeline.sample.drawing.geometry import Placement
from pipeline.sample.drawing.pixel_grid import fewer_colours

PLACE = Placement(x=0.5, y=0.48, scale=0.26, tilt=0.0, turn=0.0)
NATIVE = {
    "portrait": (art.portrait, 20, 140),  # about one in fifty is drawn with more colours first
    "sprite": (art.sprite, 16, 20),
    "item": (art.item, 16, 20),
    "scene": (art.scene, 16, 20),
}
EVERY_FEATURE = [
    (field, value)
    for field, values in {
        "back": BACKS, "fringe": FRINGES, "outfit": OUTFITS, "headwear": HEADWEAR, "extra": EXTRAS, "mouth": MOUTHS,
        "lids": LIDS,
    }.items()
    for value in values
]  # fmt: skip


def rng(index: int = 0) -> np.random.Generator:
    return seeds.generator(0, "test", index)


def colours(pixels: np.ndarray) -> int:
    solid = pixels[pixels[..., 3] > 0] if pixels.shape[2] == 4 else pixels.reshape(-1, 3)
    return len(np.unique(solid[:, :3], axis=0))


@pytest.mark.parametrize("name", NATIVE)
def test_native_art_has_hard_pixels_and_few_colours(name):
    draw, most, count = NATIVE[name]
    for index in range(count):
        pixels = draw(rng(index))
        assert pixels.dtype == np.uint8
        assert set(np.unique(pixels[..., 3])) <= {0, 255}
        assert 3 <= colours(pixels) <= most
        assert not pixels[pixels[..., 3] == 0, :3].any(), "colours under alpha 0"


@pytest.mark.parametrize("cells", [20, 24, 31, 32, 40, 48, 64])
def test_a_portrait_is_native_size_and_at_most_trimmed_at_the_sides(cells):
    for index in range(6):
        height, width, channels = art.portrait(rng(index), cells).shape
        assert (height, channels) == (cells, 4)
        assert cells / 2 <= width <= cells


def test_portraits_come_with_and_without_background():
    opaque = [bool((art.portrait(rng(index))[..., 3] == 255).all()) for index in range(60)]
    assert 12 <= sum(opaque) <= 36


def test_a_portrait_is_not_an_upscale():
    """One pixel per cell: neighbouring rows and columns differ often, at odd and at even positions alike."""
    pixels = art.portrait(rng(3), 32).astype(int)
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels, axis=axis)).sum(axis=(1 - axis, 2))
        assert (steps[::2] > 0).sum() > 8
        assert (steps[1::2] > 0).sum() > 8


@pytest.mark.parametrize(("field", "value"), EVERY_FEATURE)
def test_every_feature_shows_in_both_renderers(field, value):
    """The design vocabulary is shared: no value may draw the same as another one on either side."""
    plain = dataclasses.replace(
        draw_character(rng(1)), back="curly", fringe="parted", outfit="shirt", headwear=None, extra=None, mouth="grin",
        lids="open", ahoge=False,
    )  # fmt: skip
    character = dataclasses.replace(plain, **{field: value})
    ground = np.full((128, 128, 3), 90, dtype=np.float32)
    if character != plain:
        assert (portraits.draw(character, PLACE, 48) != portraits.draw(plain, PLACE, 48)).any()
        assert (draw_face(character, PLACE, ground, 128) != draw_face(plain, PLACE, ground, 128)).any()


def test_portrait_and_face_put_the_head_in_the_same_place():
    """What lets unpaired translation be learned: the same character covers the same cells in both domains."""
    for index in range(8):
        character = draw_character(rng(index))
        cells = portraits.draw(character, PLACE, 32)[..., 3] > 0
        smooth = draw_face(character, PLACE, np.full((128, 128, 3), (0, 255, 0), dtype=np.float32), 128)
        figure = (np.abs(smooth.astype(int) - (0, 255, 0)).max(axis=2) > 16).reshape(32, 4, 32, 4).mean(
            axis=(1, 3)
        ) > 0.5
        overlap = (cells & figure).sum() / (cells | figure).sum()
        assert overlap > 0.85
        assert 0.4 < figure.mean() < 0.95


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_face_is_a_smooth_opaque_picture(size):
    for index in range(4):
        pixels = art.face(rng(index), size)
        assert pixels.shape == (size, size, 3)
        assert pixels.dtype == np.uint8
        assert colours(pixels) > 500


def test_faces_differ():
    thumbnails = [art.face(rng(index), 64).reshape(16, 4, 16, 4, 3).mean(axis=(1, 3)) for index in range(20)]
    gaps = [np.abs(a - b).mean() for i, a in enumerate(thumbnails) for b in thumbnails[:i]]
    assert min(gaps) > 8


def test_a_scene_has_the_asked_size_and_is_opaque():
    for index in range(8):
        pixels = art.scene(rng(index), width=90, height=50)
        assert pixels.shape == (50, 90, 4)
        assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize("frames", [2, 4, 7])
def test_an_animation_moves_and_keeps_its_size(frames):
    for index in range(12):
        images = art.animation(rng(index), cells=22, frames=frames)
        assert [frame.shape for frame in images] == [(22, 22, 4)] * frames
        assert len({frame.tobytes() for frame in images}) > 1
        assert all(frame[..., 3].any() for frame in images)


def test_no_sprite_or_item_touches_all_four_borders():
    """They are framed: nothing is cut off by the canvas."""
    for index in range(30):
        for pixels in (art.sprite(rng(index)), art.item(rng(index))):
            alpha = pixels[..., 3]
            assert not all(side.any() for side in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
            assert (alpha > 0).mean() > 0.1


def test_titles_and_tags_are_words():
    for index in range(20):
        title, tags = art.describe(rng(index))
        assert len(title.split()) >= 2
        assert len(tags) == len(set(tags)) >= 2


def test_fewer_colours_invents_none_and_keeps_the_common_ones():
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[:2] = (10, 10, 10, 255)
    pixels[2:] = (200, 0, 0, 255)
    pixels[3, 3] = (190, 0, 0, 255)
    out = fewer_colours(pixels, 2)
    assert {tuple(colour) for colour in out.reshape(-1, 4).tolist()} == {(10, 10, 10, 255), (200, 0, 0, 255)}


DIGEST = """
import hashlib
from pipeline.runtime import seeds
from pipeline.sample.drawing import art
digest = hashlib.sha256()
for index in range(3):
    rng = seeds.generator(0, "test", index)
    native = [art.portrait(rng), art.sprite(rng), art.item(rng), art.scene(rng)]
    for pixels in [*native, art.face(rng, 64), *art.animation(rng)]:
        digest.update(pixels.tobytes())
    digest.update(repr(art.describe(rng)).encode())
print(digest.hexdigest())
"""


def digest(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", DIGEST]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_the_same_generator_draws_the_same_bytes_whatever_the_hash_seed():
    first = digest("1")
    assert len(first) == hashlib.sha256().digest_size * 2
    assert digest("2") == first
