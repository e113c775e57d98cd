"""A listing ends where the site's works end, and not earlier: by a kill, a cut page, an odd tile, a silent host."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawled, Crawler, read, run_here, serving, started
from hostile_pages import HTML, JSON, PNG, Piece, entry

from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape

LATIN = (("Content-Type", "text/html"),)
ARTWORK = Rule(r"/pixelart/(?P<n>\d+)\.htm", body=pages.pixeljoint_page("@n@"), headers=LATIN)
FULL = Rule(r"/files/icons/full/work_(?P<n>\d+)__r1\d+\.png", body=pages.png(1, padding=1), headers=PNG)
SPRITE = Rule(r"/sprites/\d+\.png", body=pages.png(1), headers=PNG)
CHALLENGE = b"<title>Just a moment...</title>"
SIZE = 3  # works on a page
MARKUP, UNREACHABLE = 4, 6


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


def numbers(first: int, count: int) -> list[int]:
    """Of works, the newest first."""
    return list(range(first, first - count, -1))


def of_pixeljoint(works: Sequence[int], pager: bool = True, size: int = SIZE) -> list[Rule]:
    """The list of these works, each with a picture of its own."""
    count = -(-len(works) // size)
    rules = [pages.ALLOW_ALL]
    for page in range(1, count + 1):
        listed = [entry(number) for number in works[(page - 1) * size : page * size]]
        target = rf"/pixels/new_icons\.asp\?{'ob=date' if page == 1 else f'q=1&pg={page}'}"
        rules.append(Rule(target, body=pages.pixeljoint_listing(listed, page, count if pager else 0), headers=LATIN))
    images = [Rule(f"/files/icons/full/work_{n}__r1{n}.png", body=pages.png(n), headers=PNG) for n in works]
    return [
        *rules,
        Rule(r"/pixels/.*", body=pages.pixeljoint_listing([], count + 1, 0), headers=LATIN),
        ARTWORK,
        *images,
    ]


def of_lospec(works: Sequence[int], first: dict[str, object] | None = None) -> list[Rule]:
    """`first`: what the first batch tells beside its tiles."""
    pieces, batches = [Piece(f"piece-{number}", number) for number in works], []
    for start in range(0, len(works), SIZE):
        body = json.loads(pages.batch(pieces[start : start + SIZE])) | ((first or {}) if start == 0 else {})
        skip = rf"\bskip={start}\b"
        batches.append(Rule("/gallery", body=json.dumps(body).encode(), headers=JSON, method="POST", containing=skip))
    end = Rule("/gallery", body=pages.batch([]), headers=JSON, method="POST")
    return [*batches, end, *pages.lospec(pieces)]


def of_pixiehaus(works: Sequence[int], size: int = SIZE) -> list[Rule]:
    rules = [pages.ALLOW_ALL]
    for start in range(0, len(works) + size, size):
        body = pages.pixiehaus_listing([f"/sprites/{number + 10**6}.png" for number in works[start : start + size]])
        rules.append(Rule(rf"/gallery\?page={start // size + 1}", body=body, headers=HTML))
    return [*rules, *(Rule(f"/sprites/{n + 10**6}.png", body=pages.png(n), headers=PNG) for n in works)]


GALLERIES = {
    "pixeljoint": (of_pixeljoint, lambda n: str(n), r"/pixelart/{}\.htm"),
    "lospec": (of_lospec, lambda n: f"artist-a/piece-{n}", "/gallery/artist-a/piece-{}"),
    "pixiehaus": (of_pixiehaus, lambda n: str(n + 10**6), r"/sprites/{}\.png"),
}


@pytest.mark.parametrize("source", GALLERIES)
@pytest.mark.parametrize("added", [1, 2.2], ids=["a page", "more than was seen"])
def test_crawl_that_was_interrupted_while_many_works_came_reaches_all(
    crawler: Crawler, source: str, added: float
) -> None:
    """It asks for no work twice."""
    of_works, name, address = GALLERIES[source]
    new, old = round(added * SIZE), numbers(500, round(3.4 * SIZE))
    stop = Rule(address.format(name(old[SIZE + 1]).rpartition("-")[2]), 403, CHALLENGE, HTML)
    with serving(crawler.root / "server", [stop, *of_works(old)]) as server:
        first = crawler.crawl(server, source)
        assert first.error is not None
    with serving(crawler.root / "later", of_works([*numbers(500 + new, new), *old]), server.ports) as server:
        second = crawler.crawl(server, source)
        assert second.error is None
        third = crawler.crawl(server, source)
    assert set(second.rows) == {name(number) for number in numbers(500 + new, new + len(old))} == set(third.rows)
    assert second.stats["kept"] == len(second.rows)
    works = [
        {target for target in run.targets if re.search(r"\.png|piece-|pixelart", target)} for run in (first, second)
    ]
    assert works[0] & works[1] == {first.targets[-1]}


def test_crawl_that_was_killed_while_more_than_a_page_came_reaches_all(tmp_path: Path) -> None:
    """96 of 240 works, with batches of 32 as the site has them, were all that such a crawl once found."""
    old, new = pages.pieces(100), [Piece(f"new-{number}", 200 + number) for number in range(40)]
    asleep = Rule(old[70].page_path, wait=60, times=1)
    with serving(tmp_path / "server", [asleep, *pages.lospec(old)]) as server:
        command = ("scrape", "--source", "lospec", "--base-url", server.url(), "--out", "out")
        with started(tmp_path, *command) as process:
            server.wait_for(asleep.target)
            process.kill()
    with serving(tmp_path / "later", pages.lospec([*new, *old]), server.ports) as server:
        assert run_here(tmp_path, *command) == 0
        images = [request.target for request in server.requests() if request.target.endswith(".png")]
    assert len(read(tmp_path / "out" / "lospec")[0]) == 140
    assert len(images) == 140 - 70


@pytest.mark.parametrize("new", [1, 4])
@pytest.mark.parametrize("count", [3, 8], ids=["one page", "three pages"])
def test_crawl_that_was_interrupted_on_the_last_page_reaches_all(crawler: Crawler, count: int, new: int) -> None:
    old = numbers(500, count)
    stop = Rule(rf"/pixelart/{old[-2]}\.htm", 403, CHALLENGE, HTML)
    with serving(crawler.root / "server", [stop, *of_pixeljoint(old)]) as server:
        assert crawler.crawl(server, "pixeljoint").error is not None
    with serving(crawler.root / "later", of_pixeljoint([*numbers(500 + new, new), *old]), server.ports) as server:
        assert crawler.crawl(server, "pixeljoint").stats["kept"] == count + new


def pixeljoint(crawler: Crawler, *rules: Rule, works: int = 12, pager: bool = True) -> Crawled:
    """Four pages of three, some of which are other than they should be."""
    with serving(crawler.root / "server", [*rules, *of_pixeljoint(numbers(100, works), pager)]) as server:
        return crawler.crawl(server, "pixeljoint")


def page(number: int, works: Sequence[int], count: int = 4, **fields: object) -> Rule:
    body = pages.pixeljoint_listing([entry(n) for n in works], number, count)
    target = rf"/pixels/new_icons\.asp\?{'ob=date' if number == 1 else f'q=1&pg={number}'}"
    return Rule(target, **{"body": body, "headers": LATIN, **fields})  # type: ignore[arg-type]


def cut(rule: Rule) -> Rule:
    """A page that a proxy cut in the middle of an entry, with a length that fits."""
    at = rule.body.index(b"imgbox", rule.body.index(b"imgbox", rule.body.index(b"imgbox") + 1) + 1)
    return Rule(rule.target, body=rule.body[: at - 12], headers=LATIN)


EARLY = {
    "page without works": (page(2, []), "page 2 of 4 holds no work, after 3 works"),
    "last page without works": (page(4, []), "page 4 of 4 holds no work, after 9 works"),
    "page without works or pager": (page(3, [], 0), "page 3 of 4 holds no work, after 6 works"),
    "page that repeats": (page(3, numbers(97, 3)), "page 3 of 4 repeats an earlier one, after 6 works"),
    "first page again": (page(2, numbers(100, 3)), "page 2 of 4 repeats"),
    "cut page": (cut(page(2, numbers(97, 3))), "without its end"),
    "cut first page": (cut(page(1, numbers(100, 3))), "without its end"),
    "page of few works": (page(2, numbers(97, 1)), "1 works, another 3"),
    "first page of few works": (page(1, numbers(100, 1)), "1 works, another 3"),
}


@pytest.mark.parametrize("name", EARLY)
def test_listing_that_contradicts_itself_ends_with_numbers_and_its_finished_rows_stay(
    crawler: Crawler, name: str
) -> None:
    rule, words = EARLY[name]
    once = Rule(rule.target, body=rule.body, headers=rule.headers, times=1)
    with serving(crawler.root / "server", [once, *of_pixeljoint(numbers(100, 12))]) as server:
        first, second = crawler.crawl(server, "pixeljoint"), crawler.crawl(server, "pixeljoint")
    assert first.error is not None
    assert first.error.exit_code in (MARKUP, UNREACHABLE)
    assert words in str(first.error)
    assert second.error is None
    assert second.stats["kept"] == 12
    assert not [t for t in set(first.targets) & set(second.targets) if "pixelart" in t or "/files/" in t]


def test_page_that_repeats_for_ever_under_a_pager_of_fifty_is_no_end(crawler: Crawler) -> None:
    first = pages.pixeljoint_listing([entry(4), entry(5)], 1, 50).replace(b" selected", b"")
    crawled = pixeljoint(crawler, Rule(r"/pixels/new_icons\.asp\?.*", body=first, headers=LATIN))
    assert crawled.error is not None
    assert crawled.error.exit_code == UNREACHABLE
    assert "page 2 of 50 repeats" in str(crawled.error)


def test_listing_without_a_pager_ends_at_its_first_empty_page(crawler: Crawler) -> None:
    assert pixeljoint(crawler, works=8, pager=False).stats["kept"] == 8


def test_list_that_grew_while_it_was_read_is_read_to_its_end(crawler: Crawler) -> None:
    """Two works came between page 2 and page 3: they push others onto the next page, and a fifth page appears."""
    grown = [*numbers(102, 2), *numbers(100, 12)]
    rules = [page(1, numbers(100, 3)), page(2, numbers(97, 3))]
    rules += [page(n, grown[3 * (n - 1) : 3 * n], 5) for n in (3, 4, 5)]
    assert pixeljoint(crawler, *rules).stats["kept"] == 12


@pytest.mark.parametrize(
    "body",
    [
        pages.pixiehaus_listing([], '<a href="/gallery?page=4">next</a>'),
        json.dumps({"items": [], "next": 4}).encode(),
    ],
    ids=["page", "JSON"],
)
def test_empty_page_of_pixiehaus_that_leads_on_is_no_end(crawler: Crawler, body: bytes) -> None:
    empty = Rule(r"/gallery\?page=3", body=body, headers=HTML)
    with serving(crawler.root / "server", [empty, *of_pixiehaus(numbers(100, 15))]) as server:
        crawled = crawler.crawl(server, "pixiehaus")
    assert crawled.error is not None
    assert crawled.error.exit_code == MARKUP


def test_listing_that_lost_most_of_its_works_is_believed_the_second_time(crawler: Crawler) -> None:
    """A site that tells no number of pages: only the last pass knows how much there was."""
    rules = of_pixiehaus(numbers(100, 12))
    once = [Rule(r"/gallery\?page=2", body=pages.pixiehaus_listing([]), headers=HTML, times=2)]
    with serving(crawler.root / "server", rules) as server:
        assert crawler.crawl(server, "pixiehaus").stats["kept"] == 12
    with serving(crawler.root / "later", [*once, *rules], server.ports) as server:
        doubted, believed, whole = (crawler.crawl(server, "pixiehaus") for _ in range(3))
    assert doubted.error is not None
    assert (doubted.error.exit_code, "ends after 3 entries, of 12" in str(doubted.error)) == (UNREACHABLE, True)
    assert (believed.stats["kept"], whole.stats["kept"]) == (3, 12)


@pytest.mark.parametrize("source", ["lospec", "pixiehaus"])
@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_page_past_the_end_that_is_not_found_is_believed_the_second_time(
    crawler: Crawler, source: str, times: int | None
) -> None:
    """So a passing 404 in the middle costs no work, and a site whose list ends so stops no crawl for ever."""
    of_works, _, _ = GALLERIES[source]
    rule = Rule("/gallery", 404, method="POST", containing=r"\bskip=6\b", times=times)
    rule = rule if source == "lospec" else Rule(r"/gallery\?page=3", 404, times=times)
    with serving(crawler.root / "server", [rule, *of_works(numbers(100, 6 if times is None else 9))]) as server:
        first, *later = (crawler.crawl(server, source, again={"/gallery", "/gallery?page=3"}) for _ in range(3))
    assert first.error is not None
    assert first.error.exit_code == UNREACHABLE
    assert [crawled.stats["kept"] for crawled in later] == [6, 6] if times is None else [9, 9]


@pytest.mark.parametrize("told", [{"totalCount": 10}, {"pages": 4}])
def test_lospec_that_tells_how_much_there_is_must_give_it(crawler: Crawler, told: dict[str, object]) -> None:
    with serving(crawler.root / "server", of_lospec(numbers(100, 6), told)) as server:
        crawled = crawler.crawl(server)
    assert crawled.error is not None
    assert "page 3 of 4 holds no work, after 6 works" in str(crawled.error)


@pytest.mark.parametrize("told", [{"total": 7}, {"pages": "many", "total": True}])
def test_lospec_that_gives_what_it_tells_ends_well(crawler: Crawler, told: dict[str, object]) -> None:
    with serving(crawler.root / "server", of_lospec(numbers(100, 7), told)) as server:
        assert crawler.crawl(server).stats["kept"] == 7


ODD_TILES = {
    "without an address": '<a class="gallery-thumbnail"><img src=/x></a>',
    "by script": '<a class="gallery-thumbnail" href="javascript:void(0)"><img src=/x></a>',
    "that leads elsewhere": '<a class="gallery-thumbnail" href="/shop/today"><img src=/x></a>',
    "of another medium": pages.tile(Piece("voxel", 77)).replace("pixel art", "voxel art"),
    "of another class": pages.tile(Piece("promoted", 78)).replace("gallery-thumbnail", "gallery-promoted"),
}
ODD_BOXES = {
    "without a link": "<div class='imgbox'><img src=/ad.png></div>",
    "with two links": entry(7001).replace(
        "</a></div>", "</a><a class='imglink' href='/pixelart/7002.htm'>x</a></div>", 1
    ),
    "that leads elsewhere": entry(7003, href="/forum/3.htm"),
    "of another class": entry(7004).replace("imgbox", "imgbox2"),
    "without a class of its link": entry(7005).replace("imglink", "imglink2"),
}


@pytest.mark.parametrize("name", ODD_TILES)
def test_one_odd_tile_is_a_row_and_the_others_are_taken(crawler: Crawler, name: str) -> None:
    works = pages.pieces(11)
    body = json.dumps({"success": True, "html": ODD_TILES[name] + "".join(map(pages.tile, works[:10]))}).encode()
    rule = Rule("/gallery", body=body, headers=JSON, method="POST", times=1)
    rest = Rule("/gallery", body=pages.batch(works[10:]), headers=JSON, method="POST", times=1)
    end = Rule("/gallery", body=pages.batch([]), headers=JSON, method="POST")
    with serving(crawler.root / "server", [rule, rest, end, *pages.lospec(works)]) as server:
        crawled = crawler.crawl(server)
    assert crawled.error is None
    assert (crawled.stats["kept"], crawled.stats["reasons"]) == (11, {"markup": 1})
    odd = next(row for row in crawled.rows.values() if row["reason"])
    assert (odd["status"], odd["page_url"].startswith("http://127.0.0.1:")) == ("failed", True)
    assert not [target for target in crawled.targets if "shop" in target or "voxel" in target or "promoted" in target]


@pytest.mark.parametrize("name", ODD_BOXES)
def test_one_odd_box_is_a_row_and_the_others_are_taken(crawler: Crawler, name: str) -> None:
    body = pages.pixeljoint_listing([ODD_BOXES[name], *map(entry, numbers(97, 3))], 2, 4)
    crawled = pixeljoint(crawler, Rule(r"/pixels/new_icons\.asp\?q=1&pg=2", body=body, headers=LATIN))
    assert crawled.error is None
    assert (crawled.stats["kept"], crawled.stats["reasons"]) == (12, {"markup": 1})


def test_last_page_of_a_single_odd_tile_is_a_row(crawler: Crawler) -> None:
    body = json.dumps({"success": True, "html": ODD_TILES["that leads elsewhere"]}).encode()
    rule = Rule("/gallery", body=body, headers=JSON, method="POST", containing=r"\bskip=32\b")
    with serving(crawler.root / "server", [rule, *pages.lospec(pages.pieces(32))]) as server:
        crawled = crawler.crawl(server)
    assert (crawled.stats["kept"], crawled.stats["reasons"]) == (32, {"markup": 1})


@pytest.mark.parametrize("kind", ["that leads elsewhere", "of another class"])
def test_tiles_that_are_known_in_part_only_are_a_change_of_markup_with_numbers(crawler: Crawler, kind: str) -> None:
    works = pages.pieces(32)
    odd = {
        "that leads elsewhere": lambda tile, n: tile.replace("href='/gallery/artist-a", f"href='/piece-{n}"),
        "of another class": lambda tile, _: tile.replace("gallery-thumbnail", "tile"),
    }[kind]
    tiles = [odd(pages.tile(work), n) if n % 4 else pages.tile(work) for n, work in enumerate(works)]
    body = json.dumps({"success": True, "html": "".join(tiles)}).encode()
    with serving(crawler.root / "server", [Rule("/gallery", body=body, headers=JSON), *pages.lospec(works)]) as server:
        crawled = crawler.crawl(server)
    assert crawled.error is not None
    assert crawled.error.exit_code == MARKUP
    assert "expected most of 32" in str(crawled.error)
    assert "found 8" in str(crawled.error)


def test_five_thousand_cards_on_one_page_pass(crawler: Crawler) -> None:
    """The only page of pixie.haus that anyone has told of, here with very many bytes a card."""
    files = [f"/sprites/{10**6 + number}.png" for number in range(5_000)]
    body = pages.pixiehaus_listing(files).replace(b'class="card"', b'class="card %s"' % (b"w" * 2_500))
    with serving(
        crawler.root / "server", [Rule(r"/gallery\?page=1", body=body, headers=HTML), pages.ALLOW_ALL, SPRITE]
    ) as server:
        crawled = crawler.crawl(server, "pixiehaus", limit=3)
    assert (crawled.error, len(crawled.rows)) == (None, 3)
    journal = next(crawler.root.glob("state/crawl/pixiehaus/*/last-*.jsonl"))
    assert len(json.loads(journal.read_text(encoding="utf-8"))["listing"]["items"]) == 5_000
