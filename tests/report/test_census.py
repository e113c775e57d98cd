"""Counting: every work once, and what no source tells counted as unknown."""

from __future__ import annotations

import pytest

from pipeline.report import census
from pipeline.report.census import Census

NOTHING = Census([], [], [], [], [])


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2024-12-27T13:00:00", "2024-12"), ("2024-02", "2024-02"), ("November 28, 2024", "2024-11"),
        ("3 May 2019", "2019-05"), ("12/31/2008", "2008-12"), ("sometime in 2011, I think", "2011"),
        ("yesterday", None), ("12345", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_dates_are_read_as_far_as_they_tell(text, month):
    assert census.parse_date(text) == month


def test_dates_are_shown_by_month_or_by_year_where_they_are_many():
    few = [{"id": f"a-{n}", "posted": f"2024-{n:02}-01"} for n in (3, 1, 3)]
    few[2]["id"] = "a-x"
    assert census.dates([*few, {"id": "b"}]) == [("2024-01", 1), ("2024-03", 2), ("not told", 1)]
    many = [{"id": f"a-{n}", "posted": f"{2000 + n}-01-01"} for n in range(20)]
    assert census.dates(many)[0] == ("2000", 1)
    assert census.dates([*few, {"id": "c", "posted": "in 2020"}]) == [("2020", 1), ("2024", 3)]


def test_frames_tiles_and_crops_are_one_work():
    rows = [{"id": f"s-1234567890abcdef{part}"} for part in ("-f000", "-f001-t00x01", "-c02")]
    assert len(census.works([*rows, {"id": "s-0000000000000000"}])) == 2
    assert census.licences(Census([], [], [], rows, [])) == [("not told", 1, 0)]


def test_artists_are_counted_by_name_and_source_and_the_rest_is_a_tail():
    rows = [{"id": f"w-{n:03}", "source": "a", "artist": f"artist {n % 25:02}"} for n in range(60)]
    rows += [{"id": "x-1", "source": "b", "artist": "ARTIST 00"}, {"id": "x-2", "source": "a", "artist": " artist 00"}]
    rows += [{"id": "y-1", "source": "a", "artist": None}]
    artists = census.artists(rows)
    assert artists["top"][0] == (" artist 00", "a", 4)
    assert (artists["number"], artists["unknown"], len(artists["top"])) == (26, 1, 20)
    assert sum(count for *_, count in artists["top"]) + artists["tail"]["works"] + artists["unknown"] == len(rows)


def test_cells_tell_whole_between_and_unknown():
    cells = [1, 1, 4.0, 2.5, None, 12]
    bins = census.cell_sizes(Census([], [], [{"cell": cell} for cell in cells], [], []))
    assert bins == [("1", 2), ("4", 1), ("9+", 1), ("between", 1), ("unknown", 1)]


def test_transparency_is_counted_in_tenths_with_the_opaque_apart():
    shares = [0.0, 0.0, 0.05, 0.1, 0.97, 1.0]
    bins = dict(census.transparency(Census([], [{"transparent_share": share} for share in shares], [], [], [])))
    assert (bins["none"], bins[">0"], bins["10%"], bins["90%"]) == (2, 1, 1, 2)
    assert sum(bins.values()) == len(shares)
    assert census.transparency(NOTHING) == []


def test_refusals_are_counted_per_source_also_where_there_are_none():
    rows = [
        {"id": "1", "source": "a", "status": "dropped", "reason": "noai"},
        {"id": "2", "source": "a", "status": "failed", "reason": "server"},
        {"id": "3", "source": "b", "status": "kept", "reason": None},
    ]
    assert census.REFUSALS == ("noai", "robots", "blocklist")
    assert census.refusals(Census(rows, [], [], [], [])) == [("a", 1, 0, 0), ("b", 0, 0, 0)]


def test_the_days_of_fetching_are_those_of_kept_works():
    days = {"a": "2025-03-01T10:00:00Z", "b": "2024-12-31T23:59:59Z", "c": None}
    rows = [{"id": name, "status": "kept", "fetched_at": day} for name, day in days.items()]
    failed = {"id": "d", "status": "failed", "fetched_at": "2020-01-01T00:00:00Z"}
    assert census.fetch_days(Census([*rows, failed], [], [], [], [])) == ("2024-12-31", "2025-03-01")
    assert census.fetch_days(NOTHING) is None
