"""Sheets: pictures at most as large as their places, and none too thin to be seen."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.images import sheet


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 2), (3, 500), (161, 159), (4000, 3000)])
def test_a_thumbnail_fits_its_place_and_is_never_empty(size: tuple[int, int]) -> None:
    shown = sheet.thumbnail(np.full((*size, 4), 255, np.uint8))
    assert 1 <= min(shown.shape[:2]) <= max(shown.shape[:2]) <= sheet.SLOT
    assert (shown == 255).all()


def test_half_transparent_pixels_are_mixed_with_the_checks() -> None:
    shown = sheet.thumbnail(np.full((sheet.SLOT, sheet.SLOT, 4), (200, 200, 200, 128), np.uint8))
    assert {tuple(colour) for colour in shown.reshape(-1, 3).tolist()} == {(156, 156, 158), (172, 172, 174)}
