"""What `facetopix scrape` asks for: one or several sources, the manner of crawling them, and the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import BadParams, PipelineError
from pipeline.runtime.progress import Progress
from pipeline.sample.params import Sample
from pipeline.scrape import again, crawl, origins, preview
from pipeline.scrape.crawl import CrawlTarget
from pipeline.scrape.params import Scrape

OWN_OPTIONS = {"search": "pixeljoint", "medium": "lospec", "category": "lospec", "tags": "lospec"}  # -> its source


@dataclass(frozen=True, kw_only=True)
class ScrapeOptions:
    """The options of `facetopix scrape`; None = as the parameters say."""

    sources: tuple[str, ...]
    origin: str | None = None
    base_url: str | None = None
    limit: int | None = None
    since: str | None = None
    until: str | None = None
    animation: str | None = None
    listing: str | None = None
    search: str | None = None
    medium: str | None = None
    category: str | None = None
    tags: tuple[str, ...] | None = None
    contact: str | None = None
    yes: bool = False
    ignore_opt_outs: bool = False
    retry: tuple[str, ...] = ()  # reasons, see `again.reasons`


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of each source: its stats, or its error."""

    sources: dict[str, dict[str, Any] | PipelineError]

    @property
    def summary(self) -> dict[str, Any]:
        """The stats of a single source, or all of them by name; an error as its text and exit code."""
        outcomes = {
            name: {"error": str(item), "exit_code": item.exit_code} if isinstance(item, PipelineError) else item
            for name, item in self.sources.items()
        }
        return outcomes if len(outcomes) > 1 else next(iter(outcomes.values()))

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
        stats = {name: item for name, item in self.sources.items() if isinstance(item, dict)}
        return stats if len(self.sources) > 1 else next(iter(stats.values()), {})

    def raise_worst(self) -> None:
        """The error that decides the exit code of the command, if any source failed."""
        error = crawl.worst(self.sources.values())
        if error is not None:
            raise error


def run(options: ScrapeOptions, scrape: Scrape, sample: Sample, out: Path, state: Path, progress: Progress) -> Outcome:
    """Crawl the sources side by side into `out/<source>`."""
    outcomes = crawl.run_all(
        {source: out / source for source in options.sources},
        scrape_of(options, scrape),
        sample,
        _target(options, state),
        progress,
    )
    return Outcome(sources=outcomes)


def plan(options: ScrapeOptions, scrape: Scrape, sample: Sample, state: Path) -> dict[str, Any]:
    """What `run` would do, by source; asks each for robots.txt and for nothing else."""
    params, target = scrape_of(options, scrape), _target(options, state)
    plans = {source: preview.plan(source, params, sample, target) for source in options.sources}
    return plans if len(plans) > 1 else next(iter(plans.values()))


def hint(options: ScrapeOptions, scrape: Scrape) -> str | None:
    """A line for a person who crawls the sample without having asked for it."""
    if options.base_url or options.origin or scrape.origin != "sample":
        return None
    return (
        "crawling the procedural sample galleries on loopback, not the live site; "
        "for that, read its terms and use --origin live --contact ADDRESS"
    )


def ask_for_terms(options: ScrapeOptions, scrape: Scrape, ask: Callable[[str], bool]) -> ScrapeOptions:
    """Before a live crawl whose terms are not accepted yet, put the question; returns the options with the answer."""
    live = options.base_url is None and (options.origin or scrape.origin) == "live"
    missing = [name for name in options.sources if name not in scrape.accept_terms]
    if not live or options.yes or not missing or not (options.contact or scrape.contact):
        return options
    pages = ", ".join(f"{name}: {origins.gallery(name).terms}" for name in missing)
    agreed = ask(
        f"The terms of the sites ({pages}) may forbid what you mean to do. Have you read and do you accept them?"
    )
    return replace(options, yes=agreed)


def scrape_of(options: ScrapeOptions, scrape: Scrape) -> Scrape:
    """The parameters with the options over them.

    Raises:
        BadParams: options that contradict each other, that a source does not have, or that are out of range.
    """
    _check_options(options)
    values = scrape.model_dump()
    for name in ("limit", "since", "until", "animation", "contact"):
        values[name] = getattr(options, name) or values[name]
    for name, source in OWN_OPTIONS.items():
        if getattr(options, name) is not None:
            values[source][name] = list(options.tags or ()) if name == "tags" else getattr(options, name)
    if options.listing is not None:
        values[options.sources[0]]["listing"] = options.listing
    elif options.search is not None:
        values["pixeljoint"]["listing"] = "search"
    values["accept_terms"] += options.sources if options.yes else ()
    values["ignore_opt_outs"] += options.sources if options.ignore_opt_outs else ()
    try:
        return Scrape.model_validate(values)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}, got {item['input']!r}" for item in error.errors()
        )
        raise BadParams("; ".join(problems)) from error


def _target(options: ScrapeOptions, state: Path) -> CrawlTarget:
    retry = again.reasons(options.retry)
    return CrawlTarget(state=state, base_url=options.base_url, origin=options.origin, retry=retry)


def _check_options(options: ScrapeOptions) -> None:
    if options.base_url and len(options.sources) > 1:
        raise BadParams("--base-url stands for one gallery: give --source pixeljoint, lospec or pixiehaus")
    if options.base_url and options.origin:
        raise BadParams("give --origin or --base-url, not both")
    for name in ("since", "until"):
        if getattr(options, name) and "pixiehaus" in options.sources:
            raise BadParams(f"--{name}: pixiehaus tells no dates; give --source pixeljoint or lospec")
    if options.listing and (len(options.sources) > 1 or options.sources == ("pixiehaus",)):
        raise BadParams("--list: give --source pixeljoint or lospec, which have several lists")
    for name, source in OWN_OPTIONS.items():
        if getattr(options, name) is not None and options.sources != (source,):
            raise BadParams(f"--{'tag' if name == 'tags' else name}: only {source} has it; give --source {source}")
