"""Clothes as shapes in body units: those of the head, without its tilt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.sample.drawing.character import Character
from pipeline.sample.drawing.geometry import (
    Points,
    Shape,
    bezier,
    blob,
    curve,
    ellipse,
    mirrored,
    outlined,
    pair,
    plain,
    points,
    symmetric,
    taper,
)

FLOOR = 3.2  # y below every frame


def outfit(character: Character) -> list[Shape]:
    """Shapes of a character's clothes, rearmost first."""
    return OUTFIT[character.outfit]()


def _torso(neck: float, high: float, broad: float) -> Points:
    """Shoulders from the neck (half width `neck` at y = high) to half width `broad`."""
    slope = curve((neck, high), (0.8, 1.62), (broad - 0.12, 1.85), (broad, 2.2), (broad + 0.04, FLOOR))
    return symmetric(slope)


def _folds(*lines: Points) -> tuple[Points, ...]:
    return tuple(line for right in lines for line in (right, mirrored(right)))


def _clothed(contour: Points, *lines: Points) -> Shape:
    return Shape("clothes", contour, (np.concatenate([contour, contour[:1]]), *_folds(*lines)))


def _arm() -> Points:
    return bezier((1.0, 3.0), (1.02, 2.5), (1.12, 2.15))


def _sailor() -> list[Shape]:
    collar = points((0.36, 1.3), (0.98, 1.66), (0.75, 2.0), (0.08, 2.3), (0.02, 2.1))
    knot = points((0.0, 2.12), (0.34, 2.02), (0.36, 2.42), (0.0, 2.24))
    return [
        _clothed(_torso(0.36, 1.38, 1.42), _arm()),
        _vee(2.12),
        *pair("collar", collar),
        *pair("trim", knot),
        outlined("trim", ellipse(0, 2.2, 0.12, 0.13)),
    ]


def _vee(low: float) -> Shape:
    """Skin shown by a V neckline."""
    return Shape("neck", points((-0.4, 1.3), (0.4, 1.3), (0.0, low)), ())


def _hoodie() -> list[Shape]:
    hood = blob((0.3, 1.3), (0.75, 1.25), (1.02, 1.6), (0.7, 1.95), (0.12, 2.12), (0.05, 1.85))
    cord = taper(bezier((0.2, 2.02), (0.26, 2.3), (0.2, 2.6)), (0.05, 0.05))
    return [_clothed(_torso(0.5, 1.45, 1.48), _arm()), *pair("clothes", hood), *pair("trim", cord)]


def _shirt() -> list[Shape]:
    collar = points((0.34, 1.25), (0.62, 1.5), (0.36, 1.98), (0.04, 1.72))
    tie = points((-0.12, 1.74), (0.12, 1.74), (0.2, 2.5), (0.0, FLOOR), (-0.2, 2.5))
    return [
        _clothed(_torso(0.42, 1.45, 1.44), _arm()),
        outlined("trim", tie),
        outlined("trim", points((-0.15, 1.68), (0.15, 1.68), (0.1, 1.95), (-0.1, 1.95))),
        *pair("collar", collar),
    ]


def _turtleneck() -> list[Shape]:
    neck = blob((-0.42, 1.2), (0, 1.3), (0.42, 1.2), (0.5, 1.72), (0, 1.84), (-0.5, 1.72))
    return [
        _clothed(_torso(0.44, 1.5, 1.4), _arm(), bezier((0.5, 2.3), (0.7, 2.4), (0.95, 2.25))),
        outlined("clothes", neck),
    ]


def _armour() -> list[Shape]:
    plate = blob((0.72, 1.66), (1.2, 1.5), (1.72, 1.86), (1.78, 2.32), (1.3, 2.26), (0.95, 2.1))
    rim = taper(bezier((1.02, 2.1), (1.4, 2.3), (1.76, 2.28)), (0.06, 0.06))
    gorget = blob((-0.5, 1.36), (0, 1.5), (0.5, 1.36), (0.66, 1.74), (0, 1.98), (-0.66, 1.74))
    return [
        _clothed(_torso(0.44, 1.5, 1.3), bezier((0.0, 2.0), (0.02, 2.4), (0.0, 3.0))),
        *pair("clothes", plate),
        *pair("trim", rim),
        outlined("trim", gorget),
    ]


def _robe() -> list[Shape]:
    cloak = blob((0.3, 1.42), (0.9, 1.5), (1.5, 1.9), (1.72, 2.6), (1.78, FLOOR), (0.62, FLOOR), (0.36, 2.3))
    return [
        outlined("trim", _torso(0.44, 1.45, 1.1)),
        *pair("clothes", cloak),
        *[
            Shape(
                "clothes", ellipse(s * 1.0, 2.6, 0.05, 0.05), (bezier((s * 1.1, 1.8), (s * 1.2, 2.4), (s * 1.1, 3.0)),)
            )
            for s in (-1, 1)
        ],
        outlined("collar", ellipse(0, 1.76, 0.17, 0.15)),
    ]


def _dress() -> list[Shape]:
    bodice = blob((-0.98, 2.16), (-0.5, 2.02), (0, 2.24), (0.5, 2.02), (0.98, 2.16), (1.02, FLOOR), (-1.02, FLOOR))
    arms = _torso(0.4, 1.5, 1.28)
    strap = taper(bezier((0.62, 2.12), (0.62, 1.85), (0.56, 1.58)), (0.1, 0.08))
    bones = _folds(bezier((0.12, 1.78), (0.35, 1.72), (0.6, 1.76)))
    return [
        Shape("neck", arms, (np.concatenate([arms, arms[:1]]), *bones)),
        *pair("clothes", strap),
        outlined("clothes", bodice),
        plain("trim", taper(curve((-0.96, 2.2), (-0.5, 2.06), (0, 2.28), (0.5, 2.06), (0.96, 2.2)), (0.06, 0.06))),
    ]


def _kimono() -> list[Shape]:
    band = points((0.3, 1.3), (0.62, 1.42), (-0.1, 2.5), (-0.5, FLOOR), (-0.9, FLOOR), (-0.1, 2.1))
    under = mirrored(band)
    return [_clothed(_torso(0.5, 1.48, 1.5), _arm()), _vee(2.2), outlined("collar", under), outlined("trim", band)]


OUTFIT: dict[str, Callable[[], list[Shape]]] = {
    "sailor": _sailor, "hoodie": _hoodie, "shirt": _shirt, "turtleneck": _turtleneck, "armour": _armour,
    "robe": _robe, "dress": _dress, "kimono": _kimono,
}  # fmt: skip


def neckwear(character: Character) -> list[Shape]:
    """Shapes of a choker or a scarf, if the character wears one."""
    match character.extra:
        case "choker":
            band = points((-0.34, 1.28), (0, 1.36), (0.34, 1.28), (0.34, 1.42), (0, 1.52), (-0.34, 1.42))
            return [outlined("trim", band)]
        case "scarf":
            wrap = blob((-0.72, 1.28), (0, 1.46), (0.72, 1.28), (0.86, 1.66), (0, 1.94), (-0.86, 1.66))
            end = points((0.3, 1.7), (0.72, 1.64), (0.86, 2.5), (0.42, 2.6))
            return [outlined("trim", end), outlined("trim", wrap)]
        case _:
            return []
