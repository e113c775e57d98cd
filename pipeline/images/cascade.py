"""Finds the faces of a picture with a cascade classifier of OpenCV; the only user of cv2.

Cascades are trained detectors in one XML file, e.g. lbpcascade_animeface.xml for drawn faces (nagadomi, MIT). OpenCV 5
has no cascades any more: the extra `faces` pins OpenCV 4.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import BadParams

Square = tuple[int, int, int]  # left, top, side, in pixels of the picture

SCALE_STEP = 1.1
MIN_NEIGHBOURS = 5  # overlapping hits that make a face: the cascade's own documentation
MIN_SIDE = 24  # pixels: the cascade's own window
MAX_SIDE = 1024  # longer pictures are searched at this size
BORDER = 0.25  # of the picture, its edge repeated: without it, most faces that fill their picture are missed


def require(cascade: str, parameter: str) -> None:
    """Check that detection with this cascade can run.

    Args:
        parameter: what holds the path of the cascade, or null: the first word of an error.

    Raises:
        BadParams: no OpenCV 4, no such file, or a file that is no cascade.
    """
    _load(cascade, parameter)


def faces(image: Image.Image, cascade: str, parameter: str) -> list[Square]:
    """Squares around the faces of an RGB picture, from left to right; parts may lie outside the picture.

    Args:
        parameter: see `require`.

    Raises:
        BadParams: see `require`.
    """
    shrink = max(1.0, max(image.size) / MAX_SIDE)
    grey = image.convert("L").resize((round(image.width / shrink), round(image.height / shrink)))
    border = round(BORDER * min(grey.size))
    hits = _hits(_load(cascade, parameter), np.pad(np.asarray(grey), border, mode="edge"))
    return sorted(
        (round((x - border) * shrink), round((y - border) * shrink), round(max(width, height) * shrink))
        for x, y, width, height in hits
    )


def _hits(classifier: Any, grey: np.ndarray[Any, np.dtype[np.uint8]]) -> list[tuple[int, int, int, int]]:
    import cv2

    hits = classifier.detectMultiScale(
        cv2.equalizeHist(grey), scaleFactor=SCALE_STEP, minNeighbors=MIN_NEIGHBOURS, minSize=(MIN_SIDE, MIN_SIDE)
    )
    return [(int(x), int(y), int(width), int(height)) for x, y, width, height in hits]


@cache
def _load(cascade: str, parameter: str) -> Any:
    try:
        import cv2
    except ImportError as error:
        raise BadParams(
            f"{parameter} needs OpenCV 4: install the extra with `uv sync --extra faces`, or set it to null"
        ) from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise BadParams(
            f"{parameter} needs OpenCV 4, found {cv2.__version__}, which has no cascades: `uv sync --extra faces`"
        )
    if not Path(cascade).is_file():
        raise BadParams(f"{parameter}: {cascade}: no such file; expected a cascade of OpenCV (XML), or null")
    cv2.setNumThreads(1)  # the workers are the parallel part
    try:
        classifier = cv2.CascadeClassifier(cascade)
    except (cv2.error, SystemError) as error:
        raise BadParams(f"{parameter}: {cascade}: not a cascade of OpenCV: {error}") from error
    if classifier.empty():
        raise BadParams(f"{parameter}: {cascade}: not a cascade of OpenCV")
    return classifier
