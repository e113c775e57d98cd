"""From an entry of a listing to a settled row: open its page, fetch its image, write down how that ended."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from pipeline.errors import Interrupted, MarkupChanged, Refused, Unreachable
from pipeline.runtime.manifest import Row
from pipeline.scrape import dates, sniff
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.origins import Origin
from pipeline.scrape.policy import POLICY_REASONS, Policy
from pipeline.scrape.sites.gallery import REASONS, ListingEntry, Rejection, RemovalNotice, Request, printable
from pipeline.scrape.store import Store

logger = logging.getLogger(__name__)

FIELDS = (
    "id", "source", "source_id", "origin", "page_url", "image_url", "title", "artist", "posted", "tags", "licence",
    "medium", "category", "palette", "ai_generated", "consent", "fetched_at", "sha256", "bytes", "format", "width",
    "height", "frames", "has_alpha", "status", "reason",
)  # fmt: skip
TRANSIENT_REASONS = frozenset({"server", "network", "markup"})  # a later run may fare better
DOWN_AFTER = 10  # works in a row without an answer: the site is down, not the works
MARKUP_SAMPLE = 10  # detail pages before their failures are called a change of markup


def row_id(source: str, source_id: str) -> str:
    """The id of a work in manifests, from the site's own identity of it."""
    return f"{source}-{hashlib.sha256(source_id.encode()).hexdigest()[:16]}"


class WorkFetcher:
    """Settles works, one after another: each ends as a row in the store."""

    def __init__(self, client: Fetcher, store: Store, origin: Origin, policy: Policy) -> None:
        self._client, self._store, self._origin, self._policy = client, store, origin, policy
        self.new = 0  # works settled by this run
        self._unanswered = 0  # of them, the last ones that got no answer
        self._opened, self._refused, self._settled = 0, 0, 0  # works so far: with a page that was read, refused, all
        self._changed: list[MarkupChanged] = []

    async def settle(self, item: ListingEntry) -> Row:
        """The row of a work; raises when the site, not the work, is what fails."""
        row = self._store.settled(item.source_id)
        if row is None or self._may_end_otherwise(row):
            row = await self._fetch(item, row)
            self.new += 1
            self._unanswered = self._unanswered + 1 if row["reason"] in ("server", "network") else 0
            if self._unanswered >= DOWN_AFTER:
                raise Unreachable(f"{self._origin.gallery.name}: {self._unanswered} works in a row got no answer")
        self._settled += 1
        self._opened += row["image_url"] is not None or row["reason"] in ("markup", "gone")
        self._refused += row["reason"] in ("noai", "robots")
        if len(self._changed) == self._opened >= MARKUP_SAMPLE:
            raise self._changed[0]
        return row

    def check_all(self) -> None:
        """All works are settled: raises when most pages lacked what the parser needs, or when all were refused."""
        if 2 * len(self._changed) > self._opened >= MARKUP_SAMPLE:
            raise self._changed[0]
        if self._refused == self._settled > 0:
            name = self._origin.gallery.name
            raise Refused(f"{name}: robots.txt or a training opt-out covers every one of {self._settled} works")

    def _may_end_otherwise(self, row: Row) -> bool:
        """Whether a settled work is worth another request."""
        if row["reason"] == "noai":
            return self._policy.ignore_opt_outs
        return row["reason"] in TRANSIENT_REASONS or (
            row["reason"] in POLICY_REASONS and self._policy.verdict(row) is None
        )

    async def _fetch(self, item: ListingEntry, before: Row | None) -> Row:
        """The only place where the failure of one work becomes a row."""
        row = self._new_row(item)
        try:
            with self._contained(item, row):
                await self._open(item, row)
                image = await self._client.image(row["image_url"], sniff.identify)
        except (Rejection, MarkupChanged) as error:
            logger.info("%s: %s", item.page_url, error)
            if isinstance(error, MarkupChanged):
                self._changed.append(error)
            reason, detail = (
                ("markup", str(error)) if isinstance(error, MarkupChanged) else (error.reason, error.detail)
            )
            row |= {"status": REASONS[reason], "reason": reason, "detail": detail}
            if reason in ("noai", "robots"):
                row["consent"] = f"refused: {detail}"
            row = self._policy.apply(row)
            self._store.record(row)
        else:
            row |= {"sha256": hashlib.sha256(image.data).hexdigest(), "bytes": len(image.data), **asdict(image.facts)}
            self._note_opt_out(row, image.opt_out)
            if before and before["sha256"] == row["sha256"]:
                row["fetched_at"] = before["fetched_at"]
            self._store.keep(row, image.data)
        return row

    @contextmanager
    def _contained(self, item: ListingEntry, row: Row) -> Iterator[None]:
        """Any error that nobody thought of is this work's: of its page as long as its image is not known."""
        try:
            yield
        except (Rejection, MarkupChanged, Refused, Unreachable, Interrupted):
            raise
        except Exception as error:
            logger.debug("%s", item.page_url, exc_info=True)
            problem = printable(f"{type(error).__name__}: {error}")
            if row["image_url"] is not None:
                raise Rejection("truncated", f"{row['image_url']} cannot be read: {problem}") from error
            site, url = self._origin.gallery.name, item.page_url
            raise MarkupChanged(
                site=site, selector="html", expected=f"a page that does not raise {problem}", found=0, url=url
            ) from error

    async def _open(self, item: ListingEntry, row: Row) -> None:
        """Put what the work's page tells into its row, unless the policy drops the work before."""
        self._check_policy(row)
        artwork = item.artwork
        if artwork is None:
            page = await self._client.page(Request(item.page_url))
            self._note_opt_out(row, page.opt_out)
            parsed = self._origin.gallery.parse_artwork(page.text, page.url)
            if isinstance(parsed, RemovalNotice):
                raise Rejection("gone", f"{page.url} says so")
            artwork = parsed
        details = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(artwork).items()}
        row |= {name: value for name, value in details.items() if value is not None}
        row["image_url"] = artwork.image_url or None
        row["posted"] = dates.anchored(row["posted"], self._origin.clock())
        self._check_policy(row)

    def _check_policy(self, row: Row) -> None:
        reason = self._policy.verdict(row)
        if reason:
            raise Rejection(reason, "as the user wishes")

    def _note_opt_out(self, row: Row, opt_out: str | None) -> None:
        if opt_out:
            row |= {"opt_out": opt_out, "consent": f"{self._origin.consent}; overridden: {opt_out}"}

    def _new_row(self, item: ListingEntry) -> Row:
        gallery = self._origin.gallery
        return {
            **dict.fromkeys(FIELDS),
            "id": row_id(gallery.name, item.source_id),
            "source": gallery.name,
            "source_id": item.source_id,
            "origin": self._origin.name,
            "page_url": item.page_url,
            "title": item.title,
            "artist": item.artist,
            "ai_generated": gallery.ai_generated,
            "consent": self._origin.consent,
            "fetched_at": self._origin.clock().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "status": "kept",
        }
