"""What must hold for any art, and for every stage of curation."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sprites import (
    EVERYTHING,
    FOE,
    HERO,
    SERIAL,
    art,
    colours_of,
    encoded,
    load,
    noise_art,
    raw_folder,
    rows_of,
    scaled,
    stage_folder,
)

from pipeline.cells import detect
from pipeline.curate import flatten, grid, resize
from pipeline.curate.dedup import stage as dedup
from pipeline.curate.dedup.params import Dedup
from pipeline.curate.params import Flatten, Grid
from pipeline.curate.split import stage as split
from pipeline.curate.split.params import Split
from pipeline.images import canonical
from pipeline.runtime import manifest
from pipeline.runtime.settings import Resize

DEDUP = Dedup(max_distance=10, max_difference=8.0, overrides=os.devnull, frames="first", most_frames=4)
FLATTEN = Flatten(policy="contrast", backgrounds=["#c8d2dc", "#5a6478"], alpha_threshold=128, max_transparent=0.97)
GRID = Grid(max_cell=16, min_confidence=0.55)
RESIZE = Resize(size=64, cells=16, min_cells=4, max_aspect=3.0, larger="crop", crop="saliency")
SPLIT = Split(val=0.2, test=0.2, licences=[], min_transparent=0.0, max_transparent=1.0, **EVERYTHING)

natives = st.builds(
    noise_art,
    st.integers(0, 10**6),
    width=st.integers(8, 24),
    height=st.integers(8, 24),
    colours=st.integers(3, 12),
)
sprites = st.builds(
    lambda rgba, seed: np.dstack(
        [rgba[..., :3], np.random.default_rng(seed).choice([0, 90, 200, 255], rgba.shape[:2])]
    ),
    natives,
    st.integers(0, 10**6),
).map(lambda rgba: rgba.astype(np.uint8))
several = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
few = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])


@several
@given(natives, st.integers(2, 12), st.integers(0, 11), st.integers(0, 11))
def test_enlarge_crop_detect_reduce_is_the_identity(rgba, factor, left, top) -> None:
    native = rgba[..., :3]
    cropped = scaled(native, factor)[top % factor :, left % factor :]
    cell = detect.detect(cropped, 16, 0.55)
    assert cell.size == factor
    np.testing.assert_array_equal(detect.reduce(cropped, cell), native)


@several
@given(natives)
def test_native_noise_is_native(rgba) -> None:
    assert detect.detect(np.ascontiguousarray(rgba[..., :3]), 16, 0.55).size == 1


@several
@given(sprites, st.integers(1, 6), st.integers(0, 9), st.integers(0, 9))
def test_the_canonical_form_forgets_padding_and_enlargement(rgba, factor, left, top) -> None:
    core = canonical.canonical_form(rgba).core
    padded = np.pad(scaled(rgba, factor), ((top, left), (left, top), (0, 0)))
    again = canonical.canonical_form(padded).core
    np.testing.assert_array_equal(core, again)


@several
@given(sprites)
def test_mirror_images_and_recolours_are_kin(rgba) -> None:
    core = canonical.canonical_form(rgba).core
    swapped = np.where(core[..., 3:] > 0, core ^ np.array([0x5A, 0x33, 0x0F, 0], np.uint8), 0)
    digests = {canonical.kinship_digest(view) for view in (core, core[:, ::-1], swapped.astype(np.uint8))}
    assert len(digests) == 1


@few
@given(st.lists(sprites, min_size=1, max_size=4))
def test_flattening_twice_is_flattening_once(arts) -> None:
    works = {f"w-{number}": rgba for number, rgba in enumerate(arts)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flatten.run(stage_folder(folder / "src", works), folder / "once", FLATTEN, SERIAL)
        flatten.run(folder / "once", folder / "twice", FLATTEN, SERIAL)
        kept = [row["id"] for row in manifest.read_kept(folder / "once")]
        assert kept == [row["id"] for row in manifest.read_kept(folder / "twice")]
        for work in kept:
            np.testing.assert_array_equal(load(folder / "once", work), load(folder / "twice", work))


@few
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=12), st.randoms())
def test_dedup_does_not_depend_on_the_order_of_its_sources(copies, random) -> None:
    works = {f"w-{n:02}": encoded(scaled(noise_art(seed, 8, 8), factor)) for n, (seed, factor) in enumerate(copies)}
    halves = [dict(list(works.items())[::2]), dict(list(works.items())[1::2])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        srcs = [raw_folder(folder / f"raw{number}", half) for number, half in enumerate(halves)]
        dedup.run(srcs, folder / "one", DEDUP, SERIAL)
        random.shuffle(srcs)
        dedup.run(srcs, folder / "two", DEDUP, SERIAL)
        for file in ("manifest.jsonl", "decisions.jsonl", "stats.json"):
            assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()
        kept = [row for row in rows_of(folder / "one").values() if row["status"] == "kept"]
        assert len(kept) == len({seed for seed, _ in copies})


def curated(folder: Path) -> list[Path]:
    """Every stage over a small mixed gallery; the stages' folders in order."""
    works = {f"w-{n:02}": encoded(scaled(noise_art(n, 8 + n % 5, 9), 1 + n % 4)) for n in range(12)}
    works |= {"w-hero": encoded(art(HERO)), "w-hero2": encoded(scaled(art(HERO), 3)), "w-foe": encoded(art(FOE))}
    works |= {"w-blank": encoded(np.zeros((8, 8, 4), np.uint8)), "w-torn": encoded(art(FOE))[:50]}
    works |= {"w-large": encoded(noise_art(99, 40, 30)), "w-long": encoded(noise_art(98, 60, 10))}
    raw = raw_folder(folder / "raw", works)
    dedup.run([raw], folder / "dedup", DEDUP, SERIAL)
    flatten.run(folder / "dedup", folder / "flatten", FLATTEN, SERIAL)
    grid.run(folder / "flatten", folder / "grid", GRID, SERIAL)
    resize.run(folder / "grid", folder / "resize", RESIZE, SERIAL)
    faces = stage_folder(folder / "faces", {f"f-{n}": noise_art(n, 64, 64)[..., :3] for n in range(6)})
    split.run(folder / "resize", faces, folder / "split", SPLIT, 7)
    return [folder / name for name in ("raw", "dedup", "flatten", "grid", "resize", "split")]


def test_the_books_balance_from_raw_to_split(tmp_path) -> None:
    folders = curated(tmp_path)
    for before, after in itertools.pairwise(folders):
        inputs = {row["id"] for row in manifest.read_kept(before)}
        rows = [row for row in manifest.read(after) if row.get("domain") != "faces"]
        assert {row["id"] for row in rows} == inputs
        assert all(row["reason"] for row in rows if row["status"] != "kept")
    assert {row["reason"] for folder in folders for row in manifest.read(folder)} == {
        None, "blank", "truncated", "duplicate", "extreme_aspect"
    }  # fmt: skip


def test_every_kept_row_has_its_picture_and_no_other_has(tmp_path) -> None:
    for folder in curated(tmp_path)[1:5]:
        pictures = sorted(path.stem for path in (folder / "images").iterdir())
        assert pictures == [row["id"] for row in manifest.read_kept(folder)]


def test_no_stage_invents_a_colour(tmp_path) -> None:
    *_, resized, _ = curated(tmp_path)
    rows = rows_of(resized)
    for work, row in rows.items():
        if row["status"] == "kept":
            allowed = colours_of(load(tmp_path / "dedup", work)) | {canonical.parse_colour(row["background"])}
            assert colours_of(load(resized, work)) <= allowed


@pytest.mark.parametrize("stage", ["dedup", "flatten", "grid", "resize", "split"])
def test_a_second_run_writes_the_same_bytes(tmp_path, stage) -> None:
    curated(tmp_path / "one")
    curated(tmp_path / "two")
    first, second = tmp_path / "one" / stage, tmp_path / "two" / stage
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
