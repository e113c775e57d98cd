"""What the user does not want: blocked works, artists and tags, opted-out works, other dates, other animation.

A policy decides on rows, so that works gathered under another policy are decided on again under today's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.runtime.manifest import Row
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import REASONS
from pipeline.takedown.blocklist import Blocklist

DATES = ("%Y-%m-%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y")  # no format that could be read in two ways
POLICY_REASONS = frozenset({"blocklist", "noai", "limit"})  # reasons that another policy may lift
DETAILS = ("image_url", "title", "artist", "posted", "tags", "licence", "medium", "category", "palette")


@dataclass(frozen=True)
class Policy:
    """What is wanted of one source."""

    blocklist: Blocklist
    blocked_tags: frozenset[str]  # casefolded
    since: str | None  # ISO date
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
        return "limit" if lacks_tag or other_kind or self.too_old(row) else None

    def apply(self, row: Row) -> Row:
        """A stored row under this policy; of a work that was taken down only its identity is left."""
        reason = self.verdict(row) if row["status"] == "kept" else None
        if reason:
            row = {**row, "status": REASONS[reason], "reason": reason}
        return {**row, **dict.fromkeys(DETAILS)} if self.taken_down(row) else row

    def too_old(self, row: Row) -> bool:
        """Whether it was posted before `since`; a work without a date that can be read was not."""
        if self.since is None:
            return False
        posted = date(row["posted"])
        return posted is not None and posted < self.since

    def taken_down(self, row: Row) -> bool:
        """Whether its id or its artist is on the user's blocklist."""
        slug, separator, _ = row["source_id"].partition("/")  # lospec: of the artist
        owners = (slug, slug.replace("-", " ")) if separator else ()
        return self.blocklist.covers(id=row["id"], source=row["source"], artists=(row["artist"], *owners))


def of(source: str, params: Scrape, blocklist: Blocklist) -> Policy:
    """The policy that the parameters and the blocklist make for a source."""
    blocked = frozenset(map(_normalise, params.blocked_tags))
    tags = frozenset(map(_normalise, params.lospec.tags)) if source == "lospec" else frozenset()
    return Policy(blocklist, blocked, params.since, params.animation, source in params.ignore_opt_outs, tags)


def _normalise(tag: str) -> str:
    """A tag as tags are compared: whatever its case and its leading #."""
    return tag.strip().lstrip("#").casefold()


def date(text: str | None) -> str | None:
    """The ISO date in a site's text; None where there is none that can be read in one way only."""
    if not text:
        return None
    for form in DATES:
        try:
            return datetime.strptime(text[:10] if form == "%Y-%m-%d" else text.strip(), form).date().isoformat()
        except ValueError:
            continue
    return None
