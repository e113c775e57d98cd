"""What a gallery is to the crawler: it describes requests and reads pages. It never sends, waits or stores."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import MarkupChanged, PipelineError
from pipeline.scrape.sites.html import Scope, split

# reason -> status of the row that carries it; a closed list
REASONS = {
    "noai": "dropped",  # a training opt-out covers it
    "robots": "dropped",  # robots.txt disallows it
    "off_host": "dropped",  # the address leads away from the hosts of the source
    "blocklist": "dropped",  # a blocked tag, or a work or artist on the user's blocklist
    "limit": "dropped",  # outside the limits that the user set: date, animation
    "too_large": "dropped",  # more bytes, pixels or frames than any gallery work has
    "gone": "failed",  # the site says that the work was removed
    "not_found": "failed",  # 404, 410
    "forbidden": "failed",  # 401, 402, 403, 451
    "not_an_image": "failed",  # bytes of another kind at the image address
    "truncated": "failed",  # an image that does not decode to its end
    "markup": "failed",  # its page lacks what the parser requires
    "server": "failed",  # an error status after retries
    "network": "failed",  # no answer after retries
}
DECISIONS = frozenset({"noai", "robots", "off_host", "blocklist", "limit", "gone"})  # final; all else may pass

PAGES = ("pages", "totalPages", "total_pages", "lastPage", "last_page")  # what JSON may call the number of pages ...
TOTALS = ("total", "totalCount", "total_count", "totalItems", "total_items")  # ... and that of all works


def printable(text: str, longest: int = 500) -> str:
    """Text from a site as it may stand in a message: no control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:longest])


class Rejection(PipelineError):
    """One page or image that does not become a kept row; `reason` is a key of REASONS.

    `passing`: it holds for this run only, whatever the reason, as where a robots.txt could not be had.
    """

    def __init__(self, reason: str, detail: str, *, passing: bool = False) -> None:
        detail = printable(detail)
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.passing = reason, detail, passing


@dataclass(frozen=True)
class Request:
    """A listing request, as a description."""

    url: str
    method: str = "GET"
    form: tuple[tuple[str, str], ...] = ()  # sent form-urlencoded
    cookies: tuple[tuple[str, str], ...] = ()  # sent unless the site itself has set one of that name

    def number(self, parameter: str, default: int) -> int:
        """The number that a parameter has in the address's query; `default` where it has none."""
        match = re.search(rf"[?&]{re.escape(parameter)}=(\d+)", self.url)
        return int(match[1]) if match else default


@dataclass(frozen=True)
class ArtworkDetails:
    """What a page says about one work; None where it does not say."""

    image_url: str  # absolute, of the full image
    title: str | None = None
    artist: str | None = None
    posted: str | None = None  # ISO 8601 where the site's format is known, else the site's text
    tags: tuple[str, ...] | None = None
    licence: str | None = None
    medium: str | None = None
    category: str | None = None
    palette: tuple[str, ...] | None = None  # "#rrggbb", as the page lists them


@dataclass(frozen=True)
class RemovalNotice:
    """A page that says that its work was removed."""


@dataclass(frozen=True)
class UnreadEntry:
    """What stands in place of the details of an entry that is not as the others are."""

    problem: str  # of the error


@dataclass(frozen=True)
class ListingEntry:
    """One entry of a listing."""

    source_id: str  # the site's stable identity of the work
    page_url: str
    artwork: ArtworkDetails | UnreadEntry | None = None  # None: open `page_url` to learn it
    title: str | None = None  # as the listing gives it
    artist: str | None = None  # as the listing gives it


@dataclass(frozen=True)
class Listing:
    """One page of a listing."""

    items: tuple[ListingEntry, ...]  # in the order of the page
    next: Request | None  # None: the site says that this was the last page
    pages: int | None = None  # page count that the page states
    heading: str | None = None


def stated_pages(answer: object, on_first: int) -> int | None:
    """The number of pages by what the JSON of a first page says of all; None where it says nothing."""
    facts = answer if isinstance(answer, dict) else {}
    for name in PAGES:
        if pages := _count(facts.get(name)):
            return pages
    totals = [total for name in TOTALS if (total := _count(facts.get(name)))]
    return -(-totals[0] // on_first) if totals and on_first else None


def _count(value: object) -> int:
    """A count above zero, given as a number or as text; 0 for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int and value > 0 else 0


class UnreadListing(MarkupChanged):
    """No entry of a page could be read; `listing` is that page all the same."""

    def __init__(self, first: MarkupChanged, listing: Listing) -> None:
        facts = vars(first)
        super().__init__(**{name: facts[name] for name in ("site", "selector", "expected", "found", "url")})
        self.listing = listing


def read_entries(
    nodes: Iterable[Scope], read: Callable[[Scope], ListingEntry]
) -> tuple[tuple[ListingEntry, ...], MarkupChanged | None]:
    """The entries of a page, of which some may be unread, and the error of the first of those when none was read."""
    entries, first, sound = [], None, False
    for node in nodes:
        try:
            entries.append(read(node))
            sound = True
        except MarkupChanged as error:
            first = first or error
            entries.append(unread(node, error))
    return tuple(entries), None if sound else first


def unread(node: Scope, error: MarkupChanged) -> ListingEntry:
    """An entry for a node that is not as entries are, known by its address or else by its text."""
    links = [node, *node.all("a[href]")]
    address = next((link.maybe_link("href") for link in links if (link.get("href") or "").strip()), "")
    if split(address).scheme not in ("http", "https"):
        address = ""
    name = hashlib.sha256((address or node.node.html or "").encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return ListingEntry(f"unread-{name}", address or node.url, UnreadEntry(str(error)))


class Gallery(Protocol):
    """One site's addresses and markup. Both parsers raise MarkupChanged.

    `origin` (scheme and host) is a value, so that one parser serves the live site, the sample and any replica.
    """

    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def hosts(self) -> frozenset[str]:
        """Every host of the live site that a crawl may ask."""

    @property
    def delay(self) -> float:
        """Seconds between two requests to one live host."""

    @property
    def terms(self) -> str:
        """The page with the live site's terms."""

    @property
    def ai_generated(self) -> bool | None: ...
    @property
    def newest_first(self) -> bool:
        """The listing runs from the newest work to the oldest."""

    def start(self) -> Request: ...
    def parse_listing(self, text: str, url: str, request: Request | None) -> Listing:
        """`request` asked for the page; None: which page of the listing it is is not known.

        Raises UnreadListing where there are entries, and none is as it should be.
        """

    def parse_artwork(self, text: str, url: str) -> ArtworkDetails | RemovalNotice: ...
