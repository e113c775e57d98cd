"""The art of the shipped generator: who is held out is not in it, nor what its judge looks at; it is the same anew."""

from __future__ import annotations

import csv
import hashlib
import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from wiring import ROOT

from pipeline.errors import BadInput

HELD_OUT = (ROOT / "benchmarks" / "held_out.txt").read_text(encoding="utf-8").split()
PERSONS = (  # the same, as files of either collection are named
    "Amanda", "Angela", "Claris", "Evan", "Lyuba", "Roland", "aristocrate-f-001", "aristocrate-f-003",
    "aristocrate-m-001", "cultist-001", "cultist-002", "dancer-f-001", "earth_elemental", "elemental-earth",
    "healer-f-001", "cleric-f-001", "king-001", "lion", "mage-m-001", "masked-m-001", "mermaid", "seed-001",
    "shrump-001", "spider", "townfolk-adult-f-004", "townfolk-adult-m-001", "townfolk-adult-m-007",
    "townfolk-adult-m-009", "townfolk-child-m-002", "townfolk-elder-m-002", "wind_elemental", "elemental-wind",
)  # fmt: skip
OF_PERSONS = ("pixel_faces", "pixel_chars")
FEW = {24: 2, 48: 1}  # cells: busts

Rows = list[dict[str, str]]


@pytest.fixture
def portraits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import portraits

    monkeypatch.setattr(portraits, "DRAWN", FEW)
    return portraits


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The folders of tars that the judge of weights looks at, and the one that some of its heads are cut from."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import real_faces

    folders = {f"{tar}/{name}/" for tar, names in real_faces.KINDS.values() for name in names}
    return folders | {"pixel_chars/lpc_composed/"}


@pytest.fixture(scope="module")
def sources(shared_tar: Callable[[str], Path]) -> dict[str, Rows]:
    """The manifests of all tars of pixel art."""
    rows = {}
    for name in ("pixel_faces", "pixel_chars", "pixel_tiles", "pixel_scenes"):
        with tarfile.open(shared_tar(name)) as tar:
            rows[name] = list(csv.DictReader(io.TextIOWrapper(tar.extractfile("manifest.csv"), "utf-8")))
    return rows


@pytest.fixture(scope="module")
def gathered(shared_tar: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The art with every portrait and character that can take part, and few of the rest."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(ROOT / "experiments")
        import portraits

        for one in portraits.FOLDERS:
            shared_tar(one.tar)
        folders = tuple(one._replace(works=None if one.tar in OF_PERSONS else 20) for one in portraits.FOLDERS)
        patched.setattr(portraits, "FOLDERS", folders)
        patched.setattr(portraits, "DRAWN", FEW)
        target = tmp_path_factory.mktemp("art") / "gathered"
        portraits.gather(target)
    return target


def manifest(folder: Path) -> Rows:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.shared
def test_every_picture_has_its_line_and_the_drawn_ones_are_there(gathered: Path) -> None:
    paths = [row["path"] for row in manifest(gathered)]
    assert sorted([*paths, "manifest.csv"]) == sorted(files(gathered))
    drawn = [path for path in paths if path.startswith("drawn/")]
    assert drawn == ["drawn/24-000.png", "drawn/24-001.png", "drawn/48-000.png"]
    assert len(paths) > 500


@pytest.mark.shared
def test_nobody_who_is_held_out_takes_part(gathered: Path, sources: dict[str, Rows]) -> None:
    everyone = [row for name in OF_PERSONS for row in sources[name] if "/cabbit/" in row["path"]]
    assert all(any(name in row["path"] for row in everyone) for name in PERSONS)
    identities = {f"cabbit:{name}" for name in HELD_OUT}
    shown = {row["sha256"] for row in everyone if row["identity"] in identities}
    assert len(shown) > 100
    found = [row for row in manifest(gathered) if "/cabbit/" in row["path"]]
    assert not {row["identity"] for row in found} & identities
    assert not [row["path"] for row in found if any(name in row["path"] for name in PERSONS)]
    assert not {hashlib.sha256(data).hexdigest() for data in files(gathered).values()} & shown


@pytest.mark.shared
def test_what_the_judge_looks_at_takes_no_part(gathered: Path, sources: dict[str, Rows], judged: set[str]) -> None:
    everything = [row for rows in sources.values() for row in rows]
    assert all(any(folder in row["path"] for row in everything) for folder in judged)
    pictures = {row["sha256"] for row in everything if any(folder in row["path"] for folder in judged)}
    assert not [row["path"] for row in manifest(gathered) if any(folder in row["path"] for folder in judged)]
    assert not {hashlib.sha256(data).hexdigest() for data in files(gathered).values()} & pictures


@pytest.mark.shared
def test_licences_are_of_those_that_are_wanted(
    gathered: Path, portraits: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    licences = {row["licence"] for row in manifest(gathered)}
    assert licences == {"CC0-1.0", "OGA-BY-3.0 or CC-BY-3.0", "MIT"}
    assert all(licence.startswith(portraits.LICENCES) for licence in licences)
    monkeypatch.setattr(portraits, "LICENCES", ("CC0", "MIT"))
    with pytest.raises(BadInput, match=r"pixel_faces/cabbit/.*: expected one of the licences .*, got OGA-BY-3\.0"):
        portraits.gather(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
def test_two_gatherings_have_the_same_bytes(
    portraits: ModuleType, shared_tar: Callable[[str], Path], tmp_path: Path
) -> None:
    for one in portraits.FOLDERS:
        shared_tar(one.tar)
    first, second = (tmp_path / name for name in ("first", "second"))
    assert portraits.gather(first) == portraits.gather(second) == len(files(first)) - 1
    assert files(first) == files(second)


def test_a_folder_that_is_there_is_an_error_and_stays_as_it_is(
    portraits: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "art").mkdir()
    (tmp_path / "art" / "mine.png").write_bytes(b"mine")
    monkeypatch.setattr(sys, "argv", ["portraits.py", str(tmp_path / "art")])
    with pytest.raises(SystemExit) as ended:
        portraits.main()
    assert ended.value.code == 2
    assert f"{tmp_path / 'art'}: exists; expected the name of a new folder" in capsys.readouterr().err
    assert files(tmp_path) == {"art/mine.png": b"mine"}


@pytest.mark.parametrize(
    ("path", "person"),
    [
        ("pixel_faces/cabbit/character__Amanda-001-alt-light.png", "Amanda"),
        ("pixel_chars/cabbit/character__Claris-cleric-001-light_front.png", "Claris-healer"),
        ("pixel_chars/cabbit/character__Lyuba-000_back.png", "Lyuba-mage"),
        ("pixel_faces/cabbit/character__Roland-soldier-helm-001-angry.png", "Roland-soldier"),
        ("pixel_chars/cabbit/people__aristocrate-f-001-brown-brunette_left.png", "aristocrate-f-001"),
        ("pixel_chars/cabbit/people__cleric-f-001-light_front.png", "healer-f-001"),
        ("pixel_chars/cabbit/elemental__elemental-wind-m-001_left.png", "wind_elemental-001"),
        ("pixel_chars/cabbit/creature__mermaid-001_back.png", "mermaid"),
        ("pixel_chars/cabbit/animal__lion-001_right.png", "lion"),
    ],
)
def test_a_file_shows_whose_name_or_all_of_whose_words_it_has(portraits: ModuleType, path: str, person: str) -> None:
    assert portraits.shows(path, person)


@pytest.mark.parametrize(
    ("path", "person"),
    [
        ("pixel_chars/cabbit/character__Yan-mage-001_front.png", "Angela-mage"),
        ("pixel_chars/cabbit/people__aristocrate-f-002-light_front.png", "aristocrate-f-001"),
        ("pixel_chars/cabbit/people__aristocrate-m-001-light_front.png", "aristocrate-f-001"),
        ("pixel_chars/cabbit/people__cleric-m-001-light_left.png", "healer-f-001"),
        ("pixel_chars/cabbit/elemental__elemental-water-f-001_left.png", "wind_elemental-001"),
        ("pixel_chars/cabbit/creature__mermaid-001_back.png", "mermaid-002"),
        ("pixel_chars/cabbit/people__townfolk-adult-m-001-light_back.png", "townfolk-child-m-001"),
        ("pixel_tiles/crawl/monster__stallion.png", "lion"),
        ("pixel_chars/Amanda/people__queen-001-light_left.png", "Amanda"),
    ],
)
def test_a_file_shows_nobody_else(portraits: ModuleType, path: str, person: str) -> None:
    assert not portraits.shows(path, person)
