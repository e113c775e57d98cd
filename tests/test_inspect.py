from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import inspect
from pipeline.errors import BadInput
from pipeline.io import write_png

SHARED = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[2] / "shared")) / "data"
KEYS = {
    "path", "format", "width", "height", "frames", "has_alpha", "colors", "cell", "native_width", "native_height",
    "confidence",
}  # fmt: skip


def sprite(seed: int = 0, side: int = 16) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rgba = rng.integers(0, 256, (5, 4), dtype=np.uint8)[rng.integers(0, 5, (side, side))]
    rgba[..., 3] = 255
    rgba[:2] = 0
    return rgba


def folder(tmp_path: Path) -> Path:
    write_png(tmp_path / "art" / "b" / "big.png", sprite().repeat(4, 0).repeat(4, 1))
    write_png(tmp_path / "art" / "native.png", sprite(1))
    smooth = Image.fromarray(sprite(2)[2:, :, :3]).resize((120, 120), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "art" / "smooth.png")
    (tmp_path / "art" / "torn.png").write_bytes((tmp_path / "art" / "native.png").read_bytes()[:70])
    (tmp_path / "art" / "notes.txt").write_text("by Ann")
    return tmp_path / "art"


def test_a_folder_is_described_file_by_file(tmp_path) -> None:
    result = inspect.inspect([folder(tmp_path)])
    images = {Path(image["path"]).name: image for image in result["images"]}
    assert list(images) == ["big.png", "native.png", "smooth.png", "torn.png"]
    big = images["big.png"]
    assert set(big) == KEYS
    assert (big["cell"], big["native_width"], big["native_height"]) == (4, 16, 16)
    assert (big["format"], big["width"], big["height"], big["frames"], big["has_alpha"]) == ("PNG", 64, 64, 1, True)
    assert big["colors"] == 6
    assert images["native.png"]["cell"] == 1
    assert (images["smooth.png"]["cell"], images["smooth.png"]["native_width"]) == (None, None)
    assert result["counts"] == {"files": 4, "native": 1, "enlarged": 1, "unknown": 1, "unreadable": 1}


def test_unreadable_files_are_listed_with_their_error(tmp_path) -> None:
    torn = inspect.inspect([folder(tmp_path) / "torn.png"])["images"][0]
    assert set(torn) == {"path", "error"}
    assert "torn.png" in torn["error"]


def test_the_answer_is_json_with_whole_cells_as_integers(tmp_path) -> None:
    text = json.dumps(inspect.inspect([folder(tmp_path)]))
    assert '"cell": 4,' in text
    assert '"cell": 1,' in text
    assert '"cell": null,' in text


def test_fractional_cells_are_floats(tmp_path) -> None:
    rgb = Image.fromarray(sprite(3)[..., :3]).resize((53, 53), Image.Resampling.NEAREST)
    write_png(tmp_path / "x.png", np.asarray(rgb))
    image = inspect.inspect([tmp_path / "x.png"])["images"][0]
    assert image["cell"] == pytest.approx(53 / 16, abs=1e-3)
    assert image["native_width"] == 16


def test_a_file_named_by_the_user_is_always_tried(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("by Ann")
    assert inspect.inspect([tmp_path / "notes.txt"])["counts"]["unreadable"] == 1


def test_an_absent_path_is_bad_input(tmp_path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        inspect.inspect([tmp_path / "absent"])


def test_animations_count_their_frames(tmp_path) -> None:
    frames = [Image.fromarray(sprite(seed)).convert("P") for seed in range(3)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert inspect.inspect([tmp_path / "x.gif"])["images"][0]["frames"] == 3


def test_the_contact_sheet_shows_every_picture_at_an_integer_zoom(tmp_path) -> None:
    source = folder(tmp_path)
    assert inspect.contact_sheet([source], tmp_path / "sheet.png") == 3
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    slot = inspect.SLOT + inspect.GAP
    assert sheet.shape == (2 * slot + inspect.GAP, 2 * slot + inspect.GAP, 3)
    place = sheet[inspect.GAP : slot, inspect.GAP + slot : 2 * slot]
    native = inspect._on_ground(sprite(1))
    np.testing.assert_array_equal(place, native.repeat(6, 0).repeat(6, 1))


def test_a_sheet_of_nothing_is_refused(tmp_path) -> None:
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no readable picture"):
        inspect.contact_sheet([tmp_path], tmp_path / "sheet.png")


@pytest.mark.shared
def test_real_sheets_that_are_enlarged_are_recognised(tmp_path) -> None:
    if not (SHARED / "decoders.tar").is_file():
        pytest.skip("shared data are absent")
    with tarfile.open(SHARED / "decoders.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    result = inspect.inspect([tmp_path / "decoders"])
    assert result["counts"]["files"] == 201
    assert result["counts"]["unreadable"] == 0
    nearest = [image for image in result["images"] if "48x64_scale__" in image["path"]]
    assert len(nearest) == 24
    assert {image["cell"] for image in nearest} == {2}
    scale2x = [image for image in result["images"] if "48x64_scale2x__" in image["path"]]
    assert {image["cell"] for image in scale2x} <= {1, 2, None}
