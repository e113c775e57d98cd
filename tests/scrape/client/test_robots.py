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
        ("User-agent: facetopix/0.1\nDisallow: /", "/gallery", False),
        ("User-agent: FaceToPix 2 (any)\nDisallow: /", "/gallery", False),
        ("User-agent: otherbot, facetopix\nDisallow: /", "/gallery", False),
        ("Useragent facetopix\nDisallow: /", "/gallery", False),
        ("User-agent: facetopix/9 # ours\nDisallow: /\n\nUser-agent: *\nAllow: /", "/gallery", False),
        ("User-agent: face\nDisallow: /", "/gallery", True),
        ("User-agent: facetopix-images\nDisallow: /", "/gallery", True),
        ("User-agent: topix\nDisallow: /", "/gallery", True),
        ("User-agent: f\nDisallow: /\n\nUser-agent: *\nDisallow: /x", "/gallery", True),
        ("User-agent: *bot\nDisallow: /", "/gallery", True),
        ("User-agent: *  # all\nDisallow: /", "/gallery", False),
        ("User-agent:\nDisallow: /", "/gallery", True),
        ("\ufeff\ufeffUser-agent: *\nDisallow: /", "/gallery", False),
        ("User-agent: *\nDisallow: gallery", "/gallery", False),
        ("User-agent: *\nDisallow: https://site.test/", "/gallery", False),
        ("User-agent: *\nDisallow:", "/gallery", True),
        (
            "User-agent: facetopix\nUser-agent: other/1\nDisallow: /a\n\nUser-agent: facetopix/2\nDisallow: /b",
            "/b",
            False,
        ),
    ],
)
def test_rules_of_rfc_9309_are_obeyed(text: str, path: str, allowed: bool) -> None:
    assert robots.parse(text.encode()).allows(SITE + path) is allowed


RULES = "User-agent: *\nDisallow: /gallery\n# caf\u00e9\n"


@pytest.mark.parametrize(
    "data",
    [
        RULES.encode("utf-16"), b"\xfe\xff" + RULES.encode("utf-16-be"), RULES.encode("utf-16-le"),
        RULES.encode("utf-16-be"), RULES.encode("utf-8-sig"), RULES.encode("latin-1"), RULES.encode("utf-16")[:-1],
    ],
)  # fmt: skip
def test_encoding_of_the_file_changes_no_rule(data: bytes) -> None:
    rules = robots.parse(data)
    assert (rules.allows(SITE + "/gallery"), rules.allows(SITE + "/x")) == (False, True)


def test_missing_robots_allows_everything_and_an_unreadable_one_nothing() -> None:
    assert robots.allow_all().allows(SITE + "/x")
    assert not robots.allow_none().allows(SITE + "/x")


@pytest.mark.parametrize(("value", "seconds"), [("2.5", 2.5), ("5s", 5), ("2,5 sec", 2.5), ("soon", 0)])
def test_crawl_delay_is_read_as_a_decimal(value: str, seconds: float) -> None:
    assert robots.parse(f"User-agent: *\nCrawl-delay: {value}".encode()).delay == seconds


@pytest.mark.parametrize(
    ("text", "path", "opted_out"),
    [
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /", "/gallery", True),
        ("Content-Signal: ai-train=no", "/gallery", True),
        ("User-agent: *\nContent-Usage: train-ai=n", "/gallery", True),
        ("User-agent: *\nContent-Usage: /art train-ai=n", "/art/1", True),
        ("User-agent: *\nContent-Usage: /art train-ai=n", "/gallery", False),
        ("User-agent: *\nContent-Usage: /*.png$ train-ai=n", "/a/b.png", True),
        ("User-agent: *\nContent-Usage: /*.png$ train-ai=n", "/a/b.png?x=1", False),
        ("User-agent: *\nContent-Usage: /*/full/\ttrain-ai=n", "/files/full/1", True),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /free train-ai=y", "/free/1", False),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /free train-ai=y", "/art", True),
        ("User-agent: *\nContent-Usage: /a train-ai=y\nContent-Usage: /a/b train-ai=n", "/a/b/c", True),
        ("User-agent: *\nContent-Usage: /a train-ai=y\nContent-Usage: /a train-ai=n", "/a", True),
        ("User-agent: *\nContent-Usage: /caf\u00e9 train-ai=n", "/caf%C3%A9/1", True),
        ("User-agent: *\nContent-Usage: bots=n", "/a", True),
        ("User-agent: *\nContent-Usage: search=n", "/a", False),
        ("User-agent: *\nContent-Signal: ai-train=no\nContent-Usage: /free train-ai=y", "/free", True),
        ("User-agent: facetopix/1\nContent-Usage: train-ai=n\n\nUser-agent: *\nAllow: /", "/a", True),
        ("User-agent: face\nContent-Usage: train-ai=n", "/a", False),
        ("User-agent: *\nContent-Signal: ai-train=yes", "/gallery", False),
        ("User-agent: otherbot\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/gallery", False),
        ("User-agent: otherbot\nUser-agent: *\nContent-Signal: ai-train=no", "/gallery", True),
        ("User-agent: *\nSitemap: /s.xml\nUser-agent: otherbot\nContent-Signal: ai-train=no", "/gallery", True),
        ("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: FaceToPix\nAllow: /", "/gallery", False),
        ("User-agent: *\n# Content-Signal: ai-train=no", "/gallery", False),
        ("User-agent: *\nDisallowAITraining: /art", "/art/1", True),
        ("User-agent: *\nDisallowAITraining: /art", "/gallery", False),
        ("User-agent: *\nDisallowAITraining:", "/gallery", False),
    ],
)
def test_training_opt_outs_in_robots_are_seen(text: str, path: str, opted_out: bool) -> None:
    assert robots.parse(text.encode()).opts_out(SITE + path) is opted_out
