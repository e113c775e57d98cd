from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from enlarged import PARAMS, detect, jpeg, portrait
from PIL import Image
from sprites import HERO, SERIAL, art, colours_of, load, noise_art, rows_of, scaled, stage_folder

from pipeline.cells import detect as cells
from pipeline.curate import grid


@pytest.mark.parametrize("factor", range(2, 13))
def test_exact_enlargements_are_undone(factor: int) -> None:
    native = art(HERO)[..., :3]
    cell = detect(scaled(native, factor))
    assert (cell.size, cell.phase, cell.exact) == (factor, (0, 0), True)
    np.testing.assert_array_equal(cells.reduce(scaled(native, factor), cell), native)


@pytest.mark.parametrize(("left", "top"), [(1, 0), (3, 5), (7, 7)])
def test_a_crop_keeps_its_grid_and_tells_its_phase(left: int, top: int) -> None:
    native = noise_art(3)[..., :3]
    cell = detect(scaled(native, 8)[top:, left:])
    assert cell.size == 8
    assert cell.phase == ((8 - left) % 8, (8 - top) % 8)
    np.testing.assert_array_equal(cells.reduce(scaled(native, 8)[top:, left:], cell), native)


def test_native_art_is_left_alone() -> None:
    for native in (art(HERO), noise_art(1), portrait(), portrait(64)):
        cell = detect(native)
        assert cell.size == 1
        np.testing.assert_array_equal(cells.reduce(native[..., :3], cell), native[..., :3])


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (2, 40)])
def test_a_picture_of_a_row_or_a_column_has_no_grid(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert cells.detect(noise, 16, 0.55).size in (1, None)


def test_two_edges_are_no_evidence_of_an_enlargement() -> None:
    """A square on a plain ground has edges 30 apart; that says nothing about cells."""
    rgb = np.full((32, 32, 3), 200, np.uint8)
    rgb[1:31, 1:31] = 40
    assert detect(rgb).size == 1


def test_a_plain_image_is_native() -> None:
    assert detect(np.full((20, 30, 3), 9, np.uint8)).size == 1
    assert detect(np.full((1, 1, 3), 9, np.uint8)).size == 1


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("quality", [90, 75])
def test_jpeg_does_not_hide_the_grid(factor: int, quality: int) -> None:
    native = portrait()
    blurred = jpeg(scaled(native, factor), quality)
    cell = detect(blurred)
    assert (cell.size, cell.native_width, cell.native_height, cell.exact) == (factor, 32, 32, False)
    reduced = cells.reduce(blurred, cell)
    assert colours_of(reduced) <= colours_of(blurred)
    assert np.abs(reduced.astype(int) - native).mean() < 12
    assert len(colours_of(reduced)) < len(colours_of(blurred)) / 10


@pytest.mark.parametrize("pitch", [2.5, 3.3])
def test_fractional_nearest_is_undone_exactly(pitch: float) -> None:
    native = portrait()
    side = round(32 * pitch)
    enlarged = np.asarray(Image.fromarray(native).resize((side, side), Image.Resampling.NEAREST))
    cell = detect(enlarged)
    assert cell.size == pytest.approx(pitch, abs=0.05)
    np.testing.assert_array_equal(cells.reduce(enlarged, cell), native)


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_smoothed_enlargements_are_unknown_not_guessed(resample: Image.Resampling) -> None:
    smooth = np.asarray(Image.fromarray(portrait()).resize((128, 128), resample))
    assert detect(smooth).size is None


def test_a_photograph_is_never_shrunk() -> None:
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    photo = np.asarray(coarse.resize((240, 240), Image.Resampling.BICUBIC), np.int16)
    photo = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
    assert detect(photo).size in (1, None)


def test_a_factor_above_the_limit_is_unknown() -> None:
    assert cells.detect(scaled(art(HERO)[..., :3], 20), 16, 0.55).size is None


def test_reducing_an_unknown_grid_is_refused() -> None:
    unknown = cells.detect(scaled(art(HERO)[..., :3], 20), 16, 0.55)
    with pytest.raises(ValueError, match="unknown"):
        cells.reduce(scaled(art(HERO)[..., :3], 20), unknown)


def test_the_majority_of_a_cell_wins_over_a_stray_pixel() -> None:
    native = portrait()
    enlarged = scaled(native, 6)
    spoilt = enlarged.copy()
    spoilt[3::48, 2::48] = (255, 0, 255)
    cell = detect(spoilt)
    assert cell.size == 6
    np.testing.assert_array_equal(cells.reduce(spoilt, cell), native)


def test_stage_reports_cells_and_drops_the_unknown(tmp_path) -> None:
    smooth = np.asarray(Image.fromarray(portrait()).resize((128, 128), Image.Resampling.BICUBIC))
    works = {"s-big": scaled(portrait(), 4), "s-native": portrait(), "s-smooth": smooth}
    src = stage_folder(tmp_path / "flatten", works, s_big={"background": "#8fa3b8", "family": "s-big"})
    stats = grid.run(src, tmp_path / "grid", PARAMS, SERIAL)
    rows = rows_of(tmp_path / "grid")
    assert stats["inputs"] == 3
    assert stats["reasons"] == {"grid_unknown": 1}
    assert stats["enlarged"] == 1
    assert rows["s-big"]["cell"] == 4
    assert rows["s-big"]["native_width"] == 32
    assert (rows["s-big"]["background"], rows["s-big"]["family"]) == ("#8fa3b8", "s-big")
    assert rows["s-native"]["cell"] == 1
    assert (rows["s-smooth"]["reason"], rows["s-smooth"]["cell"]) == ("grid_unknown", None)
    np.testing.assert_array_equal(load(tmp_path / "grid", "s-big"), portrait())
    assert not (tmp_path / "grid" / "images" / "s-smooth.png").exists()


def test_stage_tells_what_is_off_the_grid_and_which_limit_would_do(tmp_path) -> None:
    works = {"s-huge": scaled(portrait(), 20), "s-written": scaled(noise_art(1, 32, 32)[..., :3], 8)}
    works["s-written"] = np.vstack([works["s-written"], noise_art(4, 256, 37)[..., :3]])
    stats = grid.run(stage_folder(tmp_path / "flatten", works), tmp_path / "grid", PARAMS, SERIAL)
    rows = rows_of(tmp_path / "grid")
    assert stats["reasons"] == {"grid_unknown": 1}
    assert (rows["s-huge"]["cell"], rows["s-huge"]["max_cell_needed"]) == (None, 20)
    assert (rows["s-written"]["cell"], rows["s-written"]["native_height"]) == (8, 37)
    assert rows["s-written"]["off_grid"] == pytest.approx(5 / 37, abs=0.02)
    np.testing.assert_array_equal(load(tmp_path / "grid", "s-written")[:32], noise_art(1, 32, 32)[..., :3])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["pixel_tiles", "pixel_faces", "pixel_chars"])
def test_real_native_art_stays_native(shared_images, name: str) -> None:
    sizes = Counter(detect(rgb).size for rgb in shared_images(name, 150))
    assert sizes[1.0] >= 0.99 * sizes.total(), sizes


@pytest.mark.shared
def test_real_art_is_recovered_from_enlargements_crops_and_jpeg(shared_images) -> None:
    natives = [rgb for rgb in shared_images("pixel_faces", 20) if len(colours_of(rgb)) >= 4]
    assert len(natives) >= 15
    for factor in (2, 4, 8):
        exact = [detect(scaled(rgb, factor)) for rgb in natives]
        cropped = [detect(scaled(rgb, factor)[1:, 1:]) for rgb in natives]
        lossy = [detect(jpeg(scaled(rgb, factor), 90)) for rgb in natives]
        assert all(cell.size == factor for cell in (*exact, *cropped))
        assert sum(cell.size == factor for cell in lossy) >= 0.95 * len(natives)


@pytest.mark.shared
def test_photographs_and_smooth_drawings_are_never_shrunk(shared_images) -> None:
    for name in ("photos", "anime_faces_256", "cartoon_faces"):
        assert {detect(rgb).size for rgb in shared_images(name, 25)} <= {1.0, None}, name
