"""What the user does not want: blocked works, artists and tags, opted-out works, other dates, other animation.

A policy decides on rows, so that works gathered under another policy are decided on again under today's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import BadInput
from pipeline.runtime.manifest import Row
from pipeline.scrape import dates
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import REASONS, printable
from pipeline.takedown.blocklist import Blocklist

logger = logging.getLogger(__name__)

UNDATED = frozenset({"pixiehaus"})  # sources that tell no dates
ENOUGH_DATES = 10  # works of which no date can be read: none will be
POLICY_REASONS = frozenset({"blocklist", "noai", "limit"})  # reasons that another policy may lift
DETAILS = ("image_url", "title", "artist", "posted", "tags", "licence", "medium", "category", "palette")


@dataclass(frozen=True)
class Policy:
    """What is wanted of one source."""

    blocklist: Blocklist
    blocked_tags: frozenset[str]  # casefolded
    since: str | None  # ISO date
    until: str | None  # ISO date
    animation: str  # any, still, animated
    ignore_opt_outs: bool
    tags: frozenset[str] = frozenset()  # casefolded; a work must have all, whatever the site's own filter let through

    def verdict(self, row: Row) -> str | None:
        """The reason to drop a work, by what its row holds so far; None = no reason."""
        tags, frames = row["tags"], row["frames"]
        names = set(map(_normalise, tags or ()))
        if self.taken_down(row) or self.blocked_tags & names:
            return "blocklist"
        if row.get("opt_out") and not self.ignore_opt_outs:
            return "noai"
        lacks_tag = tags is not None and not self.tags <= names
        other_kind = frames is not None and self.animation not in ("any", "animated" if frames > 1 else "still")
        return "limit" if lacks_tag or other_kind or self.too_old(row) or self._too_new(row) else None

    def apply(self, row: Row) -> Row:
        """A stored row under this policy; of a work that was taken down only its identity is left."""
        reason = self.verdict(row) if row["status"] == "kept" else None
        if reason:
            row = {**row, "status": REASONS[reason], "reason": reason}
        return {**row, **dict.fromkeys(DETAILS)} if self.taken_down(row) else row

    def too_old(self, row: Row) -> bool:
        """Whether it was posted before `since`; a work without a date that can be read was not."""
        posted = posted_on(row) if self.since else None
        return posted is not None and self.since is not None and posted < self.since

    def _too_new(self, row: Row) -> bool:
        posted = posted_on(row) if self.until else None
        return posted is not None and self.until is not None and posted > self.until

    def taken_down(self, row: Row) -> bool:
        """Whether its id or its artist is on the user's blocklist."""
        slug, separator, _ = row["source_id"].partition("/")  # lospec: of the artist
        owners = (slug, slug.replace("-", " ")) if separator else ()
        return self.blocklist.covers(id=row["id"], source=row["source"], artists=(row["artist"], *owners))


def of(source: str, params: Scrape, blocklist: Blocklist) -> Policy:
    """The policy that the parameters and the blocklist make for a source."""
    blocked = frozenset(map(_normalise, params.blocked_tags))
    tags = frozenset(map(_normalise, params.lospec.tags)) if source == "lospec" else frozenset()
    since, until = (None, None) if source in UNDATED else (params.since, params.until)
    if (since, until) != (params.since, params.until):
        logger.warning("%s tells no dates: since and until do not apply", source)
    return Policy(blocklist, blocked, since, until, params.animation, source in params.ignore_opt_outs, tags)


def _normalise(tag: str) -> str:
    """A tag as tags are compared: whatever its case and its leading #."""
    return tag.strip().lstrip("#").casefold()


def posted_on(row: Row) -> str | None:
    """The ISO date of a row's `posted`, seen from when it was fetched; None where it cannot be read."""
    fetched = datetime.fromisoformat(row["fetched_at"]) if row["fetched_at"] else datetime.now(UTC)
    day = dates.read(row["posted"], fetched)
    return day.isoformat() if day else None


class DateCheck:
    """Whether a limit by date means anything: the dates of works are counted, and how many of them can be read."""

    def __init__(self, policy: Policy) -> None:
        self._limits = {name: day for name in ("since", "until") if (day := getattr(policy, name))}
        self._seen, self._read, self._example = 0, 0, ""

    def note(self, row: Row) -> None:
        """Count a row; raises BadInput once there are enough of which not one can be read."""
        if not self._limits or row["image_url"] is None:  # its page was not opened
            return
        self._seen += 1
        if posted_on(row) is not None:
            self._read += 1
        elif not self._example:
            self._example = f"{row['posted']!r} at {row['page_url']}" if row["posted"] else f"none at {row['page_url']}"
        if self._seen >= ENOUGH_DATES:
            self._check_any()

    def finish(self) -> None:
        """All works are counted: raises BadInput when no date could be read, and tells of those that could not."""
        self._check_any()
        if unread := self._seen - self._read:
            logger.warning(
                "%s: the dates of %d of %d works cannot be read (%s): these works are taken whatever their date",
                self._words, unread, self._seen, printable(self._example),
            )  # fmt: skip

    @property
    def _words(self) -> str:
        return ", ".join(f"{name} {day}" for name, day in self._limits.items())

    def _check_any(self) -> None:
        if self._seen and not self._read:
            raise BadInput(
                f"{self._words}: not one date of {self._seen} works can be read: {printable(self._example)}; "
                "expected a day as 2024-05-31, 31 May 2024, May 31st, 2024 or 3 days ago"
            )
