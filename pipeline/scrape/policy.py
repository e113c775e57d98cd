"""What the user does not want: blocked works, artists and tags, opted-out works, other dates, other animation.

Judged on a row, so that what was gathered under other wishes is judged again by today's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipeline.runtime.manifest import Row
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import REASONS
from pipeline.takedown.blocklist import Blocklist

DATES = ("%Y-%m-%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y")  # no format that could be read in two ways
JUDGED = frozenset({"blocklist", "noai", "limit"})  # reasons that today's wishes may lift
TOLD = ("image_url", "title", "artist", "posted", "tags", "licence", "medium", "category", "palette")


@dataclass(frozen=True)
class Policy:
    """Today's wishes for one source."""

    blocklist: Blocklist
    blocked_tags: frozenset[str]  # casefolded
    since: str | None  # ISO date
    animation: str  # any, still, animated
    ignore_opt_outs: bool
    tags: frozenset[str] = frozenset()  # casefolded; a work has them all, whatever the site's own filter let through

    def verdict(self, row: Row) -> str | None:
        """The reason to drop a work of which the row tells what is known so far; None = no reason."""
        if self.taken_down(row) or self._blocked(row["tags"] or ()):
            return "blocklist"
        if row.get("opt_out") and not self.ignore_opt_outs:
            return "noai"
        if self.too_old(row) or self._other_kind(row["frames"]) or self._untagged(row["tags"]):
            return "limit"
        return None

    def today(self, row: Row) -> Row:
        """A stored row under today's wishes; of a work that was taken down only its identity is told."""
        reason = self.verdict(row) if row["status"] == "kept" else None
        if reason:
            row = {**row, "status": REASONS[reason], "reason": reason}
        return {**row, **dict.fromkeys(TOLD)} if self.taken_down(row) else row

    def too_old(self, row: Row) -> bool:
        """Posted before the wished date; a work without a date that can be read is not."""
        if self.since is None:
            return False
        posted = date(row["posted"])
        return posted is not None and posted < self.since

    def taken_down(self, row: Row) -> bool:
        """Its id or its artist is on the user's blocklist."""
        slug, separator, _ = row["source_id"].partition("/")  # lospec: of the artist
        owners = (slug, slug.replace("-", " ")) if separator else ()
        return self.blocklist.covers(id=row["id"], source=row["source"], artists=(row["artist"], *owners))

    def _blocked(self, tags: Iterable[str]) -> bool:
        return not self.blocked_tags.isdisjoint(map(_plain, tags))

    def _untagged(self, tags: Iterable[str] | None) -> bool:
        return tags is not None and not self.tags <= set(map(_plain, tags))

    def _other_kind(self, frames: int | None) -> bool:
        return frames is not None and self.animation != "any" and (frames > 1) != (self.animation == "animated")


def of(source: str, params: Scrape, blocklist: Blocklist) -> Policy:
    """The wishes that the parameters and the blocklist hold for a source."""
    blocked = frozenset(map(_plain, params.blocked_tags))
    wanted = frozenset(map(_plain, params.lospec.tags)) if source == "lospec" else frozenset()
    return Policy(blocklist, blocked, params.since, params.animation, source in params.ignore_opt_outs, wanted)


def _plain(tag: str) -> str:
    """A tag as it is compared: whatever its case and its leading #."""
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
