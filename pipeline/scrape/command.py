"""What `facetopix scrape` asks for: one or several sources, the manner of crawling them, and the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BadParams, PipelineError
from pipeline.params import Params, Scrape
from pipeline.progress import Progress
from pipeline.scrape import crawl, preview


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of the command; None = as the parameters say."""

    sources: tuple[str, ...]
    origin: str | None
    base_url: str | None
    limit: int | None
    contact: str | None
    yes: bool


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

    def raise_worst(self) -> None:
        """The error that decides the exit code of the command, if any source failed."""
        error = crawl.worst(self.sources.values())
        if error is not None:
            raise error


def run(wanted: Wanted, params: Params, out: Path, state: Path, progress: Progress) -> Outcome:
    """Crawl the wanted sources side by side into `out/<source>`."""
    _check(wanted)
    outcomes = crawl.run_all(
        wanted.sources, out, _scrape(wanted, params), params.sample, state=state, base_url=wanted.base_url,
        origin=wanted.origin, limit=wanted.limit,
        on_progress=lambda source, done, total: progress(f"scrape {source}", done, total),
    )  # fmt: skip
    return Outcome(sources=outcomes)


def plan(wanted: Wanted, params: Params, state: Path) -> dict[str, Any]:
    """What `run` would do, by source; asks each for robots.txt and for nothing else."""
    _check(wanted)
    plans = {
        source: preview.plan(
            source, _scrape(wanted, params), params.sample, state=state, base_url=wanted.base_url,
            origin=wanted.origin, limit=wanted.limit,
        )
        for source in wanted.sources
    }  # fmt: skip
    return plans if len(plans) > 1 else next(iter(plans.values()))


def hint(wanted: Wanted, params: Params) -> str | None:
    """A line for who crawls the sample without having asked for it."""
    if wanted.base_url or wanted.origin or params.scrape.origin != "sample":
        return None
    return (
        "crawling the procedural sample galleries on loopback, not the live site; "
        "for that, read its terms and use --origin live --contact ADDRESS"
    )


def _check(wanted: Wanted) -> None:
    if wanted.base_url and len(wanted.sources) > 1:
        raise BadParams("--base-url stands for one gallery: give --source pixeljoint, lospec or pixiehaus")
    if wanted.base_url and wanted.origin:
        raise BadParams("give --origin or --base-url, not both")


def _scrape(wanted: Wanted, params: Params) -> Scrape:
    accepted = [*params.scrape.accept_terms, *(wanted.sources if wanted.yes else ())]
    return params.scrape.model_copy(
        update={"contact": wanted.contact or params.scrape.contact, "accept_terms": accepted}
    )
