"""Which lists the parsers ask for, walked through the sample galleries, and how a lost list is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from pipeline.errors import MarkupChanged
from pipeline.sample.galleries import catalogue, pages_lospec, pages_pixeljoint, pages_pixiehaus, site
from pipeline.sample.galleries.faults import Faults
from pipeline.sample.params import Sample
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import ArtworkDetails, Gallery, Listing, ListingEntry, Request
from pipeline.scrape.sites.lospec import Lospec
from pipeline.scrape.sites.pixeljoint import PixelJoint
from pipeline.scrape.sites.pixiehaus import PixieHaus

SAMPLE = Sample(revision="test", pixeljoint=160, lospec=75, pixiehaus=65, faces=8)
SIZE = {"pixeljoint": SAMPLE.pixeljoint, "lospec": SAMPLE.lospec, "pixiehaus": SAMPLE.pixiehaus}


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    with site.serve(SAMPLE, tuple(SIZE)) as served:
        yield served


class Visitor:
    """Sends what a parser describes.

    `jar` keeps the site's cookies, `request_cookies` sends the parser's where it has none.
    """

    def __init__(self, *, jar: bool = True, request_cookies: bool = True) -> None:
        self._jar, self._request_cookies, self._cookies = jar, request_cookies, httpx.Cookies()

    def text(self, request: Request) -> str:
        request_cookies = dict(request.cookies) if self._request_cookies and "v" not in self._cookies else {}
        with httpx.Client(trust_env=False, timeout=10, cookies={**self._cookies, **request_cookies}) as client:
            answer = client.request(request.method, request.url, data=dict(request.form) or None)
        if self._jar:
            self._cookies.update(answer.cookies)
        assert answer.status_code == 200
        return html.decode(answer.content, answer.headers["content-type"])

    def walk(self, gallery: Gallery) -> list[Listing]:
        pages: list[Listing] = []
        request: Request | None = gallery.start()
        while request is not None:
            pages.append(gallery.parse_listing(self.text(request), request.url, request))
            request = pages[-1].next
        return pages


def items(pages: list[Listing]) -> list[ListingEntry]:
    return [item for page in pages for item in page.items]


def ids(pages: list[Listing]) -> list[str]:
    return [item.source_id for item in items(pages)]


def indices(pages: list[Listing]) -> list[int]:
    """Places in the catalogue of the works of pixeljoint."""
    return [(pages_pixeljoint.FIRST_ID - int(source_id)) // 3 for source_id in ids(pages)]


@pytest.mark.parametrize(
    ("gallery", "expected"),
    [
        (PixelJoint(), True),
        (PixelJoint(listing="hall-of-fame"), False),
        (PixelJoint(listing="showcase"), False),
        (PixelJoint(listing="search"), False),
        (Lospec(), True),
        (Lospec(listing="top"), False),
        (Lospec(listing="likes"), False),
        (PixieHaus(), True),
    ],
)
def test_only_lists_by_date_are_newest_first(gallery: Gallery, expected: bool) -> None:
    assert gallery.newest_first is expected


@pytest.mark.parametrize(
    ("listing", "order"), [("newest", "date"), ("hall-of-fame", "rating"), ("showcase", "showcase")]
)
def test_pixeljoint_lists_are_asked_for_by_their_order_key(listing: Any, order: str) -> None:
    assert (
        PixelJoint(listing=listing, search="unused").start().url
        == f"https://pixeljoint.com/pixels/new_icons.asp?ob={order}"
    )


def test_pixeljoint_search_is_the_full_form_percent_encoded() -> None:
    query = urlsplit(PixelJoint(listing="search", search="caf\xe9 & 5=5").start().url).query
    assert query.startswith("search=caf%E9+%26+5%3D5&dimo=%3C%3D&dim=&")
    fields = dict(parse_qsl(query, keep_blank_values=True))
    names = "search dimo dim colorso colors tran anim iso av owner d dosearch ob action"
    assert list(fields) == names.split()
    assert (fields["dosearch"], fields["ob"], fields["action"]) == ("1", "search", "search")


@pytest.mark.parametrize("listing", ["newest", "hall-of-fame", "showcase", "search"])
@pytest.mark.parametrize(
    "visitor", [{}, {"request_cookies": False}, {"jar": False}], ids=["both", "of the site", "of the parser"]
)
def test_pixeljoint_list_is_kept_by_the_cookie_of_the_site_or_of_the_parser(
    urls: dict[str, str], listing: Any, visitor: dict[str, bool]
) -> None:
    pages = Visitor(**visitor).walk(PixelJoint(urls["pixeljoint"], listing, "e"))
    works = [catalogue.work("pixeljoint", index) for index in range(SIZE["pixeljoint"])]
    expected = {
        "newest": works,
        "showcase": works[:80],
        "search": [work for work in works if "e" in work.title.lower()],
    }
    assert len(pages) == pages[0].pages
    assert len(pages) > 1
    if listing == "hall-of-fame":
        assert len(set(indices(pages))) == 53
        assert indices(pages) != sorted(indices(pages))
    else:
        assert indices(pages) == [work.index for work in expected[listing]]


def test_pixeljoint_lists_differ_in_heading_or_length(urls: dict[str, str]) -> None:
    lists = [
        PixelJoint(urls["pixeljoint"], listing, "e") for listing in ("newest", "hall-of-fame", "showcase", "search")
    ]
    firsts = [Visitor().walk(gallery)[0] for gallery in lists]
    assert len({page.heading for page in firsts}) == 4
    assert len({page.pages for page in firsts}) == 4


@pytest.mark.parametrize("listing", ["hall-of-fame", "showcase", "search"])
def test_pixeljoint_list_of_a_lost_cookie_is_noticed(urls: dict[str, str], listing: Any) -> None:
    text = "e" if listing == "search" else "newest"  # not looked for in the other lists
    with pytest.raises(MarkupChanged) as caught:
        Visitor(jar=False, request_cookies=False).walk(PixelJoint(urls["pixeljoint"], listing, text))
    assert (caught.value.selector, caught.value.found) == ("#leftblockspan h1", 0)
    assert "Newest Pixel Art" in caught.value.expected
    assert caught.value.url.endswith("pg=2")


@pytest.mark.parametrize("heading", ["Weekly Showcase", "Newest Pixel Art"])
def test_pixeljoint_heading_that_is_the_text_searched_for_is_no_other_list(heading: str) -> None:
    page = f"<div id=leftblockspan><h1>{heading}</h1>No icons found.</div>"
    gallery = PixelJoint(listing="search", search=heading.lower())
    assert gallery.parse_listing(page, gallery.start().url, gallery.start()).items == ()


def test_pixeljoint_pager_that_marks_another_page_is_a_change_of_markup(urls: dict[str, str]) -> None:
    gallery = PixelJoint(urls["pixeljoint"])
    first = Visitor().text(gallery.start())
    request = gallery.parse_listing(first, gallery.start().url, gallery.start()).next
    assert request is not None
    with pytest.raises(MarkupChanged, match="selected"):
        gallery.parse_listing(first, request.url, request)


def test_pixeljoint_empty_page_before_the_last_is_a_change_of_markup() -> None:
    page = "<div id=leftblockspan><span class=pager-select-holder><select><option value=3></select></span>{}</div>"
    gallery, request = PixelJoint(), Request("https://pixeljoint.com/pixels/new_icons.asp?q=1&pg=2")
    with pytest.raises(MarkupChanged, match="imgbox"):
        gallery.parse_listing(page.format(""), request.url, request)
    assert gallery.parse_listing(page.format("No icons found."), request.url, request).next is None


def test_pixeljoint_pager_without_numbers_is_a_change_of_markup() -> None:
    page = "<div id=leftblockspan><span class=pager-select-holder><select><option value=last></select></span></div>"
    with pytest.raises(MarkupChanged, match="option"):
        PixelJoint().parse_listing(page, "https://pixeljoint.com/x", PixelJoint().start())


def test_pixeljoint_thumbnail_in_place_of_the_full_image_is_a_change_of_markup() -> None:
    page = "<div id=leftblockspan><div class=bx><img id=mainimg src=/files/icons/small.png></div></div>"
    with pytest.raises(MarkupChanged, match="full"):
        PixelJoint().parse_artwork(page, "https://pixeljoint.com/pixelart/5.htm")


def test_pixeljoint_listing_tells_title_and_artist_of_each_work(urls: dict[str, str]) -> None:
    listed = items(Visitor().walk(PixelJoint(urls["pixeljoint"])))
    works = [catalogue.work("pixeljoint", index) for index in range(len(listed))]
    assert [(item.title, item.artist) for item in listed] == [(work.title, work.artist_name) for work in works]


def test_lospec_sends_what_it_was_asked_for() -> None:
    start = Lospec(listing="top", medium="voxel-art", category="reduction", tags=("oc", "game art")).start()
    form = dict(start.form)
    assert (start.method, form["sorting"], form["medium"], form["category"]) == (
        "POST",
        "top",
        "voxel-art",
        "reduction",
    )
    assert (form["tags"], form["page"], form["skip"]) == ("oc,game art", "1", "0")


@pytest.mark.parametrize("listing", ["latest", "top", "likes"])
def test_lospec_lists_hold_the_same_works_in_another_order(urls: dict[str, str], listing: Any) -> None:
    newest = ids(Visitor().walk(Lospec(urls["lospec"])))
    listed = ids(Visitor().walk(Lospec(urls["lospec"], listing)))
    assert sorted(listed) == sorted(newest)
    assert len(set(listed)) == SIZE["lospec"]
    assert (listed == newest) == (listing == "latest")


def test_lospec_filters_reach_the_site_on_every_batch(urls: dict[str, str]) -> None:
    works = [catalogue.work("lospec", index) for index in range(SIZE["lospec"])]
    listed = ids(Visitor().walk(Lospec(urls["lospec"], category="hand-pixelled", tags=("pixelart",))))
    chosen = [work for work in works if "pixelart" in work.tags and pages_lospec.category(work) == "hand-pixelled"]
    assert listed == [f"{pages_lospec.artist_slug(work)}/{pages_lospec.piece_slug(work)}" for work in chosen]
    assert 0 < len(listed) < SIZE["lospec"]
    assert len(ids(Visitor().walk(Lospec(urls["lospec"], category="hand-pixelled")))) > pages_lospec.BATCH


@pytest.mark.parametrize("options", [{"tags": ("nothing like it",)}, {"medium": "voxel-art"}, {"category": "x"}])
def test_lospec_filter_that_finds_nothing_is_an_empty_list(urls: dict[str, str], options: dict[str, Any]) -> None:
    assert ids(Visitor().walk(Lospec(urls["lospec"], **options))) == []


def test_lospec_tile_of_another_medium_than_asked_for_is_noticed() -> None:
    tiles = (
        '{"success": true, "html": "<a class=gallery-thumbnail href=/gallery/a/b><p class=medium>Voxel Art</p></a>"}'
    )
    with pytest.raises(MarkupChanged, match="voxel-art"):
        Lospec().parse_listing(tiles, "https://lospec.com/gallery", Lospec().start())
    for medium in ("all", "voxel-art"):
        gallery = Lospec(medium=medium)
        assert len(gallery.parse_listing(tiles, "https://lospec.com/gallery", gallery.start()).items) == 1


@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_lospec_piece_tells_medium_category_tags_and_palette(urls: dict[str, str], index: int) -> None:
    work, gallery = catalogue.work("lospec", index), Lospec(urls["lospec"])
    url = f"{urls['lospec']}/gallery/{pages_lospec.artist_slug(work)}/{pages_lospec.piece_slug(work)}"
    artwork = gallery.parse_artwork(Visitor().text(Request(url)), url)
    frame = catalogue.frames("lospec", index)[0]
    colours = {f"#{bytes(pixel[:3]).hex()}" for row in frame for pixel in row if pixel[3]}
    assert isinstance(artwork, ArtworkDetails)
    assert (artwork.medium, artwork.category) == ("pixel art", pages_lospec.category(work))
    assert (artwork.tags, artwork.palette) == (work.tags, tuple(sorted(colours)))


@pytest.mark.parametrize("faults", [{}, {"json": True}, {"page_parameter": "p", "first_page": 0}], ids=str)
def test_pixiehaus_is_read_as_html_as_json_and_by_other_page_numbers(faults: dict[str, Any]) -> None:
    paging = {key: value for key, value in faults.items() if key != "json"}
    with site.serve(SAMPLE, ["pixiehaus"], faults=Faults(**faults)) as served:
        pages = Visitor().walk(PixieHaus(served["pixiehaus"], **paging))
    works = [catalogue.work("pixiehaus", index) for index in range(SIZE["pixiehaus"])]
    assert ids(pages) == [pages_pixiehaus.stem(work) for work in works]
    images = [item.artwork.image_url for item in items(pages) if item.artwork]
    assert images == [served["pixiehaus"] + pages_pixiehaus.path(work) for work in works]
    assert len(pages) == (3 if "json" in faults else 4)  # only JSON tells which page is the last


@pytest.mark.parametrize("answer", ['{"items": [], "next": null}', "[]", "<main></main>", "{broken"])
def test_pixiehaus_first_page_without_works_is_a_change_of_markup(answer: str) -> None:
    for gallery in (PixieHaus(), PixieHaus(first_page=0)):
        with pytest.raises(MarkupChanged):
            gallery.parse_listing(answer, gallery.start().url, gallery.start())


@pytest.mark.parametrize("gallery", [PixelJoint(), Lospec()], ids=["pixeljoint", "lospec"])
@pytest.mark.parametrize("link", ["http://[broken", "javascript:void(0)", "/elsewhere"])
def test_entry_that_leads_to_no_work_is_a_change_of_markup(gallery: Gallery, link: str) -> None:
    page = f"<div id=leftblockspan><div class=imgbox><a class=imglink href='{link}'></a></div></div>"
    answer = f'{{"success": true, "html": "<a class=gallery-thumbnail href=\'{link}\'></a>"}}'
    with pytest.raises(MarkupChanged):
        gallery.parse_listing(page if gallery.name == "pixeljoint" else answer, f"{gallery.origin}/", gallery.start())
