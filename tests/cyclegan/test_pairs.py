"""Pairs of smooth and native pictures: what changes, what must not, and that they come back the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small import PARAMS, draw_split

from pipeline.cyclegan.pairs import command
from pipeline.cyclegan.pairs.render import find_ground, render_pair, scale2x
from pipeline.cyclegan.pairs.source import PairSource, is_portrait, read_natives
from pipeline.cyclegan.pairs.strip import draw_strip
from pipeline.errors import BadInput, BadParams
from pipeline.images.colour import to_oklab
from pipeline.images.files import Pixels, read_rgb
from pipeline.images.resample import box


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chroma(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hypot(lab[..., 1], lab[..., 2])


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_a_smooth_picture_has_the_pixels_of_its_cells_and_the_native_one_few_colours(
    factor: int, sprites: list[Pixels]
) -> None:
    for seed, sprite in enumerate(sprites[:6]):
        pair = render_pair(sprite, factor, rng(seed))
        assert pair.native.shape == sprite.shape
        assert pair.smooth.shape == (sprite.shape[0] * factor, sprite.shape[1] * factor, 3)
        assert len(np.unique(pair.native.reshape(-1, 3), axis=0)) <= len(np.unique(sprite.reshape(-1, 3), axis=0)) + 1


def test_a_smooth_picture_shows_the_same_things_at_the_same_places_in_the_same_hues(sprites: list[Pixels]) -> None:
    """Cells correspond: each smooth cell is nearer to its own native one than to those of another artwork."""
    pairs = [render_pair(sprite, 4, rng(seed)) for seed, sprite in enumerate(sprites)]
    hues = []
    for number, pair in enumerate(pairs):
        cells = to_oklab(box(pair.smooth, pair.native.shape[:2]))
        other = pairs[(number + 1) % len(pairs)].native
        own, strange = (np.linalg.norm(cells - to_oklab(native), axis=2).mean() for native in (pair.native, other))
        assert own < 0.6 * strange
        lab = to_oklab(pair.native)
        coloured = (chroma(lab) > 0.08) & (chroma(cells) > 0.02)
        turned = np.arctan2(cells[..., 2], cells[..., 1]) - np.arctan2(lab[..., 2], lab[..., 1])
        hues.extend(np.abs((turned + np.pi) % (2 * np.pi) - np.pi)[coloured])
    assert np.median(hues) < 0.2


def test_the_smooth_side_is_smooth(sprites: list[Pixels]) -> None:
    for seed, sprite in enumerate(sprites[:8]):
        pair = render_pair(sprite, 4, rng(seed))
        steps = [np.abs(np.diff(picture.astype(int), axis=1)).max(axis=2) for picture in (pair.smooth, pair.native)]
        assert np.percentile(steps[0], 99) < 0.8 * np.percentile(steps[1], 99)


def test_a_pair_depends_on_its_numbers_alone(sprites: list[Pixels]) -> None:
    first, again, other = (render_pair(sprites[0], 4, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.smooth, again.smooth)
    assert np.array_equal(first.native, again.native)
    assert not np.array_equal(first.smooth, other.smooth)


def test_the_corner_rule_makes_diagonals_and_no_colour() -> None:
    """Scale2x by hand: the corner between two equal neighbours is filled, a straight edge stays."""
    black, white = (0, 0, 0), (255, 255, 255)
    stair = np.array([[black, white, white], [black, black, white], [black, black, black]], np.uint8)
    doubled = scale2x(stair)[..., 0] // 255
    assert doubled.tolist() == [
        [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1], [0] * 6, [0] * 6,
    ]  # fmt: skip


def test_the_ground_is_the_border_colour_as_far_as_it_reaches() -> None:
    picture = np.full((7, 7, 3), 9, np.uint8)
    picture[1:6, 1:6] = 50
    picture[2:5, 2:5] = 9  # the same colour, enclosed
    ground = find_ground(picture)
    assert ground.sum() == 49 - 25
    assert not ground[1:6, 1:6].any()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (5, 64)])
def test_any_shape_has_a_smooth_version(rows: int, columns: int) -> None:
    native = rng().integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    assert render_pair(native, 4, rng()).smooth.shape == (4 * rows, 4 * columns, 3)


def source(natives: list[Pixels], **changes: object) -> PairSource:
    values = {"factor": 2, "cells": [16, 24], "pool": 12, "batch_size": 4, "seed": 3}
    return PairSource(natives, [1.0] * len(natives), **{**values, **changes})  # type: ignore[arg-type]


def test_batches_come_back_the_same_in_any_order_and_shares_make_the_whole(sprites: list[Pixels]) -> None:
    ours, theirs = source(sprites), source(sprites)
    batches = [ours(step, slice(0, 4)) for step in range(5)]
    for step in (4, 0, 2):
        halves = [theirs(step, share) for share in (slice(0, 2), slice(2, 4))]
        for side in (0, 1):
            assert np.array_equal(np.concatenate([half[side] for half in halves]), batches[step][side])
    sides = {native.shape[1] for _, native in batches}
    assert sides == {16, 24}
    assert all(smooth.shape[1] == 2 * native.shape[1] for smooth, native in batches)
    assert len(ours.rendered) <= 12
    assert not np.array_equal(source(sprites, seed=4)(0, slice(0, 4))[1], batches[0][1])


@pytest.mark.parametrize("size", [(5, 5), (9, 40), (60, 7), (33, 33), (200, 120)])
def test_works_of_any_size_fill_the_window(size: tuple[int, int]) -> None:
    work = rng().integers(0, 256, (*size, 3), dtype=np.uint8)
    pair = source([work], cells=[24], pool=4).pair(24, 0)
    assert pair.native.shape == (24, 24, 3)


def test_the_natives_of_the_train_split_alone_are_read_and_portraits_weigh_more(tmp_path: Path) -> None:
    split = draw_split(tmp_path)
    rows = [json.loads(line) for line in (split / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if row["id"] in ("train-p1", "p1"):
            row["title"] = "Portrait: Anna"
    (split / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    natives, weights = read_natives(split, split / "grid")
    assert len(natives) == 5
    assert np.array_equal(natives[0], read_rgb(split / "grid/images/train-p0.png"))
    assert weights == [1.0, 3.0, 1.0, 1.0, 1.0]
    fewer, their_weights = read_natives(split, split / "grid", limit=2)
    assert len(fewer) == 2
    assert their_weights == [1.0, 3.0]


@pytest.mark.parametrize(
    ("title", "tags", "expected"),
    [
        ("A Bust", None, True), (None, ["npc", "portrait"], True), ("Portrait: Anna", [], True),
        (None, ["female-portrait"], True), ("Castle", ["tileset"], False), ("Surface", ["faceted", "header"], False),
    ],
)  # fmt: skip
def test_words_of_title_and_tags_tell_a_portrait(title: str | None, tags: list[str] | None, expected: bool) -> None:
    assert is_portrait({"title": title, "tags": tags}) is expected


def flat(height: int, width: int, level: int) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def test_heavier_works_are_drawn_in_proportion() -> None:
    rows = np.concatenate([flat(12, 24, 0), flat(12, 24, 255)])
    works = [rows, rows.swapaxes(0, 1)]
    drawn = PairSource(works, [1.0, 3.0], factor=1, cells=[24], pool=200, batch_size=1, seed=0)
    natives = [drawn.pair(24, number).native.astype(int) for number in range(200)]
    heavier = np.mean([np.abs(np.diff(native, axis=1)).any() for native in natives])
    assert 0.65 < heavier < 0.85


def test_most_windows_on_a_tall_work_show_its_top() -> None:
    tall = np.concatenate([flat(24, 24, 255), flat(76, 24, 0)])
    drawn = source([tall], cells=[24], factor=1, pool=100)
    tops = np.mean([np.median(drawn.pair(24, number).native[0]) > 128 for number in range(100)])
    assert 0.5 < tops < 0.9


def test_four_small_works_share_a_window() -> None:
    works = [flat(12, 12, level) for level in (0, 80, 160, 255)]
    drawn = source(works, cells=[24], factor=1, pool=20)
    most = max(len(np.unique(drawn.pair(24, number).native[::12, ::12].reshape(-1, 3), axis=0)) for number in range(20))
    assert most >= 3


def test_a_strip_shows_no_pair_that_no_training_draws(sprites: list[Pixels]) -> None:
    drawn = source(sprites, pool=4)
    draw_strip(drawn, 8)
    assert max(number for _, number in drawn.rendered) < drawn.each


def test_a_native_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    split = draw_split(tmp_path)
    (split / "grid/images/train-p3.png").unlink()
    with pytest.raises(BadInput, match=r"images/p3\.png: no native picture of a training artwork; run the stage grid"):
        read_natives(split, split / "grid")


def test_a_sheet_shows_pairs(tmp_path: Path) -> None:
    split, sheet = draw_split(tmp_path), tmp_path / "out" / "pairs.png"
    values = {"cells": PARAMS.train.cell.cells, "count": 5, "seed": 1}
    outcome = command.run(split, split / "grid", sheet, factor=2, **values)  # type: ignore[arg-type]
    assert outcome == {"sheet": str(sheet), "pairs": 5, "artworks": 5}
    assert read_rgb(sheet).shape[1] > 600
    before = sheet.read_bytes()
    command.run(split, split / "grid", sheet, factor=2, **values)  # type: ignore[arg-type]
    assert sheet.read_bytes() == before
    with pytest.raises(BadParams, match="power of two for the cell generator, got 3"):
        command.run(split, split / "grid", sheet, factor=3, **values)  # type: ignore[arg-type]
