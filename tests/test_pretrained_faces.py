"""The faces of the shipped model: the same files every time, each with its licence."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.files import write_png

ROOT = Path(__file__).parents[1]


def test_drawn_faces_come_with_their_licences_and_come_again(tmp_path: Path) -> None:
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[8:32, 8:32] = (200, 120, 90, 255)
    (tmp_path / "drawings").mkdir()
    Image.fromarray(rgba).save(tmp_path / "drawings" / "one.png")
    write_png(tmp_path / "drawings" / "unlicensed.png", rgba[..., :3])
    lines = "path,licence,identity\none.png,CC0-1.0,someone\nunlicensed.png,,nobody\ngone.png,CC0-1.0,nobody\n"
    (tmp_path / "drawings" / "manifest.csv").write_text(lines)
    made = []
    for out in (tmp_path / "first", tmp_path / "second"):
        command = [sys.executable, ROOT / "experiments" / "pretrained_faces.py", out, "--count", "2", "--drawings"]
        subprocess.run([*command, tmp_path / "drawings"], check=True)
        made.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert made[0] == made[1]
    assert set(made[0]) == {"drawn-one.png", "rules-0000.png", "rules-0001.png", "manifest.csv"}
    with (tmp_path / "first" / "manifest.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert {name: row["licence"] for name, row in rows.items()} == {
        "drawn-one.png": "CC0-1.0", "rules-0000.png": "MIT", "rules-0001.png": "MIT",
    }  # fmt: skip
    faces = [np.array(Image.open(tmp_path / "first" / name)) for name in rows]
    assert {face.shape for face in faces} == {(192, 192, 3)}
    assert all(face.std() > 5 for face in faces)
