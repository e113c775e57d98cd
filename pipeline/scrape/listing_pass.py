"""One pass over a listing: page after page, each written down before its works are looked at.

A pass that was interrupted goes on at its cursor, unless the listing has moved on meanwhile. A finished one is
remembered, so that the next can ask for each page on condition that it changed.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.errors import MarkupChanged, Refused, Unreachable
from pipeline.scrape.client import challenge
from pipeline.scrape.client.answers import Page
from pipeline.scrape.client.cookies import Cookies
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.cursor import VISITED_PAGE, Cursor, EndedEarly, VisitedPage
from pipeline.scrape.sites.gallery import Gallery, Listing, ListingEntry, Rejection, Request, UnreadListing
from pipeline.scrape.store import Journal

logger = logging.getLogger(__name__)

MAX_PAGES = 20_000
FRESH = 60.0  # seconds; a page that was read before need not be asked for again
MAX_AGE = 12 * 3600.0  # seconds; an interrupted pass that is older begins anew: the listing has moved on


class ListingPass:
    """The pages of one listing of a gallery. Iterate once, then `finish`. Use inside `opened`."""

    def __init__(self, gallery: Gallery, journal: Journal, previous: Journal | None) -> None:
        self.finished = False
        self.doubted = False  # the last pass says something else; the next one shall decide
        self._gallery, self._journal, self._previous = gallery, journal, previous
        self._offsets: dict[Request, int] = {}
        self._entries_before = 0  # of the last pass
        for offset, line in previous.rows() if previous else ():
            page = VISITED_PAGE.validate_python(line)
            self._offsets[page.request] = offset
            self._entries_before += len(page.listing.items)
        self._has_end: bool | None = None  # whether the pages of this run have their last tag
        self._usual = frozenset[str]()  # marks of pages of this run that hold works
        self._seen: dict[Request, tuple[float, VisitedPage]] = {}  # pages of this run from before it began anew

    async def pages(self, client: Fetcher) -> AsyncGenerator[tuple[ListingEntry, ...]]:
        """Of each page the works that no earlier page held.

        Raises:
            EndedEarly: pages, counts or pagers contradict one another; the next run begins at the first page.
        """
        place, last = self._beginning(), None
        for _, line in self._journal.rows():  # what an interrupted run has read
            last = VISITED_PAGE.validate_python(line)
            yield place.advance(last)
        earlier, first, done = set(place.source_ids), place.first, set[str]()
        cookies = Cookies(place.cookies)
        if last and place.next is None and await self._has_changed(client, last, place, cookies):
            place, cookies, first, done = self._anew(), Cookies(), None, earlier
        while place.next is not None:
            if place.pages >= MAX_PAGES:
                name = self._gallery.name
                logger.warning("%s: the listing goes on after %d pages: this pass ends", name, place.pages)
                return
            request = place.next
            page = self._fresh(request, cookies) or await self._visit(client, request, place, cookies)
            if first:
                self._seen[request] = time.monotonic(), page
            if first and _has_moved(first, earlier, page):
                place, cookies, first, done = self._anew(), Cookies(), None, place.source_ids
                continue
            self._check(place, page)
            self._journal.append(asdict(page))
            yield tuple(item for item in place.advance(page) if item.source_id not in done)
        self._check(place, None)

    def _beginning(self) -> Cursor:
        return Cursor(self._gallery.name, self._gallery.start())

    def _anew(self) -> Cursor:
        """The listing has moved on since an earlier run: all of it is read again."""
        self._journal.clear()
        return self._beginning()

    async def _has_changed(self, client: Fetcher, last: VisitedPage, place: Cursor, cookies: Cookies) -> bool:
        """Whether the last page of a listing is not what an earlier run read there."""
        page = await self._visit(client, last.request, place, cookies, last)
        self._seen[last.request] = time.monotonic(), page
        return (page.source_ids, page.listing.pages) != (last.source_ids, last.listing.pages)

    def _fresh(self, request: Request, cookies: Cookies) -> VisitedPage | None:
        """A page as this run saw it a moment ago."""
        at, page = self._seen.pop(request, (0.0, None))
        fresh = page is not None and time.monotonic() - at < FRESH
        return replace(page, cookies=cookies.dump()) if page and fresh else None

    def _check(self, place: Cursor, page: VisitedPage | None) -> None:
        try:
            place.check_end() if page is None else place.check(page)
            if page is None and 2 * place.entries < self._entries_before:
                self.doubted = True
                seen = f"it ends after {place.entries} entries, of {self._entries_before} in the last pass"
                raise EndedEarly(f"{self._gallery.name}: listing: {seen}; where that is right, run it again")
        except EndedEarly:
            self._journal.clear()
            raise

    async def _visit(
        self, client: Fetcher, request: Request, place: Cursor, cookies: Cookies, before: VisitedPage | None = None
    ) -> VisitedPage:
        """Read a page; `before` is what stood there, where that is known."""
        before = before or self._before(request)
        try:
            page = await client.page(request, cookies, before.validators if before else None)
        except Rejection as error:
            if error.reason == "not_found" and before and not before.listing.items:  # as an earlier run met it
                logger.warning("%s: the listing is taken to end here: %s", self._gallery.name, error)
                return before
            if error.reason == "not_found" and place.pages:  # its end, if the next run meets it too
                self._journal.append(asdict(VisitedPage(request, Listing((), None), cookies.dump(), {})))
            kind = Refused if error.reason in ("noai", "robots") else Unreachable
            raise kind(f"{self._gallery.name}: listing: {error}") from error
        if before and page.unchanged:
            return VisitedPage(request, before.listing, cookies.dump(), before.validators)
        listing = self._parse(page, request, place)
        conditional = dict(page.validators) if request.method == "GET" else {}
        return VisitedPage(request, listing, cookies.dump(), conditional)

    def _parse(self, page: Page, request: Request, place: Cursor) -> Listing:
        """What stands on a page; a challenge is told from it wherever there seem to be no works."""
        try:
            listing = self._gallery.parse_listing(page.text, page.url, request)
        except MarkupChanged as error:
            challenge.check_page(page.url, page.status, page.text, self._usual)
            if not isinstance(error, UnreadListing) or not place.may_pass_over(error.listing):
                raise
            listing = error.listing
        if not listing.items and listing.heading is None:
            challenge.check_page(page.url, page.status, page.text, self._usual)
        if listing.items:
            self._usual |= challenge.marks(page.text)
        self._check_whole(page)
        return listing

    def _check_whole(self, page: Page) -> None:
        """Raises where one of two pages lacks the last tag that the other has: it was cut."""
        text = page.text.lower()
        if "<html" not in text:
            return
        has_end = "</html" in text
        if self._has_end not in (None, has_end):
            self._journal.clear()
            raise EndedEarly(f"{self._gallery.name}: listing: a page without its end: {page.url} or one before it")
        self._has_end = has_end

    def _before(self, request: Request) -> VisitedPage | None:
        """The page as the last pass read it."""
        if self._previous is None or request not in self._offsets:
            return None
        return VISITED_PAGE.validate_python(self._previous.read(self._offsets[request]))

    def finish(self) -> None:
        """Every work is settled: the next pass begins at the first page."""
        self.finished = True


@contextmanager
def opened(folder: Path, gallery: Gallery) -> Iterator[ListingPass]:
    """The pass over a gallery's listing that is in progress, or a new one; its state is in `folder`."""
    key = hashlib.sha256(repr(gallery.start()).encode()).hexdigest()[:12]
    path, last = folder / f"pass-{key}.jsonl", folder / f"last-{key}.jsonl"
    if path.exists() and time.time() - path.stat().st_mtime > MAX_AGE:
        path.unlink()
    with ExitStack() as stack:
        previous = stack.enter_context(closing(Journal(last))) if last.exists() else None
        listing = ListingPass(gallery, stack.enter_context(closing(Journal(path))), previous)
        try:
            yield listing
        finally:
            if listing.doubted:
                last.unlink()
    if listing.finished:
        path.replace(last)


def _has_moved(first: Listing, earlier: set[str], page: VisitedPage) -> bool:
    """Whether works were added since an earlier run read its pages: one comes again, or there are more pages."""
    other_length = None not in (first.pages, page.listing.pages) and first.pages != page.listing.pages
    return other_length or not earlier.isdisjoint(page.source_ids)
