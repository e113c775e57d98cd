"""Rules about the project itself: what is wired, what is imported, what is committed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wiring import ROOT, rooms_of
from wiring import STAGES as MODULES

from pipeline import layout
from pipeline.params import Params

GRAPH: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, Any] = GRAPH["stages"]
CRAWLS = ["scrape_pixeljoint", "scrape_lospec", "scrape_pixiehaus"]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def rooms_in_dvc(stage: str) -> set[str]:
    return {dep for dep in STAGES[stage].get("deps", []) if dep.startswith(("pipeline/", "models/"))}


def outputs_of(stage: str) -> list[str]:
    listed = STAGES[stage]["outs"] + [next(iter(metric)) for metric in STAGES[stage].get("metrics", [])]
    return [str(out) for out in listed]


def test_the_graph_has_exactly_the_stages_of_the_contract() -> None:
    assert list(STAGES) == [*CRAWLS, *MODULES]


@pytest.mark.parametrize("stage", MODULES)
def test_a_stage_depends_on_the_folder_of_every_room_that_it_imports(stage: str) -> None:
    """DVC does not follow imports: an undeclared room would make stale data look fresh."""
    rooms = rooms_of(MODULES[stage])
    within = {room for room in rooms if any(Path(other) in Path(room).parents for other in rooms)}
    assert rooms_in_dvc(stage) == rooms - within
    assert all((ROOT / room).is_dir() for room in rooms)


@pytest.mark.parametrize("stage", CRAWLS)
def test_a_crawl_depends_on_the_blocklist_and_on_no_code(stage: str) -> None:
    """A fix of a parser must not crawl a site again; a work that was taken down must leave the output."""
    assert STAGES[stage]["deps"] == [layout.BLOCKLIST.as_posix()]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_command_and_names_real_parameters(stage: str) -> None:
    assert re.fullmatch(r"python -m pipeline [a-z-]+( --source [a-z]+)?", STAGES[stage]["cmd"])
    for name in STAGES[stage].get("params", []):
        section, _, key = name.partition(".")
        field = Params.model_fields[section]
        assert not key or key in field.annotation.model_fields, name  # type: ignore[union-attr]
        assert section != "executor"


def test_no_output_is_persistent_and_metrics_are_the_only_uncached_ones() -> None:
    assert all(isinstance(out, str) for stage in STAGES.values() for out in stage["outs"])
    for stage in STAGES.values():
        for metric in stage.get("metrics", []):
            assert list(metric.values()) == [{"cache": False}]


def test_the_graph_and_the_code_name_the_same_places() -> None:
    expected = {
        "import_art": [layout.IMPORTED], "faces": [layout.FACES], "dedup": [layout.DEDUP], "flatten": [layout.FLATTEN],
        "grid": [layout.GRID], "resize": [layout.RESIZE], "split": [layout.SPLIT],
        "train": [layout.CYCLEGAN, layout.TRAIN_PLOTS, layout.TRAIN_METRICS], "translate": [layout.TRANSLATE],
        "stylize": [layout.STYLE],
        "evaluate": [layout.BASELINES, layout.EVALUATE_PLOTS, layout.EVALUATE_METRICS], "report": [layout.REPORTS],
        **{f"scrape_{source}": [layout.RAW / source] for source in layout.SOURCES},
    }  # fmt: skip
    assert {stage: outputs_of(stage) for stage in STAGES} == {
        stage: [path.as_posix() for path in paths] for stage, paths in expected.items()
    }


def test_every_output_is_ignored_by_git_but_for_the_metrics() -> None:
    """DVC writes no .gitignore of its own where one root file covers its outputs."""
    for stage in STAGES:
        for out in outputs_of(stage):
            ignored = subprocess.run(["git", "check-ignore", "-q", out + "/x"], cwd=ROOT, check=False).returncode == 0
            assert ignored != out.startswith("metrics/"), out


def test_only_one_room_talks_http() -> None:
    users = {
        path.relative_to(ROOT).parent.as_posix()
        for path in sorted((ROOT / "pipeline").rglob("*.py"))
        if re.search(r"^\s*(import|from) (httpx|httpcore|tenacity)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert users == {"pipeline/scrape/client"}


def test_imports_run_downwards_only() -> None:
    """The contracts of import-linter in pyproject.toml: layers, no circles, parts of a stage for the stage alone."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


ROOM_NAMES = {"__init__", "stage", "command", "params", "files", "card"}


def test_a_base_name_stands_in_one_room() -> None:
    """Whoever looks for a file by its name finds one."""
    names = Counter(path.stem for package in ("pipeline", "models") for path in (ROOT / package).rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} <= ROOM_NAMES


def test_the_top_of_the_pipeline_holds_the_command_line_and_what_all_rooms_share() -> None:
    assert {path.stem for path in (ROOT / "pipeline").glob("*.py")} == {
        "__init__", "__main__", "cli", "console", "errors", "layout", "params",
    }  # fmt: skip


def test_direct_dependencies_are_pinned_exactly_and_the_others_by_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [pin for pins in project["project"].get("optional-dependencies", {}).values() for pin in pins]
    direct = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *extras]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+( ; sys_platform .+)?", pin) for pin in direct), direct
    constraints = project["tool"]["uv"]["constraint-dependencies"]
    assert len(constraints) > 50
    assert all("==" in pin for pin in constraints)


def test_nothing_committed_names_a_registry_or_this_machine() -> None:
    forbidden = re.compile(r"py" + r"pi\.org|python" + r"hosted|/wor" + r"k/(main|shared)|/sim" + r"ple\b")
    for path in tracked():
        if path.suffix in {".png", ".gif", ".webp", ".jpg"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not forbidden.search(text), path
    assert ROOT / "uv.lock" not in tracked()


def test_only_tests_and_benchmarks_know_of_the_shared_data() -> None:
    for path in tracked():
        if path.is_relative_to(ROOT / "pipeline") or path.is_relative_to(ROOT / "models"):
            assert "shared/" not in path.read_text(encoding="utf-8", errors="replace"), path
