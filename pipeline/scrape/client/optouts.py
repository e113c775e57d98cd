"""Training opt-outs in headers, in pages and in a site's TDM reservations; those of robots.txt are read with it.

Known are `noai`, `noimageai` and `noml` (X-Robots-Tag, meta robots), Content-Signal, Content-Usage (IETF AIPREF) and
`tdm-reservation` (TDM Reservation Protocol). Where two of them contradict each other, the one that refuses counts.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping

from protego import Protego

logger = logging.getLogger(__name__)

AGENT = "facetopix"  # product token that groups of robots.txt and metas are matched against
OPT_OUTS = frozenset({"noai", "noimageai", "noml", "no-ai", "no-imageai", "no-ml"})
SIGNALS = ("content-signal", "content-usage")
TRAINING = frozenset({"ai-train", "train-ai", "train-genai", "genai"})  # what is done here, by name
BROADER = frozenset({"bots", "tdm", "ai", "all"})  # what includes it, unless it is named
PREFERENCE = re.compile(r"([a-z][a-z-]*)[\"']?\s*=\s*[\"']?(\?0|\?1|[a-z]+)", re.IGNORECASE)
SEPARATORS = re.compile(r"[\s,;:|=\"'\\]+")  # quotes also as JSON escapes them
NO = frozenset({"n", "no", "?0", "false"})
RESERVATION = "tdm-reservation"
ADDRESS = re.compile(r"^(?:https?:)?//[^/?]*", re.IGNORECASE)  # what stands before a path
TRAILING_COMMA = re.compile(rb",(?=\s*[\]}])")
RESERVATIONS_PATH = "/.well-known/tdmrep.json"
METAS = ("robots", AGENT, "x-robots-tag", RESERVATION, *SIGNALS)  # names (or http-equiv) of metas that may opt out


def refuses(preferences: str) -> bool:
    """Whether a Content-Signal or Content-Usage refuses training: by its name, else by what includes it."""
    pairs = [(name.lower(), value.lower() in NO) for name, value in PREFERENCE.findall(preferences)]
    named = [no for name, no in pairs if name in TRAINING]
    return any(named) if named else any(no for name, no in pairs if name in BROADER)


def reserved(value: object) -> bool:
    """Whether the value of a tdm-reservation reserves the rights: 1 or true, also as text or as one of several."""
    if isinstance(value, list):
        return any(map(reserved, value))
    return not {"1", "true"}.isdisjoint(SEPARATORS.split(value.lower())) if isinstance(value, str) else value == 1


def headers_opt_out(headers: Mapping[str, str]) -> str | None:
    """The header line that opts out of training, if any."""
    for name in METAS:
        if name not in ("robots", AGENT) and _opts_out(name, value := headers.get(name, "")):
            return f"{name.title() if name != RESERVATION else name}: {value}"
    return None


def metas_opt_out(metas: Iterable[tuple[str, str]]) -> str | None:
    """The meta element that opts out of training, if any; given as name (or http-equiv) and content."""
    for name, content in metas:
        name = name.strip(" \t\r\n\f\\\"'").lower()
        if _opts_out(name, content):
            return f"meta {name}: {content}"
    return None


def _opts_out(name: str, value: str) -> bool:
    if name in SIGNALS:
        return refuses(value)
    if name == RESERVATION:
        return reserved(value)
    return name in METAS and not OPT_OUTS.isdisjoint(SEPARATORS.split(value.lower()))


class Patterns:
    """Paths with `*` and `$` as in robots.txt, each of which refuses or permits; the longest that matches decides."""

    def __init__(self, rules: Iterable[tuple[str, bool]]) -> None:
        verdicts: dict[str, bool] = {}  # pattern -> whether it refuses; of two equal ones the one that does
        for pattern, no in rules:
            verdicts[pattern] = verdicts.get(pattern, False) or no
        lines = [f"{'Disallow' if no else 'Allow'}: {pattern}" for pattern, no in verdicts.items()]
        self._protego = Protego.parse("\n".join(["User-agent: *", *lines]))

    def refuse(self, url: str) -> bool:
        return not self._protego.can_fetch(url, AGENT)


def reservations(data: bytes, url: str) -> Patterns:
    """The paths of a site that are reserved by its tdmrep.json, which comes from `url`; a damaged one reserves none."""
    try:
        rules = json.loads(TRAILING_COMMA.sub(b"", data))
    except (ValueError, RecursionError):
        rules = None
    if isinstance(rules, dict) and RESERVATION not in rules:  # the list under some name
        rules = next((value for value in rules.values() if isinstance(value, list)), rules)
    rules = [rules] if isinstance(rules, dict) else rules
    if not isinstance(rules, list):
        logger.info("%s: no list of TDM reservations", url)
        return Patterns(())
    return Patterns(
        (path_pattern(location), reserved(rule[RESERVATION]))
        for rule in rules
        if isinstance(rule, dict) and RESERVATION in rule
        for location in _locations(rule.get("location"))
    )


def _locations(value: object) -> list[str]:
    """One or several locations; the whole site where there is none."""
    return [str(location) for location in value] if isinstance(value, list) else [str(value or "/")]


def path_pattern(location: str) -> str:
    """A location, or the path of an address, as a pattern of one line from the root of the site."""
    text = "".join(location.split()).replace("#", "%23").lstrip("^").replace(".*", "*")
    text = ADDRESS.sub("", text)
    return text if text.startswith(("/", "*")) else "/" + text
