"""Animations and the cache of deduplication."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sprites import FOE, HERO, SERIAL, art, encoded, raw_folder, rows_of, scaled

from pipeline.curate.dedup import stage
from pipeline.curate.dedup.params import Dedup
from pipeline.images.files import read_rgba
from pipeline.runtime import manifest


def params(frames: str, most: int = 4) -> Dedup:
    return Dedup(max_distance=10, max_difference=8.0, overrides=os.devnull, frames=frames, most_frames=most)


def walk(*pictures: np.ndarray) -> bytes:
    """A lossless WebP animation of pictures on one canvas."""
    side = max(max(picture.shape[:2]) for picture in pictures)
    frames = [
        Image.fromarray(np.pad(rgba, ((0, side - rgba.shape[0]), (0, side - rgba.shape[1]), (0, 0))))
        for rgba in pictures
    ]
    data = io.BytesIO()
    frames[0].save(data, "WEBP", save_all=True, append_images=frames[1:], lossless=True, exact=True, duration=80)
    return data.getvalue()


def deduplicate(tmp_path: Path, works: dict[str, bytes], rules: Dedup, state: Path | None = None):
    src = tmp_path / "raw"
    if not src.exists():
        raw_folder(src, works)
    stats = stage.run([src], tmp_path / "dedup", rules, SERIAL, state)
    return stats, rows_of(tmp_path / "dedup")


BLANK = np.zeros((8, 8, 4), np.uint8)
WORKS = {"g-1": encoded(art(HERO)), "g-2": walk(art(FOE), scaled(art(HERO), 2), art(FOE), BLANK)}


def test_of_an_animation_the_first_frame_stands_for_it(tmp_path: Path) -> None:
    stats, rows = deduplicate(tmp_path, WORKS, params("first"))
    assert sorted(rows) == ["g-1", "g-2"]
    assert (rows["g-2"]["status"], rows["g-2"]["frames"], rows["g-2"]["frame"]) == ("kept", 4, 0)
    assert "parent" not in rows["g-2"]
    assert (stats["inputs"], stats["kept"]) == (2, 2)


@pytest.mark.parametrize("policy", ["all", "distinct"])
def test_frames_are_works_of_their_own_and_each_is_accounted_for(tmp_path: Path, policy: str) -> None:
    """Repeats are never taken; a frame may be a copy of another work, or blank."""
    stats, rows = deduplicate(tmp_path, WORKS, params(policy))
    assert {id: (row["status"], row["reason"]) for id, row in rows.items()} == {
        "g-1": ("kept", None),
        "g-2-f000": ("kept", None),
        "g-2-f001": ("dropped", "duplicate"),
        "g-2-f003": ("dropped", "blank"),
    }
    assert {row.get("parent") for id, row in rows.items() if id != "g-1"} == {"g-2"}
    assert rows["g-2-f001"]["in_favour_of"] == "g-1"
    assert stats["inputs"] == 2
    images = sorted(path.stem for path in (tmp_path / "dedup" / "images").iterdir())
    assert images == ["g-1", "g-2-f000"]
    first = read_rgba((tmp_path / "dedup" / "images" / "g-2-f000.png").read_bytes())
    np.testing.assert_array_equal(first[: len(art(FOE)), : art(FOE).shape[1]], art(FOE))


def test_no_more_distinct_frames_than_the_limit(tmp_path: Path) -> None:
    _, rows = deduplicate(tmp_path, WORKS, params("distinct", most=1))
    assert sorted(rows) == ["g-1", "g-2"]


def test_examined_files_are_remembered_and_change_no_byte(tmp_path: Path) -> None:
    first, _ = deduplicate(tmp_path, WORKS, params("all"), tmp_path / "state")
    before = {path.name: path.read_bytes() for path in (tmp_path / "dedup").rglob("*") if path.is_file()}
    for path in (tmp_path / "raw" / "images").iterdir():
        assert path.stat().st_size
    second, _ = deduplicate(tmp_path, WORKS, params("all"), tmp_path / "state")
    assert {path.name: path.read_bytes() for path in (tmp_path / "dedup").rglob("*") if path.is_file()} == before
    assert first == second
    without, _ = deduplicate(tmp_path, WORKS, params("all"))
    assert without == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "dedup").rglob("*") if path.is_file()} == before


def test_a_remembered_file_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deduplicate(tmp_path, WORKS, params("all"), tmp_path / "state")
    monkeypatch.setattr("pipeline.curate.dedup.examine.decode", lambda *_, **__: pytest.fail("decoded"))
    stats, _ = deduplicate(tmp_path, WORKS, params("all"), tmp_path / "state")
    assert stats["kept"] == 2


def test_another_selection_of_frames_is_not_served_from_the_cache(tmp_path: Path) -> None:
    deduplicate(tmp_path, WORKS, params("first"), tmp_path / "state")
    _, rows = deduplicate(tmp_path, WORKS, params("all"), tmp_path / "state")
    assert "g-2-f000" in rows


def test_ids_of_frames_sort_behind_works_whose_ids_they_begin_with(tmp_path: Path) -> None:
    works = {"g-2": WORKS["g-2"], "g-2-a": encoded(art(HERO)), "g-20": encoded(scaled(art(HERO), 3))}
    stats, _ = deduplicate(tmp_path, works, params("all"))
    ids = [row["id"] for row in manifest.read(tmp_path / "dedup")]
    assert ids == sorted(ids)
    assert stats["inputs"] == 3
