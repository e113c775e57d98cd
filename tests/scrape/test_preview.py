from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import BadInput, MarkupChanged, Refused, Unreachable
from pipeline.layout import SOURCES
from pipeline.sample.galleries import site
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample
from pipeline.scrape import origins, preview
from pipeline.scrape.crawl import CrawlTarget
from pipeline.scrape.params import Scrape

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize("source", SOURCES)
def test_plan_asks_for_robots_and_for_nothing_else(small: Sample, scrape: Scrape, tmp_path: Path, source: str) -> None:
    hits: list[Hit] = []
    faults = Faults(on_hit=hits.append, robots="User-agent: *\nCrawl-delay: 3\n")
    with site.serve(small, [source], faults=faults) as urls:
        plan = preview.plan(
            source, scrape.model_copy(update={"limit": 5}), small, CrawlTarget(state=tmp_path, base_url=urls[source])
        )
    assert [hit.target for hit in hits] == ["/robots.txt"]
    assert plan["robots"] == {"verdict": "allowed", "crawl_delay": 3.0}
    assert (plan["source"], plan["limit"], plan["settled_before"]) == (source, 5, 0)
    assert plan["start"]["url"].startswith(urls[source])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("robots", "verdict"),
    [("User-agent: *\nDisallow: /\n", "disallowed"), ("User-agent: *\nContent-Signal: ai-train=no\n", "noai")],
)
def test_plan_tells_the_verdict(small: Sample, scrape: Scrape, tmp_path: Path, robots: str, verdict: str) -> None:
    with site.serve(small, ["lospec"], faults=Faults(robots=robots)) as urls:
        plan = preview.plan("lospec", scrape, small, CrawlTarget(state=tmp_path, base_url=urls["lospec"]))
    assert plan["robots"]["verdict"] == verdict
    with pytest.raises(Unreachable):
        preview.plan("lospec", scrape, small, CrawlTarget(state=tmp_path, base_url=urls["lospec"]))


def test_plan_of_the_sample_runs_the_sample(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    plan = preview.plan("pixiehaus", scrape, small, CrawlTarget(state=tmp_path))
    assert plan["start"]["url"] == "http://pixiehaus.sample.invalid/gallery?page=1"


def test_plan_of_a_live_site_needs_what_its_crawl_needs(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="contact"):
        preview.plan("lospec", scrape, small, CrawlTarget(state=tmp_path, origin="live"))


def test_page_in_a_file_is_read_as_what_it_is(scrape: Scrape) -> None:
    page = preview.run_page(str(GOLDEN / "pixeljoint" / "artwork" / "page.html"), "pixeljoint", scrape)
    assert (page["page"], page["title"]) == ("artwork", "Café at düsk")
    page = preview.run_page(str(GOLDEN / "lospec" / "batch" / "page.json"), "lospec", scrape)
    assert (page["page"], len(page["items"])) == ("listing", 3)
    page = preview.run_page(str(GOLDEN / "pixeljoint" / "artwork_removed" / "page.html"), "pixeljoint", scrape)
    assert page["gone"] is True


@pytest.mark.parametrize("source", SOURCES)
def test_page_at_an_address_is_fetched_and_read(small: Sample, scrape: Scrape, source: str) -> None:
    with site.serve(small, [source]) as urls:
        start = origins.gallery(source, urls[source]).start().url
        listing = preview.run_page(start, source, scrape)
        assert listing["page"] == "listing"
        if source != "pixiehaus":
            assert preview.run_page(listing["items"][0]["page_url"], source, scrape)["page"] == "artwork"


def test_page_of_another_site_is_a_change_of_markup(scrape: Scrape) -> None:
    with pytest.raises(MarkupChanged):
        preview.run_page(str(GOLDEN / "lospec" / "artwork" / "page.html"), "pixeljoint", scrape)


def test_page_that_is_nowhere_is_bad_input(scrape: Scrape) -> None:
    with pytest.raises(BadInput, match="neither"):
        preview.run_page("no/such/page.html", "lospec", scrape)


def test_live_page_needs_contact_and_terms(scrape: Scrape) -> None:
    with pytest.raises(Refused):
        preview.run_page("https://lospec.com/gallery/a/b", "lospec", scrape)
