"""Pages as bytes, what must be read from them, and what must happen when a required node is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.errors import MarkupChanged
from pipeline.layout import SOURCES
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import ArtworkDetails, Gallery, Listing, RemovalNotice, Request
from pipeline.scrape.sites.lospec import Lospec
from pipeline.scrape.sites.pixeljoint import PixelJoint
from pipeline.scrape.sites.pixiehaus import PixieHaus

GOLDEN = Path(__file__).parents[2] / "golden"
PARSERS: dict[str, Any] = {"pixeljoint": PixelJoint, "lospec": Lospec, "pixiehaus": PixieHaus}
CASES = sorted(path for path in GOLDEN.glob("*/*") if path.is_dir())


def name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def load(case: Path) -> tuple[str, dict[str, Any], Any]:
    meta = json.loads((case / "meta.json").read_text(encoding="utf-8"))
    page = next(case.glob("page.*")).read_bytes()
    return html.decode(page, meta["content_type"]), meta, json.loads((case / "expected.json").read_text("utf-8"))


def gallery_of(source: str, options: dict[str, Any]) -> Gallery:
    """The parser with its options as JSON holds them."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    parser: Gallery = PARSERS[source](**values)
    return parser


def parse(case: Path, text: str, meta: dict[str, Any]) -> Any:
    """What the parser finds, as JSON would hold it."""
    gallery = gallery_of(case.parent.name, meta.get("gallery", {}))
    if case.name.startswith("artwork"):
        artwork = gallery.parse_artwork(text, meta["url"])
        return {"gone": True} if isinstance(artwork, RemovalNotice) else json.loads(json.dumps(asdict(artwork)))
    request = Request(meta["url"], form=tuple(meta.get("form", {}).items()))
    return json.loads(json.dumps(asdict(gallery.parse_listing(text, meta["url"], request))))


FIELDS = [(case, field) for case in CASES for field in sorted(load(case)[2])]


@pytest.mark.parametrize(("case", "field"), FIELDS, ids=[f"{name(case)}:{field}" for case, field in FIELDS])
def test_field_is_read_from_the_page(case: Path, field: str) -> None:
    text, meta, expected = load(case)
    assert parse(case, text, meta)[field] == expected[field]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_golden_names_every_field(case: Path) -> None:
    kind = ArtworkDetails if case.name.startswith("artwork") else Listing
    expected = load(case)[2]
    assert expected == {"gone": True} or set(expected) == {field.name for field in fields(kind)}


REQUIRED = [(case, css) for case in CASES for css in load(case)[1]["required"]]


@pytest.mark.parametrize(("case", "css"), REQUIRED, ids=[f"{name(case)}-{css}" for case, css in REQUIRED])
def test_page_without_a_required_node_is_a_change_of_markup(case: Path, css: str) -> None:
    text, meta, _ = load(case)
    with pytest.raises(MarkupChanged) as caught:
        parse(case, without(css, text), meta)
    error = caught.value
    assert (error.site, error.url, error.found) == (case.parent.name, meta["url"], 0)
    assert error.selector
    assert error.expected in ("exactly 1", "at least 1")
    assert all(part in str(error) for part in (error.site, error.selector, error.expected, error.url))


@pytest.mark.parametrize(
    ("case", "css", "attribute"),
    [
        ("pixeljoint/artwork", "img#mainimg", "src"),
        ("pixeljoint/listing_first", "a.imglink", "href"),
        ("lospec/artwork", "img.fullsize", "src"),
        ("lospec/batch_short", "a.gallery-thumbnail", "href"),
    ],
)
def test_link_without_its_address_is_a_change_of_markup(case: str, css: str, attribute: str) -> None:
    text, meta, _ = load(GOLDEN / case)
    with pytest.raises(MarkupChanged) as caught:
        parse(GOLDEN / case, edited(css, text, lambda node: node.attrs.__delitem__(attribute)), meta)
    assert (caught.value.expected, caught.value.found) == ("exactly 1", 0)
    assert caught.value.selector == f"{re.split('[.#]', css)[0]}[{attribute}]"


@pytest.mark.parametrize("case", ["lospec/batch", "lospec/batch_short", "lospec/batch_filtered"])
def test_tiles_of_another_class_are_a_change_of_markup_and_no_end(case: str) -> None:
    text, meta, _ = load(GOLDEN / case)
    with pytest.raises(MarkupChanged) as caught:
        parse(GOLDEN / case, text.replace("gallery-thumbnail", "tile"), meta)
    assert (caught.value.selector, caught.value.found) == ("a.gallery-thumbnail", 0)


def without(css: str, text: str) -> str:
    return edited(css, text, lambda node: node.decompose())


def edited(css: str, text: str, edit: Callable[[LexborNode], object]) -> str:
    """The page with every match edited; inside the JSON of lospec, its HTML."""
    if text.startswith("{"):
        answer = json.loads(text)
        return json.dumps({**answer, "html": edited(css, answer["html"], edit)})
    page = LexborHTMLParser(text)
    nodes = page.css(css)
    assert nodes, f"the golden page never held {css}"
    for node in nodes:
        edit(node)
    assert page.html is not None
    return page.html


@pytest.mark.parametrize("source", SOURCES)
def test_every_gallery_has_goldens(source: str) -> None:
    cases = [case.name for case in CASES if case.parent.name == source]
    assert any("past_end" in case for case in cases)
    assert len(cases) >= 3


@pytest.mark.parametrize("answer", ["<html>maintenance</html>", '{"success": false, "html": ""}', '{"success": true}'])
def test_lospec_answer_without_tiles_html_is_a_change_of_markup(answer: str) -> None:
    gallery = Lospec()
    with pytest.raises(MarkupChanged):
        gallery.parse_listing(answer, "https://lospec.com/gallery", gallery.start())


def test_two_main_images_are_a_change_of_markup() -> None:
    text, meta, _ = load(GOLDEN / "pixeljoint" / "artwork")
    with pytest.raises(MarkupChanged) as caught:
        parse(GOLDEN / "pixeljoint" / "artwork", text.replace("id='smallimg'", "id='mainimg'"), meta)
    assert (caught.value.expected, caught.value.found) == ("exactly 1", 2)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("é ü “x”".encode("cp1252"), ""),
        ("é ü “x”".encode("cp1252"), "text/html; charset=utf-8"),
        ("é ü “x”".encode("cp1252"), "text/html; charset=ISO-8859-1"),
        ("é ü “x”".encode(), "text/html; charset=utf-8"),
        ("é ü “x”".encode(), ""),
        ("é ".encode() + "ü “x”".encode("cp1252"), ""),
        (b"\xef\xbb\xbf" + "é ü “x”".encode(), ""),
    ],
)
def test_text_is_right_whatever_the_charset_claims(data: bytes, content_type: str) -> None:
    assert html.decode(data, content_type) == "é ü “x”"


def test_charset_of_a_meta_is_believed_when_the_bytes_agree() -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">猫'.encode("shift_jis")
    assert html.decode(page).endswith("猫")
