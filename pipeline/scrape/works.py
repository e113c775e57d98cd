"""From an entry of a listing to a settled row: open its page, fetch its image, write down how that ended."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence

from pipeline.errors import MarkupChanged, Unreachable
from pipeline.manifest import Row
from pipeline.scrape import sniff
from pipeline.scrape.fetch import Fetcher
from pipeline.scrape.gallery import REASONS, Artwork, Found, Gone, Rejected, Request
from pipeline.scrape.origins import Origin
from pipeline.scrape.store import Store

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # source, works settled, works listed

ASK_NEXT_TIME = frozenset({"server", "network", "markup"})  # a later run may fare better
DOWN_AFTER = 10  # works in a row without an answer: the site is down, not the works
MARKUP_SAMPLE = 10  # detail pages before their failures are called a change of markup


class Settler:
    """Settles the works of a listing, one after another: each ends as a row in the store."""

    def __init__(self, client: Fetcher, works: Store, origin: Origin, blocked_tags: Sequence[str]) -> None:
        self._client, self._works, self._origin, self._blocked_tags = client, works, origin, blocked_tags
        self._pages_read = 0
        self._changed: list[MarkupChanged] = []

    async def settle_all(self, found: Sequence[Found], on_progress: Progress | None) -> int:
        """Returns how many works this run settled; raises when the site, not a work, is what fails."""
        new = silent = 0
        for done, item in enumerate(found, 1):
            if self._wanted(item):
                row = await self._settle(item)
                new += 1
                silent = silent + 1 if row["reason"] in ("server", "network") else 0
                if silent >= DOWN_AFTER:
                    raise Unreachable(f"{self._origin.gallery.name}: {silent} works in a row got no answer")
                if len(self._changed) == self._pages_read >= MARKUP_SAMPLE:
                    raise self._changed[0]
            if on_progress:
                on_progress(self._origin.gallery.name, done, len(found))
        self._judge_markup([self._works.works[item.source_id] for item in found])
        return new

    def _judge_markup(self, rows: Sequence[Row]) -> None:
        opened = sum(row["image_url"] is not None or row["reason"] in ("markup", "gone") for row in rows)
        if 2 * len(self._changed) > opened >= MARKUP_SAMPLE:
            raise self._changed[0]

    def _wanted(self, item: Found) -> bool:
        row = self._works.settled(item.source_id)
        if row is None or row["reason"] in ASK_NEXT_TIME:
            return True
        return row["reason"] == "blocklist" and not blocked(row["tags"], self._blocked_tags)

    async def _settle(self, item: Found) -> Row:
        """The only place where the failure of one work becomes a row."""
        artwork = item.artwork
        try:
            artwork = artwork or await self._open(item)
            if blocked(artwork.tags, self._blocked_tags):
                raise Rejected("blocklist", f"tags {', '.join(artwork.tags or ())}")
            data, facts = await self._client.image(artwork.image_url, sniff.identify)
        except Rejected as error:
            logger.info("%s: %s", item.page_url, error)
            row = self._row(item, artwork, status=REASONS[error.reason], reason=error.reason)
            self._works.record(row)
        except MarkupChanged as error:
            logger.info("%s", error)
            self._changed.append(error)
            row = self._row(item, artwork, status=REASONS["markup"], reason="markup")
            self._works.record(row)
        else:
            row = self._row(item, artwork, status="kept", reason=None, data=data, facts=facts)
            self._works.keep(row, data)
        return row

    async def _open(self, item: Found) -> Artwork:
        page = await self._client.page(Request(item.page_url))
        self._pages_read += 1
        artwork = self._origin.gallery.parse_artwork(page.text, page.url)
        if isinstance(artwork, Gone):
            raise Rejected("gone", f"{page.url} says so")
        return artwork

    def _row(
        self,
        item: Found,
        artwork: Artwork | None,
        *,
        status: str,
        reason: str | None,
        data: bytes | None = None,
        facts: sniff.Facts | None = None,
    ) -> Row:
        gallery = self._origin.gallery
        told = artwork or Artwork("", title=item.title)
        return {
            "id": f"{gallery.name}-{hashlib.sha256(item.source_id.encode()).hexdigest()[:16]}",
            "source": gallery.name,
            "source_id": item.source_id,
            "origin": self._origin.name,
            "page_url": item.page_url,
            "image_url": told.image_url or None,
            "title": told.title,
            "artist": told.artist,
            "posted": told.posted,
            "tags": None if told.tags is None else list(told.tags),
            "licence": told.licence,
            "ai_generated": gallery.ai_generated,
            "consent": self._origin.consent,
            "fetched_at": self._origin.clock().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "sha256": hashlib.sha256(data).hexdigest() if data is not None else None,
            "bytes": len(data) if data is not None else None,
            "format": facts.format if facts else None,
            "width": facts.width if facts else None,
            "height": facts.height if facts else None,
            "frames": facts.frames if facts else None,
            "has_alpha": facts.has_alpha if facts else None,
            "status": status,
            "reason": reason,
        }


def blocked(tags: Iterable[str] | None, blocked_tags: Iterable[str]) -> bool:
    """One of the tags is blocked, whatever its case and its leading #."""
    return not {tag.strip().lstrip("#").casefold() for tag in tags or ()}.isdisjoint(map(str.casefold, blocked_tags))
