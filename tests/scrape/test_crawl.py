"""The stage, over real HTTP against the sample galleries."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline.errors import BadInput, MarkupChanged, PipelineError, Refused, Unreachable
from pipeline.layout import SOURCES
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.sample.galleries import catalogue, pages_pixeljoint, site
from pipeline.sample.galleries.faults import Faults, Hit, ScriptedAnswer
from pipeline.sample.params import Sample
from pipeline.scrape import crawl
from pipeline.scrape.client.optouts import RESERVATIONS_PATH
from pipeline.scrape.crawl import CrawlTarget
from pipeline.scrape.params import Scrape

KEYS = {
    "id", "source", "source_id", "origin", "page_url", "image_url", "title", "artist", "posted", "tags", "licence",
    "medium", "category", "palette", "ai_generated", "consent", "fetched_at", "sha256", "bytes", "format", "width",
    "height", "frames", "has_alpha", "status", "reason",
}  # fmt: skip
LISTINGS = re.compile(r"/robots\.txt|/pixels/new_icons\.asp.*|/gallery(\?page=\d+)?")


@pytest.fixture(scope="module")
def crawled(small: Sample, scrape: Scrape, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three sources, from the sample galleries that a crawl starts by itself."""
    root = tmp_path_factory.mktemp("crawl")
    folders = {source: root / "raw" / source for source in SOURCES}
    outcomes = crawl.run_all(folders, scrape, small, CrawlTarget(state=root / "state"))
    assert crawl.worst(outcomes.values()) is None, outcomes
    return root


def rows(folder: Path) -> list[manifest.Row]:
    return manifest.read(folder)


@contextmanager
def replica(small: Sample, source: str, **faults: Any) -> Iterator[tuple[str, list[Hit]]]:
    """Its address, and what it was asked for but its TDM reservations."""
    hits: list[Hit] = []

    def note(hit: Hit) -> None:
        if hit.target != RESERVATIONS_PATH:
            hits.append(hit)

    with site.serve(small, [source], faults=Faults(on_hit=note, **faults)) as urls:
        yield urls[source], hits


def targets(hits: list[Hit]) -> list[str]:
    return [hit.target for hit in hits]


@pytest.mark.parametrize("source", SOURCES)
def test_every_listed_work_is_one_row_and_the_books_balance(crawled: Path, small: Sample, source: str) -> None:
    listed, stats = rows(crawled / "raw" / source), json.loads((crawled / "raw" / source / "stats.json").read_text())
    assert len(listed) == len({row["source_id"] for row in listed}) == getattr(small, source)
    assert all(set(row) == KEYS for row in listed)
    assert stats["kept"] + stats["dropped"] + stats["failed"] == stats["inputs"] == len(listed)


@pytest.mark.parametrize(
    ("source", "reasons"),
    [
        ("pixeljoint", {"truncated": 1, "not_an_image": 1, "not_found": 1, "noai": 1, "gone": 1}),
        ("lospec", {"truncated": 1, "not_an_image": 1, "not_found": 1, "noai": 2, "blocklist": 1}),
        ("pixiehaus", {"truncated": 1, "not_an_image": 1, "not_found": 1, "noai": 1}),
    ],
)
def test_what_is_not_kept_says_why(crawled: Path, source: str, reasons: dict[str, int]) -> None:
    assert Counter(row["reason"] for row in rows(crawled / "raw" / source) if row["reason"]) == reasons


@pytest.mark.parametrize("source", SOURCES)
def test_images_lie_under_the_hash_of_their_bytes_and_nothing_else_does(crawled: Path, source: str) -> None:
    folder = crawled / "raw" / source
    kept_rows = manifest.read_kept(folder)
    names = {f"{row['sha256']}.{'jpg' if row['format'] == 'jpeg' else row['format']}" for row in kept_rows}
    assert {path.name for path in (folder / "images").iterdir()} == names
    for row in kept_rows:
        data = next((folder / "images").glob(f"{row['sha256']}.*")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert len(data) == row["bytes"]


@pytest.mark.parametrize("source", SOURCES)
def test_bytes_are_kept_as_served(crawled: Path, small: Sample, source: str) -> None:
    expected = {
        hashlib.sha256(catalogue.file(source, index)).hexdigest()
        for index in range(getattr(small, source))
        if catalogue.work(source, index).special not in (*catalogue.BROKEN.values(), "removed", "nsfw", "noai page")
    }
    assert {row["sha256"] for row in manifest.read_kept(crawled / "raw" / source)} == expected


def test_pixeljoint_rows_tell_what_the_pages_tell(crawled: Path) -> None:
    by_id = {row["source_id"]: row for row in rows(crawled / "raw" / "pixeljoint")}
    for index in (0, 1, 24):
        work, row = catalogue.work("pixeljoint", index), by_id[str(pages_pixeljoint.work_id(index))]
        assert (row["title"], row["artist"]) == (work.title, work.artist_name)
        assert row["posted"] == work.posted.strftime("%Y-%m-%dT%H:%M:00")
        assert row["page_url"] == f"http://pixeljoint.sample.invalid/pixelart/{row['source_id']}.htm"
        assert row["tags"] is row["licence"] is None


def test_windows_1252_bytes_come_out_right(crawled: Path) -> None:
    titles = " ".join(row["title"] or "" for row in rows(crawled / "raw" / "pixeljoint"))
    assert "café" in titles
    assert "früh" in titles


def test_lospec_works_of_one_slug_or_none_stay_apart(crawled: Path) -> None:
    ids = [row["source_id"] for row in rows(crawled / "raw" / "lospec")]
    assert sum(name.endswith("/untitled-0") for name in ids) == 2
    assert sum(name.endswith("/") for name in ids) == 1
    image_hosts = {row["image_url"].split("/")[2] for row in rows(crawled / "raw" / "lospec") if row["image_url"]}
    assert image_hosts == {"cdn.lospec.sample.invalid"}


def test_pixiehaus_takes_numbers_and_no_furniture_and_says_that_it_is_generated(crawled: Path) -> None:
    listed = rows(crawled / "raw" / "pixiehaus")
    assert any(row["source_id"].isdecimal() for row in listed)
    assert all(re.search(r"/(sprites|animations)/", row["image_url"]) for row in listed)
    assert all(row["ai_generated"] is True for row in listed)


@pytest.mark.parametrize("source", SOURCES)
def test_id_is_derived_from_the_sites_own_identity(crawled: Path, source: str) -> None:
    for row in rows(crawled / "raw" / source):
        assert row["id"] == f"{source}-{hashlib.sha256(row['source_id'].encode()).hexdigest()[:16]}"


def test_animations_keep_their_frames(crawled: Path) -> None:
    assert {row["format"] for source in SOURCES for row in rows(crawled / "raw" / source) if row["frames"]} >= {
        "png",
        "gif",
        "webp",
    }
    assert any((row["frames"] or 0) > 1 for source in SOURCES for row in rows(crawled / "raw" / source))


def test_sample_output_is_the_same_bytes_in_another_place(
    crawled: Path, small: Sample, scrape: Scrape, tmp_path: Path
) -> None:
    crawl.run("lospec", tmp_path / "lospec", scrape, small, state=tmp_path / "state")
    assert folder_digest(tmp_path / "lospec") == folder_digest(crawled / "raw" / "lospec")


def test_state_has_the_names_that_earlier_versions_gave_it(crawled: Path) -> None:
    """Or a crawl that began before an update would begin anew."""
    names = {path.name for path in (crawled / "state").rglob("last-*.jsonl")}
    assert names == {"last-c590a0061958.jsonl", "last-68ca9101fa0a.jsonl", "last-06d3cdca5f41.jsonl"}


@dataclass(frozen=True)
class Run:
    stats: dict[str, Any]
    digest: str
    hits: list[Hit]


@pytest.fixture(scope="module", params=SOURCES)
def runs(
    request: pytest.FixtureRequest, small: Sample, scrape: Scrape, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Run]]:
    """Of one replica: a first crawl, a second, and one whose state was lost."""
    root, done = tmp_path_factory.mktemp("runs"), []
    with replica(small, request.param) as (url, hits):
        for state in ("state", "state", "elsewhere"):
            stats = crawl.run(request.param, root / "out", scrape, small, state=root / state, base_url=url)
            done.append(Run(stats, folder_digest(root / "out"), list(hits)))
            hits.clear()
    return request.param, done


def test_rerun_asks_for_the_listing_only_and_leaves_the_same_bytes(runs: tuple[str, list[Run]], small: Sample) -> None:
    source, (first, second, lost) = runs
    assert first.stats["new"] == getattr(small, source)
    for again in (second, lost):
        assert again.stats["new"] == 0
        assert [target for target in targets(again.hits) if not LISTINGS.fullmatch(target)] == []
        assert len(again.hits) >= 3, "new works can be noticed on the listing only"
        assert again.digest == first.digest


def test_nothing_is_asked_for_twice(runs: tuple[str, list[Run]]) -> None:
    """But for the file that arrives damaged, within its retries."""
    _, (first, *_) = runs
    requests = Counter((hit.target, hit.body) for hit in first.hits)
    assert [count for count in requests.values() if count > 1] == [4]


def test_decoys_thumbnails_and_furniture_are_never_asked_for(runs: tuple[str, list[Run]]) -> None:
    _, (first, *_) = runs
    unwanted = re.compile(r".*decoy.*|/pixelart/1\.htm|/files/icons/[^/]+|/thumbnails/.*|/special/.*|/static/.*")
    assert not [target for target in targets(first.hits) if unwanted.fullmatch(target)]


def test_user_agent_names_the_product_on_every_request(runs: tuple[str, list[Run]]) -> None:
    _, (first, *_) = runs
    assert {re.sub(r"/[\d.]+", "/0", hit.user_agent) for hit in first.hits} == {"facetopix/0 (+loopback replica)"}


def test_pixeljoint_listing_keeps_its_cookie_and_nothing_else_gets_it(runs: tuple[str, list[Run]]) -> None:
    source, (first, *_) = runs
    with_cookie = [hit.target for hit in first.hits if "ob=date" in hit.cookie]
    assert with_cookie == (["/pixels/new_icons.asp?q=1&pg=2"] if source == "pixeljoint" else [])


@pytest.mark.parametrize("source", SOURCES)
def test_limit_keeps_exactly_the_first_works_of_the_listing(
    small: Sample, scrape: Scrape, tmp_path: Path, source: str
) -> None:
    with replica(small, source) as (url, hits):
        crawl.run(source, tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url, limit=9)
        assert sum(bool(LISTINGS.fullmatch(target)) for target in targets(hits)) == 2  # robots.txt and one page
        few = {row["source_id"]: row for row in rows(tmp_path / "out")}
        crawl.run(source, tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url, limit=13)
        more = {row["source_id"]: row for row in rows(tmp_path / "out")}
        crawl.run(source, tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url, limit=9)
    assert len(few) == 9
    assert few.items() <= more.items()
    assert len(more) == 13
    assert {row["source_id"] for row in rows(tmp_path / "out")} == set(few)
    if source == "pixeljoint":
        assert set(few) == {str(pages_pixeljoint.work_id(index)) for index in range(9)}


@pytest.mark.parametrize(
    ("source", "faults"),
    [("pixeljoint", {"end": "repeat"}), ("pixiehaus", {"end": "repeat"}), ("lospec", {"clamp": True})],
)
def test_listing_that_repeats_its_last_page_ends(
    small: Sample, scrape: Scrape, tmp_path: Path, source: str, faults: dict[str, Any]
) -> None:
    with replica(small, source, **faults) as (url, hits):
        stats = crawl.run(source, tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url)
    assert stats["inputs"] == getattr(small, source)
    assert sum(bool(LISTINGS.fullmatch(target)) for target in targets(hits)) <= 5


def test_another_list_under_the_same_address_is_noticed(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    showcase_page = b'<div id="leftblockspan"><h1>Weekly Showcase</h1><div class="imgbox">'
    showcase_page += b"<a class=imglink href=/pixelart/7.htm><img src=x></a></div></div>"
    script = ScriptedAnswer(r"/pixels/new_icons\.asp\?q=1&pg=2", body=showcase_page)
    with replica(small, "pixeljoint", scripted=(script,)) as (url, _), pytest.raises(MarkupChanged, match="Newest"):
        crawl.run("pixeljoint", tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url)


def test_three_forbidden_pages_stop_the_crawl_and_keep_what_was_stored(
    small: Sample, scrape: Scrape, tmp_path: Path
) -> None:
    forbidden = [f"/pixelart/{pages_pixeljoint.work_id(number)}.htm" for number in (6, 7, 8)]
    answers = tuple(ScriptedAnswer(re.escape(page), 403) for page in forbidden)
    with (
        replica(small, "pixeljoint", scripted=answers) as (url, hits),
        pytest.raises(Refused) as caught,
    ):
        crawl.run("pixeljoint", tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url)
    assert caught.value.exit_code == 5
    assert targets(hits)[-3:] == forbidden
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "state").rglob("images/*"))) == 6


def test_robots_can_refuse_the_listing_or_some_works(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    with replica(small, "lospec", robots="User-agent: *\nDisallow: /gallery\n") as (url, hits):
        with pytest.raises(Refused):
            crawl.run("lospec", tmp_path / "a", scrape, small, state=tmp_path / "state", base_url=url)
        assert targets(hits) == ["/robots.txt"]
    with replica(small, "pixeljoint", robots="User-agent: *\nDisallow: /files/icons/full/*.gif\n") as (url, hits):
        crawl.run("pixeljoint", tmp_path / "b", scrape, small, state=tmp_path / "state", base_url=url, limit=12)
    refused = [row for row in rows(tmp_path / "b") if row["reason"] == "robots"]
    assert refused
    assert {row["status"] for row in refused} == {"dropped"}
    assert not [hit for hit in hits if hit.path.endswith(".gif")]


@pytest.mark.parametrize("robots", ["User-agent: *\nDisallow: /files\n", "Content-Usage: /files train-ai=n\n"])
def test_crawl_whose_every_image_is_refused_is_refused(
    small: Sample, scrape: Scrape, tmp_path: Path, robots: str
) -> None:
    with replica(small, "pixeljoint", robots=robots) as (url, _), pytest.raises(Refused):
        crawl.run("pixeljoint", tmp_path / "a", scrape, small, state=tmp_path / "state", base_url=url, limit=5)


def test_opt_out_on_the_listing_refuses_the_crawl(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    script = ScriptedAnswer("/gallery", headers=(("X-Robots-Tag", "noai"),), body=b'{"success": true, "html": ""}')
    with replica(small, "lospec", scripted=(script,)) as (url, _), pytest.raises(Refused, match="noai"):
        crawl.run("lospec", tmp_path / "a", scrape, small, state=tmp_path / "state", base_url=url)


def test_listing_without_its_nodes_is_a_change_of_markup(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    script = ScriptedAnswer("/gallery", body=b'{"success": true, "html": "<p>redesign</p>"}')
    with replica(small, "lospec", scripted=(script,)) as (url, _), pytest.raises(MarkupChanged) as caught:
        crawl.run("lospec", tmp_path / "a", scrape, small, state=tmp_path / "state", base_url=url)
    assert (caught.value.exit_code, caught.value.url) == (4, f"{url}/gallery")


def test_few_changed_detail_pages_are_rows_and_most_are_an_exit(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    def broken(indices: range) -> tuple[ScriptedAnswer, ...]:
        return tuple(ScriptedAnswer(f"/pixelart/{pages_pixeljoint.work_id(index)}.htm", body=b"?") for index in indices)

    run = {"state": tmp_path / "state", "limit": 20}
    with replica(small, "pixeljoint", scripted=broken(range(1, 4))) as (url, _):
        stats = crawl.run("pixeljoint", tmp_path / "a", scrape, small, base_url=url, **run)
        assert stats["reasons"]["markup"] == 3
    with (
        replica(small, "pixeljoint", scripted=broken(range(1, 13))) as (url, _),
        pytest.raises(MarkupChanged, match=r"exactly 1|at least 1"),
    ):
        crawl.run("pixeljoint", tmp_path / "b", scrape, small, base_url=url, **run)


def test_passing_server_errors_do_not_cost_a_work(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    scripts = (
        ScriptedAnswer(f"/pixelart/{pages_pixeljoint.work_id(0)}.htm", 503, times=2),
        ScriptedAnswer(f"/pixelart/{pages_pixeljoint.work_id(1)}.htm", 429, (("Retry-After", "1"),), times=1),
    )
    with replica(small, "pixeljoint", scripted=scripts) as (url, _):
        stats = crawl.run("pixeljoint", tmp_path / "a", scrape, small, state=tmp_path / "s", base_url=url, limit=3)
    assert stats["kept"] == 3


def test_work_that_the_server_cannot_give_is_a_row_and_asked_for_by_the_next_run(
    small: Sample, scrape: Scrape, tmp_path: Path
) -> None:
    script = ScriptedAnswer(f"/pixelart/{pages_pixeljoint.work_id(2)}.htm", 500, times=4)
    run = {"state": tmp_path / "state", "limit": 5}
    with replica(small, "pixeljoint", scripted=(script,)) as (url, _):
        first = crawl.run("pixeljoint", tmp_path / "a", scrape, small, base_url=url, **run)
        again = crawl.run("pixeljoint", tmp_path / "a", scrape, small, base_url=url, **run)
    assert (first["reasons"], again["reasons"]) == ({"server": 1}, {})
    assert again["new"] == 1


def test_dead_site_is_unreachable_rather_than_a_folder_of_failures(
    small: Sample, scrape: Scrape, tmp_path: Path
) -> None:
    with (
        replica(small, "pixeljoint", scripted=(ScriptedAnswer(r"/pixelart/.*", 500),)) as (url, hits),
        pytest.raises(Unreachable) as caught,
    ):
        crawl.run("pixeljoint", tmp_path / "a", scrape, small, state=tmp_path / "state", base_url=url)
    assert caught.value.exit_code == 6
    assert len(hits) < 60
    with pytest.raises(Unreachable):
        crawl.run("pixeljoint", tmp_path / "b", scrape, small, state=tmp_path / "state", base_url=url)


def test_blocklist_follows_the_parameters_in_both_directions(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    open_list = scrape.model_copy(update={"blocked_tags": []})
    run = {"state": tmp_path / "state", "limit": 25}
    with replica(small, "lospec") as (url, _):
        counts = [
            crawl.run("lospec", tmp_path / "a", params, small, base_url=url, **run)["reasons"].get("blocklist", 0)
            for params in (scrape, open_list, scrape)
        ]
    assert counts == [1, 0, 1]


def test_second_crawl_into_the_same_state_is_turned_away(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "crawl" / "lospec" / "sample-test"
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"), pytest.raises(BadInput, match="another crawl"):
        crawl.run("lospec", tmp_path / "a", scrape, small, state=tmp_path / "state")


def test_live_crawl_needs_a_contact_and_accepted_terms(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="contact"):
        crawl.run("lospec", tmp_path / "a", scrape, small, state=tmp_path / "state", origin="live")
    with_contact = scrape.model_copy(update={"contact": "me@site.test", "accept_terms": ["pixeljoint"]})
    with pytest.raises(Refused, match=r"lospec\.com/terms-and-conditions"):
        crawl.run("lospec", tmp_path / "a", with_contact, small, state=tmp_path / "state", origin="live")
    with pytest.raises(Refused, match="contact"):
        crawl.run("lospec", tmp_path / "a", scrape, small, state=tmp_path / "state", base_url="https://lospec.com")
    assert not (tmp_path / "state").exists()


def test_worst_outcome_is_refused_then_unreachable_then_markup() -> None:
    class Coded(PipelineError):
        def __init__(self, code: int) -> None:
            super().__init__(str(code))
            self.exit_code = code

    errors = [Coded(3), Coded(4), Coded(6), Coded(5)]
    order = []
    while errors:
        order.append(worst := crawl.worst([{}, *errors]))
        errors.remove(worst)
    assert [error.exit_code for error in order] == [5, 6, 4, 3]
    assert crawl.worst([{}, {}]) is None


def test_lost_cookie_of_another_list_is_noticed(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    listing = scrape.pixeljoint.model_copy(update={"listing": "hall-of-fame"})
    bigger = small.model_copy(update={"pixeljoint": 90})
    hall_of_fame = scrape.model_copy(update={"pixeljoint": listing})
    with replica(bigger, "pixeljoint") as (url, _):
        stats = crawl.run("pixeljoint", tmp_path / "out", hall_of_fame, bigger, state=tmp_path / "state", base_url=url)
    assert stats["inputs"] > 24
    with replica(bigger, "pixeljoint", forgets=True) as (url, _), pytest.raises(MarkupChanged):
        crawl.run("pixeljoint", tmp_path / "out", hall_of_fame, bigger, state=tmp_path / "other", base_url=url)


@pytest.mark.parametrize("source", ["pixeljoint", "pixiehaus"])
def test_listing_is_asked_for_on_condition_that_it_changed(
    small: Sample, scrape: Scrape, tmp_path: Path, source: str
) -> None:
    conditional: list[set[bool]] = []
    with replica(small, source) as (url, hits):
        for _ in range(2):
            crawl.run(source, tmp_path / "out", scrape, small, state=tmp_path / "state", base_url=url)
            listings = [hit for hit in hits if LISTINGS.fullmatch(hit.target) and hit.target != "/robots.txt"]
            conditional.append({"if-none-match" in hit.headers for hit in listings})
            hits.clear()
    assert conditional == [{False}, {True}]


def test_two_lists_of_one_site_share_their_works_and_nothing_else(
    small: Sample, scrape: Scrape, tmp_path: Path
) -> None:
    bigger = small.model_copy(update={"pixeljoint": 60})
    listing = scrape.pixeljoint.model_copy(update={"listing": "showcase"})
    with replica(bigger, "pixeljoint") as (url, hits):
        common = {"state": tmp_path / "state", "base_url": url}
        crawl.run("pixeljoint", tmp_path / "newest", scrape, bigger, **common)
        before = folder_digest(tmp_path / "newest")
        hits.clear()
        showcase = scrape.model_copy(update={"pixeljoint": listing})
        stats = crawl.run("pixeljoint", tmp_path / "showcase", showcase, bigger, **common)
        assert [target for target in targets(hits) if not LISTINGS.fullmatch(target)] == []
        crawl.run("pixeljoint", tmp_path / "newest", scrape, bigger, **common)
    assert 0 < stats["inputs"] < 60
    assert folder_digest(tmp_path / "newest") == before
