"""Art of which a part, or all, lies off its grid: the right cell where most of it says so, else unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from enlarged import detect, jpeg, portrait
from PIL import Image, ImageDraw, ImageFont
from sprites import colours_of, noise_art, scaled

from pipeline.cells import detect as cells

Change = Callable[[np.ndarray], np.ndarray]
NATIVES = {"portrait": portrait(48), "dither": noise_art(3, 40, 48)[..., :3].copy()}
INK = (250, 250, 250)


def written(rgb: np.ndarray, at: tuple[int, int], text: str, size: int = 14, fill: tuple[int, ...] = INK) -> np.ndarray:
    image = Image.fromarray(rgb)
    ImageDraw.Draw(image, "RGBA").text(at, text, fill=fill, font=ImageFont.load_default(size))
    return np.array(image)


def captioned(rgb: np.ndarray, above: bool = False) -> np.ndarray:
    strip = written(np.full((29, rgb.shape[1], 3), 12, np.uint8), (6, 5), "hero, 2019, by someone")
    return np.vstack([strip, rgb] if above else [rgb, strip])


def signed(rgb: np.ndarray) -> np.ndarray:
    return written(rgb, (5, rgb.shape[0] - 17), "k. dot", 13)


def watermarked(rgb: np.ndarray) -> np.ndarray:
    return written(rgb, (rgb.shape[1] // 4, rgb.shape[0] // 2), "SAMPLE", 26, (255, 255, 255, 110))


def beside(rgb: np.ndarray, factor: int) -> np.ndarray:
    """A column of the same art at another scale, a quarter as wide."""
    height, width = rgb.shape[0], rgb.shape[1] // 4
    part = scaled(noise_art(9, 80, 200)[..., :3], factor)[:height, :width]
    return np.hstack([rgb, part])


@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
@pytest.mark.parametrize("factor", [4, 7, 8])
@pytest.mark.parametrize(
    "spoil",
    [captioned, lambda rgb: captioned(rgb, above=True), signed, watermarked, lambda rgb: jpeg(signed(rgb), 92)],
    ids=["caption", "caption above", "signature", "watermark", "signature, JPEG"],
)
def test_writing_does_not_hide_the_grid(native: np.ndarray, factor: int, spoil: Change) -> None:
    spoilt = spoil(scaled(native, factor))
    cell = detect(spoilt)
    assert cell.size == factor
    assert cell.off_grid < 0.4
    assert cell.off_grid > 0 or cell.blurred  # under compression a few cells are not told from its noise
    assert 0.5 < cell.confidence < 1
    reduced = cells.reduce(spoilt, cell)
    assert colours_of(reduced) <= colours_of(spoilt)
    top = len(reduced) - len(native) if cell.phase[1] and len(reduced) > len(native) else 0
    same = np.abs(reduced[top : top + len(native)].astype(int) - native).max(axis=2) <= 24
    assert same.mean() > 0.8 or cell.blurred  # what compression does to colours is no business of the grid


@pytest.mark.parametrize("other", [3, 5])
def test_the_scale_of_most_of_the_picture_counts(other: int) -> None:
    cell = detect(beside(scaled(NATIVES["dither"], 8), other))
    assert cell.size == 8
    assert cell.off_grid > 0.05


@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
def test_native_art_with_writing_or_an_enlarged_part_is_never_shrunk(native: np.ndarray) -> None:
    large = np.tile(native, (3, 3, 1))
    assert {detect(spoil(large)).size for spoil in (captioned, signed, lambda rgb: beside(rgb, 4))} == {1}
    assert detect(watermarked(large)).size in (1, None)


def resized(rgb: np.ndarray, width: int, height: int, how: Image.Resampling = Image.Resampling.NEAREST) -> np.ndarray:
    return np.array(Image.fromarray(rgb).resize((width, height), how))


@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
@pytest.mark.parametrize("pitch", [2.5, 4.3, 16 / 3])
def test_a_crop_of_a_fractional_enlargement_is_undone(native: np.ndarray, pitch: float) -> None:
    height, width = native.shape[:2]
    enlarged = resized(native, round(width * pitch), round(height * pitch))
    cropped = np.ascontiguousarray(enlarged[7:-3, 11:-5])
    cell = detect(cropped)
    assert cell.size == pytest.approx(pitch, rel=0.02)
    reduced = cells.reduce(cropped, cell)
    assert reduced.shape[:2] == pytest.approx(np.array(cropped.shape[:2]) / pitch, abs=1.5)
    assert cell.off_grid < 0.05


def scanlined(rgb: np.ndarray, every: int) -> np.ndarray:
    dark = rgb.copy()
    dark[every - 1 :: every] //= 2
    return dark


def ruled(rgb: np.ndarray, factor: int) -> np.ndarray:
    lines = rgb.copy()
    lines[::factor] = lines[:, ::factor] = (90, 90, 90)
    return lines


def wandering(native: np.ndarray) -> np.ndarray:
    """Cells of seven to nine pixels, at random, as generators of images draw them."""
    random = np.random.default_rng(5)
    rows, columns = (random.integers(7, 10, side) for side in native.shape[:2])
    return native.repeat(rows, axis=0).repeat(columns, axis=1)


OFF_EVERY_GRID = {
    "scanlines, one a cell": lambda native: scanlined(scaled(native, 4), 4),
    "scanlines, every other row": lambda native: scanlined(scaled(native, 6), 2),
    "grid lines": lambda native: ruled(scaled(native, 8), 8),
    "4x2": lambda native: native.repeat(2, 0).repeat(4, 1),
    "2x1": lambda native: native.repeat(2, 1),
    "6x9": lambda native: native.repeat(9, 0).repeat(6, 1),
    "5.5x4": lambda native: resized(native, round(native.shape[1] * 5.5), native.shape[0] * 4),
    "wandering cells": wandering,
}


@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
@pytest.mark.parametrize("spoil", OFF_EVERY_GRID.values(), ids=OFF_EVERY_GRID)
def test_what_has_no_square_grid_is_unknown_not_native_nor_a_divisor(native: np.ndarray, spoil: Change) -> None:
    assert detect(spoil(native)).size is None


@pytest.mark.parametrize(
    "how", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX]
)
@pytest.mark.parametrize(("factor", "share"), [(4, 0.45), (4, 0.8), (8, 0.62), (1, 0.7)])
def test_art_shrunk_by_a_filter_is_right_or_unknown_or_hardly_believed(how, factor: int, share: float) -> None:
    native = portrait(64)
    side = round(64 * factor * share)
    cell = detect(resized(scaled(native, factor), side, side, how))
    right = cell.size is not None and factor > 1 and abs(cell.size - side / 64) < 0.02 * cell.size
    assert right or cell.size is None or cell.confidence <= 0.5


@pytest.mark.parametrize(("size", "spoil"), [(20, lambda rgb: rgb), (24, lambda rgb: jpeg(rgb, 90)), (33, signed)])
def test_cells_above_the_limit_tell_the_limit_that_would_do(size: int, spoil: Change) -> None:
    enlarged = spoil(scaled(portrait(24), size))
    cell = detect(enlarged)
    assert (cell.size, cell.needed) == (None, size)
    assert cells.detect(enlarged, size, 0.55).size == size


@pytest.mark.shared
def test_real_native_art_is_native_and_mostly_believed(shared_images) -> None:
    found = [detect(rgb) for name in ("pixel_faces", "pixel_chars", "pixel_tiles") for rgb in shared_images(name, 60)]
    assert sum(cell.size == 1 for cell in found) >= 0.99 * len(found)
    assert sum(cell.size == 1 and cell.confidence > 0.5 for cell in found) >= 0.7 * len(found)


@pytest.mark.shared
def test_real_art_with_writing_is_recognised(shared_images) -> None:
    natives = [rgb for rgb in shared_images("pixel_faces", 20) if len(colours_of(rgb)) >= 4]
    found = [detect(captioned(signed(scaled(rgb, 6)))) for rgb in natives]
    wrong = [cell for cell in found if cell.size not in (6, None) and cell.confidence > 0.5]
    assert not wrong
    assert sum(cell.size == 6 for cell in found) >= 0.9 * len(found)
