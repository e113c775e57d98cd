"""Training opt-outs wherever they may stand, and what only looks like one."""

from __future__ import annotations

import json

import pytest

from pipeline.scrape.client import optouts
from pipeline.scrape.sites import html

FAR = "x" * 5000


@pytest.mark.parametrize(
    "markup",
    [
        "<meta name=robots content=noai>",
        "<META CONTENT='index, NoImageAI' NAME='Robots'>",
        f'<meta data-a="{FAR}" name="robots" data-b="{FAR}" content="{FAR}, noml">',
        '<meta content="no&#97;i" name="r&#x6f;bots">',
        "<meta\n\tname = robots\n\tcontent = 'noai'\n/>",
        '<meta name=" robots " content="all;noai">',
        "<body><p>text<div><meta name=robots content=noai></div>",
        "<noscript><meta name=robots content=noai></noscript>",
        '<meta http-equiv="X-Robots-Tag" content="noai">',
        '<meta property="robots" content="noai">',
        "<meta name=robots content=index><meta name=robots content=noai>",
        "<meta name=facetopix content=noimageai>",
        '<meta name="tdm-reservation" content="1">',
        "<meta content=' 1 ' name='TDM-Reservation'>",
        '<meta name="content-usage" content="train-ai=n">',
        json.dumps({"html": '<meta name="robots" content="noai, noimageai"><p>'}),
        "<!doctype html><meta charset=utf-8><title>a</title>" + "<p>" * 999 + "<meta name=robots content=noai>",
    ],
)
def test_meta_opts_out_wherever_and_however_it_is_written(markup: str) -> None:
    assert optouts.metas_opt_out(html.metas(markup))


@pytest.mark.parametrize(
    "markup",
    [
        "<meta name=robots content='index, follow'>",
        "<meta name=description content='a piece named noai'>",
        "<meta name=googlebot content=noai>",
        "<!-- <meta name=robots content=noai> -->",
        "<script>'<meta name=robots content=noai>'</script>",
        "<textarea><meta name=robots content=noai></textarea>",
        "<p>meta name=robots content=noai</p>",
        '<meta name="tdm-reservation" content="0">',
        '<meta name="tdm-policy" content="https://site.test/1">',
        "<meta name=robots content=noair>",
        "<meta name=robots>",
        "",
    ],
)
def test_other_metas_do_not(markup: str) -> None:
    assert optouts.metas_opt_out(html.metas(markup)) is None


@pytest.mark.parametrize(
    ("headers", "opted_out"),
    [
        ({"x-robots-tag": "noai"}, True),
        ({"x-robots-tag": "noindex, NoImageAI"}, True),
        ({"x-robots-tag": "otherbot: noindex; noml"}, True),
        ({"x-robots-tag": '"noai"'}, True),
        ({"x-robots-tag": "noindex|no-ai"}, True),
        ({"x-robots-tag": "noai=1"}, True),
        ({"tdm-reservation": "True"}, True),
        ({"content-usage": '"train-ai"=n'}, True),
        ({"x-robots-tag": "noindex, nofollow"}, False),
        ({"content-signal": "search=yes,ai-train=no"}, True),
        ({"content-signal": "search=yes, ai-train=yes"}, False),
        ({"content-usage": "train-ai=n"}, True),
        ({"content-usage": "TRAIN-AI = N;exceptions=a"}, True),
        ({"content-usage": "train-ai=?0"}, True),
        ({"content-usage": "train-genai=n, train-ai=y"}, True),
        ({"content-usage": "bots=n"}, True),
        ({"content-usage": "tdm=n, search=y"}, True),
        ({"content-usage": "bots=n, train-ai=y"}, False),
        ({"content-usage": "search=n"}, False),
        ({"content-usage": "train-ai=y"}, False),
        ({"content-usage": "no-train-ai=n"}, False),
        ({"tdm-reservation": "1"}, True),
        ({"tdm-reservation": "0, 1"}, True),
        ({"tdm-reservation": "0"}, False),
        ({"tdm-reservation": "10"}, False),
        ({"tdm-policy": "https://site.test/policy.json"}, False),
        ({"robots": "noai"}, False),
        ({}, False),
    ],
)
def test_training_opt_outs_in_headers_are_seen(headers: dict[str, str], opted_out: bool) -> None:
    assert bool(optouts.headers_opt_out(headers)) is opted_out


@pytest.mark.parametrize(
    ("rules", "path", "reserved"),
    [
        ([{"location": "/", "tdm-reservation": 1}], "/a/b.png", True),
        ([{"location": "/art/", "tdm-reservation": 1, "tdm-policy": "https://site.test/p"}], "/art/1.png", True),
        ([{"location": "/art/", "tdm-reservation": 1}], "/gallery", False),
        ([{"location": "*.png$", "tdm-reservation": 1}], "/a/b.png", True),
        ([{"location": "*.png$", "tdm-reservation": 1}], "/a/b.png?size=2", False),
        ([{"location": "/*/full/", "tdm-reservation": 1}], "/files/full/1", True),
        ([{"location": "art", "tdm-reservation": 1}], "/art/1", True),
        ([{"location": "/", "tdm-reservation": 1}, {"location": "/free", "tdm-reservation": 0}], "/free/1", False),
        ([{"location": "/free", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}], "/art", True),
        ([{"location": "/a", "tdm-reservation": 0}, {"location": "/a", "tdm-reservation": 1}], "/a", True),
        ([{"location": "/", "tdm-reservation": "1"}], "/a", True),
        ([{"location": "https://site.test/art", "tdm-reservation": 1}], "/art/1", True),
        ([{"location": "//site.test/art", "tdm-reservation": 1}], "/b", False),
        ([{"location": ["/b", "/art"], "tdm-reservation": 1}], "/art/1", True),
        ([{"location": "^/art/.*", "tdm-reservation": [1]}], "/art/1", True),
        ({"rules": [{"location": "/art", "tdm-reservation": 1}]}, "/art/1", True),
        ([{"location": "/", "tdm-reservation": True}], "/a", True),
        ([{"tdm-reservation": 1}], "/a", True),
        ({"location": "/", "tdm-reservation": 1}, "/a", True),
        ([{"location": "/", "tdm-reservation": 0}], "/a", False),
        ([{"location": "/"}], "/a", False),
        ([{"location": ["/"], "tdm-reservation": [1]}, 7, None], "/a", True),
        ({"rules": []}, "/a", False),
        ("reserved", "/a", False),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reservations_are_read_by_the_longest_matching_location(
    rules: object, path: str, reserved: bool, encoding: str
) -> None:
    patterns = optouts.reservations(json.dumps(rules).encode(encoding), "https://site.test/.well-known/tdmrep.json")
    assert patterns.refuse("https://site.test" + path) is reserved


def test_a_comma_too_many_costs_no_reservation() -> None:
    data = b'[{"location": "/art", "tdm-reservation": 1,},\n]'
    assert optouts.reservations(data, "https://site.test").refuse("https://site.test/art/1")


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"[" * 99_999, b'[{"location": "/"', b"\xff\xfe\x00"])
def test_damaged_reservations_reserve_nothing(data: bytes) -> None:
    assert not optouts.reservations(data, "https://site.test").refuse("https://site.test/a")
