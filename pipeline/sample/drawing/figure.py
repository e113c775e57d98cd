"""A character as a stack of shapes in frame coordinates (square of side 1), which both renderers draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.sample.drawing import hair, headwear, wardrobe
from pipeline.sample.drawing.character import Character
from pipeline.sample.drawing.fringe import fringe
from pipeline.sample.drawing.geometry import (
    Placement,
    Points,
    Shape,
    bezier,
    blob,
    ellipse,
    mirrored,
    outlined,
    pair,
    points,
    smooth,
    symmetric,
)

EYE_X, EYE_Y = 0.46, 0.3  # centre of an eye, head units


@dataclass(frozen=True)
class Figure:
    """What a renderer needs: shapes below and above the features, and the light on the hair."""

    below: list[Shape]
    above: list[Shape]
    shine: Points


def build(character: Character, place: Placement) -> Figure:
    """The shapes of a character; eyes, nose and mouth belong between `below` and `above`."""
    back = hair.behind(character)
    hanging = [shape for shape in back if shape.part.startswith("front")]
    rear = [shape for shape in back if not shape.part.startswith("front")]
    hat = headwear.on_head(character)
    clothes = [_neck(), *wardrobe.outfit(character), *wardrobe.neckwear(character)]
    over = [*hair.cap(character), *hair.beside(character), *fringe(character)]
    below = [
        *(shape.placed(place.head) for shape in rear),
        *(shape.placed(place.body) for shape in clothes),
        *(shape.placed(place.head) for shape in (*_ears(character), _face(character))),
    ]
    above = [shape.placed(place.head) for shape in (*hanging, *over, *headwear.on_face(character), *hat)]
    return Figure(below, above, place.head(hair.shine(character)))


def _face(character: Character) -> Shape:
    cheek, jaw = 0.83 - 0.09 * character.jaw, 0.5 - 0.12 * character.jaw
    right = points(
        (0, -1.1), (0.62, -0.98), (0.95, -0.5), (0.99, 0.0), (0.95, 0.38), (cheek, 0.72), (jaw, 0.98), (0.13, 1.15)
    )
    return outlined("face", smooth(np.concatenate([right, mirrored(right[1:])])))


def _ears(character: Character) -> list[Shape]:
    if character.elf_ears:
        ear = blob((0.86, 0.0), (1.2, -0.05), (1.62, -0.3), (1.35, 0.2), (0.95, 0.46))
    else:
        ear = ellipse(1.0, 0.26, 0.15, 0.26)
    return pair("ear", ear)


def _neck() -> Shape:
    right = np.concatenate([points((0.32, 0.7)), bezier((0.32, 1.2), (0.33, 1.44), (0.6, 1.58)), points((0.6, 2.4))])
    return Shape("neck", symmetric(right), (right[1:6], mirrored(right[1:6])))
