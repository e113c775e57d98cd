"""Faces that a detector finds in drawings, of those that it finds in the pictures they are of."""

from __future__ import annotations

import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.convert.baselines import box_palette
from pipeline.errors import BadParams
from pipeline.images import cascade as cascades
from pipeline.images.resample import box
from pipeline.metrics import faces_found as metric
from pipeline.metrics.faces_found import faces_found, share_found

WEIGHTS = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[3] / "shared")) / "weights"
needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="the extra `faces` is not installed")
FLAT = np.full((48, 48, 3), 200, np.uint8)


@pytest.fixture
def cascade() -> str:
    path = WEIGHTS / "lbpcascade_animeface.xml"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return str(path)


@pytest.fixture
def faces(shared_files) -> list[np.ndarray]:
    files = shared_files("anime_faces_256", 12).values()
    return [np.array(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]


def test_the_share_is_of_those_found_in_the_inputs() -> None:
    assert share_found([True, None, False, True, None, True]) == 0.75
    assert share_found([None, None]) is None
    assert share_found([]) is None


def test_without_a_cascade_there_is_no_answer() -> None:
    assert faces_found([FLAT, FLAT], [FLAT, FLAT], None, parameter="evaluate.cascade") == [None, None]


def test_parts_overlap_by_what_they_share_of_what_they_cover() -> None:
    whole, left, corner = (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 1.0), (0.75, 0.75, 1.0, 1.0)
    assert metric._overlap(whole, whole) == 1
    assert metric._overlap(whole, left) == metric._overlap(left, whole) == 0.5
    assert metric._overlap(whole, corner) == 1 / 16
    assert metric._overlap(left, corner) == 0


@needs_opencv
def test_a_cascade_that_is_not_there_is_an_error_that_names_the_parameter(tmp_path) -> None:
    with pytest.raises(BadParams, match=r"evaluate\.cascade: .*x\.xml: no such file; expected a cascade"):
        faces_found([FLAT], [FLAT], str(tmp_path / "x.xml"), parameter="evaluate.cascade")


@needs_opencv
@pytest.mark.shared
def test_faces_are_found_in_drawings_and_not_where_nothing_is_drawn(cascade, faces) -> None:
    drawn = [box_palette(face, (48, 48), colours=16, seed=1) for face in faces]
    empty = [FLAT] * len(faces)
    found, lost = (faces_found(natives, faces, cascade, parameter="x") for natives in (drawn, empty))
    assert share_found(found) > 0.8
    assert share_found(lost) == 0
    assert [answer is None for answer in found] == [answer is None for answer in lost]
    assert sum(answer is not None for answer in found) >= 8
    assert faces_found(empty, [FLAT] * len(faces), cascade, parameter="x") == [None] * len(faces)


@needs_opencv
@pytest.mark.shared
def test_a_face_in_another_place_is_not_the_face_that_was_there(cascade, faces) -> None:
    """A face in the upper left quarter of a large picture, drawn in the lower right one."""
    face = next(face for face in faces if cascades.faces(Image.fromarray(face), cascade, "x"))
    here, there = (np.full((512, 512, 3), 200, np.uint8) for _ in range(2))
    here[:256, :256] = face
    there[256:, 256:] = face
    drawn = [box(picture, (128, 128)) for picture in (here, there)]
    assert faces_found(drawn, [here, here], cascade, parameter="x") == [True, False]
