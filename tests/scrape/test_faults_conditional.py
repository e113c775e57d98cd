"""Asking again: a second crawl asks for listing pages only, on condition that they changed where the site allows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawler, serving
from hostile_pages import PNG, entry

from pipeline.runtime.files import folder_digest
from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape

LATIN = (("Content-Type", "text/html"),)
SINCE = "Sat, 01 Mar 2025 12:00:00 GMT"
WORKS = [
    Rule(r"/pixelart/(?P<n>\d+)\.htm", body=pages.pixeljoint_page("@n@"), headers=LATIN),
    Rule(r"/files/icons/full/work_\d+__r1\d+\.png", body=pages.png(1), headers=PNG),
]
FIRST, SECOND, THIRD = (rf"/pixels/new_icons\.asp\?{query}" for query in ("ob=date", "q=1&pg=2", "q=1&pg=3"))


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


def page(target: str, number: int, *works: int, **headers: str) -> Rule:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    body = pages.pixeljoint_listing([entry(work) for work in works], number, 3)
    return Rule(target, body=body, headers=(*LATIN, *pairs))


def unchanged(target: str, containing: str, times: int | None = None) -> Rule:
    return Rule(target, 304, containing=containing, times=times)


LISTING = [
    unchanged(FIRST, 'if-none-match: W/"one"\n'),
    unchanged(SECOND, f"if-modified-since: {SINCE}\n"),
    page(FIRST, 1, 9, 8, ETag='W/"one"'),
    page(SECOND, 2, 7, 6, Last_Modified=SINCE),
    page(THIRD, 3, 5),
]


def test_unchanged_listing_costs_no_page_and_leaves_the_same_bytes(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *LISTING, *WORKS]) as server:
        crawler.crawl(server, "pixeljoint")
        digest = folder_digest(crawler.out)
        for _ in range(2):
            again = crawler.crawl(server, "pixeljoint")
            assert [request.status for request in again.requests] == [200, 304, 304, 200]
            assert "pixelart" not in "".join(again.targets)
            assert folder_digest(crawler.out) == digest


def test_new_work_on_a_changed_page_is_all_that_is_fetched(crawler: Crawler) -> None:
    """Page 1 changes after the second crawl: there is a new work, and one moved on to page 2."""
    first = [
        unchanged(FIRST, '"one"', times=1),
        replace(page(FIRST, 1, 9, 8, ETag='"one"'), times=1),
        page(FIRST, 1, 10, 9, ETag='"two"'),
    ]
    second = [replace(page(SECOND, 2, 7, 6), times=2), page(SECOND, 2, 8, 7)]
    third = [replace(page(THIRD, 3, 5), times=2), page(THIRD, 3, 6, 5)]
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *first, *second, *third, *WORKS]) as server:
        for _ in range(2):
            crawler.crawl(server, "pixeljoint")
        changed = crawler.crawl(server, "pixeljoint")
    assert [target for target in changed.targets if "new_icons" not in target] == [
        "/robots.txt", "/pixelart/10.htm", "/files/icons/full/work_10__r110.png",
    ]  # fmt: skip
    assert set(changed.rows) == {"10", "9", "8", "7", "6", "5"}


def test_limited_crawl_remembers_no_more_pages_than_it_saw(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *LISTING, *WORKS]) as server:
        few = crawler.crawl(server, "pixeljoint", limit=2)
        complete = crawler.crawl(server, "pixeljoint")
        few_again = crawler.crawl(server, "pixeljoint", limit=2)
    assert [len(crawled.rows) for crawled in (few, complete, few_again)] == [2, 5, 2]
    assert [request.status for request in complete.requests if "new_icons" in request.target] == [304, 200, 200]
    assert [request.status for request in few_again.requests] == [200, 304]


def test_server_that_ignores_the_condition_costs_nothing_but_the_page(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *LISTING[2:], *WORKS]) as server:
        crawler.crawl(server, "pixeljoint")
        digest = folder_digest(crawler.out)
        again = crawler.crawl(server, "pixeljoint")
    assert [request.status for request in again.requests] == [200] * 4
    assert folder_digest(crawler.out) == digest


def test_first_crawl_and_requests_for_works_set_no_condition(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *LISTING, *WORKS]) as server:
        crawled = crawler.crawl(server, "pixeljoint")
    conditions = {"if-none-match", "if-modified-since"}
    assert not [request for request in crawled.requests if conditions & request.headers.keys()]


def test_unchanged_page_that_was_never_given_is_a_failure_of_the_server(crawler: Crawler) -> None:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, Rule(FIRST, 304)]) as server:
        crawled = crawler.crawl(server, "pixeljoint")
    assert crawled.error is not None
    assert crawled.error.exit_code == 6


def test_second_crawl_by_post_asks_for_the_batches_only(crawler: Crawler) -> None:
    with serving(crawler.root / "server", pages.lospec(pages.pieces(34))) as server:
        crawler.crawl(server)
        digest = folder_digest(crawler.out)
        again = crawler.crawl(server)
    assert again.targets == ["/robots.txt", "/gallery", "/gallery", "/gallery"]
    assert folder_digest(crawler.out) == digest
