"""The sample galleries as a browser sees them."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import Unreachable
from pipeline.layout import SOURCES
from pipeline.sample.galleries import catalogue, pages_lospec, pages_pixeljoint, site
from pipeline.sample.galleries.faults import Faults, ScriptedAnswer
from pipeline.sample.params import Sample

SAMPLE = Sample(revision="test", pixeljoint=30, lospec=40, pixiehaus=35, faces=8)


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    with site.serve(SAMPLE, SOURCES) as served:
        yield served


def get(url: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers.items()), error.read()


def tiles(url: str, skip: int) -> list[str]:
    answer = json.loads(get(f"{url}/gallery", {"page": "1", "skip": str(skip)})[2])
    assert answer["success"] is True
    return re.findall(r'href="([^"]+)"', answer["html"])


def entries(url: str, query: str, **headers: str) -> list[str]:
    page = get(f"{url}/pixels/new_icons.asp?{query}", **headers)[2].decode("windows-1252")
    return re.findall(r"class='imglink' href='([^']+)'", page)


def cards(url: str, page: int) -> list[str]:
    body = get(f"{url}/gallery?page={page}")[2].decode()
    return re.findall(r'src="(/(?:sprites|animations)/[^"]+)"', body)


def test_each_gallery_has_a_port_of_its_own(urls: dict[str, str]) -> None:
    assert len(set(urls.values())) == 3
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+", url) for url in urls.values())


@pytest.mark.parametrize("source", SOURCES)
def test_robots_txt_is_served(urls: dict[str, str], source: str) -> None:
    assert get(f"{urls[source]}/robots.txt")[0] == 200


def test_listings_end_empty(urls: dict[str, str]) -> None:
    assert [len(entries(urls["pixeljoint"], f"q=1&pg={page}")) for page in (1, 2, 3)] == [24, 6, 0]
    assert [len(tiles(urls["lospec"], skip)) for skip in (0, 32, 40, 64)] == [32, 8, 0, 0]
    assert [len(cards(urls["pixiehaus"], page)) for page in (1, 2, 3)] == [30, 5, 0]


def test_listings_can_repeat_their_last_page() -> None:
    with site.serve(SAMPLE, SOURCES, faults=Faults(end="repeat", clamp=True)) as urls:
        assert entries(urls["pixeljoint"], "q=1&pg=9") == entries(urls["pixeljoint"], "q=1&pg=2")
        assert tiles(urls["lospec"], 320) == tiles(urls["lospec"], 32)
        assert cards(urls["pixiehaus"], 9) == cards(urls["pixiehaus"], 2)


def test_pixeljoint_serves_another_list_when_the_cookie_says_so(urls: dict[str, str]) -> None:
    newest = entries(urls["pixeljoint"], "q=1&pg=1", cookie="v=av=&ob=date&pg=1")
    assert entries(urls["pixeljoint"], "q=1&pg=1", cookie="v=av=&ob=showcase&pg=1") != newest


def test_pixeljoint_bytes_are_windows_1252_and_undeclared(urls: dict[str, str]) -> None:
    _, headers, body = get(f"{urls['pixeljoint']}/pixels/new_icons.asp?ob=date")
    assert "charset" not in headers["content-type"]
    assert b"&eacute;" in body or b"&agrave;" in body
    with pytest.raises(UnicodeDecodeError):
        get(f"{urls['pixeljoint']}/pixelart/{pages_pixeljoint.work_id(5)}.htm")[2].decode("utf-8")


def test_lospec_load_ignores_its_page(urls: dict[str, str]) -> None:
    assert get(f"{urls['lospec']}/gallery/load?page=1")[2] == get(f"{urls['lospec']}/gallery/load?page=2")[2]


def test_lospec_gallery_can_be_looked_at(urls: dict[str, str]) -> None:
    page = get(f"{urls['lospec']}/gallery")[2].decode()
    assert page.count('class="gallery-thumbnail"') == 40
    thumbnail = re.findall(r'<img class="thumbnail" src="([^"]+)"', page)[0]
    assert get(thumbnail)[2].startswith(b"\x89PNG")


@pytest.mark.parametrize("index", [0, 1, 17, 20, 21])
def test_lospec_piece_leads_to_its_bytes(urls: dict[str, str], index: int) -> None:
    work = catalogue.work("lospec", index)
    path = f"/gallery/{pages_lospec.artist_slug(work)}/{pages_lospec.piece_slug(work)}"
    page = get(urls["lospec"] + path)[2].decode()
    image = re.findall(r'class="fullsize" src="([^"]+)"', page)[0]
    assert re.search(r"/gallery/[a-z0-9-]+-\d{6}\.(png|gif)$", image)
    assert get(image)[2] == catalogue.file("lospec", index)


def test_broken_works_are_broken_in_their_way(urls: dict[str, str]) -> None:
    def image(index: int) -> tuple[int, dict[str, str], bytes]:
        name = pages_pixeljoint.full_name(catalogue.work("pixeljoint", index))
        return get(f"{urls['pixeljoint']}/files/icons/full/{urllib.parse.quote(name)}")

    places = {special: place for place, special in catalogue.BROKEN.items()}
    assert len(image(places["truncated"])[2]) == int(image(places["truncated"])[1]["content-length"])
    assert image(places["html"])[1]["content-type"] == "image/png"
    assert image(places["html"])[2].startswith(b"<html>")
    assert image(places["missing"])[0] == 404
    assert "noai" in image(places["noai"])[1]["x-robots-tag"].lower()
    removed = get(f"{urls['pixeljoint']}/pixelart/{pages_pixeljoint.work_id(23)}.htm")
    assert (removed[0], b"mainimg" in removed[2]) == (200, False)


def test_images_can_be_revalidated(urls: dict[str, str]) -> None:
    url = urls["pixiehaus"] + cards(urls["pixiehaus"], 1)[0]
    _, headers, _ = get(url)
    assert headers["last-modified"].endswith("GMT")
    assert get(url, if_none_match=headers["etag"])[0] == 304


@pytest.mark.parametrize("path", ["/nothing", "/gallery/nobody/nothing", "/gallery/x-000000.png"])
def test_unknown_pages_are_not_found(urls: dict[str, str], path: str) -> None:
    assert get(urls["lospec"] + path)[0] == 404


def test_scripted_answers_come_as_often_as_asked() -> None:
    script = ScriptedAnswer("/gallery", 429, (("Retry-After", "3"),), times=2, source="lospec")
    with site.serve(SAMPLE, ["lospec"], faults=Faults(scripted=(script,))) as urls:
        answers = [get(f"{urls['lospec']}/gallery") for _ in range(3)]
    assert [answer[0] for answer in answers] == [429, 429, 200]
    assert {name.lower(): value for name, value in answers[0][1].items()}["retry-after"] == "3"


def test_taken_port_is_an_error_that_names_it() -> None:
    with site.serve(SAMPLE, ["lospec"]) as urls:
        port = int(urls["lospec"].rpartition(":")[2])
        with pytest.raises(Unreachable, match=str(port)), site.serve(SAMPLE, ["pixiehaus"], port=port):
            pass


def test_two_servers_show_the_same_gallery(urls: dict[str, str]) -> None:
    def digest(served: dict[str, Any]) -> str:
        pages = (get(served["pixiehaus"] + path)[2] for path in cards(served["pixiehaus"], 2))
        return hashlib.sha256(b"".join(pages)).hexdigest()

    with site.serve(SAMPLE, ["pixiehaus"]) as second:
        assert digest(second) == digest(urls)


def test_serve_forever_tells_its_addresses_once_it_answers() -> None:
    class Enough(Exception):
        pass

    calls: list[dict[str, str]] = []

    def ready(addresses: dict[str, str]) -> None:
        calls.append(addresses)
        raise Enough

    with pytest.raises(Enough):
        site.serve_forever(SAMPLE, SOURCES, on_ready=ready)
    assert set(calls[0]) == set(SOURCES)
