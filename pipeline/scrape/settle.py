"""From an entry of a listing to a settled row: open its page, fetch its image, write down how that ended."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from pipeline.errors import Interrupted, MarkupChanged, Refused, Unreachable
from pipeline.runtime.manifest import Row
from pipeline.scrape import again, dates, sniff
from pipeline.scrape.client import challenge
from pipeline.scrape.client.challenge import Blocked
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.guards import Guards
from pipeline.scrape.origins import Origin
from pipeline.scrape.policy import POLICY_REASONS, Policy
from pipeline.scrape.sites.gallery import (
    DECISIONS,
    REASONS,
    ListingEntry,
    Rejection,
    RemovalNotice,
    Request,
    UnreadEntry,
    printable,
)
from pipeline.scrape.store import Store

logger = logging.getLogger(__name__)

FIELDS = (
    "id", "source", "source_id", "origin", "page_url", "image_url", "title", "artist", "posted", "tags", "licence",
    "medium", "category", "palette", "ai_generated", "consent", "fetched_at", "sha256", "bytes", "format", "width",
    "height", "frames", "has_alpha", "status", "reason",
)  # fmt: skip
FACTS = ("sha256", "bytes", "format", "width", "height", "frames", "has_alpha")  # of a picture
MOST_OF_ONE_PICTURE = 10  # works; a picture that more have is a placeholder


def row_id(source: str, source_id: str) -> str:
    """The id of a work in manifests, from the site's own identity of it."""
    return f"{source}-{hashlib.sha256(source_id.encode()).hexdigest()[:16]}"


class WorkFetcher:
    """Settles works, one after another: each ends as a row in the store.

    Args:
        retry: reasons of rows that are asked for again whatever the time.
    """

    def __init__(
        self, client: Fetcher, store: Store, origin: Origin, policy: Policy, retry: frozenset[str] = frozenset()
    ) -> None:
        self._client, self._store, self._origin, self._policy, self._retry = client, store, origin, policy, retry
        self.new = 0  # works settled by this run
        self._guards = Guards(origin.gallery.name)
        self._failed: list[str] = []  # source ids of the works that this run asked for in vain
        self._pictures = Counter[int]()  # beginning of a picture's hash -> kept works that have it

    async def settle(self, item: ListingEntry) -> Row:
        """The row of a work; raises when the site, not the work, is what fails."""
        row, changed = self._store.settled(item.source_id), None
        if asked := row is None or self._may_end_otherwise(row):
            row, changed = await self._fetch(item, row)
            self.new += 1
            if row["status"] != "kept":
                self._failed.append(item.source_id)
        assert row is not None
        if row["status"] == "kept":
            self._pictures[int(row["sha256"][:16], 16)] += 1
        self._guards.note(row, asked=asked, changed=changed)
        return row

    def check_all(self) -> None:
        """All works are settled: raises when the site is what failed."""
        self._guards.check_all()

    def take_back(self, *, decisions: bool) -> None:
        """Nothing of this run counts: the next asks again for what failed, on `decisions` for what was refused too."""
        for source_id in self._failed:
            row = self._store.row(source_id)
            may = row and row["reason"] not in POLICY_REASONS - {"noai"}
            if row and may and (decisions or row["reason"] not in DECISIONS):
                self._store.record(again.taken_back(row))

    def drop_placeholders(self, source_ids: Iterable[str]) -> None:
        """Works that have one and the same picture have none: their rows say so, and they are asked for again later."""
        common = {start for start, count in self._pictures.items() if count > MOST_OF_ONE_PICTURE}
        if not common:
            return
        works, address = Counter[str](), dict[str, str]()
        for source_id in source_ids:
            row = self._store.row(source_id)
            if row and row["status"] == "kept" and int(row["sha256"][:16], 16) in common:
                works[row["sha256"]] += 1
                address.setdefault(row["sha256"], row["image_url"])
                detail = {"reason": "not_an_image", "detail": "a placeholder, which many works have"}
                self._record_failure(row | dict.fromkeys(FACTS) | detail, row, placeholder=row["sha256"])
        for picture, count in works.items():
            name = self._origin.gallery.name
            text = "%s: %d works have one and the same picture, which is taken for a placeholder: %s"
            logger.warning(text, name, count, address[picture])

    def _may_end_otherwise(self, row: Row) -> bool:
        """Whether a settled work is worth another request."""
        if row["status"] == "kept":
            return False
        if row["reason"] in self._retry or again.is_due(row, self._origin.clock()):
            return True
        if row["reason"] == "noai":
            return self._policy.ignore_opt_outs
        return row["reason"] in POLICY_REASONS and self._policy.verdict(row) is None

    async def _fetch(self, item: ListingEntry, before: Row | None) -> tuple[Row, MarkupChanged | None]:
        """The only place where the failure of one work becomes a row."""
        row = self._new_row(item)
        try:
            with self._contained(item, row):
                await self._open(item, row)
                image = await self._client.image(row["image_url"], sniff.identify)
        except Blocked as error:
            if not error.of_one:
                raise
            was_forbidden = before is not None and before["reason"] == "forbidden"
            row |= {"reason": "forbidden", "detail": str(error)}
            row = self._record_failure(row, before, passing=not was_forbidden)
            alone = was_forbidden or (row["image_url"] is None and self._pictures)
            if not alone:  # the next run knows whether it is this work alone
                raise
            return row, None
        except MarkupChanged as error:
            logger.info("%s: %s", item.page_url, error)
            return self._record_failure(row | {"reason": "markup", "detail": str(error)}, before), error
        except Rejection as error:
            logger.info("%s: %s", item.page_url, error)
            row |= {"reason": error.reason, "detail": error.detail}
            if error.reason in ("noai", "robots"):
                row["consent"] = f"refused: {error.detail}"
            return self._record_failure(row, before, passing=error.passing), None
        sha256 = hashlib.sha256(image.data).hexdigest()
        if sha256 in self._store.placeholders:
            row |= {"reason": "not_an_image", "detail": "a placeholder, which many works have"}
            return self._record_failure(row, before, placeholder=sha256), None
        row |= {"sha256": sha256, "bytes": len(image.data), **asdict(image.facts)}
        self._note_opt_out(row, image.opt_out)
        if before and before["sha256"] == sha256:
            row["fetched_at"] = before["fetched_at"]
        self._store.keep(row, image.data)
        return row, None

    def _record_failure(self, row: Row, before: Row | None, *, passing: bool = False, **more: str) -> Row:
        """Write the row of a work that has no picture for a `reason`; its time stays while the reason does."""
        row |= {"status": REASONS[row["reason"]], **more}
        row |= again.after_try(row, before, self._origin.clock(), passing=passing)
        if before and before["reason"] == row["reason"]:
            row["fetched_at"] = before["fetched_at"]
        row = self._policy.apply(row)
        self._store.record(row)
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
        if isinstance(artwork, UnreadEntry):
            raise Rejection("markup", artwork.problem)
        if artwork is None:
            page = await self._client.page(Request(item.page_url))
            self._note_opt_out(row, page.opt_out)
            try:
                parsed = self._origin.gallery.parse_artwork(page.text, page.url)
            except MarkupChanged:
                challenge.check_page(page.url, page.status, page.text)
                raise
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
