"""Parameters of the crawls."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from pipeline.layout import Source
from pipeline.runtime.settings import Section


def _check_day(text: str) -> str:
    date.fromisoformat(text)  # raises ValueError for a day that no calendar has
    return text


Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_check_day)]


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
    since: Day | None  # works posted before are dropped (reason limit); null = all
    until: Day | None  # works posted after that day are dropped (reason limit); null = all
    animation: Literal["any", "still", "animated"]  # works of the other kind are dropped (reason limit)
    contact: Annotated[str, Field(pattern=r"^[ -~]*$")] | None  # address or URL in the User-Agent; live crawls need it
    accept_terms: list[Source]  # sites whose terms the user has read and accepted
    ignore_opt_outs: list[Source]  # sites whose training opt-outs are overridden, with permission only; logged
    blocked_tags: list[str]  # works with one of these tags are dropped (reason blocklist)
    pixeljoint: PixelJoint
    lospec: Lospec
    pixiehaus: PixieHaus

    @field_validator("until")
    @classmethod
    def _check_order(cls, until: str | None, info: ValidationInfo) -> str | None:
        since = info.data.get("since")
        if until and since and until < since:
            raise ValueError(f"must not be before since, {since}")
        return until
