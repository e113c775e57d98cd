"""pixie.haus/gallery: nothing is known of the markup, so works are found by the addresses of their files alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import SplitResult

from pipeline.errors import MarkupChanged
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import (
    ArtworkDetails,
    Listing,
    ListingEntry,
    RemovalNotice,
    Request,
    stated_pages,
)

WORK_PATH = re.compile(r"^/(?:sprites|animations)/([0-9a-f]{32}|[0-9]{6,})\.(?:webp|gif|png)$")
WORK_SHAPE = "/(sprites|animations)/<32 hex or digits>.(webp|gif|png)"
WORK_IN_TEXT = re.compile(r"/(?:sprites|animations)/[0-9a-f]+\.(?:webp|gif|png)(?![\w/-])")
BEFORE = re.compile(r"""[^\s"'`<>()\[\]{},;&=\\]*""")  # what may stand before that in an address
MAX_BEFORE = 256  # characters: each search stays short whatever the text
ESCAPED_SLASH = re.compile(r"\\+(?:/|u002f)", re.IGNORECASE)  # as JSON inside scripts has it, once or twice escaped
ATTRIBUTES = ("src", "data-src", "href", "poster", "content")

Link = tuple[str, str | None]  # address as written, alternative text


@dataclass(frozen=True)
class PixieHaus:
    """The public gallery, newest first; the name of the paging parameter and its first value are guesses."""

    origin: str = "https://pixie.haus"
    page_parameter: str = "page"
    first_page: int = 1
    name: ClassVar[str] = "pixiehaus"
    hosts: ClassVar[frozenset[str]] = frozenset({"pixie.haus", "www.pixie.haus"})
    delay: ClassVar[float] = 2.0
    terms: ClassVar[str] = "https://pixie.haus/terms_of_use"
    ai_generated: ClassVar[bool | None] = True
    newest_first: ClassVar[bool] = True

    def start(self) -> Request:
        return self._page(self.first_page)

    def _page(self, number: int) -> Request:
        return Request(f"{self.origin}/gallery?{self.page_parameter}={number}")

    def parse_listing(self, text: str, url: str, request: Request | None) -> Listing:
        answer = _json(text)
        items = _works(_page_links(text, url) if answer is None else _json_links(answer, url), url)
        number = request.number(self.page_parameter, self.first_page) if request else self.first_page
        if not items and (number <= self.first_page or self._goes_on(text, url, answer, number)):
            raise MarkupChanged(site=self.name, selector=WORK_SHAPE, expected="at least 1", found=0, url=url)
        is_last = isinstance(answer, dict) and "next" in answer and answer["next"] is None
        pages = stated_pages(answer, len(items)) if number == self.first_page else None
        return Listing(items, None if is_last or not items else self._page(number + 1), pages)

    def _goes_on(self, text: str, url: str, answer: Any, number: int) -> bool:
        """Whether a page leads on to later pages."""
        if answer is not None:
            return isinstance(answer, dict) and bool(answer.get("next"))
        links = (link.get("href") or "" for link in html.parse(text, site=self.name, url=url).all("a[href]"))
        return any(Request(link).number(self.page_parameter, number) > number for link in links)

    def parse_artwork(self, text: str, url: str) -> ArtworkDetails | RemovalNotice:  # noqa: ARG002
        """The listing already names the files: no page of this site is opened for a single work."""
        raise MarkupChanged(site=self.name, selector=WORK_SHAPE, expected="a listing", found=0, url=url)


def _works(links: Iterator[Link], url: str) -> tuple[ListingEntry, ...]:
    """Each file of this site that looks like a work, once, in the order of the page.

    A query is left out of the address: none is known, and it might ask for another size.
    """
    works: dict[str, ListingEntry] = {}
    gallery = html.resolve(url, html.split(url).path)
    for link, alt in links:
        parts = html.split(html.resolve(url, link))
        match = WORK_PATH.match(parts.path)
        if not match or parts.scheme not in ("http", "https") or _host(parts) != _host(html.split(url)):
            continue
        address = parts._replace(query="", fragment="").geturl()
        artwork = ArtworkDetails(address, title=alt)
        entry = works.setdefault(match[1], ListingEntry(match[1], gallery, artwork, title=alt))
        if isinstance(entry.artwork, ArtworkDetails) and not entry.title and alt:
            works[match[1]] = replace(entry, title=alt, artwork=replace(entry.artwork, title=alt))
    return tuple(works.values())


def _host(address: SplitResult) -> str:
    """The host without its port; www.HOST and HOST are one site."""
    return (address.hostname or "").removeprefix("www.")


def _page_links(text: str, url: str) -> Iterator[Link]:
    """Every address in an attribute or a script; elsewhere in a page text is prose."""
    for scope in html.parse(text, site="pixiehaus", url=url).all("*"):
        if scope.node.tag == "script":
            yield from ((address, None) for address in _addresses(scope.node.text()))
        alt = html.clean(scope.get("alt") or "") or None
        for name, value in scope.node.attributes.items():
            for address in [value] if name in ATTRIBUTES and value else _addresses(value or ""):
                yield address, alt


def _addresses(text: str) -> Iterator[str]:
    """Addresses of works inside a script, a srcset, a style or escaped JSON."""
    text = ESCAPED_SLASH.sub("/", text)
    for match in WORK_IN_TEXT.finditer(text):
        backwards = BEFORE.match(text[max(0, match.start() - MAX_BEFORE) : match.start()][::-1])
        yield (backwards[0][::-1] if backwards else "") + match[0]


def _json(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_links(value: Any, url: str) -> Iterator[Link]:
    """Strings of a JSON answer: addresses, and pieces of HTML that hold some."""
    if isinstance(value, str):
        yield from _page_links(value, url) if "<" in value else iter([(value, None)])
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _json_links(inner, url)
