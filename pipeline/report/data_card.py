"""The data card: one page for people who must decide whether they may and want to use the data set.

Everything in it comes from the manifests and pictures of the run; titles and names are strangers' text and escaped.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from jinja2 import Environment

from pipeline.params import Params
from pipeline.report import census, charts, duplicates, funnel, palettes_used, provenance, sides
from pipeline.report.census import Census
from pipeline.report.thumbnails import Thumbnail, thumbnail
from pipeline.runtime import seeds
from pipeline.runtime.files import sha256
from pipeline.runtime.manifest import Row

SPLITS = ("train", "val", "test")
DOMAINS = (  # folder, name, pictures of each split, pixels of one on the page: photographs are heavy
    ("pixel", "artworks", 12, 96),
    ("faces", "faces", 8, 64),
)


def render(root: Path, params: Params, environment: Environment) -> str:
    """The page as text: reads `data/` below `root`; what is missing there is left out."""
    data = root / "data"
    counts = census.read(data)
    rows, licences = [*counts.art, *counts.faces], census.licences(counts)
    split = data / "split" / "manifest.jsonl"
    context = {
        "numbers": _numbers(counts),
        "sample": bool(rows) and all(row.get("origin") == "sample" for row in rows),
        "licences": licences,
        "to_name": [name for name, *_ in licences if name != census.UNKNOWN and "CC0" not in name],
        "origins": provenance.origins(rows),
        "fetched": census.fetch_days(counts),
        "refusals": census.refusals(counts),
        "reasons": census.REFUSALS,
        "consents": census.consents(counts),
        "generated": {"artworks": census.machine_made(counts.art), "faces": census.machine_made(counts.faces)},
        "sides": sides.read(data),
        "shared": params.split.allow_shared_identity,
        "funnel": [funnel.count(stage) for stage in funnel.stages(data)],
        "charts": _charts(counts),
        "formats": census.formats(counts),
        "colours": palettes_used.read(data, counts.art),
        "artists": census.artists(counts.art),
        "kinds": duplicates.kinds(data, counts.served),
        "families": duplicates.families(data),
        "samples": _samples(data, rows, params.seed),
        "limits": _limits(counts),
        "digest": sha256(split) if split.is_file() else None,
        "cells": params.resize.cells,
        "size": params.resize.size,
    }
    return environment.get_template("dataset.html").render(context)


def _numbers(counts: Census) -> dict[str, Any]:
    works = census.works(counts.art)
    return {
        "artworks": len(counts.art),
        "works": len(works),
        "faces": len(counts.faces),
        "sources": len({row.get("source") for row in [*counts.art, *counts.faces]}),
        "unlicensed": sum(not row.get("licence") for row in works),
        "splits": [
            (split, *(sum(row.get("split") == split for row in rows) for rows in (counts.art, counts.faces)))
            for split in SPLITS
        ],
    }


def _charts(counts: Census) -> list[tuple[str, str, Any]]:
    """(title, caption, chart) of everything that can be counted in bars."""
    ground = "of a work's pixels, under which a ground was put; 10% = 10 to 20"
    histograms = [
        ("Longest side as served", "pixels; works that were fetched or brought", census.served_sizes(counts)),
        ("Enlargement found", "pixels a cell; 1 = already one pixel a cell", census.cell_sizes(counts)),
        ("Longest side, native", "cells; after undoing the enlargement", census.native_sizes(counts)),
        ("Transparent share", ground, census.transparency(counts)),
        ("Published", "artworks in the splits, by their source's date", census.dates(counts.art)),
    ]
    return [(title, caption, charts.bar_chart(title, bins)) for title, caption, bins in histograms if bins]


def _samples(data: Path, rows: list[Row], seed: int) -> list[tuple[str, str, list[Thumbnail]]]:
    """(domain, split, pictures): a random few of every split, the same for the same seed and works."""
    samples = []
    for (domain, name, number, longest), split in product(DOMAINS, SPLITS):
        members = [row for row in rows if row.get("domain") == domain and row.get("split") == split]
        order = seeds.generator(seed, "card", domain, split).permutation(len(members))[:number]
        folder, drawn = data / "split" / domain / split, [members[index] for index in sorted(order)]
        paths = [(folder / f"{row['id']}.png", funnel.credit(row)) for row in drawn]
        pictures = [thumbnail(path, credit, longest=longest) for path, credit in paths if path.is_file()]
        samples.append((name, split, pictures))
    return [sample for sample in samples if sample[2]]


def _limits(counts: Census) -> list[str]:
    """Sentences that follow from the counts, worst first; a limit that this data set has not is not listed."""
    works, artists = census.works(counts.art), census.artists(counts.art)
    largest = max((count for *_, count in artists["top"]), default=0)
    without_grid = sum(row.get("reason") == "grid_unknown" for row in counts.gridded)
    lossy = sum(str(row.get("format")).lower() in ("jpeg", "webp") for row in counts.fetched)
    n = f"of {len(works)} artworks"
    limits = [
        (sum(not row.get("licence") for row in works), f"{n} come without a licence: nobody gave permission."),
        (sum(row.get("ai_generated") is True for row in works), f"{n} are declared to be machine-made."),
        (artists["unknown"], f"{n} have no known artist and cannot be kept together by one."),
        (largest if largest * 5 > len(works) else 0, f"{n} are by one artist."),
        (sum(bool(row.get("crop")) for row in counts.art), "pictures are a part of a work too large for the grid."),
        (sum(map(census.is_animated, counts.fetched)), "works are animated as served; the funnel counts frames."),
        (lossy, "works were served as JPEG or WebP, which may have lost colours."),
        (without_grid, "works without a clear cell size are left out: soft and mixed grids are rare here."),
    ]
    return [f"{count} {sentence}" for count, sentence in limits if count]
