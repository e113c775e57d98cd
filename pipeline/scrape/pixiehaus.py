"""pixie.haus/gallery: nothing is known of the markup, so works are found by the addresses of their files alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pipeline.errors import MarkupChanged
from pipeline.scrape import html
from pipeline.scrape.gallery import Artwork, Found, Gone, Listing, Request

WORK_PATH = re.compile(r"^/(?:sprites|animations)/([0-9a-f]{32}|[0-9]{6,})\.(?:webp|gif|png)$")
WORK_SHAPE = "/(sprites|animations)/<32 hex or digits>.(webp|gif|png)"
ADDRESS_IN_TEXT = re.compile(r"""[^\s"'`<>(),\\]*/(?:sprites|animations)/[0-9a-f]+\.(?:webp|gif|png)""")
ATTRIBUTES = ("src", "data-src", "href", "poster", "content", "srcset", "data-srcset")

Link = tuple[str, str | None]  # address as written, alternative text


@dataclass(frozen=True)
class PixieHaus:
    """The public gallery, newest first; the name of the paging parameter is a guess, hence a value."""

    origin: str = "https://pixie.haus"
    page_parameter: str = "page"
    name: ClassVar[str] = "pixiehaus"
    hosts: ClassVar[frozenset[str]] = frozenset({"pixie.haus", "www.pixie.haus"})
    delay: ClassVar[float] = 2.0
    terms: ClassVar[str] = "https://pixie.haus/terms_of_use"
    ai_generated: ClassVar[bool | None] = True

    def start(self) -> Request:
        return self._page(1)

    def _page(self, number: int) -> Request:
        return Request(f"{self.origin}/gallery?{self.page_parameter}={number}")

    def _number(self, request: Request) -> int:
        found = re.search(rf"[?&]{re.escape(self.page_parameter)}=(\d+)", request.url)
        return int(found[1]) if found else 1

    def parse_listing(self, text: str, url: str, request: Request) -> Listing:
        answer = _json(text)
        links = _page_links(text, url) if answer is None else ((string, None) for string in _strings(answer))
        items = _works(links, url)
        number = self._number(request)
        if not items and number == 1:
            raise MarkupChanged(site=self.name, selector=WORK_SHAPE, expected="at least 1", found=0, url=url)
        told_last = isinstance(answer, dict) and "next" in answer and answer["next"] is None
        return Listing(items, None if told_last or not items else self._page(number + 1))

    def parse_artwork(self, text: str, url: str) -> Artwork | Gone:  # noqa: ARG002
        """The listing already names the files: no page of this site is opened for a single work."""
        raise MarkupChanged(site=self.name, selector=WORK_SHAPE, expected="a listing", found=0, url=url)


def _works(links: Iterator[Link], url: str) -> tuple[Found, ...]:
    """Each file of this host that looks like a work, once, in the order of the page."""
    works: dict[str, Found] = {}
    gallery = html.resolve(url, urlsplit(url).path)
    for link, alt in links:
        address = html.resolve(url, link)
        parts = urlsplit(address)
        found = WORK_PATH.match(parts.path)
        if not found or parts.netloc != urlsplit(url).netloc:
            continue
        known = works.get(found[1])
        if known is None or (known.artwork and not known.artwork.title and alt):
            works[found[1]] = Found(found[1], gallery, Artwork(address, title=alt), title=alt)
    return tuple(works.values())


def _page_links(text: str, url: str) -> Iterator[Link]:
    for scope in html.parse(text, site="pixiehaus", url=url).all("*"):
        if scope.node.tag == "script":
            unescaped = scope.node.text().replace("\\/", "/")
            yield from ((found[0], None) for found in ADDRESS_IN_TEXT.finditer(unescaped))
        for name in ATTRIBUTES:
            for candidate in _candidates(name, scope.get(name) or ""):
                yield candidate, html.clean(scope.get("alt") or "") or None


def _candidates(attribute: str, value: str) -> list[str]:
    if not attribute.endswith("srcset"):
        return [value] if value else []
    return [part.split()[0] for part in value.split(",") if part.split()]


def _json(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
