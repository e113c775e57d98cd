"""Challenges, bans and logins are refusals whatever their status, and nothing of a run that met one counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import Crawled, Crawler, run_here, serving
from hostile_pages import HTML, PNG

from pipeline.sample.params import Sample
from pipeline.scrape.client import challenge
from pipeline.scrape.client.challenge import Blocked
from pipeline.scrape.params import Scrape
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import stated_pages

REFUSED = 5
WORKS = pages.pieces(8)
JUST_A_MOMENT = b"<!doctype html><title>Just a moment...</title><p>Enable JavaScript"
AWS = b"<html><head><title></title><script>window.gokuProps = {};</script></head><div id='challenge-container'></div>"
LOGIN = b"<html><title>Log in</title><form action=/login><input name=u><input type='password'></form></html>"
BANNED = b"<html><h1>Your IP has been banned</h1></html>"


def answer(status: int = 200, body: bytes = b"", *headers: tuple[str, str]) -> dict[str, Any]:
    return {"status": status, "body": body, "headers": (*HTML, *headers)}


CHALLENGES = {
    "cloudflare, by its header": answer(200, b"<html></html>", ("cf-mitigated", "challenge")),
    "cloudflare, 202": answer(202, b"<html></html>", ("CF-Mitigated", "challenge")),
    "cloudflare, by its page": answer(200, JUST_A_MOMENT),
    "cloudflare, 503": answer(503, JUST_A_MOMENT),
    "cloudflare, 429": answer(429, JUST_A_MOMENT, ("Retry-After", "1")),
    "aws, 202": answer(202, AWS, ("x-amzn-waf-action", "challenge")),
    "aws, 405": answer(405, b"", ("x-amzn-waf-action", "captcha")),
    "aws, by its page": answer(200, AWS),
    "siteground": answer(202, b"<meta http-equiv=refresh content='0;/captcha/'>", ("SG-Captcha", "challenge")),
    "any page with 202": answer(202, b"<html><body>.</body></html>"),
    "ddos-guard": answer(200, b"<html><title>DDoS-Guard</title><script src=/.well-known/ddos-guard/js></script>"),
    "anubis": answer(200, b"<title>Making sure you&#39;re not a bot!</title><script id=anubis_challenge></script>"),
    "imperva": answer(200, b"<iframe>Request unsuccessful. Incapsula incident ID: 1-2</iframe>"),
    "datadome": answer(403, b"<script src=https://ct.captcha-delivery.com/c.js></script>"),
    "a ban": answer(200, BANNED),
    "a ban, 404": answer(404, BANNED),
    "a login": answer(302, b"", ("Location", "/users/sign_in?next=%2F")),
    "a login elsewhere": answer(307, b"", ("Location", "https://accounts.example.com/o?x=1")),
    "a refresh to a login": answer(200, b"<meta http-equiv='refresh' content='0; url=/account/login'>"),
    "a captcha": answer(302, b"", ("Location", "/captcha.html")),
}  # fmt: skip


@pytest.fixture
def crawler(small: Sample, scrape: Scrape, tmp_path: Path) -> Crawler:
    return Crawler(scrape, small, tmp_path)


PLACES = {
    "listing": {"target": "/gallery", "method": "POST"},
    "page": {"target": WORKS[6].page_path, "port": 0},
    "image": {"target": WORKS[6].image_path},
}


def crawls(crawler: Crawler, *rules: Rule, count: int = 2) -> list[Crawled]:
    """Of twelve works; the first has another answer at first, which is no challenge."""
    missing = Rule(WORKS[1].image_path, 404, times=1)
    with serving(crawler.root / "server", [*rules, missing, *pages.lospec(WORKS)]) as server:
        again = {work.page_path for work in WORKS} | {work.image_path for work in WORKS} | {"/gallery"}
        return [crawler.crawl(server, again=again) for _ in range(count)]


CASES = [
    *(("cloudflare, by its header", "image"), ("cloudflare, by its page", "page"), ("cloudflare, 503", "image")),
    *(("cloudflare, 429", "page"), ("aws, 202", "listing"), ("aws, by its page", "image"), ("aws, 405", "page")),
    *(("any page with 202", "page"), ("a ban, 404", "listing"), ("a login", "listing"), ("a login elsewhere", "image")),
    *(("datadome", "image"), ("a refresh to a login", "listing")),
]


@pytest.mark.parametrize("name", CHALLENGES)
def test_challenge_is_known_wherever_it_stands(name: str) -> None:
    facts = CHALLENGES[name]
    status, text, url = facts["status"], facts["body"].decode(), "https://site.test/gallery"
    headers = {key.lower(): value for key, value in facts["headers"]}
    with pytest.raises(Blocked, match=r"^https://site\.test/gallery: .*the crawl ends here$"):
        challenge.check_headers(url, headers)
        if "location" in headers:
            challenge.check_redirect(url, html.resolve(url, headers["location"]))
        elif status >= 400:
            challenge.check_error(url, status, text)
        else:
            challenge.check_page(url, status, text)


@pytest.mark.parametrize(("name", "place"), CASES)
def test_challenge_ends_the_crawl_at_once_and_nothing_of_the_run_counts(
    crawler: Crawler, name: str, place: str
) -> None:
    first, second = crawls(crawler, Rule(**PLACES[place], **CHALLENGES[name], times=1))
    assert first.error is not None
    assert (first.error.exit_code, first.targets[-1]) == (REFUSED, PLACES[place]["target"])
    assert first.targets.count(first.targets[-1]) == 1
    assert second.error is None
    met_before = place != "listing"  # the work that is missing at first
    assert second.stats["reasons"] == ({} if met_before else {"not_found": 1})


@pytest.mark.parametrize("place", ["page", "image"])
def test_refused_run_takes_nothing_for_a_decision(crawler: Crawler, place: str) -> None:
    """Opt-outs and removals that a site tells while it turns us away; kept works stay."""
    opted_out = Rule(WORKS[2].page_path, 200, b"<p>", (*HTML, ("X-Robots-Tag", "noai")), times=1)
    moved = Rule(WORKS[3].image_path, 302, b"", (("Location", "https://cdn.example.com/x.png"),), times=1)
    end = Rule(**PLACES[place], **CHALLENGES["cloudflare, 202"], times=1)
    first, second = crawls(crawler, opted_out, moved, end)
    assert first.error is not None
    assert second.stats["kept"] == len(WORKS)
    assert not {WORKS[0].image_path, WORKS[4].image_path} & set(second.targets)


ODD = {
    "a login": CHALLENGES["a login"],
    "a refresh": CHALLENGES["a refresh to a login"],
    "403": answer(403),
    "forbidden": answer(200, b"<h1>Forbidden Temple</h1>"),
    "captcha": answer(200, b"<h1>Captcha the Flag</h1>"),
    "widget": answer(200, b"<script src=https://www.google.com/recaptcha/api.js></script>"),
    "login box": answer(200, b"<h2>Log in</h2><input type=password>"),
}


@pytest.mark.parametrize("name", ODD)
def test_one_page_that_refuses_among_sound_ones_is_a_row(crawler: Crawler, name: str) -> None:
    first, second = crawls(crawler, Rule(**PLACES["page"], **ODD[name]))
    assert (first.error, second.error) == (None, None)
    assert second.stats["reasons"]["forbidden"] == 1


def test_three_members_only_pages_in_a_row_end_the_crawl(crawler: Crawler) -> None:
    first, _ = crawls(crawler, *(Rule(work.page_path, **answer(403)) for work in WORKS[4:7]))
    assert first.error is not None
    assert first.error.exit_code == REFUSED


def test_login_page_in_place_of_a_page_is_a_refusal(tmp_path: Path) -> None:
    with serving(tmp_path / "server", [Rule("/gallery", body=LOGIN, headers=HTML), *pages.lospec(WORKS)]) as server:
        assert run_here(tmp_path, "scrape", "--source", "lospec", "--base-url", server.url()) == REFUSED
        assert run_here(tmp_path, "scrape-page", f"{server.url()}/gallery", "--source", "lospec") != 0


def test_words_of_works_and_ordinary_pages_are_no_challenge(crawler: Crawler) -> None:
    """Titles, an error page with a captcha for its form, a picture that S3 does not have, an artist called login."""
    titled = replace(WORKS[0], slug="just-a-moment", head="<title>Just a moment... Checking your browser</title>")
    form = b"<title>Not found</title><script src=https://www.google.com/recaptcha/api.js></script>"
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
    sought = replace(WORKS[4], artist="login", slug="captcha")
    hop = Rule("/gallery/login/captcha", 301, headers=(("Location", "/gallery/login/captcha/"),))
    there = Rule("/gallery/login/captcha/", body=pages.lospec_page(sought), headers=HTML)
    maintained = Rule(WORKS[5].page_path, body=b"<title>Maintenance</title><h1>We will be back soon</h1>", headers=HTML)
    missing, forbidden = Rule(WORKS[1].page_path, 404, form, HTML), Rule(WORKS[2].image_path, 403, denied)
    works = [titled, *WORKS[1:4], sought, *WORKS[5:]]
    with serving(crawler.root / "server", [missing, forbidden, hop, there, maintained, *pages.lospec(works)]) as server:
        crawled = crawler.crawl(server)
    assert crawled.error is None
    assert crawled.stats["reasons"] == {"not_found": 1, "forbidden": 1, "markup": 1}


ROBOTS = [
    ("cloudflare, by its header", REFUSED), ("cloudflare, by its page", REFUSED), ("datadome", REFUSED),
    ("any page with 202", REFUSED), ("a refresh to a login", REFUSED), ("a ban, 404", 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code"), ROBOTS)
def test_challenge_for_robots_txt_is_a_refusal(crawler: Crawler, name: str, code: int) -> None:
    """Who is not let in cannot see what is forbidden; where there is no such file, nothing is."""
    with serving(crawler.root / "server", [Rule("/robots.txt", **CHALLENGES[name]), *pages.lospec(WORKS)]) as server:
        end = crawler.crawl(server)
        asked = {request.target for request in server.requests()}
    assert (end.error.exit_code if end.error else 0) == code
    assert (asked == {"/robots.txt"}) == (code == REFUSED)


def test_search_for_a_captcha_that_finds_nothing_is_an_empty_list(crawler: Crawler) -> None:
    body = pages.pixeljoint_listing([], 1, 1, "Search results: captcha, you have been blocked")
    search = crawler.scrape.pixeljoint.model_copy(update={"listing": "search", "search": "captcha"})
    crawler = replace(crawler, scrape=crawler.scrape.model_copy(update={"pixeljoint": search}))
    with serving(crawler.root / "server", [Rule(r"/pixels/.*", body=body, headers=HTML), pages.ALLOW_ALL]) as server:
        assert crawler.crawl(server, "pixeljoint").stats["inputs"] == 0


@pytest.mark.parametrize("number", [1, 2])
def test_challenge_in_place_of_a_page_of_pixiehaus_is_no_end_of_the_list(crawler: Crawler, number: int) -> None:
    rule = Rule(rf"/gallery\?page={number}", body=JUST_A_MOMENT, headers=HTML)
    with serving(crawler.root / "server", [rule, *pages.pixiehaus([pages.sprite(1)])]) as server:
        crawled = crawler.crawl(server, "pixiehaus")
    assert crawled.error is not None
    assert crawled.error.exit_code == REFUSED


@pytest.mark.parametrize(
    ("url", "target", "door"),
    [
        ("https://a.test/gallery", "https://a.test/login?back=/gallery", True),
        ("https://a.test/gallery", "https://a.test/wp-login.php", True),
        ("https://a.test/gallery", "https://login.a.test/", True),
        ("https://a.test/gallery", "https://a.test/cdn/captcha/", True),
        ("https://a.test/gallery", "https://www.a.test/gallery", False),
        ("https://a.test/gallery/login/x", "https://a.test/gallery/login/x/", False),
        ("https://a.test/p/1.htm", "https://a.test/p/1/challenge-accepted.htm", False),
        ("https://a.test/x.png", "https://cdn.a.test/blocked-path/x.png", False),
        ("https://a.test/x.png", "https://a.test/y.png?login=1", False),
        ("https://a.test/x.png", "https://a.test/files/login_screen.png", False),
        ("https://a.test/gallery/x/piece-3", "https://a.test/gallery/login/piece-3", False),
        ("https://a.test/gallery/x/piece-3", "https://a.test/gallery/x/login", True),
    ],
)
def test_redirect_is_judged_by_where_it_leads(url: str, target: str, door: bool) -> None:
    if not door:
        challenge.check_redirect(url, target)
        return
    with pytest.raises(Blocked, match="leads to"):
        challenge.check_redirect(url, target)


def test_plain_words_in_pictures_and_headers_are_none(crawler: Crawler) -> None:
    """A picture whose bytes hold the words of a challenge is a picture."""
    data = (
        pages.png(3)[:-12] + b"\x00\x00\x00\x1dtEXtComment\x00Just a moment _cf_chl" + b"\x00" * 4 + pages.png(3)[-12:]
    )
    rule = Rule(WORKS[0].image_path, body=data, headers=(*PNG, ("server", "ddos-guard"), ("cf-ray", "1")))
    with serving(crawler.root / "server", [rule, *pages.lospec(WORKS[:2])]) as server:
        assert crawler.crawl(server).error is None


@pytest.mark.parametrize("mark", [b"<script src=https://www.google.com/recaptcha/api.js></script>", LOGIN])
def test_marks_that_all_pages_have_are_no_challenge(mark: bytes) -> None:
    text = mark.decode()
    challenge.check_page("https://a.test/gallery", 200, text, challenge.marks(text))
    with pytest.raises(Blocked):
        challenge.check_page("https://a.test/gallery", 200, text)


@pytest.mark.parametrize(("told", "count"), [({"total": "70"}, 7), ({"pages": "3"}, 3), ({"total": "many"}, None)])
def test_count_may_be_given_as_text(told: dict[str, str], count: int | None) -> None:
    assert stated_pages(told, 10) == count
