from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from pipeline.images.colour import to_oklab
from pipeline.images.marks import keep_marks
from pipeline.images.resample import box

CELLS, PIXELS = 32, 6  # of the drawing, and a side of each in the picture
SKIN, MOUTH = (238, 205, 185), (150, 90, 80)
AT = np.s_[20:22, 13:18]  # the cells that a mouth may lie in
picture_and_drawing = st.tuples(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
)


def plain(colour: tuple[int, int, int] = SKIN) -> np.ndarray:
    return np.full((CELLS, CELLS, 3), colour, np.uint8)


def with_mouth(thick: int = 2, colour: tuple[int, int, int] = MOUTH) -> np.ndarray:
    """A calm picture with a mouth of three cells, a third of a cell thick."""
    picture = Image.new("RGB", (CELLS * PIXELS, CELLS * PIXELS), SKIN)
    ImageDraw.Draw(picture).rectangle([84, 123, 101, 122 + thick], fill=colour)
    return np.asarray(picture)


def darker(drawn: np.ndarray) -> np.ndarray:
    """The cells that are clearly darker than skin."""
    return to_oklab(drawn)[..., 0] < to_oklab(plain())[..., 0] - 0.15


def test_a_lost_mouth_comes_back_where_it_is_and_with_its_hue() -> None:
    kept = keep_marks(plain(), with_mouth())
    cells = darker(kept)
    assert 2 <= cells[AT].sum() == cells.sum() <= 6
    assert (kept[~cells] == plain()[~cells]).all()
    marked, skin = to_oklab(kept[cells][None])[0], to_oklab(plain())[0, 0]
    assert (marked[:, 1] > skin[1]).all()  # redder, as the mouth is


def test_a_mark_that_the_drawing_shows_is_left_as_it_is() -> None:
    drawn = plain()
    drawn[20, 14:17] = MOUTH
    assert (keep_marks(drawn, with_mouth()) == drawn).all()


@pytest.mark.parametrize("thick", [12, 24])
def test_an_area_is_no_mark(thick: int) -> None:
    assert (keep_marks(plain(), with_mouth(thick)) == plain()).all()


def test_a_light_line_is_no_dark_mark() -> None:
    assert (keep_marks(plain(MOUTH), np.asarray(255 - with_mouth())) == plain(MOUTH)).all()


def test_a_mark_that_stands_is_left_out() -> None:
    assert (keep_marks(plain(), with_mouth().swapaxes(0, 1)) == plain()).all()


@pytest.mark.parametrize("rows", [-19 * PIXELS, 10 * PIXELS])
def test_a_mark_at_the_border_is_left_out(rows: int) -> None:
    assert (keep_marks(plain(), np.roll(with_mouth(), rows, axis=0)) == plain()).all()


def test_strands_of_hair_stay_left_out() -> None:
    picture = np.repeat(np.repeat(plain(), PIXELS, 0), PIXELS, 1)
    for left in range(3, CELLS * PIXELS, 9):
        picture[:, left : left + 2] = MOUTH
    drawn = box(picture, (CELLS, CELLS))
    drawn[:] = drawn.mean(axis=(0, 1)).astype(np.uint8)
    assert (keep_marks(drawn, picture) == drawn).all()


def test_a_mark_beside_other_things_is_left_out() -> None:
    drawn = plain()
    drawn[22:, :] = MOUTH
    drawn[18:22, 10:13] = (40, 60, 120)
    assert (keep_marks(drawn, with_mouth()) == drawn).all()


@given(picture_and_drawing)
def test_any_sizes_keep_shape_and_leave_the_arguments_alone(pair: tuple[np.ndarray, np.ndarray]) -> None:
    picture, drawn = pair
    before = drawn.copy()
    kept = keep_marks(drawn, picture)
    assert (kept.shape, kept.dtype) == (drawn.shape, np.uint8)
    assert (drawn == before).all()
