"""lospec.com/gallery: a POST answers JSON whose `html` holds 32 tiles; detail pages use elements of their own names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from pipeline.errors import MarkupChanged
from pipeline.scrape import html
from pipeline.scrape.gallery import Artwork, Found, Gone, Listing, Request

PIECE_PATH = re.compile(r"^/gallery/([^/]+)/([^/]*)/?$")
FILTERS = (
    ("medium", "pixel-art"),
    ("category", ""),
    ("sorting", "latest"),
    ("time", "all"),
    ("artist", ""),
    ("liked-by", ""),
    ("tags", ""),
    ("masterpiece", ""),
)


@dataclass(frozen=True)
class Lospec:
    """The newest pixel art, batch after batch, until a batch brings nothing new."""

    origin: str = "https://lospec.com"
    name: ClassVar[str] = "lospec"
    hosts: ClassVar[frozenset[str]] = frozenset({"lospec.com", "www.lospec.com", "cdn.lospec.com"})
    delay: ClassVar[float] = 10.0  # the only published figure for this server
    terms: ClassVar[str] = "https://lospec.com/terms-and-conditions"
    ai_generated: ClassVar[bool | None] = None

    def start(self) -> Request:
        return self._batch(page=1, skip=0)

    def _batch(self, page: int, skip: int) -> Request:
        """Paging is by `skip`; `page` is sent along, as the site's own script does."""
        form = (("page", str(page)), ("skip", str(skip)), *FILTERS)
        return Request(f"{self.origin}/gallery", method="POST", form=form)

    def parse_listing(self, text: str, url: str, request: Request) -> Listing:
        form = dict(request.form)
        page, skip = int(form.get("page", "1")), int(form.get("skip", "0"))
        batch = html.parse(_tiles(text, url), site=self.name, url=url)
        tiles = batch.some("a.gallery-thumbnail", at_least=0 if skip else 1)
        following = self._batch(page + 1, skip + len(tiles)) if tiles else None
        return Listing(tuple(_entry(tile) for tile in tiles), following)

    def parse_artwork(self, text: str, url: str) -> Artwork | Gone:
        page = html.parse(text, site=self.name, url=url)
        image = page.one("img.fullsize").link("src")
        heading = page.one("header h1")
        artist = page.one("artist profile info name").text()
        posted = page.maybe("header date")
        tags = tuple(tag.text().lstrip("#") for tag in page.all("tags a.text-link"))
        return Artwork(
            image,
            title=heading.own_text() or None,  # a <span> inside marks a masterpiece
            artist=artist or None,
            posted=(posted.text() or None) if posted else None,
            tags=tags,
        )


def _tiles(text: str, url: str) -> str:
    """The HTML inside the JSON answer."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    tiles = answer.get("html") if isinstance(answer, dict) and answer.get("success") else None
    if not isinstance(tiles, str):
        raise MarkupChanged(
            site="lospec", selector='{"success": true, "html": ...}', expected="exactly 1", found=0, url=url
        )
    return tiles


def _entry(tile: html.Scope) -> Found:
    """Identity is artist and slug together: slugs repeat between artists, and some are empty."""
    page_url = tile.link("href")
    found = PIECE_PATH.match(urlsplit(page_url).path)
    if not found:
        selector = "a.gallery-thumbnail[href='/gallery/<artist>/<slug>']"
        raise MarkupChanged(site=tile.site, selector=selector, expected="exactly 1", found=0, url=tile.url)
    titles = tile.all(".title")
    return Found(f"{found[1]}/{found[2]}", page_url, title=titles[0].text() if titles else None)
