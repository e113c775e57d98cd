"""The lists of the sample galleries, their state and their validators, asked for as a client would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pipeline.layout import SOURCES
from pipeline.sample.galleries import catalogue, pages_lospec, pages_pixiehaus, site
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample

SAMPLE = Sample(revision="test", pixeljoint=80, lospec=70, pixiehaus=35, faces=8)
LISTINGS = {"pixeljoint": "/pixels/new_icons.asp?ob=date", "pixiehaus": "/gallery?page=1"}
SEARCH = "/pixels/new_icons.asp?search=caf%E9&dosearch=1&ob=search&action=search"
SECOND = "/pixels/new_icons.asp?q=1&pg=2"


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    with site.serve(SAMPLE, SOURCES) as served:
        yield served


def get(url: str, **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})


def tiles(url: str, **form: str) -> str:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return str(client.post(f"{url}/gallery", data=form).json()["html"])


def headings(url: str, *paths: str) -> list[str]:
    """Of pages that one client with a cookie jar asks for, one after the other."""
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
        pages = [client.get(path).content.decode("windows-1252") for path in paths]
    return [page.partition("<h1>")[2].partition("</h1>")[0] for page in pages]


@pytest.mark.parametrize(
    ("first", "heading"),
    [
        ("/pixels/new_icons.asp?ob=date", "Newest Pixel Art"),
        ("/pixels/new_icons.asp?ob=rating", "Hall of Fame"),
        ("/pixels/new_icons.asp?ob=showcase", "Weekly Showcase"),
        (SEARCH, "Search results: café"),
    ],
)
def test_further_pages_of_pixeljoint_belong_to_the_list_in_the_cookie(
    urls: dict[str, str], first: str, heading: str
) -> None:
    assert headings(urls["pixeljoint"], first, SECOND) == [heading, heading]


def test_pixeljoint_without_its_cookie_serves_the_newest(urls: dict[str, str]) -> None:
    assert headings(urls["pixeljoint"], SECOND) == ["Newest Pixel Art"]


def test_two_lists_in_one_jar_disturb_each_other(urls: dict[str, str]) -> None:
    pages = headings(urls["pixeljoint"], SEARCH, "/pixels/new_icons.asp?ob=rating", SECOND)
    assert pages[-1] == "Hall of Fame"


def test_pixeljoint_can_forget_which_list_was_asked_for() -> None:
    with site.serve(SAMPLE, ["pixeljoint"], faults=Faults(forgets=True)) as served:
        assert headings(served["pixeljoint"], SEARCH, SECOND) == ["Search results: café", "Newest Pixel Art"]
        second = get(served["pixeljoint"] + SECOND, cookie="v=ob=rating")
    assert "Newest Pixel Art" in second.text
    assert "set-cookie" not in second.headers


def test_pixeljoint_search_takes_no_heed_of_case(urls: dict[str, str]) -> None:
    small, large = (get(urls["pixeljoint"] + SEARCH.replace("caf%E9", text)).text for text in ("caf%E9", "CAF%C9"))
    assert small.count("imgbox'") == large.count("imgbox'") > 1


def test_pixeljoint_search_text_survives_in_the_cookie(urls: dict[str, str]) -> None:
    cookie = get(urls["pixeljoint"] + SEARCH).headers["set-cookie"]
    assert cookie.startswith("v=av=&")
    assert "&ob=search&dint=&pg=1&search=caf%E9&" in cookie


def test_lospec_orders_by_likes(urls: dict[str, str]) -> None:
    page = tiles(urls["lospec"], sorting="likes", medium="pixel-art")
    liked = [int(part.split()[0]) for part in page.split('<div class="engagement"><svg></svg>')[1:]]
    assert liked == sorted(liked, reverse=True)
    assert len(set(liked)) > 3


@pytest.mark.parametrize("medium", ["voxel-art", "low-poly", "textmode-art"])
def test_lospec_sample_holds_pixel_art_only(urls: dict[str, str], medium: str) -> None:
    assert tiles(urls["lospec"], medium=medium) == ""
    assert tiles(urls["lospec"], medium="all") == tiles(urls["lospec"], medium="pixel-art") != ""


def test_lospec_piece_with_two_tags_is_found_by_both_and_by_their_list(urls: dict[str, str]) -> None:
    work = next(work for work in (catalogue.work("lospec", index) for index in range(30)) if len(work.tags) > 1)
    for tags in (work.tags[0], work.tags[1], ",".join(work.tags[:2])):
        assert f"/{pages_lospec.piece_slug(work)}" in tiles(urls["lospec"], tags=tags)
    assert tiles(urls["lospec"], tags=f"{work.tags[0]},none") == ""


def test_lospec_clamps_to_the_last_batch_of_the_filtered_list() -> None:
    with site.serve(SAMPLE, ["lospec"], faults=Faults(clamp=True)) as served:
        filtered = {"category": "hand-pixelled"}
        last = tiles(served["lospec"], skip="32", **filtered)
        assert 0 < last.count("gallery-thumbnail") < pages_lospec.BATCH
        assert tiles(served["lospec"], skip="64", **filtered) == last
        assert tiles(served["lospec"], skip="64", category="none") == ""


def test_pixiehaus_answers_in_json_when_told_to() -> None:
    with site.serve(SAMPLE, ["pixiehaus"], faults=Faults(json=True)) as served:
        pages = [get(f"{served['pixiehaus']}/gallery?page={page}").json() for page in (1, 2, 3)]
    assert [page["next"] for page in pages] == [2, None, None]
    images = [item["image"] for page in pages for item in page["items"]]
    assert images == [pages_pixiehaus.path(catalogue.work("pixiehaus", index)) for index in range(35)]


@pytest.mark.parametrize("source", LISTINGS)
def test_listing_is_not_sent_again_to_who_has_it(urls: dict[str, str], source: str) -> None:
    url = urls[source] + LISTINGS[source]
    first = get(url)
    for condition in ({"if_none_match": first.headers["etag"]}, {"if_modified_since": first.headers["last-modified"]}):
        again = get(url, **condition)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers.get("set-cookie") == first.headers.get("set-cookie")


@pytest.mark.parametrize("source", LISTINGS)
@pytest.mark.parametrize(
    "condition",
    [
        {"if_none_match": '"other"'},
        {"if_modified_since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"if_modified_since": "no date"},
        {"if_none_match": '"other"', "if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
)
def test_listing_is_sent_to_who_has_another(urls: dict[str, str], source: str, condition: dict[str, Any]) -> None:
    assert get(urls[source] + LISTINGS[source], **condition).status_code == 200


def test_pages_of_two_lists_at_one_address_differ_in_their_tag(urls: dict[str, str]) -> None:
    newest, fame = (
        get(urls["pixeljoint"] + SECOND, cookie=f"v=ob={order}").headers["etag"] for order in ("date", "rating")
    )
    assert newest != fame


@pytest.mark.parametrize("validators", [set(), {"etag"}, {"last-modified"}], ids=str)
def test_validators_can_be_left_out(validators: set[str]) -> None:
    with site.serve(SAMPLE, list(LISTINGS), faults=Faults(validators=frozenset(validators))) as served:
        for source, path in LISTINGS.items():
            assert {"etag", "last-modified"} & set(get(served[source] + path).headers) == validators
            later = {"if_none_match": '"x"', "if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"}
            assert get(served[source] + path, **later).status_code == 200


def test_hits_tell_headers_and_time() -> None:
    hits: list[Hit] = []
    before = time.monotonic()
    with site.serve(SAMPLE, ["lospec"], faults=Faults(on_hit=hits.append)) as served:
        get(f"{served['lospec']}/robots.txt", X_Asked="Yes")
        get(f"{served['lospec']}/robots.txt")
    assert hits[0].headers["x-asked"] == "Yes"
    assert before < hits[0].time < hits[1].time < time.monotonic()
    assert "x-asked" not in hits[1].headers
