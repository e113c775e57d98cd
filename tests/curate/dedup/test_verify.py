"""Lossy pictures without an original to compare with, and which pairs are compared at all."""

from __future__ import annotations

import io
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sprites import noise_art, scaled

from pipeline.curate.dedup import verify
from pipeline.images.files import Pixels, encode_png
from pipeline.similarity import search
from pipeline.similarity.fingerprints import FINGERPRINT


def picture(side: int = 30) -> Pixels:
    """Drawn on an opaque ground, with a plain margin of 8 pixels; no side is a multiple of a codec's block."""
    rgba = np.full((side + 16, side + 16, 4), 255, np.uint8)
    rgba[8:-8, 8:-8] = scaled(noise_art(5, side // 2, side // 2), 2)
    rgba[..., 3] = 255
    return rgba


def retouched(rgba: Pixels) -> Pixels:
    """A few pixels by a few levels, in one place: less than a codec's own error."""
    changed = rgba.copy()
    changed[12:14, 12:15, :3] ^= 6
    return changed


def jpeg(rgba: Pixels, quality: int) -> Pixels:
    data = io.BytesIO()
    Image.fromarray(rgba[..., :3]).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data).convert("RGBA"))


def distance(folder: Path, first: Pixels, second: Pixels, *, lossless: bool = False) -> float | None:
    versions = []
    for name, rgba in (("first", first), ("second", second)):
        (folder / f"{name}.png").write_bytes(encode_png(rgba))
        versions.append(verify.Version(folder / f"{name}.png", lossless and name == "first"))
    verify._read.cache_clear()
    return verify.distance(verify.Pair(*versions, 255))


def test_two_jpegs_of_one_picture_are_copies(tmp_path) -> None:
    """Saved with other settings, hardly a block stays what it was."""
    rms = distance(tmp_path, jpeg(picture(), 95), jpeg(picture(), 97))
    assert rms is not None
    assert rms > 0


def test_two_jpegs_that_share_whole_blocks_were_drawn_apart(tmp_path) -> None:
    first, second = jpeg(picture(), 95), jpeg(retouched(picture()), 95)
    gap = np.abs(first.astype(int) - second)
    assert 0 < gap.max() <= 16
    assert distance(tmp_path, first, second) is None
    assert distance(tmp_path, picture(), second, lossless=True) is not None  # an original decides by itself


def test_the_same_pixels_are_a_copy_although_all_blocks_are_shared(tmp_path) -> None:
    assert distance(tmp_path, jpeg(picture(), 85), jpeg(picture(), 85)) == 0.0


@pytest.mark.parametrize(("range_", "apart"), [(verify.PLAIN, False), (verify.PLAIN + 1, True)])
def test_plain_blocks_say_nothing(tmp_path, range_: int, apart: bool) -> None:
    """Of the only equal block the values span `range_`."""
    first = np.full((8, 16, 4), 200, np.uint8)
    first[..., 3] = 255
    first[0, 0, :3] += np.uint8(range_)
    second = first.copy()
    second[:, 8:, :3] += 1
    assert (distance(tmp_path, first, second) is None) == apart


def test_any_two_images_of_one_shape_meet_once() -> None:
    """Among them are such as are exactly as far from one another as they may be."""
    rng = np.random.default_rng(8)
    odd = [1.05**power * step for power in range(-60, 60, 7) for step in (1, 1 / 1.05, 1.05)]
    aspects = np.array([*(rng.integers(1, 60, 300) / rng.integers(1, 60, 300)), *odd], np.float32)
    met: Counter[tuple[int, int]] = Counter()
    for places, narrower in search._shapes(aspects):
        for left, right in combinations(range(len(places)), 2):
            met[int(places[left]), int(places[right])] += narrower[left] or narrower[right]
    ratio = np.maximum(aspects[:, None], aspects) / np.minimum(aspects[:, None], aspects)
    of_one_shape = zip(*np.nonzero(np.triu(ratio <= 1.0501, 1)), strict=True)
    assert all(met[int(left), int(right)] == 1 for left, right in of_one_shape)
    assert max(met.values()) == 1


def test_sifting_leaves_out_no_pair_that_is_alike() -> None:
    """Sprites with and without alpha, each beside versions that are less and less like it."""
    fingerprints, rng = [], np.random.default_rng(3)
    for seed in range(60):
        rgba = noise_art(seed, 20, 20)
        rgba[rng.random((20, 20)) < 0.4 * (seed % 3)] = 0
        for noise in (0, 15, 25, 35):
            changed = rgba.copy()
            changed[..., :3] = np.clip(changed[..., :3] + rng.normal(0, noise, (20, 20, 3)), 0, 255)
            changed[changed[..., 3] == 0] = 0
            fingerprints.append(search.fingerprint(changed))
    table = np.array(fingerprints, FINGERPRINT)
    pairs = np.stack(np.triu_indices(len(table), 1), axis=1)
    likeness = search._likeness(table, pairs)
    alike = likeness[(likeness["difference"] <= 24) | (likeness["detail"] <= 24)]
    for means, most in (("gist", 0.9), ("sketch", 0.25)):
        sifted = search._sifted(table, pairs, means, 24, 24)
        assert 100 < len(alike) <= len(sifted) < len(pairs) * most
        assert set(map(tuple, alike["pair"].tolist())) <= set(map(tuple, sifted.tolist()))
