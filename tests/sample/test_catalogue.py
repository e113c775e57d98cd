from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pipeline.sample.galleries import catalogue, encodings

SOURCES = sorted(catalogue.ARTISTS)
HUNDRED = range(100)


def decoded(data: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGBA")))
    return frames


def visible(frame: np.ndarray) -> np.ndarray:
    """Colours under alpha 0 do not count."""
    return np.where(frame[..., 3:] == 0, 0, frame)


@pytest.mark.parametrize("source", SOURCES)
def test_a_hundred_works_hold_the_mix(source: str) -> None:
    works = [catalogue.work(source, index) for index in HUNDRED]
    kinds = Counter(work.kind for work in works)
    assert kinds["copy"] == len(catalogue.COPIES)
    assert kinds["near copy"] == len(catalogue.NEAR_COPIES)
    for kind, share in catalogue.MIX.items():
        assert share * 0.8 - 1 <= kinds[kind] <= share, kinds
    assert 0.25 <= sum(work.factor > 1 for work in works) / 100 <= 0.45
    assert {work.factor for work in works} == set(range(1, 9))


@pytest.mark.parametrize("source", SOURCES)
def test_artists_have_several_works_each(source: str) -> None:
    counts = Counter(catalogue.work(source, index).artist_name for index in range(150))
    assert 12 <= len(counts) <= 25
    assert min(counts.values()) >= 2


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("index", range(36))
def test_files_hold_exactly_what_was_drawn(source: str, index: int) -> None:
    work = catalogue.work(source, index)
    if work.special == "truncated" or work.encoding in ("jpg", "webp-lossy"):
        return
    native = catalogue.frames(source, index)
    served = decoded(catalogue.file(source, index))
    native = native if work.encoding in ("gif", "webp") else native[:1]
    assert len(served) == len(distinct(native))
    for expected, actual in zip(distinct(native), served, strict=True):
        enlarged = expected.repeat(work.factor, axis=0).repeat(work.factor, axis=1)
        assert (visible(enlarged) == visible(actual)).all()


def distinct(frames: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Encoders join a frame with an equal one before it."""
    distinct_frames = [frames[0]]
    for frame in frames[1:]:
        if (visible(frame) != visible(distinct_frames[-1])).any():
            distinct_frames.append(frame)
    return distinct_frames


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("copy", "original"), sorted(catalogue.COPIES.items()))
def test_copies_show_the_original_cell_for_cell(source: str, copy: int, original: int) -> None:
    expected, actual = visible(catalogue.frames(source, original)[0]), visible(catalogue.frames(source, copy)[0])
    border = (actual.shape[0] - expected.shape[0]) // 2
    height, width = expected.shape[:2]
    assert (actual[border : border + height, border : border + width] == expected).all()
    assert catalogue.file(source, copy) != catalogue.file(source, original)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("near", "original"), sorted(catalogue.NEAR_COPIES.items()))
def test_near_copies_differ_a_little(source: str, near: int, original: int) -> None:
    factor = catalogue.work(source, near).factor
    served = decoded(catalogue.file(source, near))[0][::factor, ::factor].astype(int)
    native = catalogue.frames(source, original)[0].astype(int)
    if catalogue.work(source, near).encoding == "jpg":
        native = np.dstack([encodings.over_white(native.astype(np.uint8)), np.full(native.shape[:2], 255)]).astype(int)
    difference = np.abs(visible(served) - visible(native))[..., :3].mean()
    assert 0 < difference < 24


@pytest.mark.parametrize("source", SOURCES)
def test_some_works_hide_magenta_under_alpha_0_and_some_have_partial_alpha(source: str) -> None:
    hidden = soft = 0
    for index in range(60):
        for frame in catalogue.frames(source, index):
            hidden += bool((frame[frame[..., 3] == 0][:, :3] == catalogue.MAGENTA).all(axis=1).any())
            soft += bool(((frame[..., 3] > 0) & (frame[..., 3] < 255)).any())
    assert hidden >= 2
    assert soft >= 1


def test_work_does_not_depend_on_what_was_drawn_before() -> None:
    before = catalogue.file("lospec", 12)
    for cached in (catalogue.file, catalogue.frames, catalogue.work):
        cached.cache_clear()
    catalogue.file("lospec", 40)
    assert catalogue.file("lospec", 12) == before


def test_thumbnail_is_not_the_work() -> None:
    assert catalogue.thumbnail("lospec", 0) != catalogue.file("lospec", 0)


def test_palette_of_257_colours_is_an_error() -> None:
    many = np.zeros((1, 257, 4), np.uint8)
    many[0, :, 3] = 255
    many[0, :, 0] = np.arange(257) % 256
    many[0, 256, 1] = 1
    with pytest.raises(ValueError, match="257 colours"):
        encodings.encode([many], "gif")
