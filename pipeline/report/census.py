"""What a data set consists of, counted from the manifests: terms, artists, sizes, formats, dates."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.report import funnel
from pipeline.report.charts import Bins, histogram
from pipeline.runtime.identity import plain, work_of
from pipeline.runtime.manifest import Row

UNKNOWN = "not told"
REFUSALS = ("noai", "robots", "blocklist")  # reasons by which a site, an artist or the user said no
SIZES = (1, 16, 32, 64, 128, 256, 512)
NATIVE_SIZES = (1, 9, 17, 25, 33, 49, 65, 97, 129)
COLOURS = (1, 3, 5, 9, 17, 33, 65, 257)
TOP_ARTISTS = 20
MAX_MONTHS = 18  # a longer time is shown by year
CONSENTS_SHOWN = 6


@dataclass(frozen=True)
class Census:
    """Manifest rows to count.

    `served` were kept, dropped or failed by their sources, `fetched` are the kept ones among them; `art` and `faces`
    stand in the splits.
    """

    served: list[Row]
    flattened: list[Row]
    gridded: list[Row]
    art: list[Row]
    faces: list[Row]

    @property
    def fetched(self) -> list[Row]:
        """Rows of the works whose file the source gave."""
        return [row for row in self.served if row["status"] == "kept"]


def read(data: Path) -> Census:
    """Rows of the stages that have run; a missing stage is an empty list."""
    raw = [stage.folder for stage in funnel.stages(data) if stage.folder.parent.name == "raw"]
    split = funnel.read_kept(data / "split")
    return Census(
        served=[{"source": folder.name, **row} for folder in raw for row in funnel.read(folder)],
        flattened=funnel.read(data / "flatten"),
        gridded=funnel.read(data / "grid"),
        art=[row for row in split if row.get("domain") == "pixel"],
        faces=[row for row in split if row.get("domain") == "faces"],
    )


def works(rows: Iterable[Row]) -> list[Row]:
    """One row for each work, of whatever frames, tiles or crops it became."""
    return list({work_of(row["id"]): row for row in reversed(list(rows))}.values())[::-1]


# terms


def licences(census: Census) -> list[tuple[str, int, int]]:
    """(licence, artworks, faces), the most frequent first, the unknown last."""
    art, faces = (Counter(row.get("licence") or UNKNOWN for row in works(rows)) for rows in (census.art, census.faces))
    order = sorted({*art, *faces}, key=lambda name: (name == UNKNOWN, -art[name] - faces[name], name))
    return [(name, art[name], faces[name]) for name in order]


def refusals(census: Census) -> list[tuple[str | int, ...]]:
    """(source, works left out because somebody said no, a number for each of REFUSALS)."""
    counts = Counter((row["source"], row["reason"]) for row in census.served)
    names = sorted({row["source"] for row in census.served})
    return [(name, *(counts[name, reason] for reason in REFUSALS)) for name in names]


def consents(census: Census) -> list[tuple[str, int]]:
    """(consent as recorded, works) of the fetched works, the most frequent first."""
    return Counter(sorted(row.get("consent") or UNKNOWN for row in census.fetched)).most_common(CONSENTS_SHOWN)


def machine_made(rows: Iterable[Row]) -> dict[str, int]:
    """How many works their source declares to be generated, declares not to be, or says nothing of."""
    answers = Counter(row.get("ai_generated") for row in works(rows))
    return {"yes": answers[True], "no": answers[False], UNKNOWN: answers[None]}


def fetch_days(census: Census) -> tuple[str, str] | None:
    """The first and the last day on which a work was fetched, by its source's clock."""
    days = [str(row["fetched_at"])[:10] for row in census.fetched if row.get("fetched_at")]
    return (min(days), max(days)) if days else None


# artists


def artists(rows: Iterable[Row]) -> dict[str, Any]:
    """`top`: (name, source, works) of the busiest; `tail` of the others: artists, works; works of `unknown` ones."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    unknown = 0
    for row in works(rows):
        if row.get("artist"):
            names[str(row.get("source")), plain(str(row["artist"]))].append(str(row["artist"]))
        else:
            unknown += 1
    ranked = sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    top, tail = ranked[:TOP_ARTISTS], ranked[TOP_ARTISTS:]
    return {
        "top": [(min(spellings), source, len(spellings)) for (source, _), spellings in top],
        "tail": {"artists": len(tail), "works": sum(len(spellings) for _, spellings in tail)},
        "number": len(ranked),
        "unknown": unknown,
    }


# shapes


def formats(census: Census) -> list[tuple[str, int, int]]:
    """(format, works, animated works) of the fetched files, the most frequent first."""
    files = sorted((str(row.get("format") or UNKNOWN).lower(), is_animated(row)) for row in census.fetched)
    moving = Counter(name for name, animated in files if animated)
    return [(name, count, moving[name]) for name, count in Counter(name for name, _ in files).most_common()]


def is_animated(row: Row) -> bool:
    """Whether a file has several frames."""
    return (row.get("frames") or 1) > 1


def served_sizes(census: Census) -> Bins:
    """Fetched works by their longest side in pixels."""
    rows = (row for row in census.fetched if row.get("width") and row.get("height"))
    return histogram((max(row["width"], row["height"]) for row in rows), SIZES)


def native_sizes(census: Census) -> Bins:
    """Works on a grid by their longest side in cells."""
    rows = (row for row in census.gridded if row["status"] == "kept" and row.get("native_width"))
    return histogram((max(row["native_width"], row["native_height"]) for row in rows), NATIVE_SIZES)


def cell_sizes(census: Census) -> Bins:
    """Works by the pixels of a cell: whole numbers apart, fractional ones and unknown ones each together."""
    cells = [row["cell"] for row in census.gridded if "cell" in row]
    sizes = [cell for cell in cells if cell is not None]
    integers = Counter(int(cell) for cell in sizes if float(cell).is_integer())
    bins = [(f"{cell}", count) for cell, count in sorted(integers.items()) if cell <= 8]
    bins.append(("9+", sum(count for cell, count in integers.items() if cell > 8)))
    bins.append(("between", len(sizes) - integers.total()))
    bins.append(("unknown", len(cells) - len(sizes)))
    return [(label, count) for label, count in bins if count]


def transparency(census: Census) -> Bins:
    """Works by the share of their pixels that is transparent: opaque ones, then steps of a tenth."""
    shares = [row["transparent_share"] for row in census.flattened if row.get("transparent_share") is not None]
    tenths = Counter(min(9, int(share * 10)) for share in shares if share > 0)
    steps = [(f"{tenth * 10}%" if tenth else ">0", tenths[tenth]) for tenth in range(10)]
    return [("none", sum(share == 0 for share in shares)), *steps] if shares else []


# time


def dates(rows: Iterable[Row]) -> Bins:
    """Works by month of publication, by year where that would be more than MAX_MONTHS; the unknown last."""
    days = [parse_date(row.get("posted")) for row in works(rows)]
    dated = [day for day in days if day is not None]
    months = Counter(dated)
    if len(months) > MAX_MONTHS or any(len(day) == 4 for day in dated):
        months = Counter(day[:4] for day in dated)
    bins = sorted(months.items())
    unknown = len(days) - len(dated)
    return [*bins, (UNKNOWN, unknown)] if unknown and bins else bins


def parse_date(text: str | None) -> str | None:
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
