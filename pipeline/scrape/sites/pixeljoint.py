"""pixeljoint.com: classic ASP, listing state in a cookie, bytes that are often windows-1252."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal
from urllib.parse import urlencode

from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import (
    ArtworkDetails,
    Listing,
    ListingEntry,
    RemovalNotice,
    Request,
    UnreadListing,
    read_entries,
    unread,
)

PAGE_PATH = re.compile(r"/pixelart/(\d+)(?:/[^/?#]*)?(?:\.htm)?(?:[?#]|$)")
ARTIST_PATH = re.compile(r"^/p/\d+\.htm$")
SMALL_PATH = re.compile(r"^/files/icons/[^/]+$")  # the full image lies one folder deeper
REMOVED = "ACHTUNG! PIXEL ART INACTIVE!"
NO_RESULTS = "No icons found."
SELECTED = ".pager-select-holder option[selected]"
POSTED = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y")
ORDER = {"newest": "date", "hall-of-fame": "rating", "showcase": "showcase", "search": "search"}  # list -> key `ob`
MENU = {"newest": "Newest", "hall-of-fame": "Hall of Fame", "showcase": "Weekly Showcase"}  # names in the site's menu

Tooltip = tuple[str, str | None]  # title and artist of an entry


@dataclass(frozen=True)
class PixelJoint:
    """One of the site's lists, page after page, as its own pager leads.

    `search` is the text that `listing="search"` looks for; empty finds every work.
    """

    origin: str = "https://pixeljoint.com"
    listing: Literal["newest", "hall-of-fame", "showcase", "search"] = "newest"
    search: str = ""
    name: ClassVar[str] = "pixeljoint"
    hosts: ClassVar[frozenset[str]] = frozenset({"pixeljoint.com", "www.pixeljoint.com"})
    delay: ClassVar[float] = 1.5
    terms: ClassVar[str] = "https://pixeljoint.com/pixels/terms.asp"
    ai_generated: ClassVar[bool | None] = None

    @property
    def newest_first(self) -> bool:
        return self.listing == "newest"

    @property
    def _search_text(self) -> str:
        return self.search if self.listing == "search" else ""

    def start(self) -> Request:
        """The first page; a search in the full form of the site's search page."""
        order, query = ORDER[self.listing], [("ob", ORDER[self.listing])]
        if order == "search":
            query = [("search", self.search), ("dimo", "<="), ("dim", ""), ("colorso", ">="), ("colors", "")]
            query += [(name, "") for name in ("tran", "anim", "iso", "av", "owner", "d")]
            query += [("dosearch", "1"), ("ob", order), ("action", "search")]
        return Request(f"{self.origin}/pixels/new_icons.asp?{_encoded(query)}")

    def parse_listing(self, text: str, url: str, request: Request | None) -> Listing:
        block = html.parse(text, site=self.name, url=url).one("#leftblockspan")
        headings = block.all("h1")
        heading = headings[0].text() if headings else None
        self._check_heading(heading, block)
        number, pages = request.number("pg", 1) if request else _selected(block), _last_page(block)
        boxes = block.all(".imgbox")
        if not boxes and NO_RESULTS not in block.text() and number <= (pages or 1):
            block.at_least_one(".imgbox")
        tooltips = _tooltips(block)
        entries, changed = read_entries(boxes, lambda box: _entry(box, tooltips))
        items = (*entries, *_strays(block, boxes, entries))
        is_last = not items or (pages is not None and number >= pages)
        if not is_last:
            _check_selected(block, number)
        listing = Listing(items, None if is_last else self._page(number + 1), pages, heading)
        if changed:
            raise UnreadListing(changed, listing)
        return listing

    def _page(self, number: int) -> Request:
        """The list is chosen by cookie `v`; without it the same address answers with another list."""
        state = [("av", ""), ("dimo", "<="), ("anim", ""), ("iso", ""), ("ob", ORDER[self.listing]), ("dint", "")]
        state += [("pg", str(number)), ("search", self._search_text), ("tran", "")]
        state += [("colors", ""), ("d", ""), ("colorso", ">="), ("dim", ""), ("owner", "0")]
        url = f"{self.origin}/pixels/new_icons.asp?q=1&pg={number}"
        return Request(url, cookies=(("v", _encoded(state)),))

    def _check_heading(self, heading: str | None, block: html.Scope) -> None:
        """A page under the menu name of another list comes after a lost cookie; what else it may say is unknown."""
        text, search = (heading or "").lower(), self._search_text.lower()
        expected_name = MENU.get(self.listing, "Search")
        names = [name for name in MENU.values() if name.lower() in text and name.lower() not in search]
        if names and expected_name not in names:
            raise block.changed("#leftblockspan h1", f"the list {expected_name!r} instead of {heading!r}")

    def parse_artwork(self, text: str, url: str) -> ArtworkDetails | RemovalNotice:
        page = html.parse(text, site=self.name, url=url)
        if REMOVED in page.text() and not page.all("#mainimg"):
            return RemovalNotice()
        image = page.one("#mainimg").link("src")
        if SMALL_PATH.match(html.split(image).path):
            raise page.changed("#mainimg[src*='/files/icons/full/']")
        rows = _rows(page)
        title, artist, posted = (_value(page, rows, label) for label in ("Title:", "Pixel Artist:", "Posted:"))
        return ArtworkDetails(
            image, title=title.text() or None, artist=artist.one("a").text() or None, posted=_iso(posted.text())
        )


def _encoded(pairs: list[tuple[str, str]]) -> str:
    """As a browser encodes a form of a windows-1252 page (GUESS: the site's charset is not known)."""
    return urlencode(pairs, encoding="windows-1252", errors="xmlcharrefreplace")


def _entry(entry: html.Scope, tooltips: Mapping[str, Tooltip]) -> ListingEntry:
    link = entry.one("a.imglink")
    page_url = link.link("href")
    match = PAGE_PATH.search(page_url)
    if not match:
        raise link.changed("a.imglink[href*='/pixelart/']")
    title, artist = tooltips.get(page_url, (None, None))
    return ListingEntry(match[1], page_url, title=title, artist=artist)


def _strays(block: html.Scope, boxes: Sequence[html.Scope], entries: Sequence[ListingEntry]) -> Iterator[ListingEntry]:
    """Pictures that lead to works and stand in no box: the boxes of another markup than the one that is known."""
    known = {entry.source_id for entry in entries}
    inside = {link.node.mem_id for box in boxes for link in box.all("a[href]")}
    for link in block.all("a[href]"):
        match = PAGE_PATH.search(link.maybe_link("href"))
        if match and link.node.mem_id not in inside and match[1] not in known and link.all("img"):
            yield unread(link, link.changed(".imgbox a.imglink"))


def _tooltips(block: html.Scope) -> dict[str, Tooltip]:
    """Page address of a work -> its tooltip; one without a link to a work is passed over."""
    tooltips: dict[str, Tooltip] = {}
    for tooltip in block.all(".tooltip"):
        links = [(html.split(link.maybe_link("href")).path, link.text()) for link in tooltip.all("a[href]")]
        people = [text for path, text in links if ARTIST_PATH.match(path)]
        for link in tooltip.all("strong > a[href]"):
            tooltips[link.maybe_link("href")] = (link.text(), people[0] if people else None)
    return tooltips


def _last_page(block: html.Scope) -> int | None:
    """The largest page number of the first pager; None where there is no pager."""
    pagers = block.all(".pager-select-holder select")
    if not pagers:
        return None
    numbers = [option.get("value") or "" for option in pagers[0].at_least_one("option[value]")]
    if not any(number.isdecimal() for number in numbers):
        raise block.changed(".pager-select-holder option[value=<number>]")
    return max(int(number) for number in numbers if number.isdecimal())


def _selected(block: html.Scope) -> int:
    """The page that the pager marks; 1 where it marks none."""
    values = [option.get("value") or "" for option in block.all(SELECTED)]
    return int(values[0]) if values and values[0].isdecimal() else 1


def _check_selected(block: html.Scope, number: int) -> None:
    """Where the pager marks the page that it shows, that must be the page asked for."""
    values = {option.get("value") for option in block.all(SELECTED)}
    if len(values) == 1 and values != {str(number)}:
        raise block.changed(f"{SELECTED}[value='{number}']")


def _rows(page: html.Scope) -> dict[str, html.Scope]:
    """Label -> value cell of the details table, in the first box: comments stand in later ones."""
    rows: dict[str, html.Scope] = {}
    for row in page.at_least_one("#leftblockspan .bx")[0].all("tr"):
        cells = [cell for cell in row.all("tr > td") if cell.node.parent == row.node]
        label = cells[0].all("td > strong") if len(cells) == 2 else []
        if label:
            rows.setdefault(label[0].text(), cells[1])
    return rows


def _value(page: html.Scope, rows: dict[str, html.Scope], label: str) -> html.Scope:
    if label not in rows:
        raise page.changed(f"#leftblockspan .bx td > strong ({label})")
    return rows[label]


def _iso(posted: str) -> str | None:
    """`3/20/2023 02:07` (US order, with 24 h or 12 h or without) as ISO 8601; another text as it stands."""
    for form in POSTED:
        try:
            return datetime.strptime(posted, form).isoformat()
        except ValueError:
            continue
    return posted or None
