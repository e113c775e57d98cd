"""Crawl a gallery: its listing and the works on it, into a state that survives a kill, then into a folder."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import uvloop
except ImportError:  # not made for Windows
    uvloop = None  # type: ignore[assignment]

from pipeline import layout
from pipeline.errors import Interrupted, PipelineError, Unforeseen, Unreachable
from pipeline.runtime import manifest
from pipeline.runtime.files import output_dir
from pipeline.runtime.manifest import Row
from pipeline.runtime.progress import Progress, silent
from pipeline.sample.params import Sample
from pipeline.scrape import listing_pass, origins, policy
from pipeline.scrape.client.challenge import Blocked
from pipeline.scrape.client.fetch import Fetcher, LoopbackTransport
from pipeline.scrape.client.pace import Clock, StopSignal
from pipeline.scrape.listing_pass import ListingPass
from pipeline.scrape.origins import Origin
from pipeline.scrape.params import Scrape
from pipeline.scrape.policy import DateCheck, Policy
from pipeline.scrape.settle import FIELDS, WorkFetcher, row_id
from pipeline.scrape.sites.gallery import ListingEntry
from pipeline.scrape.store import Store, image_name, locked
from pipeline.takedown.blocklist import load

WORST_FIRST = (130, 5, 6, 4)
LOOP = uvloop.new_event_loop if uvloop else None  # a fifth more requests a second; None = asyncio's own


@dataclass(frozen=True, kw_only=True)
class CrawlTarget:
    """What is crawled, and where its state and the user's blocklist are.

    Args:
        base_url: crawl the replica there, whatever `origin` says.
        origin: sample or live; None = as the parameters say.
        retry: reasons of rows that are asked for again at once.
    """

    state: Path = layout.STATE
    blocklist: Path = layout.BLOCKLIST
    base_url: str | None = None
    origin: str | None = None
    retry: frozenset[str] = frozenset()

    def of(self, source: str, params: Scrape, sample: Sample, ports: Mapping[str, int]) -> Origin:
        """The origin of a source; `ports` are those of running sample galleries."""
        if self.base_url is not None:
            return origins.replica(source, self.base_url, params)
        if self.origin_name(params) == "live":
            return origins.live(source, params)
        return origins.sample(source, sample, ports[source], params)

    def origin_name(self, params: Scrape) -> str:
        return self.origin or params.origin

    @asynccontextmanager
    async def galleries(
        self, sources: Sequence[str], params: Scrape, sample: Sample
    ) -> AsyncIterator[Mapping[str, int]]:
        """The ports of the sample galleries, which run while the block does if they are what is crawled."""
        if self.base_url is not None or self.origin_name(params) != "sample":
            yield {}
            return
        from pipeline.sample.galleries import site  # a web server, which no other crawl needs

        async with site.running(sample, sources) as ports:
            yield ports


def run(
    source: str,
    dst: Path,
    params: Scrape,
    sample: Sample,
    *,
    state: Path = layout.STATE,
    blocklist: Path = layout.BLOCKLIST,
    base_url: str | None = None,
    origin: str | None = None,
    limit: int | None = None,
    retry: frozenset[str] = frozenset(),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Crawl one source into its folder `dst`; returns the stats, with `new` = works settled by this run.

    Args:
        source: pixeljoint, lospec or pixiehaus.
        limit: first works of the listing; default `params.limit`.
        retry: reasons of rows that are asked for again at once.

    Raises:
        MarkupChanged, Refused, Unreachable, BadInput, Interrupted: nothing is written; what was gathered stays in
            the state.
    """
    target = CrawlTarget(state=state, blocklist=blocklist, base_url=base_url, origin=origin, retry=retry)
    params = params.model_copy(update={"limit": limit or params.limit})
    outcome = run_all({source: dst}, params, sample, target, progress)[source]
    if isinstance(outcome, PipelineError):
        raise outcome
    return outcome


def run_all(
    folders: Mapping[str, Path], params: Scrape, sample: Sample, target: CrawlTarget, progress: Progress = silent
) -> dict[str, dict[str, Any] | PipelineError]:
    """Crawl several sources side by side, each into its folder; each ends with its stats or its error.

    The first Ctrl-C lets each site finish the work in flight and save, a second one stops at once.
    """
    blocklist = load(target.blocklist)

    async def crawl_source(source: str, ports: Mapping[str, int], stop: StopSignal) -> dict[str, Any] | PipelineError:
        try:
            origin = target.of(source, params, sample, ports)
            rules = policy.of(source, params, blocklist)
            crawl = Crawl(origin, rules, params.limit, target.state, stop, progress, target.retry)
            return await crawl.into(folders[source])
        except PipelineError as error:
            return error
        except Exception as error:  # noqa: BLE001  the sites beside this one go on
            return Unforeseen.of(error)

    async def side_by_side() -> list[dict[str, Any] | PipelineError]:
        with ctrl_c() as stop:
            async with target.galleries(list(folders), params, sample) as ports, asyncio.TaskGroup() as group:
                tasks = [group.create_task(crawl_source(source, ports, stop)) for source in folders]
            return [task.result() for task in tasks]

    with asyncio.Runner(loop_factory=LOOP) as runner:
        return dict(zip(folders, runner.run(side_by_side()), strict=True))


def worst(outcomes: Iterable[dict[str, Any] | PipelineError]) -> PipelineError | None:
    """The error whose exit code a run of several sources returns; None when all went well."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, PipelineError)]
    rank = {code: place for place, code in enumerate(WORST_FIRST)}
    return min(errors, key=lambda error: rank.get(error.exit_code, len(rank)), default=None)


@contextmanager
def ctrl_c() -> Iterator[StopSignal]:
    """Turns the first Ctrl-C into a signal to stop; the next one is the ordinary interrupt again."""
    stop, loop = StopSignal(), asyncio.get_running_loop()

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError, ValueError):  # not on this system, or not in the main thread
        yield stop
        return
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def fetcher(origin: Origin, clock: Clock | None = None) -> Fetcher:
    """The client that may ask an origin."""
    transport = LoopbackTransport(origin.ports) if origin.ports else None
    return Fetcher(origin.access, user_agent=origin.user_agent, transport=transport, clock=clock)


@dataclass
class Crawl:
    """One crawl of one origin."""

    origin: Origin
    policy: Policy
    limit: int | None
    state: Path
    stop: StopSignal
    progress: Progress = silent
    retry: frozenset[str] = frozenset()
    source_ids: list[str] = field(default_factory=list)  # of the works settled, in the order of the listing
    counts: Counter[str] = field(default_factory=Counter)
    dates: DateCheck = field(init=False)

    def __post_init__(self) -> None:
        self.dates = DateCheck(self.policy)

    async def into(self, dst: Path) -> dict[str, Any]:
        """Crawl and write the output folder; returns the stats."""
        folder = folder_of(self.state, self.origin)
        try:
            with locked(folder) as store, listing_pass.opened(folder, self.origin.gallery) as listing:
                store.adopt(dst, self.origin.name, self.policy.taken_down)
                new = await self._gather(store, listing)
                stats = self._materialise(store, dst)
                listing.finish()
                return {**stats, "new": new}
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Unreachable(f"{folder}: the disk is full; what was stored is kept") from error
            raise

    async def _gather(self, store: Store, listing: ListingPass) -> int:
        """Settle what the listing names, page by page; returns how many works this run settled."""
        clock = Clock(sleep=self.stop.sleep, on_wait=self._waiting, stop=self.stop)
        async with fetcher(self.origin, clock) as client, aclosing(listing.pages(client)) as pages:
            works = WorkFetcher(client, store, self.origin, self.policy, self.retry)
            try:
                await self._settle_all(works, pages)
                works.check_all()
            except Interrupted:
                raise
            except PipelineError as error:
                works.take_back(decisions=isinstance(error, Blocked))
                raise
            works.drop_placeholders(self.source_ids)
            self.dates.finish()
            return works.new

    async def _settle_all(self, works: WorkFetcher, pages: AsyncIterator[Sequence[ListingEntry]]) -> None:
        async for page in pages:
            rows = [row async for row in self._settle(works, page)]
            only_old = bool(rows) and all(map(self.policy.too_old, rows))
            if self._full() or (only_old and self.origin.gallery.newest_first):  # nothing younger follows
                return
            self.stop.check()

    async def _settle(self, works: WorkFetcher, page: Sequence[ListingEntry]) -> AsyncIterator[Row]:
        self.counts["found"] += len(page)
        for item in page:
            if self._full():
                return
            self.stop.check()
            row = self.policy.apply(await works.settle(item))
            self.dates.note(row)
            self.source_ids.append(item.source_id)
            self.counts[row["status"]] += 1
            self.counts["in limits"] += row["reason"] != "limit"
            self.counts["fetched"] = works.new
            self._report()
            yield row

    def _full(self) -> bool:
        """Whether there are as many works as `limit`, not counting those of other dates and kinds than wanted."""
        return self.limit is not None and self.counts["in limits"] >= self.limit

    def _waiting(self, seconds: float, why: str) -> None:
        if seconds >= 1:
            self._report(f", waiting {seconds:.0f} s because {why}")

    def _report(self, more: str = "") -> None:
        total = min(self.limit or self.counts["found"], self.counts["found"])
        text = f"found {self.counts['found']}, fetched {self.counts['fetched']}, kept {self.counts['kept']}{more}"
        self.progress(f"scrape {self.origin.gallery.name}", len(self.source_ids), total, text)

    def _materialise(self, store: Store, dst: Path) -> dict[str, Any]:
        """Write the output folder: rows of exactly these works, images as links into the state where possible."""
        name = self.origin.gallery.name
        by_id = {row_id(name, source_id): source_id for source_id in self.source_ids}
        with output_dir(dst) as out:
            (out / "images").mkdir()

            def rows() -> Iterator[tuple[str, list[Row]]]:
                for key in sorted(by_id):
                    row = self.policy.apply(store.row(by_id[key]) or {})
                    if row["status"] == "kept":
                        _link(store.image(row), out / "images" / image_name(row))
                    yield key, [{field: row.get(field) for field in FIELDS}]

            return manifest.write_streamed(out, rows(), source=name, origin=self.origin.name)


def folder_of(state: Path, origin: Origin) -> Path:
    """The folder with the state of an origin."""
    return state / "crawl" / origin.gallery.name / origin.key


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return  # two works of one picture
    except OSError:
        shutil.copyfile(source, target)
