"""robots.txt (RFC 9309), with the training opt-outs that stand in it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from protego import Protego

from pipeline.scrape.client.optouts import AGENT, SIGNALS, Patterns, path_pattern, refuses
from pipeline.scrape.sites.gallery import Rejection

T = TypeVar("T")

MAX_BYTES = 512 * 1024  # RFC 9309 section 2.5 asks for at least 500 KiB
MAX_AGE = 24 * 3600.0  # seconds
TOKEN = re.compile(r"[a-z_-]+", re.IGNORECASE)  # a product token; a version may follow
NO_TRAINING = "disallowaitraining"  # a line with a path that may not be used for it
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")  # of seconds, whatever follows
OF_NO_GROUP = frozenset({"sitemap", "host"})  # lines that do not end a list of agents
AGENT_LINE = re.compile(r"\s*user[- ]?agents?\s*(?::|\s)(.*)", re.IGNORECASE)
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True)
class Rules:
    """What one origin's robots.txt says to us."""

    protego: Protego
    delay: float  # Crawl-delay in seconds, 0 = none
    refused: tuple[Patterns, ...]  # paths that may not be used for training, of each signal
    closed: bool = False  # the file could not be had: everything is disallowed

    def allows(self, url: str) -> bool:
        return not self.closed and bool(self.protego.can_fetch(url, AGENT))

    def opts_out(self, url: str) -> bool:
        return any(patterns.refuse(url) for patterns in self.refused)


def parse(data: bytes) -> Rules:
    """Parse a robots.txt; what is no rule is passed over."""
    lines = list(_lines(_text(data[:MAX_BYTES])))
    protego = Protego.parse("\n".join(lines))
    refused = tuple(Patterns(_preferences(lines, signal)) for signal in SIGNALS)
    return Rules(protego, float(protego.crawl_delay(AGENT) or 0), refused)


def allow_all() -> Rules:
    """The rules of a host without a robots.txt: everything may be asked for."""
    return parse(b"")


def allow_none() -> Rules:
    """The rules of a host whose robots.txt cannot be had: nothing may be asked for (RFC 9309 section 2.3.1.4)."""
    return Rules(Protego.parse(""), 0.0, (), closed=True)


def _text(data: bytes) -> str:
    """UTF-8, or UTF-16 where a byte order mark or the zeros of its Latin letters say so."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").lstrip("\ufeff")
    start = data[:512]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(start) > 3 and 2 * start[offset::2].count(0) > len(start[offset::2]):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def _lines(text: str) -> Iterator[str]:
    """Lines without comments; agents by product token as RFC 9309 compares them: us, everyone, or somebody else."""
    for line in text.splitlines():
        rule = line.split("#")[0].strip()
        if match := AGENT_LINE.fullmatch(rule):
            named = [part.strip() for part in match[1].split(",")]
            if any(_is_us(name) for name in named):
                yield f"User-agent: {AGENT}"
            else:
                yield "User-agent: *" if "*" in (name[:2].strip() for name in named) else "User-agent: somebody-else"
        elif rule:
            yield _plain(rule)


def _plain(rule: str) -> str:
    """A rule with its path from the root of the site, and its delay as a number."""
    name, colon, value = (part.strip() for part in rule.partition(":"))
    if colon and value and name.lower() in ("allow", "disallow") and not value.startswith(("/", "*", "$")):
        return f"{name}: {path_pattern(value)}"
    if name.lower() == "crawl-delay" and (number := NUMBER.match(value)):
        return f"{name}: {number[0].replace(',', '.')}"
    return rule


def _is_us(name: str) -> bool:
    token = TOKEN.match(name)
    return token is not None and token[0].lower() == AGENT


def _preferences(lines: list[str], signal: str) -> list[tuple[str, bool]]:
    """Patterns of paths under `Content-Signal` or `Content-Usage: [pattern] preferences`, and whether each refuses.

    Lines of a group for us win over the group for `*`; lines before any group are for everyone.
    """
    by_agent: dict[str, list[str]] = {}
    agents, in_rules = [""], True
    for line in lines:
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "User-agent":
            agents = [value] if in_rules else [*agents, value]
            in_rules = False
            by_agent.setdefault(value, [])
            continue
        in_rules = in_rules or name.lower() not in OF_NO_GROUP
        if name.lower() == signal or (name.lower() == NO_TRAINING and value):
            for agent in agents:
                by_agent.setdefault(agent, []).append(value if name.lower() == signal else f"{value} train-ai=n")
    preferences = []
    for value in [*by_agent.get("", []), *by_agent.get(AGENT, by_agent.get("*", []))]:
        pattern, rest = [*value.split(None, 1), ""][:2] if value.startswith(("/", "*")) else ("/", value)
        preferences.append((pattern, refuses(rest)))
    return preferences


class OriginCache(Generic[T]):
    """A file of each origin (scheme, host, port), asked for once and again after a day (RFC 9309 section 2.4).

    Args:
        fetch: what the file of an origin says; raises Rejection when there is no answer, which is remembered too.
        monotonic: seconds.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[T]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._answers: dict[str, tuple[float, T | Rejection]] = {}  # with the time of each
        self._lock = asyncio.Lock()

    async def of(self, origin: str) -> T:
        """What an origin says.

        Raises:
            Rejection: as `fetch` raised it.
        """
        async with self._lock:
            asked_at, answer = self._answers.get(origin, (float("-inf"), None))
            if answer is None or self._monotonic() - asked_at > MAX_AGE:
                try:
                    answer = await self._fetch(origin)
                except Rejection as error:
                    answer = error
                self._answers[origin] = (self._monotonic(), answer)
        if isinstance(answer, Rejection):
            raise answer
        return answer


def of_answer(status: int, body: bytes) -> Rules:
    """2xx are rules, 4xx mean that there are none, all else that nothing is allowed (RFC 9309 section 2.3.1).

    Half a file (206) is all else: what it forbids may stand in the other half.
    """
    if status < 300 and status != 206:
        return parse(body)
    return allow_all() if 400 <= status < 500 else allow_none()
