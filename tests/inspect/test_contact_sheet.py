"""Contact sheets show what is there: nothing smoothed, nothing cropped, nothing left out without a word."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadInput
from pipeline.images import sheet
from pipeline.images.files import Pixels, write_png
from pipeline.images.sheet import ALARM, CHECKS, GAP, GROUND, HEADER, PLACE, SLOT
from pipeline.inspect import contact_sheet
from pipeline.inspect.command import inspect
from pipeline.inspect.contact_sheet import ACROSS, DOWN

CORNERS = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 0]]], np.uint8)


def sprite(side: int = 16) -> Pixels:
    """Noise of a few colours on transparency, so that its grid is certain."""
    rng = np.random.default_rng(side)
    rgba = rng.integers(0, 256, (5, 4), dtype=np.uint8)[rng.integers(0, 5, (side, side))]
    rgba[..., 3] = 255
    rgba[:2] = 0
    return rgba


def quarters(height: int, width: int) -> Pixels:
    """A picture that shows by its corners whether it is whole."""
    rows, columns = np.arange(height) * 2 // height, np.arange(width) * 2 // width
    return CORNERS[rows[:, None], columns[None, :]]


def page_of(tmp_path: Path, *images: Pixels) -> Pixels:
    for number, image in enumerate(images):
        write_png(tmp_path / "art" / f"{number}.png", image)
    contact_sheet.write(inspect([tmp_path / "art"])["images"], tmp_path / "sheet.png")
    return np.asarray(Image.open(tmp_path / "sheet.png"))


def place(page: Pixels, number: int = 0) -> Pixels:
    left = GAP + number * (SLOT + GAP)
    return page[HEADER : HEADER + SLOT, left : left + SLOT]


def picture(page: Pixels, number: int = 0) -> Pixels:
    """What lies in a place, without the place around it."""
    drawn = (place(page, number) != PLACE).any(axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return place(page, number)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def on_checks(rgba: Pixels, zoom: int) -> Pixels:
    large = rgba.repeat(zoom, 0).repeat(zoom, 1)
    checks = CHECKS[np.add.outer(np.arange(len(large)) // 8, np.arange(large.shape[1]) // 8) % 2]
    return np.where(large[..., 3:] > 0, large[..., :3], checks)


def test_a_picture_is_enlarged_by_the_largest_integer_that_fits_transparency_a_checkerboard(tmp_path: Path) -> None:
    page = page_of(tmp_path, sprite(16), sprite(45))
    np.testing.assert_array_equal(place(page), on_checks(sprite(16), 10))
    np.testing.assert_array_equal(picture(page, 1), on_checks(sprite(45), 3))


@pytest.mark.parametrize("cell", [11, 16])
def test_what_is_too_large_is_shown_at_its_native_size(tmp_path: Path, cell: int) -> None:
    large = sprite(16).repeat(cell, 0).repeat(cell, 1)
    np.testing.assert_array_equal(place(page_of(tmp_path, large)), on_checks(sprite(16), 10))


@pytest.mark.parametrize("size", [(2, 2), (160, 160), (161, 4), (500, 400), (20, 1000), (159, 81), (321, 320)])
def test_every_picture_is_shown_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    shown = picture(page_of(tmp_path, quarters(*size)))
    np.testing.assert_array_equal(shown[[0, 0, -1, -1], [0, -1, 0, -1]], CORNERS.reshape(4, 3))
    assert max(shown.shape) > SLOT // 2
    height, width = size
    assert shown.shape[0] / shown.shape[1] == pytest.approx(height / width, rel=0.15)


def test_no_colour_is_on_a_sheet_that_the_artist_did_not_use(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(300), np.arange(400))[..., None] * np.array([1, 0, 0])
    art = (smooth // 3).astype(np.uint8)
    shown = {tuple(colour) for colour in picture(page_of(tmp_path, art)).reshape(-1, 3)}
    assert shown <= {tuple(colour) for colour in art.reshape(-1, 3)}


def test_what_cannot_be_read_is_crossed_out_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "art").mkdir()
    (tmp_path / "art" / "1.gif").write_bytes(b"<html>")
    page = page_of(tmp_path, sprite())
    assert (place(page, 1)[[0, 0, 80, -1, -1], [0, -1, 80, 0, -1]] == ALARM).all()
    assert not (place(page) == ALARM).all(axis=2).any()


def test_a_file_that_went_after_it_was_inspected_is_crossed_out(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", sprite())
    images = inspect([tmp_path])["images"]
    (tmp_path / "a.png").unlink()
    contact_sheet.write(images, tmp_path / "sheet.png")
    assert (place(np.asarray(Image.open(tmp_path / "sheet.png")))[0, 0] == ALARM).all()


@pytest.mark.parametrize("contents", [[], [b"nothing"]])
def test_a_sheet_of_nothing_is_refused(tmp_path: Path, contents: list[bytes]) -> None:
    for number, data in enumerate(contents):
        (tmp_path / f"{number}.png").write_bytes(data)
    with pytest.raises(BadInput, match="no readable picture"):
        contact_sheet.write(inspect([tmp_path])["images"], tmp_path / "sheet.png")


def test_many_pictures_take_several_pages(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", sprite())
    images = inspect([tmp_path])["images"] * (ACROSS * DOWN + 3)
    pages = contact_sheet.write(images, tmp_path / "out" / "sheet.png")
    assert pages == [tmp_path / "out" / "sheet.png", tmp_path / "out" / "sheet-2.png"]
    first, second = (np.asarray(Image.open(page)) for page in pages)
    assert first.shape[1] == GAP + ACROSS * (SLOT + GAP)
    assert second.shape[1] == GAP + 2 * (SLOT + GAP)
    assert contact_sheet.write(images, tmp_path / "short.png", max_pages=1) == [tmp_path / "short.png"]
    short = np.asarray(Image.open(tmp_path / "short.png"))
    assert (short[:HEADER] != first[:HEADER]).any(), "the title tells how many are missing"
    np.testing.assert_array_equal(short[HEADER:], first[HEADER:])


def test_a_title_counts_what_is_shown_and_what_is_not() -> None:
    full = ACROSS * DOWN
    assert contact_sheet._title(0, 1, 1, 9) == "1 picture"
    assert contact_sheet._title(full, 7, full + 7, 2) == f"{full + 1} to {full + 7} of {full + 7} pictures"
    assert contact_sheet._title(0, full, full + 7, 9) == f"1 to {full} of {full + 7} pictures"
    assert contact_sheet._title(0, full, full + 7, 1).endswith("pictures; the other 7 are not shown")


@pytest.mark.parametrize("source", ["pixeljoint", "lospec", "pixiehaus", "inputs"])
def test_an_id_is_never_shortened(source: str) -> None:
    """Who sees something on the sheet that has to go needs its id."""
    widest = f"{source}-{'de' * 8}"
    font = sheet.font(sheet.SMALL)
    assert sheet.fitting(widest, font, SLOT) == widest
    short = sheet.fitting("a very long name of a file by somebody.png", font, SLOT)
    assert short.startswith("a very")
    assert short.endswith("body.png")
    assert font.getlength(short) <= SLOT


def test_captions_tell_artists_in_a_line_of_their_own(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", sprite())
    image = inspect([tmp_path])["images"][0]
    listed = image | {"ids": ["lospec-1", "lospec-2"], "artists": ["Ann", "Bob"]}
    pages = [*contact_sheet.write([image], tmp_path / "1.png"), *contact_sheet.write([listed], tmp_path / "2.png")]
    bare, captioned = (np.asarray(Image.open(page)) for page in pages)
    assert len(captioned) == len(bare) + sheet.LINE


@pytest.mark.parametrize("name", ["a\nb\x1b[2J.png", os.fsdecode(b"\xff.png"), "猫" * 80 + ".png", "\u202egnp.png"])
def test_any_file_name_can_be_a_caption(tmp_path: Path, name: str) -> None:
    write_png(tmp_path / "art.png", sprite())
    (tmp_path / "art.png").rename(tmp_path / name)
    assert contact_sheet.write(inspect([tmp_path])["images"], tmp_path / "out" / "sheet.png")


def test_small_folders_make_small_sheets(tmp_path: Path) -> None:
    page = page_of(tmp_path, *[sprite(side) for side in (8, 9, 10, 11)])
    assert page.shape[1] == GAP + 3 * (SLOT + GAP)
    assert (page[:, : GAP - 2] == GROUND).all()
