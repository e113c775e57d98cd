"""Style transfer as a method of `facetopix convert`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.styletransfer.vgg import random_weights
from pipeline.convert import command, styling
from pipeline.errors import BadInput
from pipeline.images import files, palettes
from pipeline.style import features

COLOURS = np.random.default_rng(3).integers(0, 256, (6, 3), np.uint8)


def artwork(path: Path, *, cell: int = 1, margin: int = 0) -> Path:
    """20 x 18 cells in six colours, enlarged, on a transparent margin of so many cells."""
    native = COLOURS[np.random.default_rng(4).integers(0, 6, (20, 18))]
    rgba = np.concatenate([native, np.full((20, 18, 1), 255, np.uint8)], axis=2)
    rgba = np.pad(rgba, ((margin, margin), (margin, margin), (0, 0)))
    write_rgba(path, rgba.repeat(cell, 0).repeat(cell, 1))
    return path


def write_rgba(path: Path, rgba: np.ndarray) -> None:
    Image.fromarray(rgba).save(path)


@pytest.fixture(autouse=True)
def narrow_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random features of few channels, since drawing 20 million weights takes longer than a picture."""
    monkeypatch.setattr(features, "random_weights", partial(random_weights, widths=(4, 4, 6, 6, 8)))


@pytest.fixture
def face(tmp_path: Path) -> Path:
    across = np.linspace(0, 255, 40).astype(np.uint8)
    rgb = np.stack([np.tile(across, (30, 1)), np.tile(across[:30, None], (1, 40)), np.full((30, 40), 90)], axis=2)
    files.write_png(tmp_path / "face.png", rgb.astype(np.uint8))
    return tmp_path / "face.png"


def convert(face: Path, *artworks: Path, **options: object) -> dict:
    values = {
        "method": "style", "cells": "12", "colours": None, "palette": None, "scale": 3, "force": False,
        "trained": Path("absent"), "device": "cpu", "artworks": artworks, "iterations": 2, **options,
    }  # fmt: skip
    return command.run([str(face)], face.parent / "out", **values)


def colours_of(path: Path) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in files.read_rgb(path).reshape(-1, 3).tolist()}


def test_a_face_of_any_size_becomes_cells_in_the_colours_of_the_artwork(face, tmp_path):
    notes: list[str] = []
    result = convert(face, artwork(tmp_path / "art.png"), note=notes.append)
    assert result["counts"]["kept"] == 1
    native = files.read_rgb(tmp_path / "out/face.png")
    assert native.shape == (9, 12, 3)
    assert colours_of(tmp_path / "out/face.png") <= {tuple(colour) for colour in COLOURS.tolist()}
    assert np.array_equal(files.read_rgb(tmp_path / "out/face@3x.png"), native.repeat(3, 0).repeat(3, 1))
    assert len(notes) == 1
    assert "random features" in notes[0]


def test_pictures_and_the_iterations_inside_each_are_reported(face, tmp_path):
    calls: list[tuple[str, int, int]] = []
    convert(
        face, artwork(tmp_path / "art.png"), progress=lambda task, done, total, _="": calls.append((task, done, total))
    )
    assert calls == [("convert", 0, 1), ("style", 0, 2), ("style", 1, 2), ("convert", 1, 1)]


def test_colours_and_palettes_bound_the_picture(face, tmp_path):
    art = artwork(tmp_path / "art.png")
    convert(face, art, colours=3)
    assert len(colours_of(tmp_path / "out/face.png")) <= 3
    convert(face, art, palette="grey-4", force=True)
    assert colours_of(tmp_path / "out/face.png") <= {tuple(colour) for colour in palettes.load("grey-4").tolist()}


def test_an_artwork_is_read_at_its_native_cells_without_its_margin(tmp_path):
    native = styling.read(artwork(tmp_path / "native.png")).pixels
    assert native.shape == (20, 18, 3)
    enlarged = styling.read(artwork(tmp_path / "enlarged.png", cell=4, margin=3)).pixels
    assert np.array_equal(enlarged, native)


def test_a_hole_in_an_artwork_takes_its_commonest_colour(tmp_path):
    rgba = np.full((16, 16, 4), 255, np.uint8)
    rgba[::2, ::3, :3] = (200, 30, 40)
    rgba[5, 5] = 0
    write_rgba(tmp_path / "art.png", rgba)
    assert styling.read(tmp_path / "art.png").pixels[5, 5].tolist() == [255, 255, 255]


def test_the_same_call_makes_the_same_bytes(face, tmp_path):
    art = artwork(tmp_path / "art.png")
    convert(face, art)
    first = (tmp_path / "out/face.png").read_bytes()
    convert(face, art, force=True)
    assert (tmp_path / "out/face.png").read_bytes() == first


def test_several_artworks_give_colours_together(face, tmp_path):
    other = tmp_path / "other.png"
    files.write_png(other, np.array([[[1, 2, 3], [250, 251, 252]] * 8] * 16, np.uint8))
    convert(face, artwork(tmp_path / "art.png"), other)
    assert colours_of(tmp_path / "out/face.png") <= {tuple(c) for c in COLOURS.tolist()} | colours_of(other)


def test_a_smooth_picture_is_no_artwork(face, tmp_path):
    across = np.linspace(0, 255, 64)
    smooth = np.stack([across[None] * across[:, None] / 255] * 3, axis=2).astype(np.uint8)
    files.write_png(tmp_path / "smooth.png", smooth)
    with pytest.raises(BadInput, match=r"smooth\.png: expected pixel art, found no grid of cells"):
        convert(face, tmp_path / "smooth.png")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"artworks": []}, "give --style ART with --method style"),
        ({"method": "nearest"}, "and with no other method"),
        ({"colours": 1}, "expected at least 2, got 1"),
        ({"palette": "absent.hex"}, "palette absent.hex: no such file"),
        ({"features": "foo"}, "--features: expected imagenet, random or a .safetensors file, got foo"),
        ({"features": "absent.safetensors"}, "absent.safetensors: not a readable safetensors file"),
    ],
)
def test_options_that_cannot_be_are_named(face, tmp_path, options, words):
    with pytest.raises(BadInput, match=words):
        convert(face, artwork(tmp_path / "art.png"), **options)


def test_an_artwork_without_an_opaque_pixel_is_refused(face, tmp_path):
    write_rgba(tmp_path / "empty.png", np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(BadInput, match="no opaque pixel"):
        convert(face, tmp_path / "empty.png")
