"""When a work that failed is asked for again: by every later run, after more days each time.

Final are only the decisions of the site, of the artist and of the user. The row of any other failure has beside the
fields of the manifest `tries`, the runs that tried it, and `tried_at`, the time of the last one; `again` where that run
met a site that failed or refused as a whole, so that nothing of it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pipeline.errors import BadParams
from pipeline.runtime.manifest import Row
from pipeline.scrape.sites.gallery import DECISIONS, REASONS

DAYS = (1, 2, 4, 8, 16, 32)  # from the first, second, ... try to the next
PROMPT = frozenset({"server", "network", "markup"})  # the first time asked for again by the very next run
STUBBORN = 3  # tries after which a work is broken for itself, and says nothing of the site
ALL = "all"


def reasons(words: Iterable[str]) -> frozenset[str]:
    """The reasons that a person wants asked for again at once: `all` are those that are no decision.

    Raises:
        BadParams: a word that is no reason, or one that only the parameters can lift.
    """
    chosen = {word for words_ in words for word in words_.replace(",", " ").split()}
    known = frozenset(REASONS) - {"blocklist", "limit"}
    if unknown := sorted(chosen - known - {ALL}):
        raise BadParams(f"--retry: expected {ALL} or some of {' '.join(sorted(known))}, got {' '.join(unknown)}")
    return frozenset(chosen & known) | (frozenset(REASONS) - DECISIONS if ALL in chosen else frozenset())


def after_try(row: Row, before: Row | None, now: datetime, *, passing: bool = False) -> dict[str, Any]:
    """What the row of a work that failed says of its tries; `before` is its row from an earlier run."""
    if row["reason"] in DECISIONS:
        return {"again": True} if passing else {}
    failed = before is not None and before["status"] != "kept" and before["reason"] not in DECISIONS
    tries = 1 + (before.get("tries", 1) if before and failed else 0)
    return {"tries": tries, "tried_at": now.isoformat(timespec="seconds")} | ({"again": True} if passing else {})


def taken_back(row: Row) -> Row:
    """The row as the next run shall find it, after a run of which nothing counts."""
    return {**row, "again": True} | ({"tries": min(row["tries"], STUBBORN)} if "tries" in row else {})


def is_due(row: Row, now: datetime) -> bool:
    """Whether the time has come to ask for a work again that failed."""
    if row.get("again"):
        return True
    if row["reason"] in DECISIONS:
        return False
    tried_at = row.get("tried_at") or row.get("fetched_at")
    if not tried_at:
        return True
    age = now - datetime.fromisoformat(tried_at)
    return not timedelta(0) <= age < timedelta(days=_days(row["reason"], row.get("tries", 1)))


def _days(reason: str, tries: int) -> int:
    place = tries - 1 - (reason in PROMPT)
    return 0 if place < 0 else DAYS[min(place, len(DAYS) - 1)]
