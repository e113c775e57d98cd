from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from pipeline.curate.faces import stage
from pipeline.curate.faces.params import Faces
from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest, sha256
from pipeline.runtime.settings import Executor
from pipeline.sample.params import Sample

SAMPLE = Sample(revision="test", pixeljoint=1, lospec=1, pixiehaus=1, faces=80)
ONE = Executor(backend="threading", n_jobs=1)
SIZE = 32


NONE_BLOCKED = Path("no-blocklist.jsonl")


def settings(origin="inputs", limit=None, max_distance=8, detector=None, margin=0.25) -> Faces:
    return Faces(origin=origin, limit=limit, max_distance=max_distance, detector=detector, margin=margin)


def picture(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """A smooth random picture: distinct seeds have distant hashes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def read(src: Path, dst: Path, **changes) -> dict[str, dict]:
    stats = stage.run(src, dst, settings(**changes), SAMPLE, SIZE, ONE, NONE_BLOCKED)
    rows = manifest.read(dst)
    assert stats["inputs"] == stats["kept"] + stats["dropped"] + stats["failed"] == len(rows)
    kept = {row["id"] for row in rows if row["status"] == "kept"}
    assert {path.stem for path in (dst / "images").glob("*")} == kept
    return {row["source_id"]: row for row in rows}


@pytest.fixture
def inputs(tmp_path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[Path, dict[str, dict]]:
    dst = tmp_path_factory.mktemp("drawn") / "faces"
    return dst, read(Path("unread"), dst, origin="sample")


def test_sample_faces_are_square_rgb_with_provenance(drawn):
    dst, rows = drawn
    row = rows["face/0"]
    assert row["id"] == "sample-" + hashlib.sha256(b"face/0").hexdigest()[:16]
    assert (row["source"], row["origin"], row["licence"]) == ("sample", "sample", "MIT")
    assert row["artist"]
    assert row["tags"]
    assert files.read_rgb(dst / "images" / f"{row['id']}.png").shape == (SIZE, SIZE, 3)


def test_the_sample_contains_an_exact_and_a_near_duplicate_which_are_dropped(drawn):
    _, rows = drawn
    dropped = {name: row for name, row in rows.items() if row["status"] == "dropped"}
    assert {name: row["reason"] for name, row in dropped.items()} == {
        "face/39": "duplicate",
        "face/79": "near_duplicate",
    }
    for name, original in (("face/39", "face/22"), ("face/79", "face/62")):
        assert rows[name]["in_favour_of"] == rows[original]["id"]
        assert rows[name]["identity"] == rows[original]["identity"]
        assert 0 <= rows[name]["distance"] <= 4


def test_two_runs_write_the_same_bytes_on_any_backend(tmp_path):
    sample = SAMPLE.model_copy(update={"faces": 8})
    for name, executor in (("one", ONE), ("two", Executor(backend="loky", n_jobs=2))):
        stage.run(Path("unread"), tmp_path / name, settings("sample"), sample, SIZE, executor, NONE_BLOCKED)
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")


def test_more_sample_faces_leave_the_first_ones_as_they_were(drawn, tmp_path):
    dst, _ = drawn
    stage.run(
        Path("unread"),
        tmp_path / "few",
        settings("sample"),
        SAMPLE.model_copy(update={"faces": 8}),
        SIZE,
        ONE,
        NONE_BLOCKED,
    )
    for path in (tmp_path / "few" / "images").glob("*.png"):
        assert path.read_bytes() == (dst / "images" / path.name).read_bytes()


def test_limit_keeps_the_first_and_accounts_for_the_rest(tmp_path):
    sample = SAMPLE.model_copy(update={"faces": 8})
    stats = stage.run(Path("unread"), tmp_path / "out", settings("sample", limit=3), sample, SIZE, ONE, NONE_BLOCKED)
    assert (stats["inputs"], stats["kept"], stats["reasons"]) == (8, 3, {"limit": 5})


def test_a_wide_picture_is_cropped_to_its_centre(inputs, tmp_path):
    wide = Image.new("RGB", (128, 64), "red")
    wide.paste("blue", (32, 0, 96, 64))
    wide.save(inputs / "wide.png")
    row = read(inputs, tmp_path / "out")["wide.png"]
    pixels = files.read_rgb(tmp_path / "out" / "images" / f"{row['id']}.png")
    assert (pixels == (0, 0, 255)).all()
    assert row["id"] == "inputs-" + hashlib.sha256(b"faces/wide.png").hexdigest()[:16]
    assert row["sha256"] == sha256(inputs / "wide.png")


def test_transparency_becomes_white(inputs, tmp_path):
    clear = np.zeros((SIZE, SIZE, 4), dtype=np.uint8)
    clear[: SIZE // 2] = (10, 20, 30, 255)
    Image.fromarray(clear).save(inputs / "half.png")
    row = read(inputs, tmp_path / "out")["half.png"]
    pixels = files.read_rgb(tmp_path / "out" / "images" / f"{row['id']}.png")
    assert (pixels[0] == (10, 20, 30)).all()
    assert (pixels[-1] == 255).all()


def test_a_photograph_stored_sideways_is_turned_upright(inputs, tmp_path):
    upright = Image.new("RGB", (SIZE, SIZE), "white")
    upright.paste("black", (0, 0, SIZE, SIZE // 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise to show
    upright.transpose(Image.Transpose.ROTATE_90).save(inputs / "phone.jpg", exif=exif, quality=100)
    row = read(inputs, tmp_path / "out")["phone.jpg"]
    pixels = files.read_rgb(tmp_path / "out" / "images" / f"{row['id']}.png")
    assert pixels[0].mean() < 30
    assert pixels[-1].mean() > 225


def test_small_pictures_are_dropped_and_half_the_size_is_enough(inputs, tmp_path):
    picture(1, SIZE // 2 - 1, SIZE).save(inputs / "small.png")
    picture(2, SIZE // 2, SIZE).save(inputs / "enough.png")
    rows = read(inputs, tmp_path / "out")
    assert rows["small.png"]["reason"] == "too_small"
    assert rows["enough.png"]["status"] == "kept"


def test_hostile_files_become_failed_rows_and_the_rest_goes_on(inputs, tmp_path):
    picture(1).save(inputs / "good.png")
    data = (inputs / "good.png").read_bytes()
    (inputs / "cut.png").write_bytes(data[: len(data) // 2])
    (inputs / "page.png").write_bytes(b"<html>not found</html>")
    (inputs / "empty.jpg").write_bytes(b"")
    Image.new("1", (4200, 4200)).save(inputs / "bomb.png")
    picture(2).save(inputs / "exif.jpg", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05\x01\x12\x00")
    picture(3).save(inputs / "really_a_gif.png", format="GIF")
    rows = read(inputs, tmp_path / "out")
    assert {name for name, row in rows.items() if row["reason"] == "unreadable"} == {
        "cut.png", "page.png", "empty.jpg", "bomb.png",
    }  # fmt: skip
    assert {name for name, row in rows.items() if row["status"] == "kept"} == {
        "good.png",
        "exif.jpg",
        "really_a_gif.png",
    }


def test_what_is_no_image_by_name_is_no_input(inputs, tmp_path):
    (inputs / "a" / "licences").mkdir(parents=True)
    picture(1).save(inputs / "a" / "face.png")
    for name in (".gitkeep", "manifest.csv", "README.md", "a/licences/MIT.txt"):
        (inputs / name).write_text("")
    assert set(read(inputs, tmp_path / "out")) == {"a/face.png"}


def test_the_manifest_beside_the_files_gives_licence_artist_and_identity(inputs, tmp_path):
    (inputs / "set" / "deep").mkdir(parents=True)
    picture(1).save(inputs / "set" / "deep" / "one.png")
    picture(2).save(inputs / "set" / "two.png")
    with (inputs / "set" / "manifest.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["path", "licence", "artist", "identity", "source", "colours"])
        writer.writerow(["deep/one.png", "CC0", "Ada", "ada-1", "museum", "12"])
        writer.writerow(["../../outside.png", "CC0", "Eve", "", "", ""])
    rows = read(inputs, tmp_path / "out")
    listed, unlisted = rows["set/deep/one.png"], rows["set/two.png"]
    assert [listed[key] for key in ("licence", "artist", "identity", "source")] == ["CC0", "Ada", "ada-1", "museum"]
    assert [unlisted[key] for key in ("licence", "artist", "identity", "source")] == [None, None, None, "inputs"]
    assert "colours" not in listed


def test_equal_pixels_and_slightly_changed_ones_are_dropped_in_favour_of_the_first(inputs, tmp_path):
    face = picture(1)
    face.save(inputs / "a.png")
    face.save(inputs / "b.bmp")
    face.point(lambda value: value * 98 // 100).save(inputs / "c.png")
    picture(2).save(inputs / "d.png")
    rows = read(inputs, tmp_path / "out")
    assert [rows[name]["reason"] for name in sorted(rows)] == [None, "duplicate", "near_duplicate", None]
    assert rows["b.bmp"]["in_favour_of"] == rows["c.png"]["in_favour_of"] == rows["a.png"]["id"]


def test_equal_hashes_with_other_colours_are_no_duplicates(inputs, tmp_path):
    """pHash sees luma only and little of it: the thumbnails decide."""
    face = picture(1)
    red, green, blue = face.split()
    face.save(inputs / "a.png")
    Image.merge("RGB", (red.point(lambda v: v // 2), green, blue.point(lambda v: 128 + v // 2))).save(inputs / "b.png")
    left, right = (imagehash.phash(Image.open(inputs / name)) for name in ("a.png", "b.png"))
    assert left - right <= 16
    rows = read(inputs, tmp_path / "out", max_distance=16)
    assert [rows[name]["status"] for name in sorted(rows)] == ["kept", "kept"]


def test_max_distance_zero_keeps_the_near_ones(inputs, tmp_path):
    face = picture(1)
    face.save(inputs / "a.png")
    shifted = face.rotate(1, Image.Resampling.BICUBIC)
    shifted.save(inputs / "b.png")
    loose = read(inputs, tmp_path / "loose", max_distance=16)
    assert loose["b.png"]["reason"] == "near_duplicate"
    assert loose["b.png"]["distance"] > 0
    assert read(inputs, tmp_path / "strict", max_distance=0)["b.png"]["status"] == "kept"


def test_an_empty_folder_is_an_error_that_says_what_to_do(inputs, tmp_path):
    (inputs / ".gitkeep").write_text("")
    for src in (inputs, tmp_path / "absent"):
        with pytest.raises(BadInput, match="facetopix add faces"):
            stage.run(src, tmp_path / "out", settings(), SAMPLE, SIZE, ONE, NONE_BLOCKED)
    assert not (tmp_path / "out").exists()


def test_a_manifest_that_is_no_table_names_itself(inputs, tmp_path):
    picture(1).save(inputs / "a.png")
    (inputs / "manifest.csv").write_bytes(b'path,licence\n"' + b"x" * 200_000 + b'",MIT\n')
    with pytest.raises(BadInput, match=r"manifest\.csv"):
        stage.run(inputs, tmp_path / "out", settings(), SAMPLE, SIZE, ONE, NONE_BLOCKED)
