"""Own files come along where DVC takes the project: into experiments, and into clones by push and pull. Or a run stops.

Real repositories of git and DVC, with the stage `import_art` of this one, its ignored paths and its lists.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packing import PNG, place
from ruamel.yaml import YAML
from sprites import encoded, noise_art
from typer.testing import CliRunner
from wiring import ROOT

from pipeline import layout
from pipeline.cli import app
from pipeline.curate.importing import own_files, stage
from pipeline.errors import BadInput

COPIED = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "inputs/art/.gitkeep", "inputs/art.jsonl")
STAGES = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def run(folder: Path, *command: str, code: int | None = 0) -> str:
    """stdout and stderr of a command in the project."""
    git = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = {
        "PYTHONPATH": str(ROOT),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder.parent / "dvc"),
        "CI": "true",
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **git, **own, "PATH": path, "NO_COLOR": "1", "COLUMNS": "300"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc(folder: Path, *arguments: str, code: int | None = 0) -> str:
    return run(folder, sys.executable, "-m", "dvc", *arguments, code=code)


def cloned(project: Path) -> Path:
    """A clone of a project, with the project's cache as a remote."""
    clone = project.parent / "clone"
    run(project.parent, "git", "clone", "-q", str(project), str(clone))
    place(clone / ".dvc/config.local", f"['remote \"store\"']\n    url = {project / '.dvc/cache'}\n".encode())
    return clone


def works_in_experiment(folder: Path, name: str) -> int:
    """Files that `data/raw/inputs` has in an experiment, but for its two lists."""
    ref = next(
        line for line in run(folder, "git", "for-each-ref", "--format=%(refname)").split() if line.endswith(name)
    )
    lock = YAML(typ="safe", pure=True).load(run(folder, "git", "show", f"{ref}:dvc.lock"))
    return int(lock["stages"]["import_art"]["outs"][0]["nfiles"]) - 2


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in COPIED:
        place(folder / name, (ROOT / name).read_bytes())
    place(folder / "inputs" / "blocklist.jsonl", b"")
    graph = dict(STAGES["import_art"])
    graph["deps"] = [name for name in graph["deps"] if not name.startswith("pipeline/")]
    with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"stages": {"import_art": graph}}, file)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "project")
    return folder


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    for number in range(3):
        place(tmp_path / "pack" / f"{number}.png", encoded(noise_art(number), "PNG"))
    return tmp_path / "pack"


def test_what_was_added_comes_along_into_experiments_and_clones(project: Path, pack: Path) -> None:
    assert stage.add("art", [pack], project / "inputs")["tracked"]
    dvc(project, "exp", "run", "--temp", "-n", "apart")
    assert works_in_experiment(project, "apart") == 3
    run(project, "git", "commit", "-q", "-m", "own art")
    assert not run(project, "git", "status", "--porcelain")
    clone = cloned(project)
    dvc(clone, "pull", "-r", "store", "inputs/art/pack.dvc")
    dvc(clone, "repro")
    assert json.loads((clone / "data/raw/inputs/stats.json").read_text(encoding="utf-8"))["kept"] == 3


def test_what_lies_there_already_is_taken_in_and_a_refusal_leaves_nothing(project: Path, pack: Path) -> None:
    inputs, record = project / "inputs", project / "inputs/art.jsonl"
    by_hand = [Path(shutil.copytree(pack, inputs / "art/by hand")), place(inputs / "art/loose.png", PNG)]
    stage.add("art", by_hand, inputs)
    staged = run(project, "git", "diff", "--cached", "--name-only").splitlines()
    assert staged == ["inputs/art.jsonl", "inputs/art/by hand.dvc", "inputs/art/loose.png.dvc"]
    recorded = record.read_text(encoding="utf-8")
    assert recorded == '{"files": 1, "name": "."}\n{"files": 3, "name": "by hand"}\n'
    shutil.move(pack, pack.with_name("x.dvc"))  # a name that DVC keeps for itself
    with pytest.raises(BadInput, match=r"art: DVC did not take x\.dvc: "):
        stage.add("art", [pack.with_name("x.dvc")], inputs)
    assert not list((inputs / "art").glob("*x.dvc*"))
    assert record.read_text(encoding="utf-8") == recorded


def test_a_stage_stops_in_an_experiment_that_lacks_own_files(tmp_path, pack, monkeypatch) -> None:
    """Any stage: `import_art` itself need not run there, DVC may remember what it makes of nothing."""
    shutil.copytree(pack, tmp_path / "project/inputs/art/pack")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    shutil.copy(ROOT / "tests/params.yaml", "params.yaml")
    told = CliRunner().invoke(app, ["dedup"])
    assert told.exit_code == 3
    words = f"inputs/art/pack: is in {tmp_path / 'project'}, but did not come into this copy"
    assert words in " ".join(told.output.split())


def test_the_record_of_own_files_is_an_input_of_the_stage_that_reads_them() -> None:
    """Or DVC would take what it remembers of an empty folder, and run nothing that could stop."""
    for name, folder in (("import_art", layout.INPUT_ART), ("faces", layout.INPUT_FACES)):
        assert {folder.as_posix(), own_files.record_of(folder).as_posix()} <= set(STAGES[name]["deps"])


def test_what_was_copied_by_hand_is_recorded_and_named(tmp_path, pack, monkeypatch, caplog) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    shutil.copytree(pack, "inputs/art/pack")
    with own_files.accounted(layout.INPUT_ART):
        pass
    assert "inputs/art: pack: not under DVC's care" in caplog.text
    assert Path("inputs/art.jsonl").read_text(encoding="utf-8") == '{"files": 3, "name": "pack"}\n'


def test_without_dvc_files_are_brought_and_recorded(tmp_path, pack) -> None:
    assert "tracked" not in stage.add("faces", [pack], tmp_path / "inputs")
    with own_files.accounted(tmp_path / "inputs/faces"):
        place(tmp_path / "inputs/faces/a.png", b"while the stage runs")
    record = tmp_path / "inputs/faces.jsonl"
    assert record.read_text(encoding="utf-8") == '{"files": 1, "name": "."}\n{"files": 3, "name": "pack"}\n'
    (tmp_path / "inputs/faces/pack/0.png").unlink()  # some may go
    with own_files.accounted(tmp_path / "inputs/faces"):
        pass
    assert '{"files": 2, "name": "pack"}' in record.read_text(encoding="utf-8")
    shutil.rmtree(tmp_path / "inputs/faces/pack")
    with pytest.raises(BadInput, match=r"faces/pack: 2 files were brought there, .* their line out of .*faces\.jsonl"):
        own_files.accounted(tmp_path / "inputs/faces").__enter__()
    record.write_text('{"name": "pack"}\n', encoding="utf-8")
    with pytest.raises(BadInput, match=r"faces\.jsonl:1: files: Field required"):
        own_files.accounted(tmp_path / "inputs/faces").__enter__()
