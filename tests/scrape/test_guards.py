"""A host that gives no pictures is told from works that have none, and a placeholder from a picture."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawled, Crawler, serving
from hostile_pages import HTML, PNG, Piece

from pipeline.curate.dedup import stage as dedup
from pipeline.errors import PipelineError
from pipeline.params import load
from pipeline.runtime import manifest
from pipeline.sample.params import Sample
from pipeline.scrape.guards import WITHOUT_PICTURE, Guards
from pipeline.scrape.params import Scrape

REFUSED, UNREACHABLE = 5, 6
PARAMS = Path(__file__).parents[1] / "params.yaml"
SORRY = {"body": b"<html><body>Sorry!</body></html>", "headers": HTML}
MISSING = {"status": 404, "body": b"no"}
FORBIDDEN = {"status": 403, "body": b"<h1>403 Forbidden</h1>"}
MOST = [number for number in range(64) if number % 4 != 3][:45]  # of 64, never many in a row


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


def works(count: int, bad: Collection[int], answer: dict[str, Any], *, page: bool = False) -> list[Piece]:
    """Works of which some get an answer of their own, at their image or at their page."""
    listed = pages.pieces(count)
    for number in bad:
        rule = Rule(listed[number].page_path if page else listed[number].image_path, **answer)
        listed[number] = replace(listed[number], page=(rule,)) if page else replace(listed[number], image=(rule,))
    return listed


def crawl(crawler: Crawler, listed: list[Piece], times: int = 1) -> list[Crawled]:
    again = {path for work in listed for path in (work.page_path, work.image_path)} | {"/gallery"}
    with serving(crawler.root / "server", pages.lospec(listed)) as server:
        return [crawler.crawl(server, again=again) for _ in range(times)]


def codes(crawls: list[Crawled]) -> list[int]:
    return [crawled.error.exit_code if crawled.error else 0 for crawled in crawls]


@pytest.mark.parametrize(
    ("answer", "page", "words"),
    [
        ({**SORRY, "times": 1}, False, "the host answers pages instead of pictures: 45 of 64$"),
        ({**MISSING, "times": 1}, True, "does not find .*: 45 of 64$"),
    ],
    ids=["pages", "missing pages"],
)
def test_host_without_most_pictures_ends_the_crawl_and_once_it_has_them_none_is_lost(
    crawler: Crawler, answer: dict[str, Any], page: bool, words: str
) -> None:
    listed = works(64, MOST, answer, page=page)
    first, second = crawl(crawler, listed, 2)
    assert (codes([first]), re.search(words, str(first.error)) is not None) == ([UNREACHABLE], True)
    assert second.stats["kept"] == 64
    sound = {work.image_path for number, work in enumerate(listed) if number not in MOST}
    assert not sound & set(second.targets)


def test_half_of_the_pictures_and_all_of_a_few_are_rows(crawler: Crawler) -> None:
    (half,) = crawl(crawler, works(20, range(0, 20, 2), MISSING))
    assert (half.error, half.stats["reasons"]) == (None, {"not_found": 10})
    (few,) = crawl(Crawler(crawler.scrape, crawler.sample, crawler.root / "few"), works(9, range(9), MISSING))
    assert (few.error, few.stats["reasons"]) == (None, {"not_found": 9})


@pytest.mark.parametrize(("answer", "page"), [(SORRY, False), (MISSING, True)])
def test_ten_works_in_a_row_without_a_picture_end_the_crawl_at_once(
    crawler: Crawler, answer: dict[str, Any], page: bool
) -> None:
    """And nobody is stuck: in the third run the works are known to be broken for themselves."""
    crawls = crawl(crawler, works(26, range(5, 15), answer, page=page), 3)
    assert codes(crawls) == [UNREACHABLE, UNREACHABLE, 0]
    assert "10 of 15, 10 in a row" in str(crawls[0].error)
    assert pages.pieces(16)[15].page_path not in crawls[0].targets
    assert (crawls[2].stats["kept"], crawls[2].stats["failed"]) == (16, 10)


@pytest.mark.parametrize("reason", sorted(WITHOUT_PICTURE))
def test_ten_of_any_reason_in_a_row_are_too_many_and_a_picture_between_them_is_not(reason: str) -> None:
    """Whether that picture was fetched now or before."""
    bad = {"status": "failed", "reason": reason, "image_url": "http://site.test/x.png", "page_url": None, "tries": 1}
    kept = {**bad, "status": "kept", "reason": None}
    guards = Guards("site")
    for number in range(40):
        guards.note(kept if number % 2 else bad, asked=number % 2 == 0)
    with pytest.raises(PipelineError, match=r"in a row.*x\.png") as caught:
        for _ in range(10):
            guards.note(bad, asked=True)
    assert caught.value.exit_code == (REFUSED if reason == "forbidden" else UNREACHABLE)


def test_works_that_failed_long_ago_do_not_end_the_run_that_asks_for_them_again(crawler: Crawler) -> None:
    """They are all that it asks for, one after another."""
    listed = works(48, range(0, 48, 4), MISSING)
    listed = [replace(w, image=(Rule(w.image_path, **FORBIDDEN),)) if n % 8 == 1 else w for n, w in enumerate(listed)]
    with serving(crawler.root / "server", pages.lospec(listed)) as server:
        crawler.crawl(server)
        crawler.let_pass(days=2)
        later = crawler.crawl(server)
    assert (later.error, later.stats["reasons"]) == (None, {"not_found": 12, "forbidden": 6})
    assert sum(target.endswith(".png") for target in later.targets) == 18


@pytest.mark.parametrize(("bad", "code"), [([4], 0), ([4, 5], 0), ([4, 5, 7, 8], 0), ([4, 5, 6], REFUSED)], ids=str)
@pytest.mark.parametrize("status", [401, 403])
def test_forbidden_picture_is_the_row_of_its_work_and_three_in_a_row_are_a_refusal(
    crawler: Crawler, status: int, bad: list[int], code: int
) -> None:
    (crawled,) = crawl(crawler, works(12, bad, {**FORBIDDEN, "status": status}))
    assert codes([crawled]) == [code]
    if code == 0:
        assert crawled.stats["reasons"] == {"forbidden": len(bad)}
        assert {row["status"] for row in crawled.rows.values() if row["reason"]} == {"failed"}
    else:
        assert crawled.targets[-1] == pages.pieces(7)[6].image_path


def test_page_that_is_always_forbidden_among_sound_ones_ends_no_run(crawler: Crawler) -> None:
    crawls = crawl(crawler, works(12, [4], FORBIDDEN, page=True), 3)
    assert codes(crawls) == [0, 0, 0]
    assert crawls[2].stats["reasons"] == {"forbidden": 1}


def test_picture_that_many_works_share_is_a_placeholder_and_never_chosen(
    crawler: Crawler, caplog: pytest.LogCaptureFixture
) -> None:
    """Two works with one picture are a copy, as ever; once the host has the true pictures they are taken."""
    placeholder, shared = pages.png(7, side=12), range(3, 36, 3)
    listed = works(40, shared, {"body": placeholder, "headers": PNG, "times": 1})
    listed[1] = replace(listed[1], number=listed[2].number)
    with serving(crawler.root / "server", pages.lospec(listed)) as server, caplog.at_level(logging.WARNING):
        first = crawler.crawl(server, again={path for work in listed for path in (work.page_path, work.image_path)})
        assert first.stats["reasons"] == {"not_an_image": len(shared)}
        assert f"{len(shared)} works have one and the same picture" in caplog.text
        params = load(PARAMS)
        dedup.run([crawler.out], crawler.root / "dedup", params.dedup, params.executor, crawler.root / "state")
        assert not {f"artist-a/piece-{number}" for number in shared} & {
            row["source_id"] for row in manifest.read_kept(crawler.root / "dedup")
        }
        crawler.let_pass(days=1)
        later = crawler.crawl(server)
    assert later.stats["kept"] == 40


def test_placeholder_stays_one_however_few_works_are_asked_for_again(crawler: Crawler) -> None:
    listed = works(20, range(1, 16), {"body": pages.png(7), "headers": PNG})
    with serving(crawler.root / "server", pages.lospec(listed)) as server:
        crawler.crawl(server)
        crawler.let_pass(days=1)
        for limit in (5, None):
            later = crawler.crawl(server, limit=limit)
            assert later.error is None
    assert later.stats["reasons"] == {"not_an_image": 15}
