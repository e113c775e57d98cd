"""Blind looking: sheets of pairs of two methods' pictures, an answer form, and the shares of who was preferred.

    python experiments/blind.py sheets NAME --faces FACES --pictures cell=OUT/cell majority=OUT/majority --seed 1
    python experiments/blind.py score NAME

`sheets` makes `experiments/blind/NAME/`: in `judge/` what a judge is given, numbered sheets and `form.txt`; beside it
`key.json`, which says what was left and right and which a judge never sees. Filled forms go to `answers/JUDGE.txt`;
`score` writes `shares.json` and prints a table.

A picture may be native or enlarged by a whole number: it is reduced to one pixel a cell and enlarged by the largest
whole number at which both pictures of a pair have one size, so that size tells nothing. Half of the pairs have the
first method on the left, one more or less where their number is odd; which ones depends on the seed and that number.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from PIL import Image, ImageDraw

from pipeline.errors import BadInput, PipelineError
from pipeline.images.files import Pixels, read_rgba, write_png
from pipeline.images.resample import enlarge
from pipeline.images.sheet import DIM, GAP, GROUND, INK, font
from pipeline.runtime import seeds
from pipeline.runtime.files import write_atomic
from pipeline.runtime.manifest import write_json

HOME = Path(__file__).parent / "blind"
SIDE = 288  # pixels of a picture's place: 12 x 24, 9 x 32, 6 x 48, 4 x 72, 3 x 96
FACE, STEP = 192, 4  # and of a face's; levels of a step of its colours: a third less to keep, and none to see
LABEL, LETTERS = 22, 16  # pixels of the line above a row, of its letters
PAIRS, ACROSS = 6, 2  # pairs of a sheet, and of a row on it
CONFIDENCE = 0.95
BEHIND = (143, 163, 184)  # behind what is transparent, in both pictures
QUESTION = "Which picture would you rather sign as pixel art of this face?"
FORM = """\
# round {round}
# {question}
# One line a pair: its number, then L (the left picture), R (the right one) or = (no difference), then, if you like, a
# remark: what was wrong with the other one, or with both. For example: 7 L the right one has no mouth
"""


@dataclass(frozen=True)
class Pair:
    """One question: a face and the methods left and right of each other, by number."""

    number: int
    face: str
    left: str
    right: str
    sheet: str


@dataclass(frozen=True)
class Answer:
    """What a judge said of a pair: L, R or =, and a remark."""

    side: str
    remark: str


def make(
    home: Path, faces: Path, pictures: Mapping[str, Path], *, seed: int, pairs: int | None = None,
    a_sheet: int = PAIRS, question: str = QUESTION,
) -> list[Pair]:  # fmt: skip
    """Write the sheets, the form and the key of a round below `home`.

    Args:
        faces: a folder of face pictures.
        pictures: two methods, each with the folder of its PNG files, named as the faces; shares are the first one's.
        pairs: how many faces, drawn by the seed; None = all.
        a_sheet: pairs of a sheet.

    Raises:
        BadInput: `home` has a round already, a face with a picture of one method only, pictures of a pair that no
            whole number brings to one size, or fewer faces than `pairs`.
    """
    if (home / "key.json").exists():
        raise BadInput(f"{home}: has a round already; give this one another name")
    methods = list(pictures)
    drawn = draw_pairs(common_stems(faces, pictures), methods, seed=seed, pairs=pairs, a_sheet=a_sheet)
    hashes: dict[str, str] = {}
    for name in dict.fromkeys(pair.sheet for pair in drawn):
        rows = [
            (pair.number, _face(faces, pair.face), *_beside(*(pictures[m] / f"{pair.face}.png" for m in _sides(pair))))
            for pair in drawn
            if pair.sheet == name
        ]
        write_png(home / "judge" / name, draw_sheet(rows))
        hashes[name] = hashlib.sha256((home / "judge" / name).read_bytes()).hexdigest()
    lines = "".join(f"{pair.number}\n" for pair in drawn)
    form = FORM.format(round=round_of(hashes), question=question) + lines
    write_atomic(home / "judge" / "form.txt", form.encode())
    key = {
        "methods": methods, "question": question, "seed": seed, "sheets": hashes,
        "pairs": [vars(pair) for pair in drawn],
    }  # fmt: skip
    write_json(home / "key.json", key)
    return drawn


def common_stems(faces: Path, pictures: Mapping[str, Path]) -> list[str]:
    """The faces, sorted by name, of which the methods have pictures."""
    if len(pictures) != 2:
        raise BadInput(f"expected two methods, found {len(pictures)}: {', '.join(pictures)}")
    stems = {method: {path.stem for path in folder.glob("*.png")} for method, folder in pictures.items()}
    if not faces.is_dir():
        raise BadInput(f"{faces}: no such folder")
    listed = sorted({path.stem for path in faces.iterdir() if path.is_file() and not path.name.startswith(".")})
    some = [stem for stem in listed if any(stem in found for found in stems.values())]
    if not some:
        raise BadInput(f"{faces}: no face has a picture of its name in {' or '.join(map(str, pictures.values()))}")
    for stem in some:
        for method, found in stems.items():
            if stem not in found:
                raise BadInput(f"{pictures[method] / stem}.png: no such picture, but the other method has one")
    return some


def draw_pairs(
    stems: Sequence[str], methods: Sequence[str], *, seed: int, pairs: int | None, a_sheet: int
) -> list[Pair]:
    """Draw which faces are shown, in which order, and where the first method stands on the left: by the seed."""
    count = len(stems) if pairs is None else pairs
    if not 1 <= count <= len(stems):
        raise BadInput(f"expected 1 to {len(stems)} pairs, as many as there are faces, got {count}")
    order = seeds.generator(seed, "blind", "faces").permutation(len(stems))[:count]
    swapped = np.arange(count) % 2 == seeds.generator(seed, "blind", "odd one").integers(2)
    swapped = seeds.generator(seed, "blind", "sides").permutation(swapped)
    first, second = methods
    return [
        Pair(
            number, stems[face], *((second, first) if swap else (first, second)),
            sheet=f"sheet-{(number - 1) // a_sheet + 1:02}.png",
        )
        for number, (face, swap) in enumerate(zip(order.tolist(), swapped.tolist(), strict=True), 1)
    ]  # fmt: skip


def round_of(hashes: Mapping[str, str]) -> str:
    """A short name of a set of sheets, by which a form of another round is known."""
    return hashlib.sha256("".join(hashes[name] for name in sorted(hashes)).encode()).hexdigest()[:12]


def _sides(pair: Pair) -> tuple[str, str]:
    return pair.left, pair.right


def _face(folder: Path, stem: str) -> Pixels:
    """A face at most FACE pixels a side: enlarged by a whole number, or reduced smoothly where it is larger."""
    path = next(path for path in sorted(folder.iterdir()) if path.stem == stem)
    rgb = _opaque(read_rgba(path))
    longest = max(rgb.shape[:2])
    if longest <= FACE:
        shown = enlarge(rgb, FACE // longest)
    else:
        width, height = (max(1, round(side * FACE / longest)) for side in rgb.shape[1::-1])
        shown = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))
    return shown // STEP * STEP + STEP // 2


def _beside(left: Path, right: Path) -> tuple[Pixels, Pixels]:
    """Both pictures of a pair at the largest size, up to SIDE, that whole numbers bring both of them to."""
    one, other = (native(_opaque(read_rgba(path))) for path in (left, right))
    for factor in range(SIDE // max(one.shape[:2]), 0, -1):
        height, width = one.shape[0] * factor, one.shape[1] * factor
        times = height // other.shape[0]
        if (other.shape[0] * times, other.shape[1] * times) == (height, width):
            return enlarge(one, factor), enlarge(other, times)
    sizes = " and ".join(f"{picture.shape[1]}x{picture.shape[0]}" for picture in (one, other))
    raise BadInput(f"{left} and {right}: {sizes} cells have no common size of at most {SIDE} pixels")


def native(rgb: Pixels) -> Pixels:
    """A picture (H, W, 3) with its exact enlargement undone: one pixel a cell."""
    rows = np.flatnonzero((rgb[1:] != rgb[:-1]).any(axis=(1, 2))) + 1
    columns = np.flatnonzero((rgb[:, 1:] != rgb[:, :-1]).any(axis=(0, 2))) + 1
    factor = int(np.gcd.reduce([*rgb.shape[:2], *rows, *columns]))
    return rgb[::factor, ::factor]


def _opaque(rgba: Pixels) -> Pixels:
    return np.where(rgba[..., 3:] >= 128, rgba[..., :3], np.array(BEHIND, np.uint8))


def draw_sheet(rows: Sequence[tuple[int, Pixels, Pixels, Pixels]]) -> Pixels:
    """One page of pairs, each its number, the face, L and R: (H, W, 3)."""
    width, height = FACE + 2 * (SIDE + GAP) + 3 * GAP, LABEL + SIDE + 2 * GAP
    across = min(ACROSS, len(rows))
    page = Image.new("RGB", (2 * GAP + width * across, GAP + height * math.ceil(len(rows) / across)), GROUND)
    draw = ImageDraw.Draw(page)
    for place, (number, face, left, right) in enumerate(rows):
        x, y = 2 * GAP + place % across * width, GAP + place // across * height
        for text, picture, side, ink in (
            (f"{number}", face, FACE, INK),
            ("L", left, SIDE, DIM),
            ("R", right, SIDE, DIM),
        ):
            draw.text((x, y), text, ink, font(LETTERS))
            page.paste(Image.fromarray(picture), (x, y + LABEL))
            x += side + GAP
    return np.asarray(page)


def read_form(path: Path, numbers: Sequence[int], round: str) -> dict[int, Answer]:
    """The answers of a filled form, by number.

    Raises:
        BadInput: naming the line: no answer, an unknown one, a number twice or of no pair; a pair without a line; a
            form of another round.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a text file: {error}") from error
    answers: dict[int, Answer] = {}
    for place, line in enumerate(lines, 1):
        words, where = line.split(maxsplit=2), f"{path}:{place}"
        if words[:2] == ["#", "round"] and words[2:] != [round]:
            raise BadInput(f"{where}: a form of round {' '.join(words[2:])}, the key is of round {round}")
        if not words or words[0].startswith("#"):
            continue
        number = int(words[0].rstrip(".:")) if words[0].rstrip(".:").isdecimal() else 0
        if number not in numbers:
            raise BadInput(f"{where}: expected the number of a pair, {numbers[0]} to {numbers[-1]}, found {words[0]!r}")
        if number in answers:
            raise BadInput(f"{where}: pair {number} has a line already")
        if len(words) < 2:
            raise BadInput(f"{where}: pair {number} has no answer: expected L, R or =")
        if words[1].upper() not in ("L", "R", "="):
            raise BadInput(f"{where}: pair {number}: expected L, R or =, found {words[1]!r}")
        answers[number] = Answer(words[1].upper(), words[2].strip() if len(words) > 2 else "")
    if lacking := [str(number) for number in numbers if number not in answers]:
        raise BadInput(f"{path}: no line for pair {', '.join(lacking)}")
    return answers


def score(home: Path, forms: Sequence[Path] | None = None) -> dict[str, Any]:
    """Turn filled forms into shares; written to `home`/shares.json with hashes, answers and remarks, and returned.

    A tie counts half for each. Where several judges looked, `all` counts every pair once, as the mean of its answers:
    judges of one picture are no independent looks, and the interval is that of the number of pairs.

    Args:
        forms: filled forms, each named by its judge; None = all of `home`/answers.

    Raises:
        BadInput: no form, a form with a fault (see `read_form`), sheets that are no longer those of the key.
    """
    if not (home / "key.json").is_file():
        raise BadInput(f"{home}: no round of that name, no key.json")
    key = json.loads((home / "key.json").read_text(encoding="utf-8"))
    for name, digest in key["sheets"].items():
        path = home / "judge" / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise BadInput(f"{path}: not the sheet that the key was made with")
    pairs = [Pair(**pair) for pair in key["pairs"]]
    forms = sorted((home / "answers").glob("*.txt")) if forms is None else sorted(forms, key=lambda path: path.stem)
    if not forms:
        raise BadInput(f"{home / 'answers'}: no filled form")
    if len({path.stem for path in forms}) < len(forms):
        raise BadInput(f"expected one form a judge, found {', '.join(path.stem for path in forms)}")
    numbers = [pair.number for pair in pairs]
    given = {path.stem: read_form(path, numbers, round_of(key["sheets"])) for path in forms}
    first, second = key["methods"]
    points = {judge: [_points(pair, answers[pair.number], first) for pair in pairs] for judge, answers in given.items()}
    shares = {judge: _shares(points[judge]) | {"left": _left(answers.values())} for judge, answers in given.items()}
    every = [answer for answers in given.values() for answer in answers.values()]
    together = _shares([fmean(of_pair) for of_pair in zip(*points.values(), strict=True)]) | {"left": _left(every)}
    found = {
        "preferred": first, "to": second, "question": key["question"], "seed": key["seed"], "sheets": key["sheets"],
        "all": together, "judges": shares,
        "pairs": [
            vars(pair) | {"answers": {judge: _told(pair, answers[pair.number]) for judge, answers in given.items()}}
            for pair in pairs
        ],
    }  # fmt: skip
    write_json(home / "shares.json", found)
    return found


def _preferred(pair: Pair, answer: Answer) -> str | None:
    return {"L": pair.left, "R": pair.right, "=": None}[answer.side]


def _told(pair: Pair, answer: Answer) -> dict[str, Any]:
    return {"answer": answer.side, "preferred": _preferred(pair, answer), "remark": answer.remark}


def _points(pair: Pair, answer: Answer, method: str) -> float:
    preferred = _preferred(pair, answer)
    return 0.5 if preferred is None else float(preferred == method)


def _left(answers: Any) -> float:
    """The share of the left picture, whatever it was, ties as halves: a half from a judge without a habit."""
    return round(fmean({"L": 1.0, "R": 0.0, "=": 0.5}[answer.side] for answer in answers), 4)


def _shares(points: Sequence[float]) -> dict[str, Any]:
    """What the first method has: pairs won, tied (or divided among judges) and lost, its share, the interval."""
    won, lost = sum(point > 0.5 for point in points), sum(point < 0.5 for point in points)
    low, high = wilson(sum(points), len(points))
    return {
        "pairs": len(points), "won": won, "tied": len(points) - won - lost, "lost": lost,
        "share": round(fmean(points), 4), "low": round(low, 4), "high": round(high, 4),
    }  # fmt: skip


def wilson(successes: float, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share by Wilson 1927 (JASA 22, 209-212); halves of ties may be among the successes."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    reach = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, (centre - reach) / (1 + z**2 / trials)), min(1.0, (centre + reach) / (1 + z**2 / trials))


def table(found: Mapping[str, Any]) -> str:
    """The shares of every judge, and of all together, as a Markdown table."""
    title = f"{found['preferred']} preferred to {found['to']}"
    lines = [
        f"| {title}, by | pairs | won | tied | lost | share, ties as halves | 95 % | left |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = {**found["judges"], "all": found["all"]} if len(found["judges"]) > 1 else found["judges"]
    for judge, row in rows.items():
        counts = " | ".join(str(row[name]) for name in ("pairs", "won", "tied", "lost"))
        lines.append(
            f"| {judge} | {counts} | {row['share']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {row['left']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sheets = commands.add_parser("sheets", help="write sheets, form and key")
    sheets.add_argument("name")
    sheets.add_argument("--faces", type=Path, required=True)
    sheets.add_argument("--pictures", nargs=2, required=True, metavar="METHOD=FOLDER")
    sheets.add_argument("--seed", type=int, required=True)
    sheets.add_argument("--pairs", type=int, help="faces drawn by the seed; default: all")
    sheets.add_argument("--a-sheet", type=int, default=PAIRS, choices=range(1, 9))
    sheets.add_argument("--question", default=QUESTION)
    answers = commands.add_parser("score", help="shares from the filled forms of NAME/answers, or of those given")
    answers.add_argument("name")
    answers.add_argument("forms", type=Path, nargs="*")
    for command in (sheets, answers):
        command.add_argument("--home", type=Path, default=HOME, help="where rounds are kept")
    given = parser.parse_args()
    home = given.home / given.name
    try:
        if given.command == "sheets":
            named = [text.partition("=") for text in given.pictures]
            if not all(method and folder for method, _, folder in named):
                raise BadInput(f"--pictures: expected METHOD=FOLDER twice, found {' '.join(given.pictures)}")
            pictures = {method: Path(folder) for method, _, folder in named}
            drawn = make(
                home, given.faces, pictures, seed=given.seed, pairs=given.pairs, a_sheet=given.a_sheet,
                question=given.question,
            )  # fmt: skip
            sys.stdout.write(f"{len(drawn)} pairs; give {home / 'judge'} to the judges, never {home / 'key.json'}\n")
        else:
            sys.stdout.write(table(score(home, given.forms or None)))
    except PipelineError as error:
        sys.exit(f"blind.py: {error}")


if __name__ == "__main__":
    main()
