from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.errors import BadInput
from pipeline.images import files, palettes
from pipeline.images.colour import from_oklab, nearest_indices, to_oklab
from pipeline.images.palettes import medoid_palette

pictures = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
THREE = np.array([[255, 0, 0], [0, 255, 0], [16, 32, 48]], np.uint8)


@given(pictures)
def test_oklab_and_back_is_exact(rgb):
    assert (from_oklab(to_oklab(rgb)) == rgb).all()


def test_oklab_agrees_with_published_values():
    """White, red, green and blue as Ottosson's reference converts them."""
    rgb = np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    published = [[1, 0, 0], [0.62796, 0.22486, 0.12585], [0.86644, -0.23389, 0.17950], [0.45201, -0.03246, -0.31153]]
    assert to_oklab(rgb) == pytest.approx(np.array(published), abs=1e-4)


def test_of_two_equally_near_colours_the_first_is_taken():
    twice = to_oklab(THREE[[0, 1, 1]])
    assert nearest_indices(to_oklab(THREE[[1]]), twice).tolist() == [1]


def test_the_shipped_palette_has_32_colours_that_can_be_told_apart():
    lab = to_oklab(palettes.load("facetopix-32"))
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + np.eye(32)
    assert len(lab) == 32
    assert distances.min() > 0.03
    assert lab[:, 0].min() < 0.25
    assert lab[:, 0].max() > 0.95


@pytest.mark.parametrize("name", palettes.names())
def test_every_shipped_palette_loads(name):
    assert len(palettes.load(name)) >= 2


def test_every_file_format_gives_the_same_colours(tmp_path):
    (tmp_path / "p.hex").write_text("ff0000\n#00FF00\n102030\nff0000\n")
    gimp = "GIMP Palette\nName: three\n#\n255 0 0 red\n 0 255 0\n16 32 48\tnight\n"
    (tmp_path / "p.gpl").write_text(gimp)
    (tmp_path / "p.json").write_text(json.dumps({"name": "three", "colors": ["ff0000", "#00ff00", "102030"]}))
    files.write_png(tmp_path / "p.png", THREE[None])
    for suffix in ("hex", "gpl", "json", "png"):
        assert palettes.load(str(tmp_path / f"p.{suffix}")).tolist() == THREE.tolist(), suffix


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.hex", "ff0000\nred", "six hex digits, found 'red'"),
        ("a.hex", "", "1 to 256 colours, found 0"),
        ("a.hex", "\n".join(f"{value:06x}" for value in range(257)), "1 to 256 colours, found 257"),
        ("a.gpl", "255 0 0", "GIMP Palette"),
        ("a.gpl", "GIMP Palette\n256 0 0", "levels in 0..255"),
        ("a.json", '["ff0000"]', '{"colors"'),
        ("a.json", '{"colors": [255]}', '{"colors"'),
        ("a.png", "no picture", "not a readable"),
    ],
)
def test_a_file_that_is_no_palette_is_refused_with_what_was_expected(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput) as error:
        palettes.load(str(tmp_path / name))
    assert complaint in str(error.value)
    assert name in str(error.value)


def test_an_unknown_name_lists_the_shipped_palettes():
    with pytest.raises(BadInput, match="facetopix-32"):
        palettes.load("no-such-palette")


@given(pictures)
def test_quantising_uses_only_colours_of_the_palette_and_twice_is_once(rgb):
    once = palettes.quantise(rgb, THREE)
    assert {tuple(c) for c in once.reshape(-1, 3)} <= {tuple(c) for c in THREE}
    assert (palettes.quantise(once, THREE) == once).all()


@given(pictures, st.integers(1, 8))
def test_an_adaptive_palette_has_at_most_so_many_colours_and_keeps_few_as_they_are(rgb, most):
    palette = palettes.adaptive_palette(rgb, most, seed=1)
    colours = {tuple(c) for c in rgb.reshape(-1, 3)}
    assert 1 <= len(palette) <= most
    if len(colours) <= most:
        assert {tuple(c) for c in palette} == colours


def test_an_adaptive_palette_finds_separate_clusters_and_repeats_itself():
    rng = np.random.default_rng(0)
    centres = np.array([[30, 30, 30], [220, 60, 60], [60, 200, 90], [240, 230, 210]])
    rgb = (centres[rng.integers(0, 4, (40, 40))] + rng.integers(-6, 7, (40, 40, 3))).astype(np.uint8)
    palette = palettes.adaptive_palette(rgb, 4, seed=3)
    distance = np.abs(palette[:, None].astype(int) - centres[None]).max(axis=-1)
    assert sorted(distance.argmin(axis=1)) == [0, 1, 2, 3]
    assert distance.min(axis=1).max() <= 3
    assert (palettes.adaptive_palette(rgb, 4, seed=3) == palette).all()


def picture(text: str) -> np.ndarray:
    """The picture of letters as greys, rows split by /."""
    return np.array([[[20 * (ord(letter) - 64)] * 3 for letter in row] for row in text.split("/")], np.uint8)


def greys(palette: np.ndarray) -> str:
    return "".join(chr(value // 20 + 64) for value in palette[:, 0].tolist())


def test_few_colours_are_all_kept_commonest_first():
    assert greys(medoid_palette(picture("ABB/BCC"), 3)) == "BCA"


def test_many_colours_become_the_nearest_that_occur():
    assert greys(medoid_palette(picture("AAAAB/JJJJK"), 2)) == "AJ"


def test_areas_say_which_colours_are_common():
    assert greys(medoid_palette(picture("AAAB"), 2, np.array([1.0, 1.0, 1.0, 3.5]))) == "BA"
    assert greys(medoid_palette(picture("AABBJJKK"), 2, np.array([1.0, 1.0, 1e-6, 1e-6, 1e-6, 1e-6, 1.4, 1.4]))) == "KA"


def test_a_small_accent_far_from_all_others_survives():
    assert "L" in greys(medoid_palette(picture("AAAAAA/BBBBBB/CCCCCL"), 2))


def test_a_palette_never_holds_a_colour_that_the_artwork_lacks():
    artwork = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    palette = medoid_palette(artwork, 8)
    assert 2 <= len(palette) <= 8
    assert {tuple(c) for c in palette.tolist()} <= {tuple(c) for c in artwork.reshape(-1, 3).tolist()}
