"""An error that nobody thought of, in one work or in one site, and what goes on without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawler, serving
from hostile_pages import Piece

from pipeline.errors import PipelineError
from pipeline.layout import SOURCES
from pipeline.sample.params import Sample
from pipeline.scrape import crawl, sniff
from pipeline.scrape.crawl import CrawlTarget
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.lospec import Lospec

WORKS = [Piece(f"piece-{number}", number) for number in range(6)]


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("page", RecursionError("deep")),
        ("page", OSError(5, "io")),
        ("image", KeyError("a")),
        ("image", OverflowError()),
    ],
)
def test_unforeseen_error_of_one_work_is_its_row(
    small: Sample, scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    parse, identify = Lospec.parse_artwork, sniff.identify

    def parse_artwork(self: Lospec, text: str, url: str) -> Any:
        if "piece-2" in url and where == "page":
            raise error
        return parse(self, text, url)

    def identify_but_one(data: bytes) -> Any:
        if data == pages.png(2) and where == "image":
            raise error
        return identify(data)

    monkeypatch.setattr(Lospec, "parse_artwork", parse_artwork)
    monkeypatch.setattr(sniff, "identify", identify_but_one)
    with serving(tmp_path / "server", pages.lospec(WORKS)) as server:
        crawled = Crawler(scrape, small, tmp_path).crawl(server)
        journal = "".join(path.read_text() for path in (tmp_path / "state").rglob("journal.jsonl"))
    assert crawled.stats["kept"] == len(WORKS) - 1
    assert crawled.reasons["artist-a/piece-2"] == ("markup" if where == "page" else "truncated")
    row = next(row for row in map(json.loads, journal.splitlines()) if row["source_id"] == "artist-a/piece-2")
    address = WORKS[2].page_path if where == "page" else WORKS[2].image_path
    assert address in row["detail"]
    assert type(error).__name__ in row["detail"]


def test_unforeseen_error_of_one_site_ends_no_other(
    small: Sample, scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_listing(*_: object) -> Any:
        raise ZeroDivisionError("not thought of")

    monkeypatch.setattr(Lospec, "parse_listing", parse_listing)
    few = small.model_copy(update=dict.fromkeys(SOURCES, 4))
    folders = {source: tmp_path / source for source in SOURCES}
    outcomes = crawl.run_all(folders, scrape, few, CrawlTarget(state=tmp_path / "state"))
    failed = outcomes.pop("lospec")
    assert isinstance(failed, PipelineError)
    assert failed.exit_code == 1
    assert str(failed) == "ZeroDivisionError: not thought of (a bug of facetopix; --debug shows where)"
    assert isinstance(failed.__cause__, ZeroDivisionError)
    inputs = {source: stats["inputs"] for source, stats in outcomes.items() if isinstance(stats, dict)}
    assert inputs == {"pixeljoint": 4, "pixiehaus": 4}


def dated(text: str, number: int) -> Piece:
    slug = f"piece-{number}"
    piece = Piece(slug, number)
    body = pages.lospec_page(piece).replace(b"March 3rd", text.encode())
    return Piece(slug, number, page=(Rule(piece.page_path, body=body, headers=pages.HTML),))


@pytest.mark.parametrize(
    ("texts", "limits", "kept"),
    [
        (["March 3rd, 2024", "3 May 2024", "02.06.2024"], {"since": "2024-05-01"}, {1, 2}),
        (["March 3rd, 2024", "3 May 2024", "02.06.2024"], {"until": "2024-05-03"}, {0, 1}),
        (["03.03.2024", "May 3rd, 2024"], {"since": "2024-04-01", "until": "2024-06-01"}, {1}),
        (["2 days ago", "3 years ago", "yesterday"], {"since": "2026-01-01"}, {0, 2}),
        (["May 3rd, 2024", "some day", "1 May 2023"], {"since": "2024-05-01"}, {0, 1}),
    ],
)
def test_works_are_limited_by_their_dates_however_they_are_written(
    small: Sample, scrape: Scrape, tmp_path: Path, caplog: pytest.LogCaptureFixture, texts: list[str],
    limits: dict[str, str], kept: set[int],
) -> None:  # fmt: skip
    works = [dated(text, number) for number, text in enumerate(texts)]
    with serving(tmp_path / "server", pages.lospec(works)) as server:
        crawled = Crawler(scrape.model_copy(update=limits), small, tmp_path).crawl(server)
    rows = crawled.rows.values()
    assert {row["source_id"] for row in rows if row["status"] == "kept"} == {works[number].source_id for number in kept}
    assert not [row for row in rows if "ago" in row["posted"]], "a relative day means nothing later"
    told = [message for message in caplog.messages if "cannot be read" in message]
    assert len(told) == texts.count("some day")
    assert all("1 of 3 works" in message and "some day" in message for message in told)


@pytest.mark.parametrize("count", [3, 14])
def test_limit_by_dates_that_cannot_be_read_is_an_error(
    small: Sample, scrape: Scrape, tmp_path: Path, count: int
) -> None:
    works = [dated("03/04/2024", number) for number in range(count)]
    with serving(tmp_path / "server", pages.lospec(works)) as server:
        limited = Crawler(scrape.model_copy(update={"since": "2024-05-01"}), small, tmp_path).crawl(server)
        assert limited.error is not None
        assert limited.error.exit_code == 3
        assert "since 2024-05-01: not one date of" in str(limited.error)
        assert "'03/04/2024' at http" in str(limited.error)
        assert sum(target.endswith(".png") for target in limited.targets) == min(count, 10), "no more after ten"
        assert Crawler(scrape, small, tmp_path).crawl(server).stats["kept"] == count
