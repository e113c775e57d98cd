"""Animations against frames composed by hand, and which of them are taken."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from handmade import TABLE, apng, art, first, gif, gif_frame, letters, played, webp
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images.formats import decode
from pipeline.images.formats import frames as choosing
from pipeline.images.formats.animation import Patch, compose

DISPOSAL_CASES = {
    0: ["RRR/RRR", "RRR/RGR", "BRR/RGR"],
    1: ["RRR/RRR", "RRR/RGR", "BRR/RGR"],
    2: ["RRR/RRR", "RRR/RGR", "BRR/R.R"],
    3: ["RRR/RRR", "RRR/RGR", "BRR/RRR"],
    4: ["RRR/RRR", "RRR/RGR", "BRR/RRR"],
}


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("disposal", DISPOSAL_CASES)
def test_gif_disposal(disposal: int, transparent: bool) -> None:
    """Also where no colour is declared transparent: what was cleared is open, whatever background is named."""
    frames = [gif_frame("RRR/RRR", 0, 0, 1), gif_frame("G", 1, 1, disposal), gif_frame("B", 0, 0, 1)]
    if not transparent:
        frames = [
            gif_frame("RRR/RRR", 0, 0, 1, transparent=False), gif_frame("G", 1, 1, disposal, transparent=False),
            gif_frame("B", 0, 0, 1, transparent=False),
        ]  # fmt: skip
    assert played(gif(3, 2, *frames, background=3)) == DISPOSAL_CASES[disposal]


@pytest.mark.parametrize("transparent", [True, False])
def test_a_first_gif_frame_smaller_than_the_canvas_leaves_the_rest_open(transparent: bool) -> None:
    data = gif(4, 3, gif_frame("RG", 1, 1, 1, transparent=transparent), gif_frame("B", 3, 2, 1))
    assert played(data) == ["..../.RG./....", "..../.RG./...B"]
    assert decode(data, "x", frames="first", most=1).facts.has_alpha


@pytest.mark.parametrize(("disposal", "then"), [(2, ".../..B"), (3, ".../..B"), (1, "RGR/..B")])
def test_the_first_gif_frame_can_be_disposed_of_too(disposal: int, then: str) -> None:
    assert played(gif(3, 2, gif_frame("RGR", 0, 0, disposal), gif_frame("B", 2, 1)))[1] == then


def test_transparent_gif_pixels_leave_what_is_there() -> None:
    data = gif(3, 2, gif_frame("RRR/RRR"), gif_frame("G.G/.G.", 0, 0, 3), gif_frame(".Y./Y.Y", 0, 0, 2), gif_frame("W"))
    assert played(data) == ["RRR/RRR", "GRG/RGR", "RYR/YRY", "W../..."]


def test_a_frame_with_its_own_table_and_interlace_beyond_the_canvas() -> None:
    shifted = TABLE[3:] + TABLE[:3]
    rows = "R/G/B/Y/W/S/K/R/G"
    data = gif(1, 9, gif_frame(rows, interlaced=True), gif_frame("RY/RY", 0, 8, table=shifted, transparent=False))
    assert played(data) == [rows, "R/G/B/Y/W/S/K/R/G"[:-1] + "G"]
    grown = gif(1, 1, gif_frame("RG/BY"), gif_frame("KKK", 1, 1))
    assert played(grown) == ["RG/BY", "RG/BK"]


def test_a_key_colour_that_is_only_meant_stays_a_colour() -> None:
    magenta = bytes((255, 0, 255)) * 8
    data = gif(1, 1, gif_frame("R", table=magenta, transparent=False))
    assert first(data).tolist() == [[[255, 0, 255, 255]]]


@pytest.mark.parametrize(
    ("dispose", "over", "expected"),
    [
        (0, 0, ["RRR/RRR", "R.G/RRR", "R.G/RRB"]),
        (0, 1, ["RRR/RRR", "RRG/RRR", "RRG/RRB"]),
        (1, 0, ["RRR/RRR", "R.G/RRR", "R../RRB"]),
        (1, 1, ["RRR/RRR", "RRG/RRR", "R../RRB"]),
        (2, 0, ["RRR/RRR", "R.G/RRR", "RRR/RRB"]),
        (2, 1, ["RRR/RRR", "RRG/RRR", "RRR/RRB"]),
    ],
)
def test_apng_disposal_and_blending(dispose: int, over: int, expected: list[str]) -> None:
    frames = [
        {"rgba": art("RRR/RRR")},
        {"rgba": art(".G"), "left": 1, "dispose": dispose, "over": over},
        {"rgba": art("B"), "left": 2, "top": 1},
    ]
    assert played(apng(3, 2, frames)) == expected


def test_the_picture_that_an_apng_shows_in_its_place_is_not_a_frame() -> None:
    frames = [{"rgba": art("RR")}, {"rgba": art("G"), "left": 1}]
    data = apng(2, 1, frames, default=art("WW"))
    assert played(data) == ["RR", "RG"]
    decoded = decode(data, "x", frames="first", most=1)
    assert (letters(decoded.frames[0].rgba), decoded.facts.frames) == ("RR", 2)


def test_disposing_of_the_first_apng_frame_to_what_was_before_opens_it() -> None:
    frames = [{"rgba": art("RR"), "dispose": 2}, {"rgba": art("G"), "left": 1}]
    assert played(apng(2, 1, frames)) == ["RR", ".G"]


@given(st.lists(st.integers(0, 255), min_size=8, max_size=8))
def test_partly_transparent_pixels_are_mixed_by_the_over_operator(values: list[int]) -> None:
    ground, source = np.array(values, np.uint8).reshape(2, 1, 1, 4)
    for rgba in (ground, source):
        rgba[rgba[..., 3] == 0] = 0
    patches = [Patch(ground.copy(), 0, 0, False, "keep"), Patch(source, 0, 0, True, "keep")]
    *_, mixed = compose(1, 1, patches)
    front, back = source[0, 0, 3] / 255, ground[0, 0, 3] / 255 * (1 - source[0, 0, 3] / 255)
    assert mixed[0, 0, 3] == pytest.approx((front + back) * 255, abs=0.51)
    if front + back:
        expected = (source[0, 0, :3] * front + ground[0, 0, :3] * back) / (front + back)
        assert mixed[0, 0, :3] == pytest.approx(expected, abs=0.51)


def test_webp_disposal_and_blending() -> None:
    base = (art("RRRR/RRRR"), 0, 0, 0)
    for flags, expected in (
        (0, ["RRGR/RRRR", "BRGR/RRRR"]),
        (1, ["RRGR/RRRR", "BR../RRRR"]),
        (2, ["RRG./RRRR", "BRG./RRRR"]),
        (3, ["RRG./RRRR", "BR../RRRR"]),
    ):
        data = webp((4, 2), [base, (art("G."), 2, 0, flags), (art("B"), 0, 0, 0)], alpha=True)
        assert played(data) == ["RRRR/RRRR", *expected], flags


def test_a_webp_without_alpha_has_an_open_canvas_all_the_same() -> None:
    data = webp((4, 2), [(art("RG"), 2, 0, 1), (art("B"), 0, 0, 0)], alpha=False)
    assert played(data) == ["..RG/....", "B.../...."]
    assert decode(data, "x", frames="first", most=1).facts.has_alpha


def moving(*texts: str) -> bytes:
    return gif(len(texts[0]), 1, *(gif_frame(text, disposal=2) for text in texts))


def chosen(data: bytes, frames: str, most: int = 4) -> list[int]:
    return [frame.index for frame in decode(data, "x", frames=frames, most=most).frames]


def test_the_frames_that_differ_most_are_taken_first() -> None:
    data = moving("RRRR", "RRRG", "RRGG", "BBBB", "RRRR", "BBBY")
    assert chosen(data, "first") == [0]
    assert chosen(data, "distinct", 1) == [0]
    assert chosen(data, "distinct", 2) == [0, 3]
    assert chosen(data, "distinct", 3) == [0, 2, 3]
    assert chosen(data, "distinct", 4) == [0, 1, 2, 3]
    assert chosen(data, "distinct", 9) == [0, 1, 2, 3, 5]
    assert chosen(data, "all") == [0, 1, 2, 3, 5]
    assert chosen(moving("RR", "RR", "RR"), "distinct") == [0]
    assert letters(decode(data, "x", frames="distinct", most=2).frames[1].rgba) == "BBBB"


@given(st.lists(st.text("RGB.", min_size=3, max_size=3), min_size=1, max_size=7), st.integers(1, 6))
@settings(max_examples=60)
def test_distinct_frames_are_a_greedy_choice(texts: list[str], most: int) -> None:
    def distance(left: int, right: int) -> int:
        return sum(a != b for a, b in zip(texts[left], texts[right], strict=True))

    expected = [0]
    while len(expected) < most:
        reach = [min(distance(index, taken) for taken in expected) for index in range(len(texts))]
        if not max(reach):
            break
        expected.append(reach.index(max(reach)))
    assert chosen(moving(*texts), "distinct", most) == sorted(expected)


def test_long_animations_are_played_anew_and_not_held(monkeypatch) -> None:
    """1,000 frames of 200x200 are 160 MB."""
    texts = [
        gif_frame("RG"[number % 2] if number != 700 else "B" * 20, number % 200, number // 5, 1)
        for number in range(1000)
    ]
    data = gif(200, 200, *texts)
    monkeypatch.setattr(choosing, "HELD", 0)
    tracemalloc.start()
    few = chosen(data, "distinct", 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000, peak
    monkeypatch.undo()
    assert chosen(data, "distinct", 3) == few
