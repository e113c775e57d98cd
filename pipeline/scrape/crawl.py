"""The crawl stage: a gallery's listing, then each of its works, into state that survives a kill, then into a folder."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import io, manifest
from pipeline.errors import MarkupChanged, PipelineError, Refused, Unreachable
from pipeline.manifest import Row
from pipeline.params import Sample, Scrape
from pipeline.sample import site
from pipeline.scrape import origins, store
from pipeline.scrape.fetch import Cookies, Fetcher, Loopback
from pipeline.scrape.gallery import REASONS, Found, Listing, Rejected, Request
from pipeline.scrape.origins import Origin
from pipeline.scrape.store import Store
from pipeline.scrape.works import Progress, Settler, blocked

MAX_PAGES = 20_000
WORST_FIRST = (5, 6, 4)


def run(
    source: str,
    dst: Path,
    params: Scrape,
    sample: Sample,
    *,
    state: Path = Path(".state"),
    base_url: str | None = None,
    origin: str | None = None,
    limit: int | None = None,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Crawl one source into its folder `dst`; returns the stats, with `new` = works settled by this run.

    Args:
        source: pixeljoint, lospec or pixiehaus.
        base_url: crawl the replica there, whatever `origin` says.
        origin: sample or live; default `params.origin`.
        limit: first works of the listing; default `params.limit`.

    Raises:
        MarkupChanged, Refused, Unreachable, BadInput: nothing is written; what was gathered stays in `state`.
    """
    outcome = _run({source: dst}, params, sample, state, base_url, origin, limit, on_progress)[source]
    if isinstance(outcome, PipelineError):
        raise outcome
    return outcome


def run_all(
    sources: Sequence[str],
    dst: Path,
    params: Scrape,
    sample: Sample,
    *,
    state: Path = Path(".state"),
    base_url: str | None = None,
    origin: str | None = None,
    limit: int | None = None,
    on_progress: Progress | None = None,
) -> dict[str, dict[str, Any] | PipelineError]:
    """Crawl several sources side by side into `dst/<source>`; each ends with its stats or its error."""
    folders = {source: dst / source for source in sources}
    return _run(folders, params, sample, state, base_url, origin, limit, on_progress)


def worst(outcomes: Iterable[dict[str, Any] | PipelineError]) -> PipelineError | None:
    """The error whose exit code a run of several sources returns; None when all went well."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, PipelineError)]
    rank = {code: place for place, code in enumerate(WORST_FIRST)}
    return min(errors, key=lambda error: rank.get(error.exit_code, len(rank)), default=None)


def _run(
    folders: Mapping[str, Path],
    params: Scrape,
    sample: Sample,
    state: Path,
    base_url: str | None,
    origin: str | None,
    limit: int | None,
    on_progress: Progress | None,
) -> dict[str, dict[str, Any] | PipelineError]:
    async def one(source: str, ports: Mapping[str, int]) -> dict[str, Any] | PipelineError:
        try:
            at = origin_of(source, params, sample, base_url, origin, ports)
            return await crawl(at, folders[source], params, state, limit or params.limit, on_progress)
        except PipelineError as error:
            return error

    async def side_by_side() -> list[dict[str, Any] | PipelineError]:
        wants_sample = base_url is None and (origin or params.origin) == "sample"
        async with site.running(sample, list(folders) if wants_sample else []) as ports, asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(source, ports)) for source in folders]
        return [task.result() for task in tasks]

    return dict(zip(folders, asyncio.run(side_by_side()), strict=True))


def origin_of(
    source: str,
    params: Scrape,
    sample: Sample,
    base_url: str | None,
    origin: str | None,
    ports: Mapping[str, int],
) -> Origin:
    """The origin that the arguments of `run` describe; `ports` are those of running sample galleries."""
    if base_url is not None:
        return origins.replica(source, base_url, params)
    if (origin or params.origin) == "live":
        return origins.live(source, params)
    return origins.sample(source, sample, ports[source])


def fetcher(origin: Origin) -> Fetcher:
    transport = Loopback(origin.ports) if origin.ports else None
    return Fetcher(origin.access, user_agent=origin.user_agent, transport=transport)


async def crawl(
    origin: Origin, dst: Path, params: Scrape, state: Path, limit: int | None, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Crawl one origin; see `run`."""
    folder = state / "crawl" / origin.gallery.name / origin.key
    try:
        with store.locked(folder) as works:
            works.adopt(dst, origin.name)
            async with fetcher(origin) as client:
                found = await _list(client, works, origin, limit)
                new = await Settler(client, works, origin, params.blocked_tags).settle_all(found, on_progress)
            rows = [_today(works.works[item.source_id], params.blocked_tags) for item in found]
            _judge(rows, origin.gallery.name)
            stats = _materialise(rows, works, dst, origin)
            works.end_pass()
            return {**stats, "new": new}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unreachable(f"{folder}: the disk is full; what was stored is kept") from error
        raise


async def _list(client: Fetcher, works: Store, origin: Origin, limit: int | None) -> list[Found]:
    """The listed works in order, the pages of an interrupted pass taken from the state.

    Ends at the pager's last page, at no entries, at no id that is new in this pass, or at the limit.
    """
    pages = [store.listing_of(page) for page in works.pages]
    cookies = Cookies(works.pages[-1]["cookies"] if pages else None)
    found: dict[str, Found] = {}
    request: Request | None = origin.gallery.start()
    for listing in pages:
        request = _take(found, listing)
    while request is not None and (limit is None or len(found) < limit) and len(pages) < MAX_PAGES:
        listing = await _listing(client, origin, request, cookies)
        if pages:
            _same_list(pages[0], listing, origin.gallery.name, request.url)
        works.add_page(listing, cookies.dump())
        pages.append(listing)
        request = _take(found, listing)
    return list(found.values())[:limit]


def _take(found: dict[str, Found], listing: Listing) -> Request | None:
    """Add what is new; the request that follows, None after a page that brought nothing."""
    before = len(found)
    for item in listing.items:
        found.setdefault(item.source_id, item)
    return listing.next if len(found) > before else None


async def _listing(client: Fetcher, origin: Origin, request: Request, cookies: Cookies) -> Listing:
    try:
        page = await client.page(request, cookies)
    except Rejected as error:
        kind = Refused if error.reason in ("noai", "robots") else Unreachable
        raise kind(f"{origin.gallery.name}: listing: {error}") from error
    return origin.gallery.parse_listing(page.text, page.url, request)


def _same_list(first: Listing, listing: Listing, source: str, url: str) -> None:
    """A lost cookie answers with another list and status 200: another heading, or another number of pages."""
    if listing.items and first.heading and listing.heading and listing.heading != first.heading:
        raise MarkupChanged(site=source, selector="h1", expected=f"{first.heading!r} again", found=0, url=url)
    if first.pages and listing.pages and abs(listing.pages - first.pages) > max(2, first.pages // 10):
        expected = f"about {first.pages} pages, as on the first page"
        raise MarkupChanged(site=source, selector="pager", expected=expected, found=listing.pages, url=url)


def _today(row: Row, blocked_tags: Iterable[str]) -> Row:
    """A stored row under today's blocklist."""
    if row["status"] == "kept" and blocked(row["tags"], blocked_tags):
        return {**row, "status": REASONS["blocklist"], "reason": "blocklist"}
    return row


def _judge(rows: Sequence[Row], source: str) -> None:
    if rows and all(row["reason"] in ("noai", "robots") for row in rows):
        raise Refused(f"{source}: robots.txt or a training opt-out covers every one of {len(rows)} works")


def _materialise(rows: Sequence[Row], works: Store, dst: Path, origin: Origin) -> dict[str, Any]:
    """The output folder: exactly these rows, images as links into the state where the file system allows it."""
    with io.output_dir(dst) as out:
        images = out / "images"
        images.mkdir()
        for row in rows:
            if row["status"] == "kept" and not (images / store.image_name(row)).exists():
                _link(works.image(row), images / store.image_name(row))
        ids = [row["id"] for row in rows]
        return manifest.write(out, rows, inputs=ids, source=origin.gallery.name, origin=origin.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
