"""robots.txt (RFC 9309) and the training opt-outs that stand in it, in headers and in pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

AGENT = "facetopix"  # product token that robots.txt groups are matched against
MAX_BYTES = 512 * 1024  # RFC 9309 section 2.5 asks for at least 500 KiB
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


def read(data: bytes) -> Rules:
    """Parse a robots.txt, a UTF-8 byte order mark included; what is no rule is passed over."""
    text = data[:MAX_BYTES].decode("utf-8-sig", "replace")
    protego = Protego.parse(text)
    return Rules(protego, float(protego.crawl_delay(AGENT) or 0), _opt_outs(text))


def everything() -> Rules:
    """No robots.txt: all is allowed."""
    return read(b"")


def nothing() -> Rules:
    """A robots.txt that cannot be had: all is disallowed (RFC 9309 section 2.3.1.4)."""
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
    ours = by_agent.get(AGENT, by_agent.get("*", []))
    return tuple(line.split()[0] for line in [*by_agent.get("", []), *ours])


def headers_opt_out(headers: Mapping[str, str]) -> bool:
    """`X-Robots-Tag` with noai, noimageai or noml; `Content-Signal` or `Content-Usage` against training."""
    signals = (headers.get(name, "") for name in SIGNALS)
    return directives_opt_out([headers.get("x-robots-tag", "")]) or any(map(NO_TRAINING.search, signals))


def directives_opt_out(values: Iterable[str]) -> bool:
    """True when one of the comma lists holds a training opt-out, whomever it addresses."""
    words = (word for value in values for word in re.split(r"[\s,;:]+", value.lower()))
    return not OPT_OUTS.isdisjoint(words)
