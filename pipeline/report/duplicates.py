"""What deduplication decided, for a person to check: the decisions closest to the line, and families of alternates."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.report import funnel
from pipeline.report.thumbnails import Thumbnail, thumbnail
from pipeline.runtime.manifest import Row

PAIRS_SHOWN = 8  # of a kind
FAMILIES_SHOWN = 6
MEMBERS_SHOWN = 10  # of a family
LONGEST = 96  # pixels of a picture on the page
TIERS = (  # tier, name, about, sign of the distance in the order
    ("near", "Near duplicates", "One of each pair was dropped. The least alike first.", -1),
    ("alternate", "Alternates", "Both were kept, in one family. The most alike first.", 1),
    ("exact", "Exact duplicates", "The same pixels, padding and enlargement apart; one was dropped.", 0),
    ("kin", "Mirror images and recolours", "Both were kept, in one family.", 0),
    ("moved", "Moved pictures", "The same pixels in two places of one canvas: both were kept, in one family.", 0),
    ("parts", "Much in common", "On another ground, signed, dressed anew: both were kept, in one family.", 1),
    ("override", "Decided by a person", "In the file of overrides.", 0),
)


@dataclass(frozen=True)
class Pair:
    """Two works side by side: the kept one first, then the one that was dropped or kept as an alternate."""

    first: Thumbnail
    second: Thumbnail
    caption: str


@dataclass(frozen=True)
class Kind:
    """Decisions of one kind: their number, and the first few as pairs of pictures."""

    name: str
    about: str
    number: int
    pairs: list[Pair]


def kinds(data: Path, served: list[Row]) -> list[Kind]:
    """Decisions by kind; near ones and alternates sorted so that the most doubtful come first."""
    by_tier = _decisions(data / "dedup" / "decisions.jsonl")
    rows = {row["id"]: row for row in served}
    return [
        Kind(name, about, len(decisions), _pairs(data, _most_doubtful_first(decisions, sign), rows))
        for tier, name, about, sign in TIERS
        if (decisions := by_tier[tier])
    ]


def _most_doubtful_first(decisions: list[Row], sign: int) -> list[Row]:
    return sorted(decisions, key=lambda item: (sign * (item["distance"] or 0), json.dumps(item, sort_keys=True)))


def _decisions(path: Path) -> dict[str, list[Row]]:
    """Tier -> decisions, in the order of the file."""
    by_tier: dict[str, list[Row]] = defaultdict(list)
    if path.is_file():
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                decision = json.loads(line)
                distance = decision["distance"]
                decision["distance"] = None if distance is None else float(distance)
                by_tier[decision["tier"]].append(decision)
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}:{number}: expected a decision with tier and distance: {error}") from error
    return by_tier


def _pairs(data: Path, decisions: list[Row], rows: dict[str, Row]) -> list[Pair]:
    """The first few, each work in no more than one."""
    pairs: list[Pair] = []
    shown: set[str] = set()
    for decision in decisions:
        ids = (decision["in_favour_of"], decision["dropped"] or decision["kept"])
        if len(pairs) < PAIRS_SHOWN and shown.isdisjoint(ids):
            with suppress(BadInput):  # what cannot be decoded cannot be shown
                pictures = _pictures(data, [rows.get(key, {"id": key}) for key in ids])
                if len(pictures) == len(ids):
                    pairs.append(_pair(decision, *pictures))
            shown.update(ids)
    return pairs


def _pair(decision: Row, first: Thumbnail, second: Thumbnail) -> Pair:
    fate = "dropped" if decision["dropped"] else "kept too"
    distance = "" if decision["distance"] is None else f", distance {decision['distance']:.1f}"
    return Pair(first, second, f"{decision['tier']}{distance}: {first.alt} | {fate}: {second.alt}")


def title_and_artist(row: Row) -> str:
    """Title and artist; without a title the place of the file, or whatever the source knows it by."""
    title = row.get("title") or row.get("source_id") or row["id"]
    return f"{title} by {row['artist']}" if row.get("artist") else str(title)


def families(data: Path) -> dict[str, Any]:
    """The `number` of families, of the `works` in them, and the size and the pictures of each of the `largest`."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in funnel.read_kept(data / "dedup"):
        if row.get("family"):
            members[row["family"]].append(row)
    ordered = sorted(members.values(), key=lambda rows: (-len(rows), rows[0]["id"]))
    largest = [(len(rows), _pictures(data, rows[:MEMBERS_SHOWN])) for rows in ordered[:FAMILIES_SHOWN]]
    return {"number": len(ordered), "works": sum(map(len, ordered)), "largest": largest}


def _pictures(data: Path, rows: list[Row]) -> list[Thumbnail]:
    """Of kept works the files that dedup wrote, of dropped ones those that their sources served."""
    pictures = []
    for row in rows:
        path = funnel.picture(data / "dedup", row) or funnel.picture(data / "raw" / str(row.get("source")), row)
        if path is not None:
            pictures.append(thumbnail(path, title_and_artist(row), longest=LONGEST))
    return pictures
