"""The data card: one page for people who must decide whether they may and want to use the data set.

Everything in it comes from the manifests and pictures of the run; titles and names are strangers' text and escaped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment

from pipeline.params import Params
from pipeline.report import bars, census, duplicates, funnel, palettes_used, provenance
from pipeline.report.census import Census
from pipeline.report.thumbnails import Thumbnail, thumbnail
from pipeline.runtime import seeds
from pipeline.runtime.files import sha256
from pipeline.runtime.manifest import Row

SAMPLED = {"pixel": 12, "faces": 8}  # pictures of each split
LONGEST = {"pixel": 96, "faces": 64}  # pixels of one on the page: photographs are heavy
SPLITS = ("train", "val", "test")
DOMAINS = {"pixel": "artworks", "faces": "faces"}


def render(root: Path, params: Params, environment: Environment) -> str:
    """The page as text: reads `data/` below `root`; what is missing there is left out."""
    data = root / "data"
    found = census.read(data)
    rows = [*found.art, *found.faces]
    sizes, shown = duplicates.families(data)
    context = {
        "numbers": _numbers(found),
        "sample": bool(rows) and all(row.get("origin") == "sample" for row in rows),
        "licences": census.licences(found),
        "origins": provenance.origins(rows),
        "fetched": census.fetched(found),
        "refusals": census.refusals(found),
        "reasons": census.REFUSALS,
        "consents": census.consents(found),
        "generated": {name: census.generated(part) for name, part in (("artworks", found.art), ("faces", found.faces))},
        "funnel": [funnel.count(stage) for stage in funnel.stages(data)],
        "charts": _charts(found),
        "formats": census.formats(found),
        "animated": census.animated(found),
        "colours": _colours(data, found),
        "artists": census.artists(found.art),
        "kinds": duplicates.kinds(data, found.served),
        "families": {"number": len(sizes), "works": sum(sizes), "shown": shown},
        "samples": _samples(data, rows, params.seed),
        "limits": _limits(found),
        "cite": _cite(data, found),
        "cells": params.resize.cells,
        "size": params.resize.size,
    }
    return environment.get_template("dataset.html").render(context)


def _numbers(found: Census) -> dict[str, Any]:
    return {
        "artworks": len(found.art),
        "works": len(census.works(found.art)),
        "faces": len(found.faces),
        "sources": len({row.get("source") for row in [*found.art, *found.faces]}),
        "unlicensed": sum(not row.get("licence") for row in census.works(found.art)),
        "splits": [(split, *(_in_split(rows, split) for rows in (found.art, found.faces))) for split in SPLITS],
    }


def _in_split(rows: list[Row], split: str) -> int:
    return sum(row.get("split") == split for row in rows)


def _charts(found: Census) -> list[tuple[str, str, Any]]:
    """(title, caption, drawing) of everything that can be counted in bars."""
    described = [
        ("Longest side as served", "pixels; works that were fetched or brought", census.served_sizes(found)),
        ("Enlargement found", "pixels a cell; 1 = already one pixel a cell", census.cell_sizes(found)),
        ("Longest side, native", "cells; after undoing the enlargement", census.native_sizes(found)),
        (
            "Transparent share",
            "of a work's pixels, under which a ground was put; 10% = 10 to 20",
            census.transparency(found),
        ),
        ("Published", "artworks in the splits, by their source's date", census.dates(found.art)),
    ]
    return [(title, caption, bars.chart(title, bins)) for title, caption, bins in described if bins]


def _colours(data: Path, found: Census) -> dict[str, Any]:
    colours = palettes_used.read(data, found.art)
    title = "Colours of a work"
    chart = bars.chart(title, colours.counts) if colours.counts else None
    return {"chart": chart, "title": title, "swatches": colours.swatches, "looked_at": colours.looked_at}


def _samples(data: Path, rows: list[Row], seed: int) -> list[tuple[str, str, list[Thumbnail]]]:
    """A random few of every split, the same for the same seed and works."""
    return [
        (DOMAINS[domain], split, pictures)
        for domain in DOMAINS
        for split in SPLITS
        if (pictures := _sample(data, [row for row in rows if row.get("domain") == domain], domain, split, seed))
    ]


def _sample(data: Path, rows: list[Row], domain: str, split: str, seed: int) -> list[Thumbnail]:
    own = [row for row in rows if row.get("split") == split]
    order = seeds.generator(seed, "card", domain, split).permutation(len(own))[: SAMPLED[domain]]
    found = [(data / "split" / domain / split / f"{own[index]['id']}.png", own[index]) for index in sorted(order)]
    return [thumbnail(path, funnel.credit(row), longest=LONGEST[domain]) for path, row in found if path.is_file()]


def _limits(found: Census) -> list[str]:
    """Sentences that follow from the counts, worst first; a limit that this data set has not is not listed."""
    own, makers = census.works(found.art), census.artists(found.art)
    kept = [row for row in found.served if row["status"] == "kept"]
    largest = max((count for *_, count in makers["top"]), default=0)
    n = f"of {len(own)} artworks"
    said = [
        (sum(not row.get("licence") for row in own), f"{n} come without a licence: nobody gave permission."),
        (sum(row.get("ai_generated") is True for row in own), f"{n} are declared to be machine-made."),
        (makers["unknown"], f"{n} have no known artist and cannot be kept together by one."),
        (largest if largest * 5 > len(own) else 0, f"{n} are by one artist."),
        (sum(bool(row.get("crop")) for row in found.art), "pictures are a part of a work too large for the grid."),
        (sum((row.get("frames") or 1) > 1 for row in kept), "works are animated as served; the funnel counts frames."),
        (_with_format(kept, "jpeg", "webp"), "works were served as JPEG or WebP, which may have lost colours."),
        (_without_grid(found), "works without a clear cell size are left out: soft and mixed grids are rare here."),
    ]
    return [f"{count} {sentence}" for count, sentence in said if count]


def _without_grid(found: Census) -> int:
    return sum(row.get("reason") == "grid_unknown" for row in found.gridded)


def _with_format(rows: list[Row], *formats: str) -> int:
    return sum(str(row.get("format")).lower() in formats for row in rows)


def _cite(data: Path, found: Census) -> dict[str, Any]:
    """What identifies this very data set, and whom its licences ask to be named."""
    path = data / "split" / "manifest.jsonl"
    named = [name for name, *_ in census.licences(found) if name != census.UNTOLD and "CC0" not in name]
    return {"digest": sha256(path) if path.is_file() else None, "licences": named}
