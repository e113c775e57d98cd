"""Failures pass: which works later runs ask for again, when, and which never."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawler, run_here, serving
from hostile_pages import HTML, PNG, Piece

from pipeline.errors import BadParams
from pipeline.inspect import command as inspect
from pipeline.sample.params import Sample
from pipeline.scrape import again
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import DECISIONS, REASONS

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
SOUND = pages.pieces(30)
NOAI = (("X-Robots-Tag", "noai"),)


def piece(slug: str, number: int, *, page: bool = False, **answer: Any) -> Piece:
    """A work with one bad answer, at its image or at its page."""
    plain = Piece(slug, number, "artist-b")
    rule = Rule(plain.page_path if page else plain.image_path, **{"headers": HTML, **answer})
    return replace(plain, page=(rule,)) if page else replace(plain, image=(rule,))


FAILING = {  # reason -> works whose first run ends so
    "not_found": [
        piece("gone-image", 101, status=404, times=1),
        piece("gone-page", 102, status=404, times=1, page=True),
    ],
    "not_an_image": [piece("page-as-image", 103, body=b"<html>Sorry!</html>", times=1)],
    "truncated": [piece("cut", 104, body=pages.png(1)[:-20], times=4)],
    "forbidden": [piece("private", 105, status=403, times=1)],
    "too_large": [piece("huge", 106, length=10**9, times=1)],
    "server": [piece("error", 107, status=500, times=4)],
    "network": [piece("silent", 108, raw=True, times=4)],
    "markup": [piece("odd", 109, body=b"<h1>new</h1>", times=1, page=True)],
}  # fmt: skip
FOR_GOOD = {
    "noai": piece("opted-out", 111, body=pages.png(1), headers=(*PNG, *NOAI)),
    "off_host": Piece("elsewhere", 112, "artist-b", image_url="https://cdn.example.com/x.png"),
    "robots": Piece("disallowed", 113, "artist-b"),
}
ROBOTS = Rule("/robots.txt", body=b"User-agent: *\nDisallow: /gallery/disallowed-\n")
WORKS = [*SOUND, *(work for works in FAILING.values() for work in works), *FOR_GOOD.values()]
PASSING = {work.source_id: reason for reason, works in FAILING.items() for work in works}
FINAL = {work.source_id: reason for reason, work in FOR_GOOD.items()}
ASKED = {path for work in WORKS for path in (work.page_path, work.image_path)}


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


def failures(reasons: dict[str, str | None]) -> dict[str, str | None]:
    return {source_id: reason for source_id, reason in reasons.items() if reason}


def test_every_failure_that_is_no_decision_is_asked_again_and_loses_no_work(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [ROBOTS, *pages.lospec(WORKS)]) as server:
        first = crawler.crawl(server, again=ASKED)
        assert failures(first.reasons) == PASSING | FINAL
        soon = crawler.crawl(server)
        later_reasons = {key: reason for key, reason in PASSING.items() if reason not in again.PROMPT}
        assert failures(soon.reasons) == later_reasons | FINAL
        crawler.let_pass(hours=23)
        assert not ASKED & set(crawler.crawl(server).targets)
        crawler.let_pass(hours=2)
        later = crawler.crawl(server)
        assert failures(later.reasons) == FINAL
        crawler.let_pass(days=4000)
        assert not ASKED & set(crawler.crawl(server).targets)
    assert later.rows["artist-b/cut"]["status"] == "kept"


@pytest.mark.parametrize("retry", [{"truncated", "forbidden"}, again.reasons(["all"]), {"noai", "gone"}])
def test_retry_asks_at_once_for_these_reasons_and_no_others(crawler: Crawler, retry: set[str]) -> None:
    with serving(crawler.root / "server", [ROBOTS, *pages.lospec(WORKS)]) as server:
        crawler.crawl(server, again=ASKED)
        crawler.crawl(server)
        retried = crawler.crawl(server, retry=retry)
    waiting = {key: reason for key, reason in PASSING.items() if reason not in again.PROMPT}
    assert failures(retried.reasons) == {k: reason for k, reason in waiting.items() if reason not in retry} | FINAL
    works = [work for work in WORKS if (waiting | FINAL).get(work.source_id) in retry]
    assert ASKED & set(retried.targets) == {path for work in works for path in (work.page_path, work.image_path)}


@pytest.mark.parametrize(
    ("reason", "days"), [("not_found", [1, 2, 4, 8, 16, 32, 32, 32]), ("server", [0, 1, 2, 4, 8, 16, 32, 32])]
)
def test_distance_grows_to_a_bound(reason: str, days: list[int]) -> None:
    before: dict[str, Any] = {"status": "kept", "reason": None}
    for distance in days:
        row = {"status": "failed", "reason": reason}
        before = row | again.after_try(row, before, NOW)
        assert before["tried_at"] == "2025-03-01T12:00:00+00:00"
        assert [again.is_due(before, NOW + timedelta(days=distance, seconds=s)) for s in (-1, 0)] == [
            distance == 0, True,
        ]  # fmt: skip
    assert before["tries"] == len(days)


@pytest.mark.parametrize("reason", sorted(DECISIONS))
def test_decision_is_asked_for_again_only_where_it_held_for_one_run(reason: str) -> None:
    row = {"status": REASONS[reason], "reason": reason, "fetched_at": "2001-01-01T00:00:00Z"}
    assert not again.is_due(row | again.after_try(row, None, NOW), NOW)
    assert again.is_due(row | again.after_try(row, None, NOW, passing=True), NOW)


@pytest.mark.parametrize(
    "row",
    [
        {"tried_at": "2099-01-01T00:00:00+00:00", "tries": 9},  # by a clock that was wrong
        {"fetched_at": "2025-02-01T00:00:00Z"},  # of an earlier version, or taken over from an output
        {"fetched_at": None},
    ],
)
def test_row_whose_time_says_nothing_is_asked_for_again(row: dict[str, Any]) -> None:
    assert again.is_due({"reason": "not_found", **row}, NOW)


def test_retry_takes_words_in_any_form_and_none_that_is_no_reason() -> None:
    assert again.reasons(["not_found,truncated", "gone robots"]) == {"not_found", "truncated", "gone", "robots"}
    assert again.reasons(["all", "noai"]) == set(REASONS) - DECISIONS | {"noai"}
    assert again.reasons([]) == frozenset()
    for word in ("nonsense", "limit", "blocklist"):
        with pytest.raises(BadParams, match=word):
            again.reasons([word])


def test_command_retries_all_or_some_reasons(tmp_path: Path) -> None:
    bad = [Rule(SOUND[n].image_path, status, times=2) for n, status in ((1, 404), (3, 403), (5, 410))]
    with serving(tmp_path / "server", [*bad, *pages.lospec(SOUND)]) as server:

        def asked(*options: str) -> Counter[str]:
            before = len(server.requests())
            assert run_here(tmp_path, "scrape", "--source", "lospec", "--base-url", server.url(), *options) == 0
            return Counter(r.target for r in server.settled()[before:] if r.target.endswith(".png"))  # fmt: skip

        assert len(asked()) == len(SOUND)
        assert asked() == {}
        assert asked("--retry", "forbidden", "truncated", "--json") == {SOUND[3].image_path: 1}
        assert asked("--retry", "--json") == {SOUND[n].image_path: 1 for n in (1, 3, 5)}
        assert asked("--retry=not_found") == {SOUND[n].image_path: 1 for n in (1, 5)}
        assert run_here(tmp_path, "scrape", "--source", "lospec", "--retry", "lost") == 3
    rows = [json.loads(line) for line in (tmp_path / "data/raw/lospec/manifest.jsonl").read_text().splitlines()]
    assert {row["status"] for row in rows} == {"kept"}
    assert "tries" not in rows[0]


def test_failures_are_listed_with_their_addresses_in_output_and_state(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [Rule(SOUND[2].image_path, 404), *pages.lospec(SOUND)]) as server:
        crawler.crawl(server)
    reports = [inspect.inspect([crawler.root / name]) for name in ("out", "state")]
    image = f"{server.url().replace(str(server.ports[0]), str(server.ports[1]))}{SOUND[2].image_path}"
    assert [[failure["image_url"] for failure in report["failures"]] for report in reports] == [[image], [image]]
    assert reports[1]["failures"][0]["tries"] == 1
    for report in reports:
        assert any(line.startswith(f"not_found: {image}") for line in inspect.lines(report))


def test_robots_txt_that_failed_closes_its_host_for_that_run_only(crawler: Crawler) -> None:
    """First of the images' host, whose works are rows; then of the gallery's, which ends the run."""
    closed = [Rule("/robots.txt", 503, port=1, times=4), Rule("/robots.txt", raw=True, port=1, times=4)]
    first = [Rule("/robots.txt", 500, port=0, times=4)]
    few = SOUND[:3]
    with serving(crawler.root / "server", [*first, *closed, *pages.lospec(few)]) as server:
        ends = [crawler.crawl(server, again={"/robots.txt"}) for _ in range(4)]
    assert [end.error.exit_code if end.error else 0 for end in ends] == [5, 5, 0, 0]
    assert set(ends[2].reasons.values()) == {"network"}
    assert ends[3].stats["kept"] == len(few)
