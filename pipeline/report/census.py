"""What a data set consists of, counted from the manifests: terms, makers, sizes, formats, dates."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.report import bars
from pipeline.report.bars import Bins
from pipeline.report.funnel import stages
from pipeline.runtime import manifest
from pipeline.runtime.identity import plain, work_of
from pipeline.runtime.manifest import Row

UNTOLD = "not told"
REFUSALS = ("noai", "robots", "blocklist")  # reasons by which a site, an artist or the user said no
SIZES = (1, 16, 32, 64, 128, 256, 512)
NATIVE = (1, 9, 17, 25, 33, 49, 65, 97, 129)
COLOURS = (1, 3, 5, 9, 17, 33, 65, 257)
TOP_ARTISTS = 20
MOST_MONTHS = 18  # a longer time is shown by year
TEXTS_SHOWN = 6


@dataclass(frozen=True)
class Census:
    """Rows of the stages: `served` as their sources gave them, `art` and `faces` as they stand in the splits."""

    served: list[Row]
    flattened: list[Row]
    gridded: list[Row]
    art: list[Row]
    faces: list[Row]


def read(data: Path) -> Census:
    """From the manifests of the stages that have run; a missing stage is an empty list."""
    raw = [stage.folder for stage in stages(data) if stage.folder.parent.name == "raw"]
    split = [row for row in _rows(data / "split") if row["status"] == "kept"]
    return Census(
        served=[{"source": folder.name, **row} for folder in raw for row in manifest.read(folder)],
        flattened=_rows(data / "flatten"),
        gridded=_rows(data / "grid"),
        art=[row for row in split if row.get("domain") == "pixel"],
        faces=[row for row in split if row.get("domain") == "faces"],
    )


def _rows(folder: Path) -> list[Row]:
    return manifest.read(folder) if (folder / "manifest.jsonl").is_file() else []


def works(rows: Iterable[Row]) -> list[Row]:
    """One row for each work, of whatever frames, tiles or crops it became."""
    return list({work_of(row["id"]): row for row in reversed(list(rows))}.values())[::-1]


# terms


def licences(census: Census) -> list[tuple[str, int, int]]:
    """(licence, artworks, faces), the most frequent first, what is not told last."""
    art, faces = (Counter(row.get("licence") or UNTOLD for row in works(rows)) for rows in (census.art, census.faces))
    order = sorted({*art, *faces}, key=lambda name: (name == UNTOLD, -art[name] - faces[name], name))
    return [(name, art[name], faces[name]) for name in order]


def refusals(census: Census) -> list[tuple[str, list[tuple[str, int]]]]:
    """Per source, how many works were left out because somebody said no."""
    counts = Counter((row["source"], row["reason"]) for row in census.served)
    names = sorted({row["source"] for row in census.served})
    return [(name, [(reason, counts[name, reason]) for reason in REFUSALS]) for name in names]


def consents(census: Census) -> list[tuple[str, int]]:
    """What is recorded of the consent to use the works that were kept, most frequent first."""
    return _ranked(row.get("consent") or UNTOLD for row in census.served if row["status"] == "kept")[:TEXTS_SHOWN]


def generated(rows: Iterable[Row]) -> dict[str, int]:
    """How many works their source declares to be generated, says not to be, says nothing of."""
    said = Counter(row.get("ai_generated") for row in works(rows))
    return {"yes": said[True], "no": said[False], UNTOLD: said[None]}


def fetched(census: Census) -> tuple[str, str] | None:
    """The first and the last day on which a kept work was fetched, as its source's clock had it."""
    days = sorted(
        str(row["fetched_at"])[:10] for row in census.served if row["status"] == "kept" and row.get("fetched_at")
    )
    return (days[0], days[-1]) if days else None


# makers


def artists(rows: Iterable[Row]) -> dict[str, Any]:
    """`top`: (name, source, works) of the busiest; `tail` of the others: artists, works; works of `unknown` ones."""
    makers: dict[tuple[str, str], list[str]] = defaultdict(list)
    own = works(rows)
    for row in own:
        if row.get("artist"):
            makers[str(row.get("source")), plain(str(row["artist"]))].append(str(row["artist"]))
    ranked = sorted(makers.items(), key=lambda item: (-len(item[1]), item[0]))
    top, tail = ranked[:TOP_ARTISTS], ranked[TOP_ARTISTS:]
    return {
        "top": [(min(spellings), source, len(spellings)) for (source, _), spellings in top],
        "tail": {"artists": len(tail), "works": sum(len(spellings) for _, spellings in tail)},
        "number": len(ranked),
        "unknown": len(own) - sum(len(spellings) for _, spellings in ranked),
    }


# shapes


def formats(census: Census) -> list[tuple[str, int, int]]:
    """(format, works, animated ones) as served."""
    kept = [row for row in census.served if row["status"] == "kept"]
    names = Counter(str(row.get("format") or UNTOLD).lower() for row in kept)
    moving = Counter(str(row.get("format") or UNTOLD).lower() for row in kept if (row.get("frames") or 1) > 1)
    return [(name, count, moving[name]) for name, count in sorted(names.items(), key=lambda item: (-item[1], item[0]))]


def animated(census: Census) -> tuple[int, int]:
    """Animated works, and all, as served."""
    kept = [row for row in census.served if row["status"] == "kept"]
    return sum((row.get("frames") or 1) > 1 for row in kept), len(kept)


def served_sizes(census: Census) -> Bins:
    kept = (row for row in census.served if row["status"] == "kept" and row.get("width") and row.get("height"))
    return bars.binned((max(row["width"], row["height"]) for row in kept), SIZES)


def native_sizes(census: Census) -> Bins:
    kept = (row for row in census.gridded if row["status"] == "kept" and row.get("native_width"))
    return bars.binned((max(row["native_width"], row["native_height"]) for row in kept), NATIVE)


def cell_sizes(census: Census) -> Bins:
    """Whole enlargements by size, the fractional ones and the unknown together."""
    return _whole([row["cell"] for row in census.gridded if "cell" in row])


def _whole(cells: Sequence[float | None]) -> Bins:
    known = [cell for cell in cells if cell is not None]
    whole = Counter(int(cell) for cell in known if float(cell).is_integer())
    bins = [(f"{cell}", count) for cell, count in sorted(whole.items()) if cell <= 8]
    bins.append(("9+", sum(count for cell, count in whole.items() if cell > 8)))
    bins.append(("between", sum(not float(cell).is_integer() for cell in known)))
    bins.append(("unknown", len(cells) - len(known)))
    return [(label, count) for label, count in bins if count]


def transparency(census: Census) -> Bins:
    """Works by the share of their pixels that is transparent: opaque ones, then steps of a tenth."""
    shares = [row["transparent_share"] for row in census.flattened if row.get("transparent_share") is not None]
    tenths = Counter(min(9, int(share * 10)) for share in shares if share > 0)
    steps = [(f"{tenth * 10}%" if tenth else ">0", tenths[tenth]) for tenth in range(10)]
    return [("none", sum(share == 0 for share in shares)), *steps] if shares else []


# time


def dates(rows: Iterable[Row]) -> Bins:
    """Works by month of publication, by year where that would be more than MOST_MONTHS; the untold last."""
    days = [posted(row.get("posted")) for row in works(rows)]
    known = sorted(day for day in days if day is not None)
    months = _grouped(known, lambda day: day)
    found = months if len(months) <= MOST_MONTHS and all(len(day) > 4 for day in known) else _grouped(known, _year)
    untold = len(days) - len(known)
    return [*found, *([(UNTOLD, untold)] if untold and found else [])]


def posted(text: str | None) -> str | None:
    """`2024-12` or, of a text that only tells a year, `2024`; None where there is neither."""
    if text is None:
        return None
    if iso := re.match(r"((?:19|20)\d\d-[01]\d)\b", text):
        return iso[1]
    for pattern in ("%B %d, %Y", "%d %B %Y", "%m/%d/%Y"):
        with suppress(ValueError):
            return datetime.strptime(text.strip(), pattern).strftime("%Y-%m")
    year = re.search(r"\b(?:19|20)\d\d\b", text)
    return year[0] if year else None


def _year(day: str) -> str:
    return day[:4]


def _grouped(days: list[str], key: Callable[[str], str]) -> list[tuple[str, int]]:
    return [(name, len(list(group))) for name, group in groupby(days, key=key)]


def _ranked(values: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
