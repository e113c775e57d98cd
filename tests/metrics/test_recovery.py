"""Figures of drawings beside their truths: worked out by hand on small pictures, and what must hold on any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.images.colour import to_oklab
from pipeline.metrics import recovery
from pipeline.metrics.recovery import Recovery, compare, line_cells, lone_cells, total

WHITE, GREY, BLACK = (255, 255, 255), (128, 128, 128), (0, 0, 0)  # OKLab lightness 1, 0.6, 0
RED, SKIN = (220, 40, 60), (240, 200, 180)
natives = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def flat(colour, rows=9, columns=9):
    picture = np.empty((rows, columns, 3), np.uint8)
    picture[:] = colour
    return picture


def with_cells(picture, colour, *cells):
    changed = picture.copy()
    for cell in cells:
        changed[cell] = colour
    return changed


def chroma(colour):
    return to_oklab(np.array(colour, np.uint8))[1:]


@given(natives)
def test_a_truth_beside_itself_has_lost_nothing(native) -> None:
    figures = compare(native, native)
    assert (figures.error, figures.within) == (0, 1)
    assert figures.lines in (1, None)
    assert figures.accents is None or figures.accents == pytest.approx(1)
    assert figures.lone == figures.lone_truth
    assert (figures.lines is None) == (not line_cells(native).any())


@given(st.data())
def test_shares_are_shares_and_the_error_has_no_side(data) -> None:
    drawn = data.draw(natives)
    truth = data.draw(arrays(np.uint8, drawn.shape))
    figures, back = compare(drawn, truth), compare(truth, drawn)
    assert (figures.error, figures.within, figures.lines) == (back.error, back.within, back.lines)
    assert (figures.lone, figures.lone_truth) == (back.lone_truth, back.lone)
    for share in (figures.within, figures.lines, figures.accents, figures.lone):
        assert share is None or 0 <= share <= 1 + 1e-9


def test_error_is_the_mean_distance_and_within_counts_the_cells_that_are_near() -> None:
    drawn = with_cells(flat(WHITE, 2, 5), BLACK, (0, 0))  # one of ten cells is off by 1
    figures = compare(drawn, flat(WHITE, 2, 5))
    assert figures.error == pytest.approx(0.1, abs=1e-6)
    assert figures.within == 0.9


def test_within_ends_at_the_distance_that_it_names() -> None:
    greys = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    lightness = to_oklab(greys)[:, 0, 0]
    near = int(np.argmax(lightness[128] - lightness <= recovery.NEAR))  # the darkest grey that is still near 128
    assert compare(greys[[near]], greys[[128]]).within == 1
    assert compare(greys[[near - 1]], greys[[128]]).within == 0


def test_lines_are_cells_darker_than_the_25_around_them() -> None:
    column = [(row, 4) for row in range(9)]
    picture = with_cells(flat(WHITE), BLACK, *column)  # a fifth of each window is black: 0.8 against 0
    assert np.argwhere(line_cells(picture)).tolist() == [list(cell) for cell in column]
    assert not line_cells(flat(BLACK)).any()
    assert not line_cells(np.roll(with_cells(flat(WHITE), GREY), 1)).any()


def test_a_step_of_lightness_is_a_line_where_it_is_deep_enough() -> None:
    """On the dark side of a step two of five columns are light: 0.4 times the step, less than 0.12 below 0.3."""
    greys = to_oklab(np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1))[:, 0]
    for step, expected in ((0.27, 0), (0.33, 9)):
        dark = int(np.argmin(np.abs(greys - (1 - step))))
        picture = flat(WHITE)
        picture[:, 4:] = dark
        assert line_cells(picture)[:, 4].sum() == expected


def test_lines_are_the_f1_of_those_drawn() -> None:
    truth = with_cells(flat(WHITE, 9, 20), BLACK, (4, 4), (4, 7), (4, 10), (4, 13))
    drawn = with_cells(flat(WHITE, 9, 20), BLACK, (4, 4), (4, 7), (4, 16))  # two right of three, two of four missed
    assert compare(drawn, truth).lines == pytest.approx(2 * 2 / (3 + 4))
    assert compare(flat(WHITE), flat(GREY)).lines is None
    assert compare(flat(WHITE, 9, 20), truth).lines == 0


def test_accents_are_the_share_of_their_chroma_that_is_drawn() -> None:
    truth = with_cells(flat(SKIN), RED, (4, 4))
    pale = np.array([230, 120, 120], np.uint8)
    expected = chroma(pale) @ chroma(RED) / (chroma(RED) @ chroma(RED))
    assert 0.4 < expected < 0.8
    assert compare(with_cells(flat(SKIN), pale, (4, 4)), truth).accents == pytest.approx(expected)
    assert compare(with_cells(flat(WHITE), RED, (4, 4)), truth).accents == pytest.approx(1)  # its ground is no matter
    assert compare(flat(GREY), truth).accents == pytest.approx(0, abs=1e-6)


def test_an_accent_is_more_colourful_than_the_49_around_it() -> None:
    square = [(row, column) for row in range(2, 7) for column in range(2, 7)]  # 25 of the window of its middle
    assert compare(flat(GREY), with_cells(flat(GREY), RED, *square[1:])).accents == pytest.approx(0, abs=1e-6)
    drawn = with_cells(flat(GREY), RED, *square[:12])
    kept = compare(drawn, with_cells(flat(GREY), RED, *square))  # the middle is none: its median is red
    assert kept.accents == pytest.approx(12 / 24, abs=1e-3)
    assert compare(drawn, flat(SKIN)).accents is None


def test_an_accent_drawn_too_strongly_does_not_make_up_for_one_that_is_lost() -> None:
    truth = with_cells(flat(GREY, 9, 18), (230, 120, 120), (4, 4), (4, 13))
    drawn = with_cells(flat(GREY, 9, 18), (255, 0, 0), (4, 4))
    assert compare(drawn, truth).accents == pytest.approx(0.5, abs=0.03)  # its hue is a little another


def test_an_accent_of_the_opposite_hue_counts_as_none_drawn() -> None:
    truth = with_cells(flat(GREY), RED, (4, 4))
    assert compare(with_cells(flat(GREY), (0, 150, 150), (4, 4)), truth).accents == 0


def test_a_weak_colour_is_no_accent() -> None:
    assert compare(flat(GREY), with_cells(flat(GREY), SKIN, (4, 4))).accents is None


def test_a_cell_is_lone_that_no_neighbour_equals_also_in_a_corner() -> None:
    picture = with_cells(flat(WHITE, 4, 5), RED, (0, 0), (2, 2), (3, 3))  # the last two touch by a corner
    assert np.argwhere(lone_cells(picture)).tolist() == [[0, 0]]
    assert compare(picture, flat(WHITE, 4, 5)).lone == 1 / 20
    assert lone_cells(flat(RED, 1, 1)).all()


def test_of_several_pictures_each_cell_line_and_accent_counts_alike() -> None:
    wrong = compare(flat(BLACK, 2, 5), flat(WHITE, 2, 5))
    right = compare(flat(WHITE, 3, 10), flat(WHITE, 3, 10))
    both = total([wrong, right])
    assert both == wrong + right
    assert both.error == pytest.approx(10 / 40)
    assert both.within == 30 / 40
    lines = total([compare(flat(WHITE), with_cells(flat(WHITE), BLACK, (4, 4)))] + [right] * 5)
    assert lines.lines == 0  # pictures without lines neither help nor harm
    assert total([]) == Recovery()


@pytest.mark.parametrize("shapes", [((3, 4), (4, 3)), ((0, 4), (0, 4))])
def test_pictures_that_cannot_be_compared_are_refused(shapes) -> None:
    drawn, truth = (np.zeros((*shape, 3), np.uint8) for shape in shapes)
    with pytest.raises(ValueError, match="expected two pictures of one shape, at least one cell"):
        compare(drawn, truth)
