"""Days as sites write them; `now` is a night, in which hours matter, at the end of a month, where months matter."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.scrape import dates

NOW = datetime(2025, 3, 31, 1, 30, tzinfo=UTC)
SAME_DAY = """2023-03-20T02:07:00; 2023-03-20; 2023/03/20; 2023.3.20; 20230320; March 20, 2023; Mar 20, 2023;
20 March 2023; March 20th, 2023; 20th of March 2023; 20th March, 2023; MARCH 20TH 2023; 20.03.2023; 20. 3. 2023;
20/03/2023; 03/20/2023; 20-03-2023; 20. März 2023; 20 de marzo de 2023; le 20 mars 2023; 20 maart 2023;
20-Mar-2023; Mar-20-2023; 2023 March 20;
 Wed, 20 Mar 2023 02:07:00 GMT; Wed Mar 20 02:07:00 2023; Wed Mar 20 2023 02:07:00 GMT+0100; Posted: March 20th, 2023;
20 March 2023 at 14:05; 2023-03-20 and 20.03.2023"""
RELATIVE = {
    "just now": "2025-03-31", "today": "2025-03-31", "a few seconds ago": "2025-03-31", "an hour ago": "2025-03-31",
    "2 hours ago": "2025-03-30", "yesterday": "2025-03-30", "Yesterday at 5:20 PM": "2025-03-30",
    "2 days ago": "2025-03-29", "3d": "2025-03-28", "3d ago": "2025-03-28",
    "Posted 2 weeks ago": "2025-03-17", "about 3 weeks ago": "2025-03-10",
    "a month ago": "2025-02-28", "1 year, 2 months ago": "2024-01-31", "13 months ago": "2024-02-29",
}  # fmt: skip
UNREADABLE = [
    "03/04/2023", "last week", "some day", "March 2023", "31 February 2023", "in 3 days", "99999 years ago", "5m ago",
    "20 marbles 2023", "13.13.2023", "v1.2.2023.4", "2023-13-45", "3 March 2023, edited 4 April 2023", "9" * 5000,
    "", None,
]  # fmt: skip


@pytest.mark.parametrize("text", [text.strip() for text in SAME_DAY.replace("\n", " ").split(";")])
def test_one_day_in_the_forms_of_many_sites(text: str) -> None:
    assert str(dates.read(text, NOW)) == "2023-03-20"
    assert dates.anchored(text, NOW) == text, "it means the same tomorrow"


@pytest.mark.parametrize(("text", "day"), RELATIVE.items())
def test_relative_day_is_counted_from_now_and_kept_as_a_date(text: str, day: str) -> None:
    assert str(dates.read(text, NOW)) == dates.anchored(text, NOW) == day


@pytest.mark.parametrize("text", UNREADABLE)
def test_day_that_could_be_two_or_is_none_is_not_read(text: str | None) -> None:
    assert dates.read(text, NOW) is None
    assert dates.anchored(text, NOW) == text
