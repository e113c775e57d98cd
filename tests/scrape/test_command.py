"""Options over parameters, and the question about the terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadParams, Interrupted, MarkupChanged, PipelineError, Refused, Unreachable
from pipeline.params import Params, load
from pipeline.scrape import command, crawl
from pipeline.scrape.command import ScrapeOptions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "tests" / "params.yaml")


def scrape_of(params: Params, *sources: str, **options: Any) -> dict[str, Any]:
    return command.scrape_of(ScrapeOptions(sources=sources or ("lospec",), **options), params.scrape).model_dump()


def test_no_option_leaves_the_parameters_as_they_are(params: Params) -> None:
    assert scrape_of(params) == params.scrape.model_dump()


@pytest.mark.parametrize(
    ("source", "options", "path", "value"),
    [
        ("lospec", {"limit": 7}, ("limit",), 7),
        ("lospec", {"since": "2024-01-31"}, ("since",), "2024-01-31"),
        ("pixiehaus", {"animation": "still"}, ("animation",), "still"),
        ("lospec", {"tags": ("cat", "dog")}, ("lospec", "tags"), ["cat", "dog"]),
        ("lospec", {"medium": "voxel-art"}, ("lospec", "medium"), "voxel-art"),
        ("lospec", {"category": "hand-pixelled"}, ("lospec", "category"), "hand-pixelled"),
        ("lospec", {"listing": "top"}, ("lospec", "listing"), "top"),
        ("pixeljoint", {"listing": "hall-of-fame"}, ("pixeljoint", "listing"), "hall-of-fame"),
        ("pixeljoint", {"search": "cat"}, ("pixeljoint", "search"), "cat"),
        ("pixeljoint", {"search": "cat"}, ("pixeljoint", "listing"), "search"),
        ("lospec", {"yes": True}, ("accept_terms",), ["lospec"]),
        ("lospec", {"ignore_opt_outs": True}, ("ignore_opt_outs",), ["lospec"]),
    ],
)
def test_option_wins_over_its_parameter(
    params: Params, source: str, options: dict[str, Any], path: tuple[str, ...], value: Any
) -> None:
    actual: Any = scrape_of(params, source, **options)
    for key in path:
        actual = actual[key]
    assert actual == value


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        (("pixeljoint",), {"tags": ("cat",)}, "--tag: only lospec"),
        (("lospec", "pixeljoint"), {"medium": "all"}, "--medium: only lospec"),
        (("lospec",), {"search": "cat"}, "--search: only pixeljoint"),
        (("pixiehaus",), {"since": "2024-01-01"}, "--since: pixiehaus tells no dates"),
        (("pixiehaus",), {"listing": "newest"}, "--list"),
        (("lospec",), {"listing": "newest"}, "'latest', 'top' or 'likes', got 'newest'"),
        (("lospec",), {"medium": "oil"}, "got 'oil'"),
        (("lospec",), {"since": "yesterday"}, "since"),
        (("lospec",), {"base_url": "http://x", "origin": "live"}, "not both"),
        (("lospec", "pixeljoint"), {"base_url": "http://x"}, "one gallery"),
    ],
)
def test_senseless_option_is_an_error_that_names_it(
    params: Params, sources: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadParams) as caught:
        scrape_of(params, *sources, **options)
    assert message in str(caught.value)


def test_terms_are_put_to_the_person_before_a_live_crawl_and_their_pages_named(params: Params) -> None:
    questions: list[str] = []

    def ask(question: str) -> bool:
        questions.append(question)
        return True

    options = ScrapeOptions(sources=("lospec", "pixeljoint"), origin="live", contact="me@example.org")
    assert command.ask_for_terms(options, params.scrape, ask).yes is True
    assert "https://lospec.com/terms-and-conditions" in questions[0]
    assert "https://pixeljoint.com/pixels/terms.asp" in questions[0]


@pytest.mark.parametrize(
    "options", [{}, {"origin": "sample"}, {"origin": "live"}, {"origin": "live", "contact": "me", "yes": True}]
)
def test_nobody_is_asked_without_need(params: Params, options: dict[str, Any]) -> None:
    def ask(_: str) -> bool:
        raise AssertionError("asked")

    options = ScrapeOptions(sources=("lospec",), **options)
    assert command.ask_for_terms(options, params.scrape, ask) == options


def test_live_crawl_whose_terms_are_declined_is_refused(params: Params, tmp_path: Path) -> None:
    options = ScrapeOptions(sources=("lospec",), origin="live", contact="me@example.org")
    options = command.ask_for_terms(options, params.scrape, lambda _: False)
    outcome = command.run(options, params.scrape, params.sample, tmp_path / "raw", tmp_path / "state", lambda *_: None)
    with pytest.raises(Refused, match="terms-and-conditions"):
        outcome.raise_worst()
    assert not (tmp_path / "raw").exists()


def test_worst_of_several_errors_is_by_the_order_of_the_contract() -> None:
    changed = MarkupChanged(site="s", selector="x", expected="1", found=0, url="u")
    errors: list[PipelineError] = [changed, Unreachable("u"), Refused("r")]
    assert crawl.worst([{}, *errors]) is errors[2]
    assert crawl.worst([*errors[:2]]) is errors[1]
    assert isinstance(crawl.worst([*errors, Interrupted("i")]), Interrupted)
    assert crawl.worst([{}, {}]) is None
