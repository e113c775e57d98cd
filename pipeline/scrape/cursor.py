"""Where a pass over a listing stands, and whether what it has read can be the whole of the listing.

Where a site tells how many pages there are, the pass must come to the last of them. Where it does not, the listing ends
at a page without works or at one that was there before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from pipeline.errors import MarkupChanged, Unreachable
from pipeline.scrape.sites.gallery import Listing, ListingEntry, Request, UnreadEntry

logger = logging.getLogger(__name__)

MAX_IDLE = 3  # pages in a row without a new work, where no pager says that there are more
SAMPLE = 10  # entries before the unread ones are called a change of markup


class EndedEarly(Unreachable):
    """A listing that contradicts itself: there must be works that were not seen."""


@dataclass(frozen=True)
class VisitedPage:
    """A listing page as it was read."""

    request: Request
    listing: Listing
    cookies: list[list[str]]  # the jar after it
    validators: dict[str, str]  # headers of a conditional request for it

    @property
    def source_ids(self) -> list[str]:
        return [item.source_id for item in self.listing.items]


VISITED_PAGE = TypeAdapter(VisitedPage)  # reads a line of a pass, which is a page as `asdict` has it


@dataclass
class Cursor:
    """What a pass has read, and the page that it reads next."""

    site: str
    next: Request | None  # None: the listing has ended
    first: Listing | None = None  # its first page, which tells one list from another
    cookies: list[list[str]] = field(default_factory=list)  # the jar after the last page
    pages: int = 0  # pages read
    source_ids: set[str] = field(default_factory=set)  # of all works on them
    entries: int = 0  # on them
    unread: int = 0  # of those
    _stated: int = 0  # pages that there are, as the last page that said so
    _seen: set[int] = field(default_factory=set)  # a hash of the works of each page
    _idle: int = 0  # pages in a row without a new work
    _fewest: int | None = None  # entries of a page that is not the last ...
    _most: int = 0  # ... and of any

    def advance(self, page: VisitedPage) -> tuple[ListingEntry, ...]:
        """Go past a page; returns its works that no earlier page held."""
        listing, new = page.listing, []
        for item in listing.items:
            if item.source_id not in self.source_ids:
                self.source_ids.add(item.source_id)
                new.append(item)
        self._stated = listing.pages or self._stated
        self._idle = 0 if new else self._idle + 1
        self.next = listing.next if new or (listing.items and self._goes_on(page)) else None
        self.first, self.cookies, self.pages = self.first or listing, page.cookies, self.pages + 1
        self.entries, self.unread = self.entries + len(listing.items), self.unread + _unread(listing)
        self._seen.add(hash(tuple(page.source_ids)))
        self._most = max(self._most, len(listing.items))
        if self.pages < self._stated:
            self._fewest = min(self._fewest or self._most, len(listing.items))
        return tuple(new)

    def _goes_on(self, page: VisitedPage) -> bool:
        """Whether there may be new works after a page that has none: works that were added shift the others."""
        if self.pages + 1 < self._stated:
            return True
        if hash(tuple(page.source_ids)) not in self._seen:
            return self._idle < MAX_IDLE
        if self.pages == 1:
            text = "%s: page 2 of the listing repeats page 1, which is taken for its end: %s"
            logger.warning(text, self.site, page.request.url)
        return False

    def may_pass_over(self, unread: Listing) -> bool:
        """Whether a page of which no entry can be read is no more than the odd ones of a sound listing."""
        return self.entries >= SAMPLE > len(unread.items)

    def check(self, page: VisitedPage) -> None:
        """Raises where a page cannot follow those before it.

        Raises:
            EndedEarly: it has no works, repeats an earlier page or has few works, and there are more pages.
            MarkupChanged: it is of another list, or most entries cannot be read.
        """
        listing, url = page.listing, page.request.url
        _check_same_list(self.first or listing, listing, self.site, url)
        self._check_entries(listing, url)
        pages, entries = listing.pages or self._stated, len(listing.items)
        if self.pages >= pages:
            return
        where = f"{self.site}: listing: page {self.pages + 1} of {pages}"
        if not entries and self.pages:
            raise EndedEarly(f"{where} holds no work, after {len(self.source_ids)} works: {url}")
        if entries and hash(tuple(page.source_ids)) in self._seen:
            raise EndedEarly(f"{where} repeats an earlier one, after {len(self.source_ids)} works: {url}")
        most = max(self._most, entries)
        fewest = min(self._fewest or most, entries if self.pages + 1 < pages else most)
        if 2 * fewest < most:
            raise EndedEarly(f"{where}: one of the pages so far holds {fewest} works, another {most}: {url}")

    def check_end(self) -> None:
        """Raises EndedEarly where the listing ends before the last of the pages that there are."""
        if self.pages < self._stated:
            read = f"{self.pages} of {self._stated} pages, with {len(self.source_ids)} works"
            raise EndedEarly(f"{self.site}: listing: it ends after {read}")

    def _check_entries(self, listing: Listing, url: str) -> None:
        unread, entries = _unread(listing), len(listing.items)
        for odd, all_ in ((unread, entries), (self.unread + unread, self.entries + entries)):
            if unread and 2 * odd > all_ >= SAMPLE:
                expected, found = f"most of {all_} as they are known", all_ - odd
                raise MarkupChanged(site=self.site, selector="entries", expected=expected, found=found, url=url)


def _unread(listing: Listing) -> int:
    return sum(isinstance(item.artwork, UnreadEntry) for item in listing.items)


def _check_same_list(first: Listing, listing: Listing, source: str, url: str) -> None:
    """A lost cookie answers with another list and status 200: another heading, or another number of pages."""
    if listing.items and first.heading and listing.heading and listing.heading != first.heading:
        raise MarkupChanged(site=source, selector="h1", expected=f"{first.heading!r} again", found=0, url=url)
    if first.pages and listing.pages and abs(listing.pages - first.pages) > max(2, first.pages // 10):
        expected = f"about {first.pages} pages, as on the first page"
        raise MarkupChanged(site=source, selector="pager", expected=expected, found=listing.pages, url=url)
