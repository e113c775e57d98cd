"""How tests make a sample gallery misbehave, and what it reports of each request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Hit:
    """One request as it arrived at a gallery."""

    source: str
    method: str
    target: str  # path and query
    body: str
    user_agent: str
    cookie: str
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)  # names in lower case
    time: float = 0.0  # time.monotonic() at its arrival

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class ScriptedAnswer:
    """An answer given instead of the ordinary one."""

    path: str  # regular expression that the whole path and query must match
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    times: int | None = None  # first requests that get it; None = all
    source: str | None = None  # only of this gallery

    def covers(self, hit: Hit) -> bool:
        return self.source in (None, hit.source) and re.fullmatch(self.path, hit.target) is not None


@dataclass(frozen=True)
class Faults:
    """How the galleries deviate from their ordinary behaviour."""

    end: Literal["empty", "repeat"] = "empty"  # page past the end: no works, or the last page again
    clamp: bool = False  # lospec: the short last batch for every larger skip
    forgets: bool = False  # pixeljoint: cookie `v` is neither read nor set
    json: bool = False  # pixiehaus: pages as {"items": [...], "next": number or null} instead of HTML
    page_parameter: str = "page"  # pixiehaus: how pages are asked for
    first_page: int = 1  # pixiehaus
    validators: frozenset[str] = frozenset({"etag", "last-modified"})  # of listing pages that are asked for by GET
    robots: str = "User-agent: *\nDisallow: /pixels/members.asp\n"
    scripted: tuple[ScriptedAnswer, ...] = ()
    latency: float = 0.0  # seconds before each answer
    on_hit: Callable[[Hit], None] = field(default=lambda _: None)
