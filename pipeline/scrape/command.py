"""What `facetopix scrape` asks for: one or several sources, the manner of crawling them, and the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import BadParams, PipelineError
from pipeline.runtime.progress import Progress
from pipeline.sample.params import Sample
from pipeline.scrape import crawl, origins, preview
from pipeline.scrape.crawl import CrawlTarget
from pipeline.scrape.params import Scrape

ONLY = {"search": "pixeljoint", "medium": "lospec", "category": "lospec", "tags": "lospec"}  # option -> who has it


@dataclass(frozen=True, kw_only=True)
class ScrapeOptions:
    """The options of the command; None = as the parameters say."""

    sources: tuple[str, ...]
    origin: str | None = None
    base_url: str | None = None
    limit: int | None = None
    since: str | None = None
    animation: str | None = None
    listing: str | None = None
    search: str | None = None
    medium: str | None = None
    category: str | None = None
    tags: tuple[str, ...] | None = None
    contact: str | None = None
    yes: bool = False
    ignore_opt_outs: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Per source its stats, or its error."""

    sources: dict[str, dict[str, Any] | PipelineError]

    @property
    def summary(self) -> dict[str, Any]:
        """The stats of a single source, or all of them by name; an error as its text and exit code."""
        told = {
            name: {"error": str(item), "exit_code": item.exit_code} if isinstance(item, PipelineError) else item
            for name, item in self.sources.items()
        }
        return told if len(told) > 1 else next(iter(told.values()))

    @property
    def remarks(self) -> list[str]:
        """What a person should know beside the counts and the error that `raise_worst` raises."""
        worst = crawl.worst(self.sources.values())
        failed = [
            f"{name}: {item}"
            for name, item in self.sources.items()
            if isinstance(item, PipelineError) and item is not worst
        ]
        empty = [name for name, item in self.sources.items() if isinstance(item, dict) and not item["inputs"]]
        return failed + [
            f"{name}: the list is empty; look at the filters and the list that was asked for" for name in empty
        ]

    @property
    def counts(self) -> dict[str, Any]:
        """`summary` without the errors."""
        fine = {name: item for name, item in self.sources.items() if isinstance(item, dict)}
        return fine if len(self.sources) > 1 else next(iter(fine.values()), {})

    def raise_worst(self) -> None:
        """The error that decides the exit code of the command, if any source failed."""
        error = crawl.worst(self.sources.values())
        if error is not None:
            raise error


def run(wanted: ScrapeOptions, scrape: Scrape, sample: Sample, out: Path, state: Path, progress: Progress) -> Outcome:
    """Crawl the wanted sources side by side into `out/<source>`."""
    outcomes = crawl.run_all(
        {source: out / source for source in wanted.sources},
        scrape_of(wanted, scrape),
        sample,
        _where(wanted, state),
        lambda source, done, total, text: progress(f"scrape {source}", done, total, text),
    )
    return Outcome(sources=outcomes)


def plan(wanted: ScrapeOptions, scrape: Scrape, sample: Sample, state: Path) -> dict[str, Any]:
    """What `run` would do, by source; asks each for robots.txt and for nothing else."""
    chosen, where = scrape_of(wanted, scrape), _where(wanted, state)
    plans = {source: preview.plan(source, chosen, sample, where) for source in wanted.sources}
    return plans if len(plans) > 1 else next(iter(plans.values()))


def hint(wanted: ScrapeOptions, scrape: Scrape) -> str | None:
    """A line for who crawls the sample without having asked for it."""
    if wanted.base_url or wanted.origin or scrape.origin != "sample":
        return None
    return (
        "crawling the procedural sample galleries on loopback, not the live site; "
        "for that, read its terms and use --origin live --contact ADDRESS"
    )


def ask_for_terms(wanted: ScrapeOptions, scrape: Scrape, ask: Callable[[str], bool]) -> ScrapeOptions:
    """Before a live crawl whose terms are not accepted yet, put the question; `wanted` with the answer."""
    live = wanted.base_url is None and (wanted.origin or scrape.origin) == "live"
    missing = [name for name in wanted.sources if name not in scrape.accept_terms]
    if not live or wanted.yes or not missing or not (wanted.contact or scrape.contact):
        return wanted
    pages = ", ".join(f"{name}: {origins.gallery(name).terms}" for name in missing)
    agreed = ask(
        f"The terms of the sites ({pages}) may forbid what you mean to do. Have you read and do you accept them?"
    )
    return ScrapeOptions(**{**vars(wanted), "yes": agreed})


def scrape_of(wanted: ScrapeOptions, scrape: Scrape) -> Scrape:
    """The parameters with the options over them.

    Raises:
        BadParams: options that contradict each other, that a source does not have, or that are out of range.
    """
    _check(wanted)
    values = scrape.model_dump()
    for name in ("limit", "since", "animation", "contact"):
        values[name] = getattr(wanted, name) or values[name]
    for name, source in ONLY.items():
        if getattr(wanted, name) is not None:
            values[source][name] = list(wanted.tags or ()) if name == "tags" else getattr(wanted, name)
    if wanted.listing is not None:
        values[wanted.sources[0]]["listing"] = wanted.listing
    elif wanted.search is not None:
        values["pixeljoint"]["listing"] = "search"
    values["accept_terms"] += wanted.sources if wanted.yes else ()
    values["ignore_opt_outs"] += wanted.sources if wanted.ignore_opt_outs else ()
    try:
        return Scrape.model_validate(values)
    except ValidationError as error:
        told = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}, got {item['input']!r}" for item in error.errors())
        raise BadParams("; ".join(told)) from error


def _where(wanted: ScrapeOptions, state: Path) -> CrawlTarget:
    return CrawlTarget(state=state, base_url=wanted.base_url, origin=wanted.origin)


def _check(wanted: ScrapeOptions) -> None:
    if wanted.base_url and len(wanted.sources) > 1:
        raise BadParams("--base-url stands for one gallery: give --source pixeljoint, lospec or pixiehaus")
    if wanted.base_url and wanted.origin:
        raise BadParams("give --origin or --base-url, not both")
    if wanted.since and "pixiehaus" in wanted.sources:
        raise BadParams("--since: pixiehaus tells no dates; give --source pixeljoint or lospec")
    if wanted.listing and (len(wanted.sources) > 1 or wanted.sources == ("pixiehaus",)):
        raise BadParams("--list: give --source pixeljoint or lospec, which have several lists")
    for name, source in ONLY.items():
        if getattr(wanted, name) is not None and wanted.sources != (source,):
            raise BadParams(f"--{'tag' if name == 'tags' else name}: only {source} has it; give --source {source}")
