"""Manifests, files and seeds: the promises that every stage builds on."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.runtime import manifest, seeds
from pipeline.runtime.files import folder_digest, output_dir, write_atomic
from pipeline.runtime.parallel import parallel_map
from pipeline.runtime.settings import Executor

A, B = {"id": "a", "artist": "Ann", "noise": 1}, {"id": "b"}


def test_rows_carry_provenance_and_nothing_else() -> None:
    assert manifest.kept(A, cell=2) == {"id": "a", "artist": "Ann", "cell": 2, "status": "kept", "reason": None}
    assert manifest.dropped(B, "blank") == {"id": "b", "status": "dropped", "reason": "blank"}


def test_a_manifest_is_sorted_and_does_not_depend_on_the_order_of_its_rows() -> None:
    rows = [manifest.kept(B), manifest.kept(A)]
    assert manifest.dump(rows) == manifest.dump(rows[::-1])
    assert manifest.dump(rows).index('"a"') < manifest.dump(rows).index('"b"')


@pytest.mark.parametrize(
    "rows",
    [
        [manifest.kept(A)],
        [manifest.kept(A), manifest.kept(B), manifest.kept({"id": "c"})],
        [manifest.kept(A), manifest.kept({"id": "t1", "parent": "z"})],
    ],
)
def test_books_that_do_not_balance_are_a_bug(tmp_path: Path, rows: list[manifest.Row]) -> None:
    with pytest.raises(AssertionError, match="balance"):
        manifest.write(tmp_path, rows, inputs=["a", "b"])
    assert not list(tmp_path.iterdir())


def test_tiles_account_for_their_parent(tmp_path: Path) -> None:
    tiles = [{**manifest.kept({"id": f"b-t{n}"}), "parent": "b"} for n in range(3)]
    stats = manifest.write(tmp_path, [manifest.dropped(A, "blank"), *tiles], inputs=["a", "b"])
    assert stats == {"inputs": 2, "kept": 3, "dropped": 1, "failed": 0, "reasons": {"blank": 1}}
    assert [row["id"] for row in manifest.read_kept(tmp_path)] == ["b-t0", "b-t1", "b-t2"]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "status": "kept", "reason": "why"},
        {"id": "a", "status": "dropped", "reason": None},
        {"id": "a", "status": "gone", "reason": "x"},
    ],
)
def test_a_status_and_its_reason_must_agree(row: manifest.Row) -> None:
    with pytest.raises(AssertionError):
        manifest.dump([row])


def test_a_damaged_manifest_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text(manifest.dump([manifest.kept(A)]) + "{torn", encoding="utf-8")
    with pytest.raises(BadInput, match=r"manifest\.jsonl:2"):
        manifest.read(tmp_path)


def test_line_separators_in_a_title_are_no_line_ends(tmp_path: Path) -> None:
    row = manifest.kept({"id": "a", "title": "a\u2028b\u2029c\x85d"})
    manifest.write(tmp_path, [row], inputs=["a"])
    assert manifest.read(tmp_path) == [row]


def test_a_missing_manifest_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run the stage that makes"):
        manifest.read(tmp_path / "nothing")


def test_an_output_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "out"
    with output_dir(final) as out:
        (out / "manifest.jsonl").touch()
        (out / "first").write_text("1")
        assert not final.exists()
    with pytest.raises(RuntimeError), output_dir(final) as out:
        (out / "second").write_text("2")
        raise RuntimeError
    assert {path.name for path in final.iterdir()} == {"first", "manifest.jsonl"}
    assert (tmp_path / "out.partial" / "second").exists()


@pytest.mark.parametrize("place", ["folder/notes.txt", "thesis.txt"])
def test_an_output_folder_never_replaces_what_no_stage_wrote(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")
    with pytest.raises(BadInput, match="is not replaced"), output_dir(tmp_path / Path(place).parts[0]):
        pass
    assert (tmp_path / place).read_text() == "mine"


@pytest.mark.parametrize("place", ["manifest.jsonl", "dataset.html", "methods.json", "cell/training.json"])
def test_an_output_folder_replaces_an_earlier_output(tmp_path: Path, place: str) -> None:
    earlier = tmp_path / "out" / place
    earlier.parent.mkdir(parents=True)
    earlier.write_text("")
    with output_dir(tmp_path / "out") as out:
        (out / "new").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_an_output_folder_that_cannot_be_made_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no folder can be made"), output_dir(Path(os.devnull) / "x"):
        pass


def test_atomic_writes_leave_nothing_beside_them(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "file", b"1")
    write_atomic(tmp_path / "deep" / "file", b"2")
    assert (tmp_path / "deep" / "file").read_bytes() == b"2"
    assert len(list((tmp_path / "deep").iterdir())) == 1


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe"])
def test_bytes_that_are_no_image_are_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(BadInput, match=r"x\.png: not a readable"):
        files.read_rgba(tmp_path / "x.png")


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (5000, 4000)).save(tmp_path / "bomb.png")
    with pytest.raises(BadInput, match="5000x4000"):
        files.read_rgba(tmp_path / "bomb.png")


def test_colours_under_alpha_zero_do_not_leak(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 255, 0)).save(tmp_path / "x.png")
    assert not files.read_rgba(tmp_path / "x.png").any()


def test_transparency_is_not_silently_opaque(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (1, 2, 3, 200)).save(tmp_path / "x.png")
    with pytest.raises(BadInput, match="flatten it first"):
        files.read_rgb(tmp_path / "x.png")


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 6))
def test_png_round_trips_are_exact(
    tmp_path_factory: pytest.TempPathFactory, seed: int, height: int, width: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("png") / "x.png"
    files.write_png(path, pixels)
    assert np.array_equal(files.read_rgb(path), pixels)


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from([3, 4]), st.integers(1, 5))
def test_png_of_art_loses_nothing(seed: int, side: int, channels: int, colours: int) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colours, channels), dtype=np.uint8)
    pixels = palette[rng.integers(0, colours, (side, side + 1))].repeat(3, 0)
    data = files.encode_art_png(pixels)
    assert data.startswith(b"\x89PNG")
    with Image.open(BytesIO(data)) as image:
        assert image.mode == ("RGB" if channels == 3 else "RGBA")
        assert np.array_equal(np.asarray(image), pixels)


def test_png_of_art_is_about_as_small_as_a_thorough_one() -> None:
    rng = np.random.default_rng(5)
    palette = rng.integers(0, 256, (12, 3), dtype=np.uint8)
    native = palette[rng.integers(0, 12, (32, 16)).repeat(2, 1)]
    pixels = native.repeat(4, 0).repeat(4, 1)
    assert len(files.encode_art_png(pixels)) <= 1.15 * len(files.encode_png(pixels))


def test_a_folder_digest_sees_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = folder_digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = folder_digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, folder_digest(tmp_path)}) == 3


def test_streams_are_addressed_by_name_and_independent_of_the_hash_seed() -> None:
    assert seeds.derive(7, "split", "pixel") != seeds.derive(7, "splitpixel") != seeds.derive(8, "split", "pixel")
    code = "from pipeline.runtime import seeds; print(seeds.derive(7, 'split', 3), seeds.generator(7, 'x').random())"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": str(n)}, capture_output=True, check=True
        ).stdout
        for n in range(2)
    }
    assert runs == {f"{seeds.derive(7, 'split', 3)} {seeds.generator(7, 'x').random()}\n".encode()}


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_maps_keep_the_order_on_every_backend(backend: str) -> None:
    numbers = list(range(-450, 450))
    executor = Executor(backend=backend, n_jobs=2)  # type: ignore[arg-type]
    assert parallel_map(abs, numbers, executor) == list(map(abs, numbers))
