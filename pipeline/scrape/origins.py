"""Where a source is crawled: the procedural sample, a replica, or the live site."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from urllib.parse import urlsplit

from pipeline.errors import BadInput, Refused
from pipeline.layout import SOURCES
from pipeline.sample.params import Sample
from pipeline.scrape.client import host_file
from pipeline.scrape.client.optouts import AGENT
from pipeline.scrape.client.pace import Access
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites.gallery import Gallery
from pipeline.scrape.sites.lospec import Lospec
from pipeline.scrape.sites.pixeljoint import PixelJoint
from pipeline.scrape.sites.pixiehaus import PixieHaus

SAMPLE_DOMAIN = "sample.invalid"
GALLERIES: dict[str, type[PixelJoint | Lospec | PixieHaus]] = {
    "pixeljoint": PixelJoint, "lospec": Lospec, "pixiehaus": PixieHaus,
}  # fmt: skip
SAMPLE_TIME = datetime(2025, 1, 1, tzinfo=UTC)
LIVE_BACKOFF, LOOPBACK_BACKOFF = 4.0, 0.02  # seconds before the first retry


@dataclass(frozen=True)
class Origin:
    """One place where one gallery is crawled: its address, whom a crawl may ask there, and on what terms."""

    name: str  # what manifests call it
    key: str  # folder of its state
    gallery: Gallery
    access: Access
    user_agent: str
    consent: str
    ports: Mapping[str, int] = field(default_factory=dict)  # host name -> loopback port that answers for it
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


def gallery(source: str, origin: str | None = None, params: Scrape | None = None) -> Gallery:
    """The parser of a source, for the live site or for pages that start at `origin`; which list, `params` say.

    Raises:
        BadInput: no such source.
    """
    if source not in GALLERIES:
        raise BadInput(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
    values = getattr(params, source).model_dump() if params else {}
    return GALLERIES[source](**values) if origin is None else GALLERIES[source](origin=origin, **values)


def user_agent(contact: str) -> str:
    """The User-Agent header: the product, its version and whom to write to."""
    return f"{AGENT}/{version('facetopix')} (+{contact})"


def sample(source: str, params: Sample, port: int, scrape: Scrape | None = None) -> Origin:
    """The sample gallery that listens on a loopback port, under a name and a clock that never change."""
    host = f"{source}.{SAMPLE_DOMAIN}"
    ports = {host: port, f"cdn.{host}": port}
    return Origin(
        name="sample",
        key=f"sample-{params.revision}",
        gallery=gallery(source, f"http://{host}", scrape),
        access=_loopback_access(source, ports, scrape),
        user_agent=user_agent("procedural sample"),
        consent="procedural sample",
        ports=ports,
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
    if not is_loopback(host):
        return _remote(base, key, site, frozenset({host}), params)
    agent = user_agent(params.contact or "loopback replica")
    return Origin(base, key, site, _loopback_access(source, [host], params), agent, "replica")


def live(source: str, params: Scrape) -> Origin:
    """The live site.

    Raises:
        Refused: contact or accepted terms are missing.
    """
    site = gallery(source, params=params)
    return _remote("live", "live", site, site.hosts, params, public=True)


def _loopback_access(source: str, hosts: Iterable[str], params: Scrape | None) -> Access:
    overridden = params is not None and source in params.ignore_opt_outs
    return Access(frozenset(hosts), https=False, delay=0.0, backoff=LOOPBACK_BACKOFF, ignore_opt_outs=overridden)


def _remote(
    name: str, key: str, site: Gallery, hosts: frozenset[str], params: Scrape, *, public: bool = False
) -> Origin:
    """Raises Refused unless there is a contact to name and the source's terms were accepted."""
    if not params.contact:
        raise Refused(
            f"{site.name}: a live crawl says who asks: give --contact or scrape.contact (terms: {site.terms})"
        )
    if site.name not in params.accept_terms:
        raise Refused(
            f"{site.name}: read {site.terms}; if they permit what you mean to do, accept them with --yes or "
            "scrape.accept_terms"
        )
    overridden = site.name in params.ignore_opt_outs
    access = Access(
        hosts, https=True, delay=site.delay, backoff=LIVE_BACKOFF, public=public, ignore_opt_outs=overridden,
        memory=host_file.folder(),
    )  # fmt: skip
    return Origin(name, key, site, access, user_agent(params.contact), "terms accepted by the user")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
