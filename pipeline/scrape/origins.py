"""Where a source is crawled: the procedural sample, a replica, or the live site."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import BadInput, Refused
from pipeline.layout import SOURCES
from pipeline.sample.params import Sample
from pipeline.scrape.client.pace import Access
from pipeline.scrape.client.robots import AGENT
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import Gallery
from pipeline.scrape.sites.lospec import Lospec
from pipeline.scrape.sites.pixeljoint import PixelJoint
from pipeline.scrape.sites.pixiehaus import PixieHaus

SAMPLE_DOMAIN = "sample.invalid"
SAMPLE_TIME = datetime(2025, 1, 1, tzinfo=UTC)
LIVE_BACKOFF, LOOPBACK_BACKOFF = 4.0, 0.02  # seconds before the first retry


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Origin:
    """One place where one gallery is crawled, and the manners due there."""

    name: str  # what manifests call it
    key: str  # folder of its state
    gallery: Gallery
    access: Access
    user_agent: str
    consent: str
    ports: Mapping[str, int] = field(default_factory=dict)  # host name -> loopback port that answers for it
    clock: Callable[[], datetime] = _now


def gallery(source: str, origin: str | None = None, params: Scrape | None = None) -> Gallery:
    """The parser of a source, for the live site or for pages that start at `origin`; which list, `params` say.

    Raises:
        BadInput: no such source.
    """
    at: dict[str, Any] = {} if origin is None else {"origin": origin}
    match source:
        case "pixeljoint":
            return PixelJoint(**at, **_pixeljoint(params))
        case "lospec":
            return Lospec(**at, **_lospec(params))
        case "pixiehaus":
            return PixieHaus(**at, **(params.pixiehaus.model_dump() if params else {}))
    raise BadInput(f"source must be one of {', '.join(SOURCES)}, got {source!r}")


def _pixeljoint(params: Scrape | None) -> dict[str, Any]:
    return {} if params is None else {"listing": params.pixeljoint.listing, "search": params.pixeljoint.search}


def _lospec(params: Scrape | None) -> dict[str, Any]:
    if params is None:
        return {}
    wanted = params.lospec
    return {
        "listing": wanted.listing, "medium": wanted.medium, "category": wanted.category, "tags": tuple(wanted.tags)
    }  # fmt: skip


def user_agent(contact: str) -> str:
    return f"{AGENT}/{version('facetopix')} (+{contact})"


def sample(source: str, params: Sample, port: int, scrape: Scrape | None = None) -> Origin:
    """The sample gallery that listens on a loopback port, under a name and a clock that never change."""
    host = f"{source}.{SAMPLE_DOMAIN}"
    names = {host: port, f"cdn.{host}": port}
    access = Access(
        frozenset(names), https=False, delay=0.0, backoff=LOOPBACK_BACKOFF, ignore_opt_outs=_ignored(source, scrape)
    )
    return Origin(
        name="sample",
        key=f"sample-{params.revision}",
        gallery=gallery(source, f"http://{host}", scrape),
        access=access,
        user_agent=user_agent("procedural sample"),
        consent="procedural sample",
        ports=names,
        clock=lambda: SAMPLE_TIME,
    )


def replica(source: str, base_url: str, params: Scrape) -> Origin:
    """A replica at any address; on loopback without contact, terms and pacing.

    Raises:
        BadInput: not an http(s) address.
        Refused: not on loopback, and contact or terms are missing.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"--base-url must be an http or https address, got {base_url!r}")
    base, host = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), parts.hostname
    key = f"{re.sub(r'[^a-z0-9.-]', '-', parts.netloc.lower())}-{hashlib.sha256(base.encode()).hexdigest()[:8]}"
    site = gallery(source, base, params)
    if is_loopback(host):
        access = Access(
            frozenset({host}),
            https=False,
            delay=0.0,
            backoff=LOOPBACK_BACKOFF,
            ignore_opt_outs=_ignored(source, params),
        )
        return Origin(base, key, site, access, user_agent(params.contact or "loopback replica"), "replica")
    permit(source, params)
    access = Access(
        frozenset({host}), https=True, delay=site.delay, backoff=LIVE_BACKOFF, ignore_opt_outs=_ignored(source, params)
    )
    return Origin(base, key, site, access, user_agent(params.contact or ""), "terms accepted by the user")


def live(source: str, params: Scrape) -> Origin:
    """The live site.

    Raises:
        Refused: contact or accepted terms are missing.
    """
    permit(source, params)
    site = gallery(source, params=params)
    access = Access(
        site.hosts, https=True, delay=site.delay, backoff=LIVE_BACKOFF, public=True,
        ignore_opt_outs=_ignored(source, params),
    )  # fmt: skip
    return Origin("live", "live", site, access, user_agent(params.contact or ""), "terms accepted by the user")


def _ignored(source: str, params: Scrape | None) -> bool:
    return params is not None and source in params.ignore_opt_outs


def permit(source: str, params: Scrape) -> None:
    """Raises Refused unless there is a contact to name and the source's terms were accepted."""
    terms = gallery(source).terms
    if not params.contact:
        raise Refused(f"{source}: a live crawl says who asks: give --contact or scrape.contact (terms: {terms})")
    if source not in params.accept_terms:
        raise Refused(
            f"{source}: read {terms}; if they permit what you mean to do, accept them with --yes or scrape.accept_terms"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
