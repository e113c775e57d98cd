"""Faces cut out by a detector, alternates among faces, and whose faces are left out."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import pipeline
from pipeline.curate.faces import crops, stage
from pipeline.curate.faces.params import Faces
from pipeline.errors import BadParams
from pipeline.images import files
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.runtime.settings import Executor
from pipeline.sample.params import Sample
from pipeline.takedown import blocklist

SAMPLE = Sample(revision="test", pixeljoint=1, lospec=1, pixiehaus=1, faces=80)
ONE = Executor(backend="threading", n_jobs=1)
SIZE = 128
WEIGHTS = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[4] / "shared")) / "weights"
needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="the extra `faces` is not installed")


@pytest.fixture
def cascade() -> str:
    path = WEIGHTS / "lbpcascade_animeface.xml"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return str(path)


def read(src: Path, dst: Path, detector: str | None, **changes) -> dict[str, dict]:
    params = Faces(origin="inputs", limit=None, detector=detector, margin=0.25, max_distance=8)
    params = params.model_copy(update=changes)
    stats = stage.run(src, dst, params, SAMPLE, SIZE, ONE, src.parent / "blocklist.jsonl")
    rows = manifest.read(dst)
    assert len(rows) == stats["kept"] + stats["dropped"] + stats["failed"]
    assert {path.stem for path in (dst / "images").glob("*")} == {row["id"] for row in rows if row["reason"] is None}
    return {row["id"]: row for row in rows}


@pytest.fixture
def drawn(shared_files) -> list[Image.Image]:
    """Three faces of 256 x 256 pixels."""
    images = shared_files("anime_faces_256", 12).values()
    return [Image.fromarray(files.read_rgb(data)) for data in list(images)[:3]]


@needs_opencv
@pytest.mark.shared
def test_a_picture_becomes_a_row_per_face_from_left_to_right(cascade, drawn, tmp_path) -> None:
    canvas = Image.new("RGB", (1100, 420), "white")
    for face, place in zip(drawn, [(60, 80), (420, 10), (780, 120)], strict=True):
        canvas.paste(face, place)
    (tmp_path / "faces").mkdir()
    canvas.save(tmp_path / "faces" / "group.png")
    (tmp_path / "faces" / "manifest.csv").write_text("path,artist,identity\ngroup.png,Ann,trio\n", encoding="utf-8")
    rows = list(read(tmp_path / "faces", tmp_path / "out", cascade).values())
    parent = rows[0]["parent"]
    assert [row["id"] for row in rows] == [f"{parent}-c{number:02}" for number in (1, 2, 3)]
    for row, (left, top) in zip(rows, [(60, 80), (420, 10), (780, 120)], strict=True):
        x, y, side = row["box"]
        assert left - 60 <= x <= left + 128 <= x + side <= left + 256 + 60
        assert 0 <= y <= top + 128 <= y + side <= 420
        assert (row["artist"], row["identity"], row["source_id"]) == ("Ann", "trio", "group.png")
        again = crops.cut(canvas, (x, y, side), SIZE)
        np.testing.assert_array_equal(files.read_rgb(tmp_path / "out" / "images" / f"{row['id']}.png"), again)


@needs_opencv
@pytest.mark.shared
def test_pictures_without_a_face_and_with_too_small_ones_are_dropped(cascade, drawn, tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    smooth = np.linspace(0, 255, 300, dtype=np.uint8)[:, None].repeat(300, 1)
    Image.fromarray(smooth).save(tmp_path / "faces" / "sky.png")
    canvas = Image.new("RGB", (300, 300), "white")
    canvas.paste(drawn[0].resize((76, 76)), (100, 100))
    canvas.save(tmp_path / "faces" / "far.png")
    rows = list(read(tmp_path / "faces", tmp_path / "out", cascade, margin=0.0).values())
    reasons = {row["source_id"]: row["reason"] for row in rows}
    assert reasons == {"far.png": "too_small", "sky.png": "no_face"}


@needs_opencv
@pytest.mark.shared
def test_faces_that_fill_their_picture_are_found(cascade, shared_files, tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    for number, data in enumerate(shared_files("anime_faces_128_a", 40).values()):
        (tmp_path / "faces" / f"{number:02}.png").write_bytes(data)
    rows = read(tmp_path / "faces", tmp_path / "out", cascade).values()
    assert sum(row["reason"] == "no_face" for row in rows) <= 4


@needs_opencv
@pytest.mark.shared
def test_detection_is_the_same_on_every_backend(cascade, shared_files, tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    for number, data in enumerate(shared_files("anime_faces_256", 6).values()):
        (tmp_path / "faces" / f"{number:02}.webp").write_bytes(data)
    params = Faces(origin="inputs", limit=None, detector=cascade, margin=0.25, max_distance=8)
    for name, executor in (("one", ONE), ("two", Executor(backend="loky", n_jobs=2))):
        stage.run(tmp_path / "faces", tmp_path / name, params, SAMPLE, SIZE, executor, tmp_path / "none")
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")


@needs_opencv
@pytest.mark.parametrize("content", [None, b"<html></html>", b""])
def test_what_is_no_cascade_is_refused_before_any_face_is_read(tmp_path, content) -> None:
    (tmp_path / "faces").mkdir()
    Image.new("RGB", (200, 200)).save(tmp_path / "faces" / "a.png")
    if content is not None:
        (tmp_path / "x.xml").write_bytes(content)
    with pytest.raises(BadParams, match=r"faces\.detector: .*x\.xml: (no such file|not a cascade)"):
        read(tmp_path / "faces", tmp_path / "out", str(tmp_path / "x.xml"))
    assert not (tmp_path / "out").exists()


def test_without_opencv_the_error_names_the_extra_and_the_parameter() -> None:
    """In a process of its own: there cv2 cannot be imported, whether it is installed or not."""
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from pipeline.images.cascade import require\nrequire('x.xml', 'faces.detector')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "BadParams: faces.detector needs OpenCV 4: install the extra with `uv sync --extra faces`" in done.stderr


@given(
    st.tuples(st.integers(-200, 900), st.integers(-200, 900), st.integers(1, 700)),
    st.floats(0, 2),
    st.integers(1, 800),
    st.integers(1, 800),
)
def test_a_crop_is_a_square_inside_its_picture(box, margin, width, height) -> None:
    left, top, side = crops.around(box, margin, width, height)
    assert 0 <= left <= left + side <= width
    assert 0 <= top <= top + side <= height
    assert side == min(round(box[2] * (1 + 2 * margin)), width, height)


def test_a_crop_is_centred_on_its_face_where_there_is_room() -> None:
    assert crops.around((100, 200, 40), 0.25, 1000, 1000) == (90, 190, 60)


def smooth(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def test_versions_of_one_face_are_a_family_and_copies_are_not(tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    face = smooth(1)
    face.save(tmp_path / "faces" / "a.png")
    face.point(lambda value: value * 92 // 100).save(tmp_path / "faces" / "b.png")
    face.point(lambda value: value * 98 // 100).save(tmp_path / "faces" / "c.png")
    smooth(2).save(tmp_path / "faces" / "d.png")
    rows = {row["source_id"]: row for row in read(tmp_path / "faces", tmp_path / "out", None).values()}
    assert {name: row["reason"] for name, row in rows.items()} == {
        "a.png": None, "b.png": None, "c.png": "near_duplicate", "d.png": None,
    }  # fmt: skip
    assert rows["a.png"]["family"] == rows["b.png"]["family"] == min(rows["a.png"]["id"], rows["b.png"]["id"])
    assert "family" not in rows["d.png"]


@pytest.mark.shared
def test_copies_of_real_faces_are_found_and_distinct_ones_kept(shared_files, tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    originals = [Image.fromarray(files.read_rgb(data)) for data in shared_files("anime_faces_256", 60).values()]
    for number, image in enumerate(originals):
        image.save(tmp_path / "faces" / f"a{number:02}.png")
        image.save(tmp_path / "faces" / f"b{number:02}.jpg", quality=60)
        image.resize((160, 160), Image.Resampling.BICUBIC).save(tmp_path / "faces" / f"c{number:02}.webp", quality=80)
        image.save(tmp_path / "faces" / f"d{number:02}.bmp")
    rows = {row["source_id"][:3]: row for row in read(tmp_path / "faces", tmp_path / "out", None).values()}
    first = {row["id"]: name for name, row in rows.items()}
    assert {name for name, row in rows.items() if row["reason"] is None} == {name for name in rows if name[0] == "a"}
    assert all(first[row["in_favour_of"]][1:] == name[1:] for name, row in rows.items() if row["reason"])
    assert {row["reason"] for name, row in rows.items() if name[0] == "d"} == {"duplicate"}


def test_the_blocklist_keeps_faces_out_and_their_rows_name_nobody(tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    smooth(1).save(tmp_path / "faces" / "a.png")
    smooth(2).save(tmp_path / "faces" / "b.png")
    table = "path,artist,identity\na.png,Ann,sister\nb.png,Bob,brother\n"
    (tmp_path / "faces" / "manifest.csv").write_text(table, encoding="utf-8")
    blocklist.add(tmp_path / "blocklist.jsonl", [{"artist": "ANN", "source": None}])
    rows = {row["source_id"]: row for row in read(tmp_path / "faces", tmp_path / "out", None).values()}
    assert {name: row["reason"] for name, row in rows.items()} == {"a.png": "blocklist", "b.png": None}
    assert not {"artist", "identity"} & rows["a.png"].keys()
    assert "sister" not in (tmp_path / "out" / "manifest.jsonl").read_text(encoding="utf-8")


def test_names_that_are_no_utf8_have_an_escaped_place(tmp_path) -> None:
    (tmp_path / "faces").mkdir()
    smooth(1).save(tmp_path / "faces" / "a.png")
    (tmp_path / "faces" / "a.png").rename(tmp_path / "faces" / os.fsdecode(b"caf\xe9.png"))
    rows = read(tmp_path / "faces", tmp_path / "out", None).values()
    assert [(row["source_id"], row["reason"]) for row in rows] == [("caf\\udce9.png", None)]


def test_the_detector_is_the_only_user_of_opencv() -> None:
    package = Path(pipeline.__file__).parent
    users = {path.name for path in package.rglob("*.py") if "import cv2" in path.read_text(encoding="utf-8")}
    assert users == {"cascade.py"}
