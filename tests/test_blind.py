"""Blind looking: what a judge is given tells nothing, and what judges answer becomes shares."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sprites import noise_art, scaled
from wiring import ROOT

from pipeline.errors import BadInput
from pipeline.images.files import read_rgb, write_png

COUNT = 9
NAMES = [f"face-{number}" for number in range(COUNT)]


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import blind

    return blind


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Nine smooth faces; of each a red picture of `warm`, native, and a blue one of `cold`, enlarged."""
    folders = {name: tmp_path / name for name in ("faces", "warm", "cold")}
    for number, name in enumerate(NAMES):
        ramp = np.linspace(number, 255, 200)[:, None, None] * np.ones((1, 150, 3))
        write_png(folders["faces"] / f"{name}.png", ramp.astype(np.uint8))
        art = noise_art(number, width=24, height=32)[..., :3] // 4
        write_png(folders["warm"] / f"{name}.png", art + np.array([180, 0, 0], np.uint8))
        write_png(folders["cold"] / f"{name}.png", scaled(art + np.array([0, 0, 180], np.uint8), 5))
    return folders


def make(blind: ModuleType, inputs: dict[str, Path], home: Path, seed: int = 1, **options) -> dict:
    pictures = {"warm": inputs["warm"], "cold": inputs["cold"]}
    blind.make(home, inputs["faces"], pictures, **{"seed": seed, "pairs": None, "a_sheet": 4, **options})
    return json.loads((home / "key.json").read_text(encoding="utf-8"))


def fill(home: Path, judge: str, answers: list[str]) -> Path:
    """The form of a round with an answer behind every number."""
    text = (home / "judge" / "form.txt").read_text(encoding="utf-8")
    for number, answer in enumerate(answers, 1):
        assert f"\n{number}\n" in text
        text = text.replace(f"\n{number}\n", f"\n{number} {answer}\n")
    form = home / "answers" / f"{judge}.txt"
    form.parent.mkdir(exist_ok=True)
    form.write_text(text, encoding="utf-8")
    return form


def side_of(key: dict, method: str) -> list[str]:
    return ["L" if pair["left"] == method else "R" for pair in key["pairs"]]


def test_a_judge_is_given_sheets_and_a_form_that_name_no_method_and_no_face(blind, inputs, tmp_path) -> None:
    key = make(blind, inputs, tmp_path / "round")
    assert sorted(path.name for path in (tmp_path / "round").iterdir()) == ["judge", "key.json"]
    given = {path.name: path.read_bytes() for path in (tmp_path / "round" / "judge").iterdir()}
    assert sorted(given) == ["form.txt", "sheet-01.png", "sheet-02.png", "sheet-03.png"]
    assert not [name for name in given if any(word.encode() in given[name] for word in ("warm", "cold", *NAMES))]
    assert key["sheets"] == {n: hashlib.sha256(data).hexdigest() for n, data in given.items() if n != "form.txt"}
    assert [pair["sheet"][6:8] for pair in key["pairs"]] == ["01"] * 4 + ["02"] * 4 + ["03"]
    assert sorted(pair["face"] for pair in key["pairs"]) == NAMES
    assert all(len(data) < 400_000 for data in given.values())


def test_the_sheet_shows_what_the_key_says(blind, inputs, tmp_path) -> None:
    """Red where `warm` stands, blue where `cold` does, both at nine pixels a cell, whatever their files had."""
    key = make(blind, inputs, tmp_path / "round")
    for pair in key["pairs"]:
        sheet = read_rgb(tmp_path / "round" / "judge" / pair["sheet"])
        native = read_rgb(inputs["warm"] / f"{pair['face']}.png")
        warm = scaled(native, 9)
        tops, lefts = np.nonzero((sheet == warm[0, 0]).all(axis=2))
        places = {(y, x) for y, x in zip(tops.tolist(), lefts.tolist(), strict=True) if found_at(sheet, warm, y, x)}
        assert len(places) == 1
        ((top, left),) = places
        cold = native - np.array([180, 0, 0], np.uint8) + np.array([0, 0, 180], np.uint8)
        step = blind.SIDE + blind.GAP
        assert found_at(sheet, scaled(cold, 9), top, left + (step if pair["left"] == "warm" else -step))


def found_at(sheet: np.ndarray, picture: np.ndarray, top: int, left: int) -> bool:
    height, width = picture.shape[:2]
    return left >= 0 and np.array_equal(sheet[top : top + height, left : left + width], picture)


@pytest.mark.parametrize("count", [1, 2, 7, 48])
def test_sides_are_balanced_and_depend_on_the_seed_alone(blind, count) -> None:
    def drawn(seed: int, names: str, methods: tuple[str, str]) -> list:
        stems = [f"{names}{number}" for number in range(50)]
        return blind.draw_pairs(stems, methods, seed=seed, pairs=count, a_sheet=6)

    seen, firsts = set(), []
    for seed in range(40):
        pairs = drawn(seed, "a", ("one", "two"))
        lefts = tuple(pair.left == "one" for pair in pairs)
        assert abs(2 * sum(lefts) - count) <= 1
        assert all({pair.left, pair.right} == {"one", "two"} for pair in pairs)
        others = drawn(seed, "b", ("zebra", "ape"))
        assert [(pair.left == "zebra", pair.face[1:]) for pair in others] == [
            (left, pair.face[1:]) for left, pair in zip(lefts, pairs, strict=True)
        ]
        seen.add(lefts)
        firsts.append(lefts[0])
    assert len(seen) > (30 if count > 6 else 1)
    assert 8 < sum(firsts) < 32
    assert len({pair.face for pair in pairs}) == count


def test_sheets_are_the_same_bytes_for_one_seed_and_others_for_another(blind, inputs, tmp_path) -> None:
    one, again, other = (make(blind, inputs, tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert one == again
    assert one["sheets"] != other["sheets"]
    assert (tmp_path / "a/judge/form.txt").read_bytes() == (tmp_path / "b/judge/form.txt").read_bytes()


def test_fewer_pairs_are_drawn_from_all_faces_by_the_seed(blind, inputs, tmp_path) -> None:
    chosen = [{pair["face"] for pair in make(blind, inputs, tmp_path / f"{s}", s, pairs=4)["pairs"]} for s in range(5)]
    assert {len(faces) for faces in chosen} == {4}
    assert set.union(*chosen) == set(NAMES)


def test_a_round_is_never_overwritten(blind, inputs, tmp_path) -> None:
    make(blind, inputs, tmp_path / "round")
    with pytest.raises(BadInput, match=r"round: has a round already"):
        make(blind, inputs, tmp_path / "round", 2)


def test_a_face_of_one_method_only_is_an_error_and_one_of_neither_is_left_aside(blind, inputs, tmp_path) -> None:
    for method in ("warm", "cold"):
        (inputs[method] / "face-3.png").unlink()
    assert len(make(blind, inputs, tmp_path / "round")["pairs"]) == COUNT - 1
    (inputs["cold"] / "face-5.png").unlink()
    with pytest.raises(BadInput, match=r"cold/face-5\.png: no such picture, but the other method has one"):
        make(blind, inputs, tmp_path / "other")


def test_pictures_of_other_cell_counts_are_shown_at_one_size_or_refused(blind, inputs, tmp_path) -> None:
    for name in NAMES:
        write_png(inputs["cold"] / f"{name}.png", noise_art(1, width=36, height=48)[..., :3])
    make(blind, inputs, tmp_path / "round")
    write_png(inputs["cold"] / "face-1.png", noise_art(1, width=25, height=32)[..., :3])
    with pytest.raises(BadInput, match=r"24x32 .* have no common size|25x32 .* have no common size"):
        make(blind, inputs, tmp_path / "other")


def test_more_pairs_than_faces_are_refused(blind, inputs, tmp_path) -> None:
    with pytest.raises(BadInput, match="expected 1 to 9 pairs"):
        make(blind, inputs, tmp_path / "round", pairs=10)


def test_answers_become_shares_by_hand(blind, inputs, tmp_path) -> None:
    """Of nine pairs `warm` wins six, loses one and ties two: 7 of 9. Wilson by hand: 0.4526 to 0.9368."""
    key = make(blind, inputs, tmp_path / "round")
    warm, cold = side_of(key, "warm"), side_of(key, "cold")
    answers = [*warm[:6], f"{cold[6]} a mouth  of two dots ", "=", "= both lost the eyes"]
    fill(tmp_path / "round", "ann", answers)
    found = blind.score(tmp_path / "round")
    counts = {"pairs": 9, "won": 6, "tied": 2, "lost": 1, "share": 0.7778, "low": 0.4526, "high": 0.9368}
    left = (answers[:7].count("L") + answers[6].startswith("L") + 1) / 9
    assert found["judges"] == {"ann": {**counts, "left": round(left, 4)}}
    assert {key: found["all"][key] for key in counts} == counts
    assert (found["preferred"], found["to"]) == ("warm", "cold")
    seventh = found["pairs"][6]
    assert seventh["answers"]["ann"] == {"answer": cold[6], "preferred": "cold", "remark": "a mouth  of two dots"}
    assert found["pairs"][7]["answers"]["ann"] == {"answer": "=", "preferred": None, "remark": ""}
    assert seventh["face"] == key["pairs"][6]["face"]
    assert found["sheets"] == key["sheets"]
    assert json.loads((tmp_path / "round" / "shares.json").read_text(encoding="utf-8")) == found
    assert "| ann | 9 | 6 | 2 | 1 | 0.778 | 0.453 to 0.937 |" in blind.table(found)


def test_several_judges_count_every_pair_once(blind, inputs, tmp_path) -> None:
    """They agree on `warm` in five pairs, on `cold` in one and differ in three: 6.5 of 9."""
    key = make(blind, inputs, tmp_path / "round")
    warm, cold = side_of(key, "warm"), side_of(key, "cold")
    fill(tmp_path / "round", "ann", [*warm[:8], cold[8]])
    fill(tmp_path / "round", "bob", [*warm[:5], *cold[5:]])
    found = blind.score(tmp_path / "round")
    assert [found["judges"][judge]["share"] for judge in ("ann", "bob")] == [0.8889, 0.5556]
    together = found["all"]
    assert [together[name] for name in ("pairs", "won", "tied", "lost", "share")] == [9, 5, 3, 1, 0.7222]
    assert blind.table(found).splitlines()[-1].startswith("| all | 9 | 5 | 3 | 1 | 0.722 | ")


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [(16, 16, (0.8064, 1.0)), (0, 16, (0.0, 0.1936)), (7, 16, (0.2310, 0.6682)), (15, 30, (0.3315, 0.6685))],
)
def test_intervals_are_those_of_wilson(blind, successes, trials, interval) -> None:
    assert [round(end, 4) for end in blind.wilson(successes, trials)] == pytest.approx(interval, abs=1e-4)


FAULTS = {
    "no answer": ("3\n", r"form\.txt:7: pair 3 has no answer: expected L, R or ="),
    "an unknown answer": ("3 left\n", r"form\.txt:7: pair 3: expected L, R or =, found 'left'"),
    "a number of no pair": ("30 L\n", r"form\.txt:7: expected the number of a pair, 1 to 9, found '30'"),
    "no number": ("L\n", r"form\.txt:7: expected the number of a pair, 1 to 9, found 'L'"),
    "a number twice": ("3 L\n3 R\n", r"form\.txt:8: pair 3 has a line already"),
    "no line": ("", r"form\.txt: no line for pair 3$"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_form_is_an_error_that_names_the_line(blind, inputs, tmp_path, fault) -> None:
    line, words = FAULTS[fault]
    make(blind, inputs, tmp_path / "round")
    text = fill(tmp_path / "round", "ann", ["L"] * COUNT).read_text(encoding="utf-8").replace("3 L\n", line)
    form = tmp_path / "form.txt"
    form.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        blind.score(tmp_path / "round", [form])
    assert not (tmp_path / "round" / "shares.json").exists()


def test_a_form_of_another_round_is_refused(blind, inputs, tmp_path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        make(blind, inputs, tmp_path / name, seed)
    form = fill(tmp_path / "one", "ann", ["="] * COUNT)
    with pytest.raises(BadInput, match=r"ann\.txt:1: a form of round \w+, the key is of round \w+"):
        blind.score(tmp_path / "two", [form])


def test_sheets_that_were_changed_are_refused(blind, inputs, tmp_path) -> None:
    make(blind, inputs, tmp_path / "round")
    fill(tmp_path / "round", "ann", ["="] * COUNT)
    sheet = tmp_path / "round" / "judge" / "sheet-02.png"
    write_png(sheet, read_rgb(sheet)[::-1])
    with pytest.raises(BadInput, match=r"sheet-02\.png: not the sheet that the key was made with"):
        blind.score(tmp_path / "round")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "experiments" / "blind.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)


def test_the_script_writes_a_round_and_scores_it(inputs, tmp_path) -> None:
    pictures = [f"{method}={inputs[method]}" for method in ("warm", "cold")]
    faces = ["--faces", inputs["faces"], "--pictures", *pictures]
    done = run("sheets", "first", "--home", tmp_path, *faces, "--seed", 4, "--a-sheet", 8, "--question", "Which?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("9 pairs")
    home = tmp_path / "first"
    assert "# Which?" in (home / "judge" / "form.txt").read_text(encoding="utf-8")
    assert run("score", "first", "--home", tmp_path).stderr.endswith("first/answers: no filled form\n")
    key = json.loads((home / "key.json").read_text(encoding="utf-8"))
    fill(home, "ann", side_of(key, "cold"))
    done = run("score", "first", "--home", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| ann | 9 | 0 | 0 | 9 | 0.000 | 0.000 to 0.299 |" in done.stdout
    assert json.loads((home / "shares.json").read_text(encoding="utf-8"))["question"] == "Which?"
    assert "--pictures: expected METHOD=FOLDER twice" in run(
        "sheets", "x", "--home", tmp_path, "--faces", inputs["faces"], "--pictures", "warm", "cold", "--seed", 1
    ).stderr  # fmt: skip
