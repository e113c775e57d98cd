"""A look before crawling: what a crawl would do, and what a parser finds on one page."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import BadInput, MarkupChanged, Refused, Unreachable
from pipeline.sample.params import Sample
from pipeline.scrape import origins, store
from pipeline.scrape.client import challenge
from pipeline.scrape.client.answers import Page
from pipeline.scrape.crawl import CrawlTarget, fetcher, folder_of
from pipeline.scrape.origins import Origin
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import Gallery, Rejection, RemovalNotice, Request


def plan(source: str, params: Scrape, sample: Sample, target: CrawlTarget) -> dict[str, Any]:
    """What a crawl with these arguments would do. Asks for robots.txt and for nothing else.

    Raises:
        Refused: a live crawl without contact or accepted terms.
        Unreachable: the host does not answer.
    """

    async def look_up() -> tuple[Origin, dict[str, Any]]:
        async with target.galleries([source], params, sample) as ports:
            origin = target.of(source, params, sample, ports)
            return origin, await _robots(origin)

    origin, robots = asyncio.run(look_up())
    start, folder = origin.gallery.start(), folder_of(target.state, origin)
    return {
        "robots": robots,
        "source": origin.gallery.name,
        "origin": origin.name,
        "start": {"method": start.method, "url": start.url, "form": dict(start.form)},
        "hosts": sorted(origin.access.hosts),
        "seconds_between_requests": origin.access.delay,
        "user_agent": origin.user_agent,
        "terms": origin.gallery.terms,
        "state": str(folder),
        "settled_before": store.count(folder),
        **params.model_dump(include={"limit", "since", "until", "animation", "blocked_tags", "ignore_opt_outs"}),
    }


async def _robots(origin: Origin) -> dict[str, Any]:
    url = origin.gallery.start().url
    async with fetcher(origin) as client:
        try:
            rules = await client.rules(url)
        except Rejection as error:
            raise Unreachable(f"{origin.gallery.name}: robots.txt: {error.detail}") from error
    verdict = "noai" if rules.opts_out(url) else "allowed" if rules.allows(url) else "disallowed"
    return {"verdict": verdict, "crawl_delay": rules.delay}


def run_page(page: str, source: str, params: Scrape) -> dict[str, Any]:
    """What a source's parsers find on one page: at an address, or in a file as saved.

    Raises:
        BadInput: no such file.
        MarkupChanged: neither a listing nor an artwork page of that source.
        Refused, Unreachable: the page may not or cannot be had.
    """
    parts = urlsplit(page)
    if parts.scheme in ("http", "https"):
        base = f"{parts.scheme}://{parts.netloc}"
        live = parts.hostname in origins.gallery(source).hosts
        origin = origins.live(source, params) if live else origins.replica(source, base, params)
        start = origin.gallery.start()
        request = start if page == start.url else Request(page)  # by POST where the gallery asks so
        found = asyncio.run(_fetch(origin, request))
        try:
            return _parse(origin.gallery, found.text, found.url, request)
        except MarkupChanged:
            challenge.check_page(found.url, found.status, found.text)
            raise
    path = Path(page)
    if not path.is_file():
        raise BadInput(f"{page}: neither an http address nor a file")
    gallery = origins.gallery(source)
    return _parse(gallery, html.decode(path.read_bytes()), gallery.start().url, None)


async def _fetch(origin: Origin, request: Request) -> Page:
    async with fetcher(origin) as client:
        try:
            return await client.page(request)
        except Rejection as error:
            kind = Refused if error.reason in ("noai", "robots", "off_host") else Unreachable
            raise kind(f"{origin.gallery.name}: {error}") from error


def _parse(gallery: Gallery, text: str, url: str, request: Request | None) -> dict[str, Any]:
    """What is on an artwork's page, else on a listing; the error is the listing's, which says more."""
    try:
        artwork = gallery.parse_artwork(text, url)
    except MarkupChanged:
        listing = gallery.parse_listing(text, url, request)
        return {"page": "listing", "url": url, **asdict(listing)}
    details = {"gone": True} if isinstance(artwork, RemovalNotice) else asdict(artwork)
    return {"page": "artwork", "url": url, **details}
