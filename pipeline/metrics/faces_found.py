"""Whether a face is still a face to a detector: drawings searched with a cascade, beside the pictures they are of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from pipeline.images import cascade as cascades
from pipeline.images.cascade import Square
from pipeline.images.files import Pixels

SIDE = 96  # pixels: drawings are enlarged to at least that; enlarged further, corners of cells hide the face
OVERLAP = 0.3  # of the union of two squares: from there on they are of one face
Part = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the picture


def faces_found(
    natives: Sequence[Pixels],
    inputs: Sequence[Pixels],
    cascade: str | None,
    *,
    parameter: str,
    resampling: Image.Resampling = Image.Resampling.NEAREST,
) -> list[bool | None]:
    """For each drawing, whether a face is found where its input has one; None where none is found in the input.

    Args:
        natives: drawings, one pixel a cell; any size with the proportions of the input.
        inputs: the pictures that were drawn, in the same order.
        cascade: path of a cascade of OpenCV, see `pipeline.images.cascade`. Without one, all answers are None.
        parameter: what holds that path, for errors.
        resampling: how a drawing is enlarged, by the smallest whole factor that makes its shorter side SIDE or more.
            NEAREST shows cells as they are. A smooth one shows what an eye sees from afar: it finds more, of nearly
            every method as many, and so tells methods apart less.

    Raises:
        BadParams: a cascade that cannot run: no OpenCV 4, no such file, or a file that is no cascade.
    """
    if cascade is None:
        return [None] * len(inputs)
    cascades.require(cascade, parameter)
    answers: list[bool | None] = []
    for native, picture in zip(natives, inputs, strict=True):
        faces = _parts(Image.fromarray(picture), cascade, parameter)
        if faces:
            drawn = _parts(_enlarged(native, resampling), cascade, parameter)
            answers.append(any(_overlap(face, other) >= OVERLAP for face in faces for other in drawn))
        else:
            answers.append(None)
    return answers


def share_found(found: Sequence[bool | None]) -> float | None:
    """Share of the faces found in the inputs that are found in the drawings too; None where the inputs have none."""
    answers = [answer for answer in found if answer is not None]
    return float(np.mean(answers)) if answers else None


def _enlarged(native: Pixels, resampling: Image.Resampling) -> Image.Image:
    rows, columns = native.shape[:2]
    factor = -(-SIDE // min(rows, columns))
    return Image.fromarray(native).resize((columns * factor, rows * factor), resampling)


def _parts(image: Image.Image, cascade: str, parameter: str) -> list[Part]:
    return [_part(square, image.size) for square in cascades.faces(image, cascade, parameter)]


def _part(square: Square, size: tuple[int, int]) -> Part:
    (left, top, side), (width, height) = square, size
    return left / width, top / height, (left + side) / width, (top + side) / height


def _overlap(one: Part, other: Part) -> float:
    """Area that two parts share over the area that they cover together."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (_area(one) + _area(other) - shared)


def _area(part: Part) -> float:
    return (part[2] - part[0]) * (part[3] - part[1])
