"""The plan of the experiments: what its document says to run is what `experiments/compare.py` trains."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
from dvc.utils.hydra import apply_overrides
from wiring import ROOT

from pipeline import params

PLAN = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
NAMED = dict(re.findall(r'^([A-Z]+)="([^"]+)"$', PLAN, re.MULTILINE))
COMMANDS = dict(re.findall(r"^\|[^|]*\|[^|]*\| `([\w-]+)` \| `(\$[^`]+)`[^|`]*\|$", PLAN, re.MULTILINE))


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import compare

    return compare


def test_every_variant_but_the_one_of_blurred_art_has_a_command(compare: ModuleType) -> None:
    assert {*COMMANDS, "reported"} == set(compare.VARIANTS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_plan_trains_what_its_variant_trains(compare: ModuleType, tmp_path: Path, name: str) -> None:
    flags = shlex.split(re.sub(r"\$([A-Z]+)", lambda word: NAMED[word[1]], f"$DATA {COMMANDS[name]}"))
    assert set(flags[::2]) == {"-S"}
    own = tmp_path / "params.yaml"
    own.write_bytes((ROOT / "params.yaml").read_bytes())
    apply_overrides(own, flags[1::2])
    asked = params.load(own)
    assert asked.epochs == compare.EPOCHS
    assert asked.train == compare.train_of(compare.VARIANTS[name], params.load(ROOT / "params.yaml").train)
