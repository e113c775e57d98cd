"""One pass over a listing: page after page, each written down before its works are looked at.

A pass that was interrupted goes on at its cursor. A finished one is remembered, so that the next can ask for each page
on condition that it changed.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.errors import MarkupChanged, Refused, Unreachable
from pipeline.scrape.client.cookies import Cookies
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.sites.gallery import Gallery, Listing, ListingEntry, Rejection, Request
from pipeline.scrape.store import Journal

logger = logging.getLogger(__name__)

MAX_PAGES = 20_000
MAX_AGE = 7 * 24 * 3600.0  # seconds; an interrupted pass that is older begins anew: the listing has moved on


@dataclass(frozen=True)
class VisitedPage:
    """A listing page as it was read."""

    request: Request
    listing: Listing
    cookies: list[list[str]]  # the jar after it
    validators: dict[str, str]  # headers of a conditional request for it


VISITED_PAGE = TypeAdapter(VisitedPage)  # reads a line of a pass, which is a page as `asdict` has it


@dataclass
class Cursor:
    """Where a pass stands: what it has read, and the page that it reads next."""

    next: Request | None  # None: the listing has ended
    first: Listing | None = None  # its first page, which tells one list from another
    cookies: list[list[str]] = field(default_factory=list)  # the jar after the last page
    pages: int = 0  # pages read
    source_ids: set[str] = field(default_factory=set)  # of all works on them

    def advance(self, page: VisitedPage) -> tuple[ListingEntry, ...]:
        """Go past a page; returns its works that no earlier page held. A page without any is the last one."""
        new = []
        for item in page.listing.items:
            if item.source_id not in self.source_ids:
                self.source_ids.add(item.source_id)
                new.append(item)
        self.first, self.cookies, self.pages = self.first or page.listing, page.cookies, self.pages + 1
        self.next = page.listing.next if new else None
        return tuple(new)


class ListingPass:
    """The pages of one listing of a gallery. Iterate once, then `finish`. Use inside `opened`."""

    def __init__(self, gallery: Gallery, journal: Journal, previous: Journal | None) -> None:
        self.finished = False
        self._gallery, self._journal, self._previous = gallery, journal, previous
        lines = previous.rows() if previous else ()
        self._offsets = {VISITED_PAGE.validate_python(line).request: offset for offset, line in lines}

    async def pages(self, client: Fetcher) -> AsyncGenerator[tuple[ListingEntry, ...]]:
        """Of each page the works that no earlier page held.

        Ends at the pager's last page, at no entries, or at no id that is new in this pass.
        """
        cursor = Cursor(self._gallery.start())
        for _, line in self._journal.rows():  # what an interrupted run has read
            yield cursor.advance(VISITED_PAGE.validate_python(line))
        cookies = Cookies(cursor.cookies)
        while cursor.next is not None:
            if cursor.pages >= MAX_PAGES:
                name = self._gallery.name
                logger.warning("%s: the listing goes on after %d pages: this pass ends", name, cursor.pages)
                return
            page = await self._visit(client, cursor.next, cookies)
            _check_same_list(cursor.first or page.listing, page.listing, self._gallery.name, page.request.url)
            self._journal.append(asdict(page))
            yield cursor.advance(page)

    async def _visit(self, client: Fetcher, request: Request, cookies: Cookies) -> VisitedPage:
        before = self._before(request)
        try:
            page = await client.page(request, cookies, before.validators if before else None)
        except Rejection as error:
            kind = Refused if error.reason in ("noai", "robots") else Unreachable
            raise kind(f"{self._gallery.name}: listing: {error}") from error
        if before and page.unchanged:
            return VisitedPage(request, before.listing, cookies.dump(), before.validators)
        listing = self._gallery.parse_listing(page.text, page.url, request)
        conditional = dict(page.validators) if request.method == "GET" else {}
        return VisitedPage(request, listing, cookies.dump(), conditional)

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
        yield listing
    if listing.finished:
        path.replace(last)


def _check_same_list(first: Listing, listing: Listing, source: str, url: str) -> None:
    """A lost cookie answers with another list and status 200: another heading, or another number of pages."""
    if listing.items and first.heading and listing.heading and listing.heading != first.heading:
        raise MarkupChanged(site=source, selector="h1", expected=f"{first.heading!r} again", found=0, url=url)
    if first.pages and listing.pages and abs(listing.pages - first.pages) > max(2, first.pages // 10):
        expected = f"about {first.pages} pages, as on the first page"
        raise MarkupChanged(site=source, selector="pager", expected=expected, found=listing.pages, url=url)
