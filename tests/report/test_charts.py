from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.report import census, charts


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 8))
def test_ticks_enclose_the_data_in_a_few_round_steps(low, span, count):
    marks = charts.ticks(low, low + span, count)
    step = marks[1] - marks[0]
    assert step > 0
    assert marks[0] <= low + 1e-6 * (abs(low) + step)
    assert marks[-1] >= low + span - 1e-6 * (abs(low) + span + step)
    assert 2 <= len(marks) <= count + 3


def test_ticks_are_ones_twos_and_fives():
    assert charts.ticks(0, 2.3, 4) == [0, 1, 2, 3]
    assert charts.ticks(0.12, 0.47, 4) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_line_chart_has_a_line_per_series_inside_its_frame():
    chart = charts.line_chart("loss <G>", {"a": [(0, 3.0), (10, 1.0)], "none": [], "b": [(0, 2.0), (5, 2.5), (10, 9)]})
    svg = ET.fromstring(chart)
    lines = svg.findall("polyline")
    assert [line.get("class") for line in lines] == ["series-0", "series-2"]
    for line in lines:
        for x, y in (map(float, pair.split(",")) for pair in line.get("points").split()):
            assert charts.LEFT <= x <= charts.WIDTH - charts.RIGHT
            assert charts.TOP <= y <= charts.HEIGHT - charts.BOTTOM
    assert svg.get("aria-label") == "loss <G>: a from 3 to 1; b from 2 to 9"


def test_a_single_point_and_a_constant_curve_can_be_drawn():
    for points in ([(3.0, 0.5)], [(0, 0.0), (1, 0.0)]):
        assert "polyline" in charts.line_chart("x", {"a": points})


def test_long_curves_are_thinned_and_keep_their_ends():
    points = [(float(x), float(x)) for x in range(5001)]
    few = charts.thin(points)
    assert len(few) <= charts.MAX_POINTS + 1
    assert (few[0], few[-1]) == (points[0], points[-1])


@given(st.lists(st.integers(1, 5000)))
def test_bins_hold_everything_that_was_counted(values):
    bins = charts.histogram(values, census.SIZES)
    assert sum(count for _, count in bins) == len(values)
    assert not bins or (bins[0][1] and bins[-1][1])


def test_bins_are_labelled_by_the_numbers_that_they_hold():
    assert charts.histogram([1, 2, 3, 9, 40], (1, 2, 4, 10)) == [("1", 1), ("2-3", 2), ("4-9", 1), ("10+", 1)]


def test_a_bar_chart_has_a_bar_per_bin_inside_its_frame_and_says_its_numbers():
    svg = ET.fromstring(charts.bar_chart("sizes <b>", [("1-2", 3), ("3 & 4", 0), ("5+", 9)]))
    heights = [float(bar.get("height")) for bar in svg.findall("rect")]
    assert heights[1] == 0
    assert heights[2] == pytest.approx(3 * heights[0], abs=0.2)
    for bar in svg.findall("rect"):
        assert float(bar.get("x")) >= 0
        assert float(bar.get("x")) + float(bar.get("width")) <= charts.WIDTH
        assert float(bar.get("y")) >= 0
        assert float(bar.get("y")) + float(bar.get("height")) <= charts.HEIGHT
    assert svg.get("aria-label") == "sizes <b>: 1-2: 3, 3 & 4: 0, 5+: 9"
    assert "nothing to count" in charts.bar_chart("none", [])


def test_curves_are_read_as_dvclive_writes_them(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/loss.tsv").write_text("step\tloss\n0\t1.5\n20\tnan\n40\t0.5\n")
    (tmp_path / "empty.tsv").write_text("step\tempty\n")
    assert charts.read_curves(tmp_path) == {"deep/loss": [(0, 1.5), (40, 0.5)]}


@pytest.mark.parametrize("text", ["", "epoch\tloss\n", "step\ta\tb\n"])
def test_another_table_is_refused(tmp_path, text):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(BadInput, match="'step' and one metric"):
        charts.read_curves(tmp_path)
