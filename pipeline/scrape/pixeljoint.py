"""pixeljoint.com: classic ASP, listing state in a cookie, bytes that are often windows-1252."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pipeline.errors import MarkupChanged
from pipeline.scrape import html
from pipeline.scrape.gallery import Artwork, Found, Gone, Listing, Request

PAGE_PATH = re.compile(r"/pixelart/(\d+)(?:/[^/?#]*)?(?:\.htm)?(?:[?#]|$)")
REMOVED = "ACHTUNG! PIXEL ART INACTIVE!"
NOTHING = "No icons found."
POSTED = "%m/%d/%Y %H:%M"


@dataclass(frozen=True)
class PixelJoint:
    """The newest works, page after page, as the site's own pager leads."""

    origin: str = "https://pixeljoint.com"
    name: ClassVar[str] = "pixeljoint"
    hosts: ClassVar[frozenset[str]] = frozenset({"pixeljoint.com", "www.pixeljoint.com"})
    delay: ClassVar[float] = 1.5
    terms: ClassVar[str] = "https://pixeljoint.com/pixels/terms.asp"
    ai_generated: ClassVar[bool | None] = None

    def start(self) -> Request:
        return Request(f"{self.origin}/pixels/new_icons.asp?ob=date")

    def parse_listing(self, text: str, url: str, request: Request) -> Listing:
        block = html.parse(text, site=self.name, url=url).one("#leftblockspan")
        number = _page_number(request)
        entries = block.all(".imgbox")
        if not entries and number == 1 and NOTHING not in block.text():
            block.some(".imgbox")
        titles = _titles(block)
        items = tuple(_entry(entry, titles) for entry in entries)
        pages = _last_page(block)
        over = not items or (pages is not None and number >= pages)
        following = None if over else self._page(number + 1)
        heading = block.all("h1")
        return Listing(items, following, pages, heading[0].text() if heading else None)

    def _page(self, number: int) -> Request:
        """The list is chosen by cookie `v`; without it the same address answers with another list."""
        state = f"av=&dimo=%3C%3D&anim=&iso=&ob=date&dint=&pg={number}&search=&tran=&colors=&d=&colorso=&dim=&owner=0"
        return Request(f"{self.origin}/pixels/new_icons.asp?q=1&pg={number}", cookies=(("v", state),))

    def parse_artwork(self, text: str, url: str) -> Artwork | Gone:
        page = html.parse(text, site=self.name, url=url)
        if REMOVED in page.text() and not page.all("#mainimg"):
            return Gone()
        image = page.one("#mainimg").link("src")
        rows = _rows(page)
        title, artist, posted = (_value(page, rows, label) for label in ("Title:", "Pixel Artist:", "Posted:"))
        return Artwork(
            image, title=title.text() or None, artist=artist.one("a").text() or None, posted=_iso(posted.text())
        )


def _page_number(request: Request) -> int:
    found = re.search(r"[?&]pg=(\d+)", request.url)
    return int(found[1]) if found else 1


def _entry(entry: html.Scope, titles: dict[str, str]) -> Found:
    link = entry.one("a.imglink")
    page_url = link.link("href")
    found = PAGE_PATH.search(page_url)
    if not found:
        raise MarkupChanged(
            site=link.site, selector="a.imglink[href*='/pixelart/']", expected="exactly 1", found=0, url=link.url
        )
    return Found(found[1], page_url, title=titles.get(link.need("href")))


def _titles(block: html.Scope) -> dict[str, str]:
    return {link.get("href") or "": link.text() for link in block.all(".tooltip strong > a")}


def _last_page(block: html.Scope) -> int | None:
    """The largest page number of the first pager; None where there is no pager."""
    pagers = block.all(".pager-select-holder select")
    if not pagers:
        return None
    numbers = [option.get("value") or "" for option in pagers[0].some("option[value]")]
    return max((int(number) for number in numbers if number.isdecimal()), default=None)


def _rows(page: html.Scope) -> dict[str, html.Scope]:
    """Label -> value cell of the details table, in the first box: comments stand in later ones."""
    rows: dict[str, html.Scope] = {}
    for row in page.some("#leftblockspan .bx")[0].all("tr"):
        cells = [cell for cell in row.all("tr > td") if cell.node.parent == row.node]
        label = cells[0].all("td > strong") if len(cells) == 2 else []
        if label:
            rows.setdefault(label[0].text(), cells[1])
    return rows


def _value(page: html.Scope, rows: dict[str, html.Scope], label: str) -> html.Scope:
    if label not in rows:
        selector = f"#leftblockspan .bx td > strong ({label})"
        raise MarkupChanged(site=page.site, selector=selector, expected="exactly 1", found=0, url=page.url)
    return rows[label]


def _iso(posted: str) -> str | None:
    """`3/20/2023 02:07` (US order, 24 h) as ISO 8601; another text as it stands."""
    try:
        return datetime.strptime(posted, POSTED).isoformat()
    except ValueError:
        return posted or None
