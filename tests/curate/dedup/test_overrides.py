from __future__ import annotations

import json

import pytest

from pipeline.curate.dedup import overrides
from pipeline.errors import BadInput

GOOD = {"one": "a-1", "other": "a-2", "verdict": "same"}


def written(tmp_path, *lines: object):
    path = tmp_path / "overrides.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_verdicts_are_of_pairs_in_either_order(tmp_path) -> None:
    path = written(tmp_path, GOOD, "", {"one": "b", "other": "a-1", "verdict": "different", "note": "asked Ann"})
    assert overrides.load(path) == {frozenset(("a-2", "a-1")): "same", frozenset(("a-1", "b")): "different"}


def test_an_empty_file_overrides_nothing(tmp_path) -> None:
    assert overrides.load(written(tmp_path)) == {}


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "7", "null", {**GOOD, "verdict": "equal"}, {**GOOD, "other": "a-1"}, {**GOOD, "extra": 1},
        {"one": "a-1", "verdict": "same"}, {**GOOD, "other": 3}, {**GOOD, "other": ""}, {**GOOD, "note": None},
    ],
)  # fmt: skip
def test_a_line_that_is_no_verdict_is_refused_by_its_number(tmp_path, line) -> None:
    with pytest.raises(BadInput, match=r"overrides\.jsonl:2: .*expected \{\"one\": ID"):
        overrides.load(written(tmp_path, GOOD, line))


def test_two_lines_that_contradict_each_other_are_refused(tmp_path) -> None:
    turned = {"one": "a-2", "other": "a-1", "verdict": "different"}
    with pytest.raises(BadInput, match=r":3: 'different' contradicts line 1, which says 'same'"):
        overrides.load(written(tmp_path, GOOD, GOOD, turned))


def test_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    (tmp_path / "overrides.jsonl").write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(BadInput, match=r":1: not JSON"):
        overrides.load(tmp_path / "overrides.jsonl")


def test_an_absent_file_is_a_clear_error(tmp_path) -> None:
    with pytest.raises(BadInput, match="expected a file of overrides, it may be empty"):
        overrides.load(tmp_path / "nowhere.jsonl")
