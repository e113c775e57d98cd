"""What the three sites' own pages do to a parser, over the wire: decoys, bytes, cookies, addresses, removed works."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from pathlib import Path

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawled, Crawler, serving
from hostile_pages import HTML, JSON, PNG, Piece, entry, sprite

from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape

LATIN = (("Content-Type", "text/html"),)  # no charset
MARKUP = 4
SHOWCASE = pages.pixeljoint_listing([entry(77)], 1, 3, "Weekly Showcase")
OTHER_LIST = Rule(r"/pixels/new_icons\.asp\?q=1&pg=\d+", body=SHOWCASE, headers=LATIN)
ARTWORK = Rule(r"(/old)?/pixelart/(?P<n>\d+)(/\w+)?\.htm", body=pages.pixeljoint_page("@n@"), headers=LATIN)
FULL = Rule(r"/files/icons/full/work_\d+__r1\d+\.png", body=pages.png(1), headers=PNG)
FRENCH = "Caf\xe9 at d\xfcsk \u2026 caf&eacute;"  # 0xE9, 0xFC and 0x85 in windows-1252


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


def listing(page: int, *entries: str, pages_: int = 3) -> Rule:
    """A page of the list, given only to who has the cookie of the page before."""
    target = r"/pixels/new_icons\.asp\?" + ("ob=date" if page == 1 else rf"q=1&pg={page}")
    cookie = ("Set-Cookie", f"v=ob=date&pg={page}&token=after{page}; path=/")
    containing = rf"cookie: .*\bv=\S*token=after{page - 1}" if page > 1 else ""
    body = pages.pixeljoint_listing(entries, page, pages_)
    return Rule(target, body=body, headers=(*LATIN, cookie), containing=containing)


def pixeljoint(crawler: Crawler, *rules: Rule, limit: int | None = None) -> Crawled:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *rules, OTHER_LIST, ARTWORK, FULL]) as server:
        return crawler.crawl(server, "pixeljoint", limit=limit)


def listed(crawled: Crawled) -> list[str]:
    return [target for target in crawled.targets if "new_icons" in target or target == "/gallery"]


@pytest.fixture(scope="module")
def joined(small: Sample, scrape: Scrape, tmp_path_factory: pytest.TempPathFactory) -> Crawled:
    """pixeljoint with every oddity that is told of it."""
    moved = Rule(r"/pixels/new_icons\.asp\?ob=date", 301, headers=(("Location", "/old/pixels/list.asp?ob=date"),))
    first = pages.pixeljoint_listing(
        [
            entry(9001),
            entry(9002, href="http://127.0.0.1:@port0@/pixelart/9002.htm"),
            entry(9003, href="../pixelart/9003.htm"),
            entry(9004, href="//127.0.0.1:@port0@/pixelart/9004.htm"),
            entry(9005, href="/pixelart/9005/Some_Title.htm"),
            entry(9006, FRENCH),
        ],
        1,
        3,
    )
    removed = Rule("/pixelart/9007.htm", body=pages.REMOVED, headers=LATIN)
    bare = Rule("/pixelart/9008.htm", body=pages.pixeljoint_page(9008).replace(b"mainimg", b"main"), headers=LATIN)
    french = Rule("/pixelart/9006.htm", body=pages.pixeljoint_page(9006, FRENCH), headers=LATIN)
    cookie = ("Set-Cookie", "v=ob=date&pg=1&token=after1; path=/")
    rules = (
        moved,
        Rule(r"/old/pixels/list\.asp\?ob=date", body=first, headers=(*LATIN, cookie)),
        listing(2, entry(9006), entry(9007), entry(9008)),
        listing(3, entry(9009)),
        *(removed, bare, french),
    )
    return pixeljoint(Crawler(scrape, small, tmp_path_factory.mktemp("joined")), *rules)


def test_every_entry_of_the_left_block_is_a_row_and_no_decoy_is(joined: Crawled) -> None:
    assert set(joined.rows) == {str(number) for number in range(9001, 9010)}
    assert not [target for target in joined.targets if "decoy" in target or target == "/pixelart/1.htm"]


def test_removed_work_is_gone_and_a_work_without_image_is_a_change_of_markup(joined: Crawled) -> None:
    assert {key: reason for key, reason in joined.reasons.items() if reason} == {"9007": "gone", "9008": "markup"}
    assert joined.targets.count("/pixelart/9007.htm") == 1


def test_thumbnails_are_never_asked_for(joined: Crawled) -> None:
    assert not [target for target in joined.targets if "small_" in target]
    assert all("/full/" in row["image_url"] for row in joined.rows.values() if row["status"] == "kept")


def test_bytes_of_windows_1252_come_out_right_beside_entities(joined: Crawled) -> None:
    assert joined.rows["9006"]["title"] == "Café at düsk … café"


def test_links_are_resolved_against_the_address_where_the_page_was_found(joined: Crawled) -> None:
    paths = {key: "/" + row["page_url"].split("/", 3)[3] for key, row in joined.rows.items()}
    assert paths["9003"] == "/old/pixelart/9003.htm"
    assert paths["9004"] == "/pixelart/9004.htm"
    assert paths["9005"] == "/pixelart/9005/Some_Title.htm"
    assert [row["status"] for key, row in joined.rows.items() if key < "9006"] == ["kept"] * 5


def test_listing_sends_back_the_cookie_it_was_given_and_works_are_asked_without(joined: Crawled) -> None:
    tokens = [request.cookie.rpartition("token=")[2] for request in joined.requests if "pg=" in request.target]
    assert tokens == ["after1", "after2"]
    assert not [request.target for request in joined.requests if request.cookie and "pg=" not in request.target]


def test_listing_ends_at_the_last_page_of_the_pager(joined: Crawled) -> None:
    assert not [target for target in joined.targets if "pg=4" in target]


def test_cookie_survives_a_redirect(crawler: Crawler) -> None:
    moved = Rule(r"/pixels/new_icons\.asp\?q=1&pg=2", 301, headers=(("Location", "/pixels/v2.asp?q=1&pg=2"),))
    second = pages.pixeljoint_listing([entry(5)], 2, 2)
    target = Rule(r"/pixels/v2\.asp\?q=1&pg=2", body=second, headers=LATIN, containing="cookie: .*token=after1")
    crawled = pixeljoint(crawler, listing(1, entry(4), pages_=2), moved, target)
    assert set(crawled.rows) == {"4", "5"}


def test_another_list_than_the_one_asked_for_is_noticed(crawler: Crawler) -> None:
    crawled = pixeljoint(crawler, listing(1, entry(4)))
    assert crawled.error is not None
    assert crawled.error.exit_code == MARKUP
    assert not crawler.out.exists()


def test_words_of_a_page_cannot_steer_the_terminal(crawler: Crawler) -> None:
    """The error quotes the heading of the first page: the crawl's own check finds no control character in it."""
    first = pages.pixeljoint_listing([entry(4)], 1, 3, "Newest Pixel Art \x1b]0;owned\x07")
    second = Rule(r".*pg=2", body=pages.pixeljoint_listing([entry(5)], 2, 3), headers=LATIN)
    crawled = pixeljoint(crawler, Rule(r".*ob=date", body=first, headers=LATIN), second)
    assert "owned" in str(crawled.error)


def test_page_that_repeats_for_ever_ends_the_listing(crawler: Crawler, caplog: pytest.LogCaptureFixture) -> None:
    """Where no pager says that there is more."""
    body = pages.pixeljoint_listing([entry(4), entry(5)], 1, 0)
    crawled = pixeljoint(crawler, Rule(r"/pixels/new_icons\.asp\?.*", body=body, headers=LATIN))
    assert set(crawled.rows) == {"4", "5"}
    assert len(listed(crawled)) == 2
    assert "page 2 of the listing repeats page 1" in caplog.text


def lospec(crawler: Crawler, works: list[Piece], *rules: Rule, clamped: bool = False) -> Crawled:
    with serving(crawler.root / "server", [*rules, *pages.lospec(works, clamped=clamped)]) as server:
        return crawler.crawl(server)


def test_pieces_of_one_slug_or_none_are_works_of_their_own(crawler: Crawler) -> None:
    works = [Piece("untitled", 1, "artist-a"), Piece("untitled", 2, "artist-b"), Piece("", 3, "artist-b")]
    crawled = lospec(crawler, works)
    assert set(crawled.rows) == {"artist-a/untitled", "artist-b/untitled", "artist-b/"}
    assert len({row["sha256"] for row in crawled.rows.values()}) == 3
    assert "/gallery/artist-b/" in crawled.targets
    assert "/gallery/artist-b" not in crawled.targets


@pytest.mark.parametrize("clamped", [False, True])
def test_batches_end_empty_or_clamped(crawler: Crawler, clamped: bool) -> None:
    works = pages.pieces(40)
    crawled = lospec(crawler, works, clamped=clamped)
    assert len(crawled.rows) == 40
    bodies = [request.body for request in crawled.requests if request.method == "POST"]
    skips = [body.partition("skip=")[2].partition("&")[0] for body in bodies]
    assert skips == ["0", "32", "40"]


def test_work_on_two_batches_is_stored_once_and_is_not_the_end(crawler: Crawler) -> None:
    works = pages.pieces(35)
    second = Rule("/gallery", body=pages.batch(works[30:]), headers=JSON, method="POST", containing=r"\bskip=32\b")
    crawled = lospec(crawler, works, second)
    assert len(crawled.rows) == 35
    assert set(Counter(target for target in crawled.targets if "piece" in target).values()) == {1}


@pytest.mark.parametrize("status", [301, 307, 308])
def test_listing_that_moved_is_still_asked_by_post(crawler: Crawler, status: int) -> None:
    works = pages.pieces(3)
    moved = Rule("/gallery", status, headers=(("Location", "/new-gallery"),), method="POST")
    target = Rule("/new-gallery", body=pages.batch(works), headers=JSON, method="POST", containing=r"\bskip=0\b")
    empty = Rule("/new-gallery", body=pages.batch(()), headers=JSON, method="POST")
    crawled = lospec(crawler, works, moved, target, empty)
    assert len(crawled.rows) == 3
    assert {request.method for request in crawled.requests if request.target.endswith("gallery")} == {"POST"}


def test_listing_with_invalid_utf8_loses_no_entry(crawler: Crawler) -> None:
    works = pages.pieces(3)
    body = pages.batch(works).replace(b"artist-a/piece-1-default", b"artist-a/pi\xe9\xc3\x28ce\xff-default")
    crawled = lospec(crawler, works, Rule("/gallery", body=body, headers=JSON, method="POST", times=1))
    assert len(crawled.rows) == 3


def pixiehaus(crawler: Crawler, *rules: Rule, limit: int | None = None) -> Crawled:
    with serving(crawler.root / "server", [*rules, *pages.pixiehaus([sprite(0)])]) as server:
        return crawler.crawl(server, "pixiehaus", limit=limit)


def gallery(body: bytes, kind: tuple[tuple[str, str], ...] = HTML) -> tuple[Rule, Rule]:
    return Rule(r"/gallery\?page=1", body=body, headers=kind), Rule("/(sprites|animations)/.*", body=pages.png(1))


def test_pixiehaus_takes_every_file_that_is_a_work_and_no_other(crawler: Crawler) -> None:
    files = [
        sprite(1),
        "/sprites/123456.webp",
        "/animations/" + "f" * 32 + ".gif",
        "/static/uploads/spy__1a2b3c4d.webp",
        f"/static/uploads/{8:032x}.webp",
        "/special/654321.png",
    ]
    files += ["/special/coin.png", f"http://cdn.example.com{sprite(7)}", f"//127.0.0.1:@port0@{sprite(2)}", sprite(1)]
    extra = f'<img srcset="{sprite(3)} 1x, {sprite(4)} 2x"><img data-src="{sprite(5)}">'
    crawled = pixiehaus(crawler, *gallery(pages.pixiehaus_listing(files, extra)))
    hexes = {f"{number:032x}" for number in range(1, 6)}
    assert set(crawled.rows) - hexes == {"123456", "f" * 32}
    assert hexes - set(crawled.rows) <= {f"{3:032x}", f"{4:032x}"}, "one of a srcset is enough"
    assert not [target for target in crawled.targets if "/static/" in target or "/special/" in target]
    assert all(row["ai_generated"] is True for row in crawled.rows.values())


def test_pixiehaus_as_json_ends_where_it_says(crawler: Crawler) -> None:
    body = json.dumps({"items": [{"image": sprite(1)}, {"image": sprite(2)}], "next": None}).encode()
    crawled = pixiehaus(crawler, *gallery(body, JSON))
    assert len(crawled.rows) == 2
    assert not [target for target in crawled.targets if target.endswith("page=2")]


@pytest.mark.timeout(30)
def test_megabyte_without_a_blank_is_read_like_any_other_script(crawler: Crawler) -> None:
    blob = base64.b64encode(os.urandom(750_000)).decode()
    body = pages.pixiehaus_listing([sprite(1)], f'<script>const font = "data:font/woff2;base64,{blob}";</script>')
    assert len(pixiehaus(crawler, *gallery(body)).rows) == 1


@pytest.mark.parametrize(
    "body", [b"<html><h1>Gallery</h1></html>", b"[" * 100_000, b"", b'{"items": [], "next": null}']
)
def test_first_page_without_works_is_a_change_of_markup(crawler: Crawler, body: bytes) -> None:
    crawled = pixiehaus(crawler, *gallery(body))
    assert crawled.error is not None
    assert crawled.error.exit_code == MARKUP


ENDLESS = {
    "pixeljoint": [
        Rule(
            r"/pixels/new_icons\.asp\?(ob=date|q=1&pg=(?P<n>\d+))",
            body=pages.pixeljoint_listing([entry(f"9@n@0{number}") for number in range(4)], pages=0),
            headers=LATIN,
        ),
        *(ARTWORK, FULL),
    ],
    "lospec": [
        Rule(
            "/gallery", body=pages.batch([Piece(f"p-@n@-{number}") for number in range(4)]), headers=JSON,
            containing=r"\bskip=(?P<n>\d+)",
        ),
        Rule("/gallery/artist-a/.*", body=pages.lospec_page(Piece("any")), headers=HTML, port=0),
        Rule(r"/gallery/any-000000\.png", body=pages.png(1), headers=PNG),
    ],
    "pixiehaus": [
        Rule(
            r"/gallery\?page=(?P<n>\d+)", headers=HTML,
            body=pages.pixiehaus_listing([f"/sprites/90000@n@0{number}.png" for number in range(4)]),
        ),
        Rule(r"/sprites/.*", body=pages.png(1), headers=PNG),
    ],
}  # fmt: skip


@pytest.mark.parametrize("source", ENDLESS)
def test_listing_that_never_ends_is_cut_by_the_limit(crawler: Crawler, source: str) -> None:
    with serving(crawler.root / "server", [pages.ALLOW_ALL, *ENDLESS[source]]) as server:
        crawled = crawler.crawl(server, source, limit=10, again=["/gallery/any-000000.png"], most=10)
    assert (crawled.error, len(crawled.rows)) == (None, 10)
    assert sum("gallery?" in t or "new_icons" in t or t == "/gallery" for t in crawled.targets) == 3
