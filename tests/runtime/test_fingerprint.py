"""Parameters stand beside their stages, so that an edit of one section makes nothing else out of date."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from wiring import ROOT, STAGES

from pipeline.runtime import fingerprint

SECTIONS = {
    "pipeline/scrape/params.py": set(),
    "pipeline/curate/params.py": {"flatten", "grid"},
    "pipeline/curate/faces/params.py": {"faces"},
    "pipeline/curate/dedup/params.py": {"dedup"},
    "pipeline/curate/split/params.py": {"split"},
    "pipeline/cyclegan/params.py": {"train", "translate"},
    "pipeline/style/params.py": {"stylize"},
    "pipeline/evaluate/params.py": {"evaluate"},
}
COMPUTING = {stage: module for stage, module in STAGES.items() if stage != "report"}  # which explains all sections


def digests(root: Path) -> dict[str, str]:
    return {stage: fingerprint.code_digest(module, root) for stage, module in COMPUTING.items()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("code")
    for package in fingerprint.OURS:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_every_section_but_the_shared_ones_is_tried() -> None:
    sections = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pipeline").glob("*/**/params.py")}
    assert sections == {*SECTIONS, "pipeline/sample/params.py"}  # of the sample: faces draws it, as it should


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("edit", ["# a remark", "new: int = 3"])
def test_an_edit_of_a_section_moves_the_digests_of_its_own_room_alone(copy: Path, section: str, edit: str) -> None:
    before, file = digests(copy), copy / section
    text = file.read_text(encoding="utf-8")
    file.write_text(text.rstrip() + f"\n    {edit}\n", encoding="utf-8")
    try:
        after = digests(copy)
    finally:
        file.write_text(text, encoding="utf-8")
    assert {stage for stage in COMPUTING if after[stage] != before[stage]} == SECTIONS[section]
