"""What deduplication decided, to be looked at: the decisions closest to the line, and families of alternates."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.report import funnel
from pipeline.report.thumbnails import Thumbnail, thumbnail
from pipeline.runtime import manifest
from pipeline.runtime.manifest import Row

SHOWN = 8  # pairs of a kind
FAMILIES = 6
MEMBERS = 10  # of a family
LONGEST = 96  # pixels of a picture on the page


@dataclass(frozen=True)
class Pair:
    """Two works side by side: the kept one first, then the one that was dropped or kept as an alternate."""

    first: Thumbnail
    second: Thumbnail
    caption: str


@dataclass(frozen=True)
class Kind:
    """Decisions of one kind, as many as are `shown` of all there are."""

    name: str
    about: str
    number: int
    pairs: list[Pair]


def kinds(data: Path, served: list[Row]) -> list[Kind]:
    """Decisions by kind; near ones and alternates sorted so that the most doubtful come first."""
    decisions = _decisions(data / "dedup" / "decisions.jsonl")
    rows = {row["id"]: row for row in served}
    near = sorted(decisions["near"], key=lambda item: (-item["distance"], _text(item)))
    alternates = sorted(decisions["alternate"], key=lambda item: (item["distance"], _text(item)))
    exact, moved, kin, ruled = (sorted(decisions[tier], key=_text) for tier in ("exact", "moved", "kin", "override"))
    described = [
        ("Near duplicates", "One of each pair was dropped. The least alike first.", near),
        ("Alternates", "Both were kept, in one family. The most alike first.", alternates),
        ("Exact duplicates", "The same pixels, padding and enlargement apart; one was dropped.", exact),
        ("Mirror images and recolours", "Both were kept, in one family.", kin),
        ("Moved pictures", "The same pixels in two places of one canvas: both were kept, in one family.", moved),
        ("Decided by a person", "In the file of overrides.", ruled),
    ]
    return [Kind(name, about, len(found), _pairs(data, found, rows)) for name, about, found in described if found]


def _decisions(path: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    if path.is_file():
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                decision = json.loads(line)
                distance = decision["distance"]
                decision["distance"] = None if distance is None else float(distance)
                found[decision["tier"]].append(decision)
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}:{number}: expected a decision with tier and distance: {error}") from error
    return found


def _text(decision: Row) -> str:
    return json.dumps(decision, sort_keys=True)


def _pairs(data: Path, decisions: list[Row], rows: dict[str, Row]) -> list[Pair]:
    """The first few, each work in no more than one."""
    found: list[Pair] = []
    seen: set[str] = set()
    for decision in decisions:
        works = {decision["in_favour_of"], decision["dropped"] or decision["kept"]}
        if len(found) < SHOWN and not works & seen:
            with suppress(BadInput):  # what cannot be decoded cannot be shown
                pair = _pair(data, decision, rows)
                found += [pair] if pair is not None else []
            seen |= works
    return found


def _pair(data: Path, decision: Row, rows: dict[str, Row]) -> Pair | None:
    first = decision["in_favour_of"]
    second = decision["dropped"] or decision["kept"]
    one, other = (rows.get(name, {"id": name}) for name in (first, second))
    path, other_path = _path(data, one), _path(data, other)
    if path is None or other_path is None:
        return None
    fate = "dropped" if decision["dropped"] else "kept too"
    distance = "" if decision["distance"] is None else f", distance {decision['distance']:.1f}"
    caption = f"{decision['tier']}{distance}: {called(one)} | {fate}: {called(other)}"
    first_picture = thumbnail(path, called(one), longest=LONGEST)
    return Pair(first_picture, thumbnail(other_path, called(other), longest=LONGEST), caption)


def called(row: Row) -> str:
    """Title and artist; without a title the place of the file, or whatever the source knows it by."""
    title = row.get("title") or row.get("source_id") or row["id"]
    return f"{title} by {row['artist']}" if row.get("artist") else str(title)


def _path(data: Path, row: Row) -> Path | None:
    """Of a kept work what dedup wrote, of a dropped one what its source served."""
    return funnel.picture(data / "dedup", row) or funnel.picture(data / "raw" / str(row.get("source")), row)


def families(data: Path) -> tuple[list[int], list[tuple[int, list[Thumbnail]]]]:
    """Sizes of all families, largest first; and the largest ones with their pictures."""
    if not (data / "dedup" / "manifest.jsonl").is_file():
        return [], []
    members: dict[str, list[Row]] = defaultdict(list)
    for row in manifest.read_kept(data / "dedup"):
        if row.get("family"):
            members[row["family"]].append(row)
    ordered = sorted(members.values(), key=lambda rows: (-len(rows), rows[0]["id"]))
    shown = [(len(rows), _portraits(data, rows[:MEMBERS])) for rows in ordered[:FAMILIES]]
    return [len(rows) for rows in ordered], shown


def _portraits(data: Path, rows: list[Row]) -> list[Thumbnail]:
    paths = [(funnel.picture(data / "dedup", row), called(row)) for row in rows]
    return [thumbnail(path, name, longest=LONGEST) for path, name in paths if path is not None]
