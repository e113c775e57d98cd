"""Parameters of the crawls."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.layout import Source
from pipeline.runtime.settings import Section


class PixelJoint(Section):
    """Which of pixeljoint's lists is crawled."""

    listing: Literal["newest", "hall-of-fame", "showcase", "search"]
    search: str  # text that the search looks for; empty = every work (listing: search only)


class Lospec(Section):
    """Which works of lospec's gallery are crawled; the site itself filters."""

    listing: Literal["latest", "top", "likes"]
    medium: Literal["all", "pixel-art", "voxel-art", "low-poly", "textmode-art"]
    category: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")]  # as the site names it, e.g. hand-pixelled; empty = all
    tags: list[Annotated[str, Field(min_length=1)]]


class PixieHaus(Section):
    """How pixie.haus is paged: the site's own parameter is not known."""

    page_parameter: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    first_page: Annotated[int, Field(ge=0, le=1)]


class Scrape(Section):
    """Crawling; applies to the sample and to live sites alike."""

    origin: Literal["sample", "live"]
    limit: Annotated[int, Field(ge=1)] | None  # artworks per source; null = all
    since: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None  # works posted before are dropped; null = all
    animation: Literal["any", "still", "animated"]  # works of the other kind are dropped (reason limit)
    contact: str | None  # address or URL in the User-Agent; a live crawl refuses to start without
    accept_terms: list[Source]  # sites whose terms the user has read and accepted
    ignore_opt_outs: list[Source]  # sites whose training opt-outs are overridden, with permission only; logged
    blocked_tags: list[str]  # works with one of these tags are dropped (reason blocklist)
    pixeljoint: PixelJoint
    lospec: Lospec
    pixiehaus: PixieHaus
