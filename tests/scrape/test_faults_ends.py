"""Faults that end a crawl: with which code, after which request, and with what left as it was."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawler, facetopix, run_here, serving, started
from hostile_pages import HTML, JSON, PNG

from pipeline.runtime.files import folder_digest
from pipeline.sample.params import Sample
from pipeline.scrape import listing_pass
from pipeline.scrape.params import Scrape

MARKUP, REFUSED, UNREACHABLE = 4, 5, 6
WORKS = pages.pieces(12)
CHALLENGE = b"<!doctype html><title>Just a moment...</title><h1>Checking your browser</h1>"
NOAI = (("X-Robots-Tag", "noai"),)


@dataclass(frozen=True)
class End:
    rules: tuple[Rule, ...]
    code: int
    last: str  # regular expression of the last target
    asks: int = 1  # requests for it
    words: str = ""  # regular expression found in the message


def at_listing(status: int = 200, body: bytes = b"", *headers: tuple[str, str], **fields: object) -> Rule:
    return Rule("/gallery", status, body, headers or JSON, method="POST", **fields)  # type: ignore[arg-type]


def at_works(status: int = 200, body: bytes = b"", *headers: tuple[str, str]) -> Rule:
    return Rule("/gallery/artist-a/.*", status, body, headers or HTML, port=0)


ENDS = {
    "challenge on the listing": End((at_listing(403, CHALLENGE, *HTML),), REFUSED, "/gallery", words="403"),
    "login on the listing": End((at_listing(401, CHALLENGE, *HTML),), REFUSED, "/gallery", words="401"),
    "challenge on a page": End((Rule(WORKS[2].page_path, 403, CHALLENGE, HTML),), REFUSED, WORKS[2].page_path),
    "challenge on an image": End((Rule(WORKS[2].image_path, 403, CHALLENGE, HTML),), REFUSED, WORKS[2].image_path),
    "noai on the listing": End((at_listing(200, pages.batch(WORKS), *JSON, *NOAI),), REFUSED, "/gallery", words="noai"),
    "noai with a terminal's escapes": End(
        (at_listing(200, b"", ("X-Robots-Tag", "noai \x1b]0;owned\x07")),), REFUSED, "/gallery"
    ),
    "signal on the listing": End(
        (at_listing(200, pages.batch(WORKS), ("Content-Signal", "ai-train=no")),), REFUSED, "/gallery"
    ),
    "noai on every page": End((at_works(200, b"<p>", *NOAI),), REFUSED, "/gallery", 2, "every"),
    "noai on every image": End(
        (Rule(r"/gallery/.*\.png", 200, pages.png(1), (*PNG, *NOAI)),), REFUSED, "/gallery", 2, "every"
    ),
    "error on the listing for ever": End((at_listing(500),), UNREACHABLE, "/gallery", 4, "500"),
    "listing dropped": End((at_listing(200, pages.batch(WORKS), cut=50),), UNREACHABLE, "/gallery", 4),
    "listing without answer": End((at_listing(raw=True),), UNREACHABLE, "/gallery", 4),
    "listing moved off the host": End(
        (at_listing(301, b"", ("Location", "http://localhost:@port0@/gallery")),), UNREACHABLE, "/gallery", words="off_"
    ),
    "listing not found": End((at_listing(404, b"no"),), UNREACHABLE, "/gallery", words="404"),
    "listing is a bomb": End(
        (at_listing(200, pages.bomb(32), ("Content-Encoding", "gzip")),), UNREACHABLE, "/gallery", words="too_large"
    ),
    "listing is endless": End(
        (at_listing(200, b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2**20), raw=True, repeat=200),), UNREACHABLE, "/gallery"
    ),
    "listing asks for a day": End((at_listing(429, b"", ("Retry-After", "86400")),), UNREACHABLE, "/gallery"),
    "listing never changed but unasked": End((at_listing(304),), UNREACHABLE, "/gallery", words="304"),
    "no page answers": End((at_works(500, b"oops"),), UNREACHABLE, WORKS[9].page_path, 4, "10 works in a row"),
    "listing is no JSON": End((at_listing(200, b"<html>hello</html>"),), MARKUP, "/gallery", words="lospec.*found 0"),
    "listing is other JSON": End((at_listing(200, b'{"items": []}'),), MARKUP, "/gallery"),
    "listing is a JSON list": End((at_listing(200, b'["a"]'),), MARKUP, "/gallery"),
    "listing failed politely": End((at_listing(200, b'{"success": false, "html": ""}'),), MARKUP, "/gallery"),
    "listing is deep JSON": End((at_listing(200, b"[" * 200_000),), MARKUP, "/gallery"),
    "first page empty": End((at_listing(200, pages.batch(())),), MARKUP, "/gallery", words="gallery-thumbnail"),
    "listing redesigned": End((at_listing(200, b'{"success": true, "html": "<p>new</p>"}'),), MARKUP, "/gallery"),
    "every page redesigned": End((at_works(200, b"<h1>new</h1>"),), MARKUP, WORKS[9].page_path, words="found 0 at"),
}


@pytest.fixture(scope="module")
def before(small: Sample, scrape: Scrape, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of an earlier crawl that went well."""
    root = tmp_path_factory.mktemp("before")
    with serving(root / "server", pages.lospec(WORKS[:3])) as server:
        crawler = Crawler(scrape, small, root)
        assert crawler.crawl(server).stats["kept"] == 3
    return crawler.out


def put_before(before: Path, out: Path) -> str:
    subprocess.run(["cp", "-r", str(before), str(out)], check=True)
    return folder_digest(out)


@pytest.mark.parametrize("name", ENDS)
def test_fault_ends_the_crawl_with_its_code_and_the_output_as_it_was(
    small: Sample, scrape: Scrape, tmp_path: Path, before: Path, name: str
) -> None:
    end, crawler = ENDS[name], Crawler(scrape, small, tmp_path)
    digest = put_before(before, crawler.out)
    again = {work.page_path for work in WORKS} | {"/gallery"} if end.asks > 1 else ()
    with serving(tmp_path / "server", [*end.rules, *pages.lospec(WORKS)]) as server:
        crawled = crawler.crawl(server, again=again)
    assert crawled.error is not None
    assert (crawled.error.exit_code, re.search(end.words, str(crawled.error)) is not None) == (end.code, True)
    assert re.fullmatch(end.last, crawled.targets[-1])
    assert crawled.targets.count(crawled.targets[-1]) == end.asks
    assert folder_digest(crawler.out) == digest
    assert crawled.requests[-1].sent < 64 * 2**20


def test_what_was_stored_before_a_challenge_is_not_asked_for_again(
    small: Sample, scrape: Scrape, tmp_path: Path
) -> None:
    crawler = Crawler(scrape, small, tmp_path)
    challenge = Rule(WORKS[5].page_path, 403, CHALLENGE, HTML, times=1)
    with serving(tmp_path / "server", [challenge, *pages.lospec(WORKS)]) as server:
        first, second = crawler.crawl(server), crawler.crawl(server)
    assert first.error is not None
    assert second.stats["kept"] == len(WORKS)
    assert set(first.targets) & set(second.targets) == {"/robots.txt", "/gallery", WORKS[5].page_path}
    assert first.targets.count("/gallery") + second.targets.count("/gallery") == 2, "both batches, once each"


def test_nobody_at_the_address_is_unreachable(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    crawler = Crawler(scrape, small, tmp_path)
    with serving(tmp_path / "server", pages.lospec(WORKS)) as server:
        server.stop()
        crawled = crawler.crawl(server)
    assert crawled.error is not None
    assert crawled.error.exit_code == UNREACHABLE


def test_server_that_dies_half_way_is_unreachable_and_costs_only_what_was_not_stored(
    tmp_path: Path,
) -> None:
    works = pages.pieces(30)
    with (
        serving(tmp_path / "server", pages.lospec(works)) as server,
        started(tmp_path, *scraping(server.url())) as process,
    ):
        server.wait_for(works[6].image_path)
        server.stop()
        process.communicate(timeout=60)
    assert process.returncode == UNREACHABLE
    assert not (tmp_path / "out").exists()
    stored = len(list((tmp_path / ".state").rglob("images/*.png")))
    with serving(tmp_path / "back", pages.lospec(works), server.ports) as back:
        assert run_here(tmp_path, *scraping(server.url())) == 0
    assert stored >= 6
    assert sum(request.target.endswith(".png") for request in back.requests()) == len(works) - stored


def scraping(url: str, *more: str) -> Sequence[str]:
    return ["scrape", "--source", "lospec", "--base-url", url, "--out", "out", *more]


@pytest.mark.parametrize(
    "name", ["challenge on a page", "error on the listing for ever", "listing redesigned", "noai on every page"]
)
def test_command_tells_the_end_on_one_line_and_by_its_code(tmp_path: Path, name: str) -> None:
    end = ENDS[name]
    with serving(tmp_path / "server", [*end.rules, *pages.lospec(WORKS)]) as server:
        done = facetopix(tmp_path, "-q", *scraping(server.url(), "--json"))
    assert done.returncode == end.code
    assert re.fullmatch(r"facetopix: [^\n]+\n", done.stderr)
    summary = json.loads(done.stdout)
    assert (summary["exit_code"], summary["error"] in done.stderr) == (end.code, True)


def test_command_tells_a_person_the_end_once(tmp_path: Path) -> None:
    end = ENDS["challenge on a page"]
    with serving(tmp_path / "server", [*end.rules, *pages.lospec(WORKS)]) as server:
        done = facetopix(tmp_path, *scraping(server.url()))
    assert (done.returncode, done.stdout) == (end.code, "")
    assert [line for line in done.stderr.splitlines() if "403" in line] == [done.stderr.splitlines()[-1]]


def test_command_tells_a_crawl_that_went_well_as_json_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "server", [Rule(WORKS[3].page_path, 404), *pages.lospec(WORKS)]) as server:
        done = facetopix(tmp_path, *scraping(server.url(), "--json"))
    summary = json.loads(done.stdout)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (summary["inputs"], summary["kept"], summary["reasons"]) == (12, 11, {"not_found": 1})
    assert json.loads((tmp_path / "out" / "lospec" / "stats.json").read_text())["kept"] == 11


def test_command_prints_nothing_of_the_site_that_could_steer_the_terminal(tmp_path: Path) -> None:
    escapes = (*HTML, ("X-Robots-Tag", "noai \x1b]0;owned\x07"))
    with serving(tmp_path / "server", [Rule(WORKS[3].page_path, headers=escapes), *pages.lospec(WORKS)]) as server:
        done = facetopix(tmp_path, "-v", *scraping(server.url()))
    assert done.returncode == 0
    assert "owned" in done.stderr
    assert done.stderr.replace("\n", "").isprintable()


def test_listing_of_ever_new_works_ends_at_the_page_limit(
    small: Sample, scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the pass was interrupted half way: the pages before count."""
    monkeypatch.setattr(listing_pass, "MAX_PAGES", 6)
    batch_of_one = pages.batch([replace(WORKS[0], slug="piece-@skip@")])
    batch = Rule("/gallery", 200, batch_of_one, JSON, method="POST", containing=r"skip=(?P<skip>\d+)")
    rest = [batch, pages.ALLOW_ALL, Rule(r"/gallery/.+", 404)]
    crawler = Crawler(scrape, small, tmp_path)
    with serving(tmp_path / "server", [Rule("/gallery", 503, method="POST", containing=r"skip=4\b"), *rest]) as server:
        assert crawler.crawl(server, again={"/gallery"}).error is not None
    with serving(tmp_path / "again", rest, server.ports) as server:
        crawled = crawler.crawl(server, again={"/gallery"})
    assert crawled.error is None
    assert crawled.stats["inputs"] == 6
    assert crawled.targets.count("/gallery") == 2
    assert "goes on after 6 pages" in caplog.text
