"""Works on another ground, signed, turned or mirrored are one family with their originals; strangers are not."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sprites import SERIAL, encoded, raw_folder, rows_of, scaled

from pipeline.curate.dedup import stage
from pipeline.curate.dedup.params import Dedup
from pipeline.images.canonical import canonical_form
from pipeline.images.formats import decode
from pipeline.sample.drawing import art as drawing
from pipeline.similarity import sketches

PARAMS = Dedup(max_distance=10, max_difference=24.0, overrides=os.devnull, frames="first", most_frames=4)


@cache
def drawn(number: int) -> np.ndarray:
    return drawing.animation(np.random.default_rng(number), cells=40)[0]


def padded(rgba: np.ndarray) -> np.ndarray:
    return np.pad(rgba, ((6, 6), (6, 6), (0, 0)))


def on(rgba: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """The drawing on an opaque ground, (H, W, 3) or one colour."""
    shown = np.dstack([np.broadcast_to(ground, (*rgba.shape[:2], 3)), np.full(rgba.shape[:2], 255)]).astype(np.uint8)
    return np.where(rgba[..., 3:] > 0, rgba, shown)


def checks(rgba: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: rgba.shape[0], : rgba.shape[1]] // 4
    return np.where(((x + y) % 2)[..., None], (204, 204, 204), (255, 255, 255))


def signed(rgba: np.ndarray) -> np.ndarray:
    image = Image.fromarray(rgba)
    ImageDraw.Draw(image).text((rgba.shape[1] - 20, rgba.shape[0] - 11), "ann", fill=(10, 10, 10, 255))
    return np.array(image)


def on_a_strip(rgba: np.ndarray) -> np.ndarray:
    """With a strip below that bears a name."""
    strip = np.full((10, rgba.shape[1], 4), (30, 30, 60, 255), np.uint8)
    return np.concatenate([rgba, signed(strip)])


COPIES = {
    "on blue": lambda rgba: on(padded(rgba), np.array((40, 90, 200))),
    "on black": lambda rgba: on(rgba, np.array((0, 0, 0))),
    "on checks": lambda rgba: on(padded(rgba), checks(padded(rgba))),
    "from white to green": lambda rgba: on(rgba, np.array((80, 200, 80))),
    "signed": signed,
    "signed on a strip": on_a_strip,
    "turned": np.rot90,
    "turned back": lambda rgba: np.rot90(rgba, 3),
    "upside down": lambda rgba: np.rot90(rgba, 2),
    "mirrored": lambda rgba: rgba[:, ::-1],
    "flipped": lambda rgba: rgba[::-1],
    "turned, mirrored, enlarged": lambda rgba: scaled(np.rot90(rgba)[:, ::-1], 3),
    "turned, signed, on red": lambda rgba: signed(
        on(padded(np.ascontiguousarray(np.rot90(rgba))), np.array((200, 40, 40)))
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_was_dressed_or_turned_is_of_the_family(tmp_path: Path, name: str) -> None:
    """Or dropped in favour of the original; and no two strangers among them are of one family."""
    originals = {f"g-{number}a": drawn(number) for number in range(5)}
    if name == "from white to green":
        originals = {id: on(rgba, np.array((255, 255, 255))) for id, rgba in originals.items()}
    copies = {id.replace("a", "b"): COPIES[name](drawn(number)) for number, id in enumerate(originals)}
    works = {id: encoded(np.ascontiguousarray(rgba)) for id, rgba in (originals | copies).items()}
    src = raw_folder(tmp_path / "raw" / "gallery", works)
    stage.run([src], tmp_path / "dedup", PARAMS, SERIAL)
    rows = rows_of(tmp_path / "dedup")
    for number in range(5):
        original, copy = rows[f"g-{number}a"], rows[f"g-{number}b"]
        assert copy["reason"] or original["reason"] or copy["family"] == original["family"] == f"g-{number}a"


def test_a_part_of_a_sheet_is_not_tied_to_it() -> None:
    works = [drawn(number) for number in range(8)]
    sheet = np.concatenate([padded(work) for work in works], axis=1)
    pairs, _ = sketches.shared(np.stack([sketches.sketch(work) for work in (*works, sheet)]), 0.6)
    assert pairs.tolist() == []


@pytest.mark.shared
def test_few_real_tiles_are_tied_by_their_parts(shared_files) -> None:
    files = shared_files("pixel_tiles", 150)
    frames = [decode(data, name, frames="first", most=1).frames[0].rgba for name, data in files.items()]
    stack = np.stack([sketches.sketch(canonical_form(rgba).core) for rgba in frames])
    pairs, _ = sketches.shared(stack, 0.6)
    assert len(np.unique(pairs)) <= 0.04 * len(files)
