from __future__ import annotations

import pytest

from pipeline.scrape.client import robots

SITE = "https://lospec.com"


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/gallery", True),
        ("User-agent: *\nDisallow: /gallery", "/gallery/a/b", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: facetopix\nDisallow: /private", "/gallery", True),
        ("User-agent: *\nDisallow: /g\nAllow: /gallery", "/gallery", True),
        ("User-agent: *\nDisallow: /*.png$", "/a/b.png", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/gallery", False),
        ("<html>not a robots file</html>", "/gallery", True),
    ],
)
def test_rules_of_rfc_9309_are_obeyed(text: str, path: str, allowed: bool) -> None:
    assert robots.parse(text.encode()).allows(SITE + path) is allowed


def test_missing_robots_allows_everything_and_an_unreadable_one_nothing() -> None:
    assert robots.allow_all().allows(SITE + "/x")
    assert not robots.allow_none().allows(SITE + "/x")


def test_crawl_delay_is_read_as_a_decimal() -> None:
    assert robots.parse(b"User-agent: *\nCrawl-delay: 2.5").delay == 2.5


@pytest.mark.parametrize(
    ("text", "path", "opted_out"),
    [
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /", "/gallery", True),
        ("Content-Signal: ai-train=no", "/gallery", True),
        ("User-agent: *\nContent-Usage: train-ai=n", "/gallery", True),
        ("User-agent: *\nContent-Usage: /art train-ai=n", "/art/1", True),
        ("User-agent: *\nContent-Usage: /art train-ai=n", "/gallery", False),
        ("User-agent: *\nContent-Signal: ai-train=yes", "/gallery", False),
        ("User-agent: otherbot\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/gallery", False),
        ("User-agent: otherbot\nUser-agent: *\nContent-Signal: ai-train=no", "/gallery", True),
        ("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: FaceToPix\nAllow: /", "/gallery", False),
        ("User-agent: *\n# Content-Signal: ai-train=no", "/gallery", False),
    ],
)
def test_training_opt_outs_in_robots_are_seen(text: str, path: str, opted_out: bool) -> None:
    assert robots.parse(text.encode()).opts_out(SITE + path) is opted_out


@pytest.mark.parametrize(
    ("headers", "opted_out"),
    [
        ({"x-robots-tag": "noai"}, True),
        ({"x-robots-tag": "noindex, NoImageAI"}, True),
        ({"x-robots-tag": "otherbot: noindex; noml"}, True),
        ({"x-robots-tag": "noindex, nofollow"}, False),
        ({"content-signal": "search=yes,ai-train=no"}, True),
        ({"content-usage": "train-ai=n"}, True),
        ({"content-usage": "train-ai=y"}, False),
        ({}, False),
    ],
)
def test_training_opt_outs_in_headers_are_seen(headers: dict[str, str], opted_out: bool) -> None:
    assert bool(robots.headers_opt_out(headers)) is opted_out
