"""What a test may ask of a sample gallery beyond its ordinary answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Hit:
    """One request as the gallery saw it."""

    source: str
    method: str
    target: str  # path and query
    body: str
    user_agent: str
    cookie: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Scripted:
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
    robots: str = "User-agent: *\nDisallow: /pixels/members.asp\n"
    scripted: tuple[Scripted, ...] = ()
    latency: float = 0.0  # seconds before each answer
    on_hit: Callable[[Hit], None] = field(default=lambda _: None)
