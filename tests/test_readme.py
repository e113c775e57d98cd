"""The README's figures are those of docs/results.json, and its commands are real."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.report import readme

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))


def test_the_tables_are_those_of_the_results() -> None:
    assert readme.methods_table(RESULTS) in TEXT
    assert readme.funnel_table(RESULTS) in TEXT


def test_the_results_name_their_hardware_and_commit() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", RESULTS["commit"])
    assert RESULTS["hardware"]["cores"] >= 1
    assert RESULTS["seconds"]["train"] > 0


def test_the_picture_is_there_and_the_two_commands_come_first() -> None:
    assert (ROOT / "docs" / "strip.png").read_bytes().startswith(b"\x89PNG")
    first, second = (
        TEXT.index("pip install -q uv && uv run dvc repro"),
        TEXT.index("pip install -q uv && uv run pytest"),
    )
    assert TEXT.index("docs/strip.png") < first < second < TEXT.index("## ")


def test_no_duration_or_score_stands_in_the_prose() -> None:
    """A figure that no file backs goes stale unseen."""
    prose = TEXT.replace(readme.methods_table(RESULTS), "").replace(readme.funnel_table(RESULTS), "")
    assert not re.findall(r"\b\d+(\.\d+)? (seconds|minutes|dB|%)", prose)


def test_tables_are_replaced_between_their_marks_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(TEXT.replace(readme.methods_table(RESULTS), "old\n"), encoding="utf-8")
    readme.update(file, RESULTS)
    assert file.read_text(encoding="utf-8") == TEXT
    file.write_text("no marks", encoding="utf-8")
    with pytest.raises(BadInput, match="expected the marks"):
        readme.update(file, RESULTS)


def test_the_version_and_the_changelog_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
