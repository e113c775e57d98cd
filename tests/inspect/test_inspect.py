from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline import cli
from pipeline.errors import BadInput
from pipeline.images.files import write_png
from pipeline.inspect import command
from pipeline.runtime import manifest
from pipeline.runtime.files import sha256

SHARED = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[3] / "shared")) / "data"
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
    result = command.inspect([folder(tmp_path)])
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


def test_cells_above_the_limit_tell_the_limit_and_it_may_be_given(tmp_path) -> None:
    write_png(tmp_path / "huge.png", sprite(3).repeat(20, 0).repeat(20, 1))
    image = command.inspect([tmp_path])["images"][0]
    assert (image["cell"], image["max_cell_needed"]) == (None, 20)
    assert "cell unknown (--max-cell 20 would do)" in command.lines(command.inspect([tmp_path]))[0]
    done = CliRunner().invoke(cli.app, ["inspect", str(tmp_path), "--max-cell", "20", "--json"])
    assert json.loads(done.stdout)["images"][0]["cell"] == 20
    assert CliRunner().invoke(cli.app, ["inspect", str(tmp_path), "--max-cell", "129"]).exit_code == 2


def test_what_lies_off_the_grid_is_told(tmp_path) -> None:
    rgba = np.vstack([sprite(4, 24).repeat(8, 0).repeat(8, 1), sprite(5, 192)[:31]])
    write_png(tmp_path / "captioned.png", rgba)
    report = command.inspect([tmp_path])
    assert (report["images"][0]["cell"], report["images"][0]["off_grid"]) == (8, pytest.approx(4 / 28, abs=0.02))
    assert command.lines(report)[0].endswith("% of the cells off the grid")


def test_unreadable_files_are_listed_with_their_error(tmp_path) -> None:
    torn = command.inspect([folder(tmp_path) / "torn.png"])["images"][0]
    assert set(torn) == {"path", "error"}
    assert "torn.png" in torn["error"]


def test_the_answer_is_json_with_whole_cells_as_integers(tmp_path) -> None:
    text = json.dumps(command.inspect([folder(tmp_path)]))
    assert '"cell": 4,' in text
    assert '"cell": 1,' in text
    assert '"cell": null,' in text


def test_fractional_cells_are_floats(tmp_path) -> None:
    rgb = Image.fromarray(sprite(3)[..., :3]).resize((53, 53), Image.Resampling.NEAREST)
    write_png(tmp_path / "x.png", np.asarray(rgb))
    image = command.inspect([tmp_path / "x.png"])["images"][0]
    assert image["cell"] == pytest.approx(53 / 16, abs=1e-3)
    assert image["native_width"] == 16


def test_a_file_named_by_the_user_is_always_tried(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("by Ann")
    assert command.inspect([tmp_path / "notes.txt"])["counts"]["unreadable"] == 1


def test_an_absent_path_is_bad_input(tmp_path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        command.inspect([tmp_path / "absent"])


def test_animations_count_their_frames(tmp_path) -> None:
    frames = [Image.fromarray(sprite(seed)).convert("P") for seed in range(3)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert command.inspect([tmp_path / "x.gif"])["images"][0]["frames"] == 3


def test_pictures_are_summed_up_by_format_size_and_kind(tmp_path) -> None:
    for number, (width, height) in enumerate([(16, 16), (16, 16), (8, 40), (30, 20)]):
        write_png(tmp_path / f"{number}.png", sprite(number, 40)[:height, :width, : 3 + (number == 0)])
    frames = [Image.fromarray(sprite(seed)).convert("P") for seed in range(2)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "torn.png").write_bytes(b"")
    facts = command.inspect([tmp_path])["pictures"]
    assert facts["formats"] == {"PNG": 4, "GIF": 1}
    assert (facts["animated"], facts["frames"], facts["has_alpha"]) == (1, 6, 1)
    assert facts["size"] == {
        "width": {"min": 8, "median": 16, "max": 30},
        "height": {"min": 16, "median": 16, "max": 40},
        "frequent": [
            {"width": 16, "height": 16, "images": 3},
            {"width": 8, "height": 40, "images": 1},
            {"width": 30, "height": 20, "images": 1},
        ],
    }


def test_of_nothing_there_are_no_sizes(tmp_path) -> None:
    (tmp_path / "torn.png").write_bytes(b"")
    facts = command.inspect([tmp_path])["pictures"]
    assert (facts["size"], facts["native_size"], facts["colors"], facts["formats"]) == (None, None, None, {})


def raw_folder(folder: Path) -> Path:
    """Four kept rows of three pictures, one of them lost, and two rows without a picture."""
    images = folder / "images"
    for number in range(3):
        write_png(images / f"{number}.png", sprite(number))
    digests = [sha256(images / f"{number}.png") for number in range(3)]
    for number in range(2):
        (images / f"{number}.png").rename(images / f"{digests[number]}.png")
    facts = {"source": "lospec", "origin": "live", "ai_generated": None}
    rows = [
        manifest.kept({"id": "lospec-1", **facts, "artist": "Ann", "licence": "CC0-1.0", "sha256": digests[0]}),
        manifest.kept({"id": "lospec-2", **facts, "artist": "Bob", "licence": None, "sha256": digests[0]}),
        manifest.kept({"id": "lospec-3", **facts, "artist": None, "licence": None, "sha256": digests[1]}),
        manifest.kept({"id": "lospec-4", **facts, "artist": "Ann", "licence": None, "sha256": digests[2]}),
        manifest.dropped({"id": "lospec-5", **facts, "artist": "Zoe", "licence": "CC-BY-4.0"}, "noai"),
        manifest.failed({"id": "lospec-6", **facts, "artist": "Zoe"}, "gone"),
    ]
    manifest.write(folder, rows, inputs=[row["id"] for row in rows])
    return folder


def test_a_manifest_tells_statuses_reasons_and_the_provenance_of_what_was_kept(tmp_path) -> None:
    report = command.inspect([raw_folder(tmp_path)])
    assert report["counts"] == {
        "files": 3, "native": 3, "enlarged": 0, "unknown": 0, "unreadable": 0,
        "kept": 4, "dropped": 1, "failed": 1, "reasons": {"gone": 1, "noai": 1},
    }  # fmt: skip
    assert report["manifests"] == [
        {
            "path": str(tmp_path / "manifest.jsonl"), "rows": 6, "kept": 4, "dropped": 1, "failed": 1,
            "reasons": {"gone": 1, "noai": 1}, "sources": {"lospec": 4}, "origins": {"live": 4},
            "licences": {"not told": 3, "CC0-1.0": 1}, "artists": 2, "artist_not_told": 1,
            "ai_generated": {"not told": 4}, "missing": ["lospec-4"], "unlisted": 1,
        }
    ]  # fmt: skip


def test_a_picture_names_its_rows_and_their_artists(tmp_path) -> None:
    images = command.inspect([raw_folder(tmp_path)])["images"]
    named = [(image.get("ids"), image.get("artists")) for image in images]
    assert sorted(named, key=str) == [(None, None), (["lospec-1", "lospec-2"], ["Ann", "Bob"]), (["lospec-3"], [])]
    assert {frozenset(image) for image in images} == {frozenset(KEYS), frozenset(KEYS | {"ids", "artists"})}


def test_later_stages_name_their_files_by_id(tmp_path) -> None:
    write_png(tmp_path / "images" / "lospec-1-f003.png", sprite())
    manifest.write(
        tmp_path, [manifest.kept({"id": "lospec-1-f003", "sha256": "of the original"})], inputs=["lospec-1-f003"]
    )
    report = command.inspect([tmp_path])
    assert report["images"][0]["ids"] == ["lospec-1-f003"]
    assert (report["manifests"][0]["missing"], report["manifests"][0]["unlisted"]) == ([], 0)


def test_several_manifests_add_up(tmp_path) -> None:
    raw_folder(tmp_path / "raw" / "a")
    raw_folder(tmp_path / "raw" / "b")
    report = command.inspect([tmp_path])
    assert (report["counts"]["kept"], report["counts"]["reasons"]) == (8, {"gone": 2, "noai": 2})
    assert [Path(summary["path"]).parent.name for summary in report["manifests"]] == ["a", "b"]


def test_a_damaged_manifest_does_not_hide_the_pictures(tmp_path) -> None:
    write_png(tmp_path / "a.png", sprite())
    (tmp_path / "manifest.jsonl").write_text("no row")
    report = command.inspect([tmp_path])
    assert report["counts"] == {"files": 1, "native": 1, "enlarged": 0, "unknown": 0, "unreadable": 0}
    assert "manifest.jsonl:1" in report["manifests"][0]["error"]
    assert any("manifest.jsonl:1" in line for line in command.lines(report))


def test_a_person_is_told_of_each_picture_where_there_are_few(tmp_path) -> None:
    lines = command.lines(command.inspect([folder(tmp_path)]))
    assert lines[0].endswith("big.png: PNG 64x64, transparency, 6 colours, cell 4, native 16x16, confidence 1.0")
    assert "native size unknown" in lines[2]
    assert "torn.png: not a readable" in lines[3]
    assert lines[4:6] == [
        "4 pictures: 1 native, 1 enlarged, 1 unknown, 1 unreadable",
        "  formats: PNG 3; 2 with transparency",
    ]
    assert lines[8] == "  size: 16x16 to 120x120, median 64x64; most frequent 16x16 (1), 64x64 (1), 120x120 (1)"


def test_of_many_pictures_a_person_is_told_the_broken_ones_and_the_sums(tmp_path) -> None:
    for number in range(command.LISTED + 1):
        (tmp_path / f"{number}.png").write_bytes(b"")
    write_png(tmp_path / "whole.png", sprite())
    lines = command.lines(command.inspect([tmp_path]))
    assert sum("not a readable" in line for line in lines) == command.LISTED
    assert "... and 1 more unreadable files" in lines
    assert not any("whole.png" in line for line in lines)


def test_a_person_is_told_what_a_manifest_says(tmp_path) -> None:
    lines = command.lines(command.inspect([raw_folder(tmp_path / "lospec")]))
    start = next(number for number, line in enumerate(lines) if "6 rows" in line)
    assert lines[start : start + 8] == [
        f"{tmp_path / 'lospec'}: 6 rows: 4 kept, 1 dropped, 1 failed (gone 1, noai 1)",
        "  artists: 2, of 1 works not told",
        "  sources: lospec 4",
        "  origins: live 4",
        "  licences: not told 3, CC0-1.0 1",
        "  ai_generated: not told 4",
        "  missing: 1 pictures of kept rows, first lospec-4",
        "  unlisted: 1 pictures that no kept row names",
    ]


def test_text_of_others_cannot_move_the_cursor_nor_flood_the_screen(tmp_path) -> None:
    rows = [manifest.kept({"id": str(number), "licence": f"\x1b[2J\n{number} " + "x" * 999}) for number in range(40)]
    manifest.write(tmp_path, rows, inputs=[row["id"] for row in rows])
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    lines = command.lines(command.inspect([tmp_path]))
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 1200
    "\n".join(lines).encode()


def test_progress_is_told_of_many_pictures_only(tmp_path) -> None:
    calls: list[tuple[str, int, int]] = []
    for number in range(command.MANY + 1):
        (tmp_path / f"{number:03}.png").write_bytes(b"")
    command.inspect([tmp_path], progress=lambda *args: calls.append(args))
    assert calls[0] == ("inspect", 1, command.MANY + 1)
    assert calls[-1] == ("inspect", command.MANY + 1, command.MANY + 1)
    calls.clear()
    (tmp_path / "000.png").unlink()
    command.inspect([tmp_path], progress=lambda *args: calls.append(args))
    assert not calls


@pytest.mark.parametrize("length", range(20, 420, 7))
def test_a_torn_animation_is_an_entry_whatever_it_lacks(tmp_path, length: int) -> None:
    frames = [Image.fromarray(sprite(seed)).convert("P") for seed in range(3)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "x.gif").write_bytes((tmp_path / "x.gif").read_bytes()[:length])
    assert len(command.inspect([tmp_path])["images"]) == 1


def test_a_picture_of_one_row_is_an_entry(tmp_path) -> None:
    write_png(tmp_path / "x.png", np.random.default_rng(0).integers(0, 256, (1, 60, 3), dtype=np.uint8))
    assert command.inspect([tmp_path])["counts"]["native"] == 1


@pytest.mark.shared
def test_real_sheets_that_are_enlarged_are_recognised(tmp_path) -> None:
    if not (SHARED / "decoders.tar").is_file():
        pytest.skip("shared data are absent")
    with tarfile.open(SHARED / "decoders.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    result = command.inspect([tmp_path / "decoders"])
    assert result["counts"]["files"] == 201
    assert result["counts"]["unreadable"] == 0
    nearest = [image for image in result["images"] if "48x64_scale__" in image["path"]]
    assert len(nearest) == 24
    assert {image["cell"] for image in nearest} == {2}
    scale2x = [image for image in result["images"] if "48x64_scale2x__" in image["path"]]
    assert {image["cell"] for image in scale2x} <= {1, 2, None}


def test_a_device_is_refused() -> None:
    with pytest.raises(BadInput, match="found a device or pipe"):
        command.files_of([Path(os.devnull)])
