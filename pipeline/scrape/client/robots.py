"""robots.txt (RFC 9309) and the training opt-outs that stand in it, in headers and in pages."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

from pipeline.scrape.sites.gallery import Rejection

AGENT = "facetopix"  # product token that robots.txt groups are matched against
MAX_BYTES = 512 * 1024  # RFC 9309 section 2.5 asks for at least 500 KiB
MAX_AGE = 24 * 3600.0  # seconds
OPT_OUTS = frozenset({"noai", "noimageai", "noml"})
SIGNALS = ("content-signal", "content-usage")
NO_TRAINING = re.compile(r"(?:ai-train\s*=\s*no|train-ai\s*=\s*n)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Rules:
    """What one origin's robots.txt says to us."""

    protego: Protego
    delay: float  # Crawl-delay in seconds, 0 = none
    opted_out: tuple[str, ...]  # path prefixes that may not be used for training
    closed: bool = False  # the file could not be had: everything is disallowed

    def allows(self, url: str) -> bool:
        return not self.closed and bool(self.protego.can_fetch(url, AGENT))

    def opts_out(self, url: str) -> bool:
        path = urlsplit(url).path or "/"
        return any(path.startswith(prefix) for prefix in self.opted_out)


def parse(data: bytes) -> Rules:
    """Parse a robots.txt, a UTF-8 byte order mark included; what is no rule is passed over."""
    text = data[:MAX_BYTES].decode("utf-8-sig", "replace")
    protego = Protego.parse(text)
    return Rules(protego, float(protego.crawl_delay(AGENT) or 0), _opt_outs(text))


def allow_all() -> Rules:
    """The rules of a host without a robots.txt: everything may be asked for."""
    return parse(b"")


def allow_none() -> Rules:
    """The rules of a host whose robots.txt cannot be had: nothing may be asked for (RFC 9309 section 2.3.1.4)."""
    return Rules(Protego.parse(""), 0.0, (), closed=True)


def _opt_outs(text: str) -> tuple[str, ...]:
    """Prefixes under `Content-Signal: ai-train=no` and `Content-Usage: [/prefix] train-ai=n`.

    Lines of a group for us win over the group for `*`; lines before any group are for everyone.
    """
    by_agent: dict[str, list[str]] = {}
    agents, in_rules = [""], True
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.split("#")[0].partition(":"))
        if name.lower() == "user-agent":
            agents = [value.lower()] if in_rules else [*agents, value.lower()]
            in_rules = False
            by_agent.setdefault(value.lower(), [])
        elif name:
            in_rules = True
            if name.lower() in SIGNALS and NO_TRAINING.search(value):
                for agent in agents:
                    by_agent.setdefault(agent, []).append(value if value.startswith("/") else "/")
    group = by_agent.get(AGENT, by_agent.get("*", []))
    return tuple(line.split()[0] for line in [*by_agent.get("", []), *group])


def headers_opt_out(headers: Mapping[str, str]) -> str | None:
    """The header line that opts out of training, if any.

    That is `X-Robots-Tag` with noai, noimageai or noml, `Content-Signal` or `Content-Usage`.
    """
    tag = headers.get("x-robots-tag", "")
    if directives_opt_out([tag]):
        return f"X-Robots-Tag: {tag}"
    for name in SIGNALS:
        if NO_TRAINING.search(value := headers.get(name, "")):
            return f"{name.title()}: {value}"
    return None


def directives_opt_out(values: Iterable[str]) -> str | None:
    """The first of the comma lists that holds a training opt-out, whomever it addresses."""
    for value in values:
        if not OPT_OUTS.isdisjoint(re.split(r"[\s,;:]+", value.lower())):
            return value
    return None


class RobotsCache:
    """The robots.txt of each origin, asked for once and again after a day (RFC 9309 section 2.4).

    Args:
        fetch: status and body of the robots.txt of an origin; raises Rejection when there is no answer.
        monotonic: seconds.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[tuple[int, bytes]]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._answers: dict[str, tuple[float, Rules | Rejection]] = {}  # with the time of each
        self._lock = asyncio.Lock()

    async def rules(self, origin: str) -> Rules:
        """What an origin (scheme, host, port) says.

        Raises:
            Rejection: network, the origin does not answer: nothing of it may be asked.
        """
        async with self._lock:
            asked_at, answer = self._answers.get(origin, (float("-inf"), None))
            if answer is None or self._monotonic() - asked_at > MAX_AGE:
                answer = await self._ask(origin)
                self._answers[origin] = (self._monotonic(), answer)
        if isinstance(answer, Rejection):
            raise answer
        return answer

    async def _ask(self, origin: str) -> Rules | Rejection:
        """2xx are rules, 4xx mean that there are none, all else that nothing is allowed (RFC 9309 section 2.3.1)."""
        try:
            status, body = await self._fetch(origin)
        except Rejection as error:
            error.passing = True
            return error if error.reason == "network" else allow_none()
        if status < 300:
            return parse(body)
        return allow_all() if 400 <= status < 500 else allow_none()
