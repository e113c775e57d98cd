"""One crawl of a gallery whose every second work has a fault of its own: how each ends, and what the server saw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import hostile_faults
import pytest
from hostile_crawl import Crawled, Crawler, LoggedRequest, serving
from hostile_faults import ADDRESSES, IMAGES, PAGES, REASONS

from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape

FAULTS = {**IMAGES, **PAGES}
MOST_HOPS = 6  # a request and five redirects
NOTICED = 64 * 2**20  # bytes of 200 MiB that the sockets on the way may swallow before the server notices


@pytest.fixture(scope="module")
def crawled(small: Sample, scrape: Scrape, tmp_path_factory: pytest.TempPathFactory) -> tuple[Crawled, Path]:
    root = tmp_path_factory.mktemp("faults")
    again = [hostile_faults.address(slug) for slug, fault in FAULTS.items() if fault.asks > 1]
    with serving(root / "server", hostile_faults.gallery()) as server:
        crawler = Crawler(scrape, small, root)
        outcome = crawler.crawl(server, again=again, most=MOST_HOPS)
    assert outcome.error is None
    return outcome, crawler.out


def asks(crawled: Crawled, slug: str) -> list[LoggedRequest]:
    """Requests for the address where the fault is."""
    return [request for request in crawled.requests if request.target == hostile_faults.address(slug)]


@pytest.mark.parametrize("slug", REASONS)
def test_faulty_work_ends_with_its_reason(crawled: tuple[Crawled, Path], slug: str) -> None:
    assert crawled[0].reasons[f"artist-b/{slug}"] == REASONS[slug]


@pytest.mark.parametrize("slug", FAULTS)
def test_faulty_address_is_asked_for_as_often_as_that_may_help(crawled: tuple[Crawled, Path], slug: str) -> None:
    assert len(asks(crawled[0], slug)) == FAULTS[slug].asks


def test_sound_works_beside_the_faulty_are_kept_each_with_its_own_bytes(crawled: tuple[Crawled, Path]) -> None:
    rows = crawled[0].rows
    sources_kept = {source_id for source_id in hostile_faults.sound() if rows[source_id]["status"] == "kept"}
    assert sources_kept == hostile_faults.sound()
    assert len({rows[source_id]["sha256"] for source_id in sources_kept}) == len(sources_kept)
    assert len(rows) == 2 * len(REASONS)


@pytest.mark.parametrize("slug", [slug for slug, fault in IMAGES.items() if fault.facts])
def test_type_is_judged_by_the_bytes(crawled: tuple[Crawled, Path], slug: str) -> None:
    row, facts = crawled[0].rows[f"artist-b/{slug}"], IMAGES[slug].facts
    assert {name: row[name] for name in facts} == facts
    assert (crawled[1] / "images" / f"{row['sha256']}.{facts['format']}").is_file()


def test_bombs_are_cut_short(crawled: tuple[Crawled, Path]) -> None:
    for slug in ("endless", "announced-huge"):
        assert [request.sent < NOTICED for request in asks(crawled[0], slug)] == [True]


def test_nothing_is_asked_for_off_the_host_or_at_another_address(crawled: tuple[Crawled, Path]) -> None:
    assert {request.host.partition(":")[0] for request in crawled[0].requests} == {"127.0.0.1"}
    assert not [target for target in crawled[0].targets if target.startswith(("/x", "/latest", "/thumbnails"))]


def test_each_sound_page_and_file_is_asked_for_once(crawled: tuple[Crawled, Path]) -> None:
    counts = Counter(request.target for request in crawled[0].requests if "sound" in request.target)
    assert len(counts) == 2 * len(REASONS)
    assert set(counts.values()) == {1}


def test_image_in_any_form_of_address_is_found(crawled: tuple[Crawled, Path]) -> None:
    for slug, (reason, _) in ADDRESSES.items():
        if reason is None:
            assert crawled[0].rows[f"artist-b/{slug}"]["image_url"].startswith("http://127.0.0.1:")
