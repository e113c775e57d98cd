"""Headwear, glasses and jewels as shapes in head units, rearmost first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.sample.drawing.character import Character
from pipeline.sample.drawing.geometry import (
    Points,
    Shape,
    arc,
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


def on_face(character: Character) -> list[Shape]:
    """Shapes of glasses, hairpins and earrings."""
    match character.extra:
        case "glasses":
            rims = [ellipse(s * 0.46, 0.32, 0.37, 0.31) for s in (-1, 1)]
            pen = [np.concatenate([rim, rim[:1]]) for rim in rims]
            bridge = bezier((-0.1, 0.26), (0, 0.2), (0.1, 0.26))
            return [Shape("glasses", points((0, 0), (0, 0)), (*pen, bridge))]
        case "hairpin":
            return [_sided(character, "accent", points((0.62, -0.42), (0.98, -0.22), (0.92, -0.1), (0.56, -0.3)))]
        case "earrings":
            return pair("accent", ellipse(1.02, 0.66, 0.1, 0.14, 14))
        case _:
            return []


def on_head(character: Character) -> list[Shape]:
    """Shapes of hats, bows, animal ears and horns."""
    return HEADWEAR[character.headwear](character) if character.headwear else []


def _sided(character: Character, part: str, contour: Points) -> Shape:
    """A shape on the character's own side."""
    return outlined(part, mirrored(contour) if character.left else contour)


def _ribbon(character: Character) -> list[Shape]:
    wing = blob((0.75, -1.05), (1.1, -1.62), (1.5, -1.5), (1.42, -1.0))
    second = blob((0.75, -1.05), (0.2, -1.62), (0.1, -1.35), (0.3, -1.1))
    tail = points((0.8, -1.0), (1.5, -0.75), (1.42, -0.5), (1.1, -0.6))
    return [_sided(character, "accent", contour) for contour in (tail, wing, second)]


def _headband(character: Character) -> list[Shape]:
    return [outlined("accent", taper(arc(1.06, 1.02, 172, 8) * character.volume, (0.08, 0.12, 0.08)))]


def _witch_hat(character: Character) -> list[Shape]:
    brim = symmetric(curve((0, -1.08), (0.9, -0.98), (1.75, -0.62), (0.9, -0.62), (0, -0.74)))
    band = symmetric(curve((0, -1.26), (0.86, -1.1), (0.95, -0.84), (0, -1.0)))
    cone = np.concatenate([
        curve((-0.95, -0.85), (-0.62, -1.5), (-0.1, -2.1), (0.62, -2.25)),
        curve((0.62, -2.25), (0.42, -1.9), (0.66, -1.5), (0.95, -0.85)),
    ])  # fmt: skip
    return [_sided(character, "hat", cone), outlined("accent", band), outlined("hat", brim)]


def _beret(character: Character) -> list[Shape]:
    disc = blob((-1.2, -0.78), (-1.0, -1.35), (-0.1, -1.72), (1.0, -1.5), (1.5, -0.98), (1.1, -0.78), (0, -0.98))
    return [_sided(character, "hat", disc), outlined("hat", ellipse(0, -1.72, 0.1, 0.12, 12))]


def _tiara(_: Character) -> list[Shape]:
    crown = symmetric(points((0, -1.72), (0.36, -1.28), (0.72, -1.5), (0.62, -1.02), (0, -1.12)))
    return [outlined("gold", crown), outlined("accent", ellipse(0, -1.3, 0.1, 0.12, 12))]


def _cat_ears(_: Character) -> list[Shape]:
    ear = blob((0.22, -1.12), (0.62, -1.5), (1.06, -1.85), (1.14, -1.3), (1.08, -0.6))
    inside = points((0.52, -1.18), (0.96, -1.62), (1.02, -0.92))
    return [*pair("cap", ear), plain("accent", inside), plain("accent", mirrored(inside))]


def _horns(_: Character) -> list[Shape]:
    return pair("gold", taper(bezier((0.6, -1.0), (1.1, -1.3), (0.95, -1.85)), (0.2, 0.15, 0.0)))


def _flower(character: Character) -> list[Shape]:
    centres = ellipse(0.82, -0.78, 0.2, 0.2, 5).tolist()
    petals = [_sided(character, "accent", ellipse(x, y, 0.17, 0.17, 14)) for x, y in centres]
    return [*petals, _sided(character, "gold", ellipse(0.82, -0.78, 0.11, 0.11, 12))]


def _headphones(character: Character) -> list[Shape]:
    band = outlined("hat", taper(arc(1.2, 1.34, 192, -12), (0.08, 0.1, 0.08)) * character.volume)
    return [band, *pair("hat", ellipse(1.14, 0.22, 0.2, 0.36)), *pair("accent", ellipse(1.2, 0.22, 0.1, 0.2, 14))]


def _beanie(_: Character) -> list[Shape]:
    dome = symmetric(curve((0, -1.7), (0.55, -1.62), (1.1, -1.15), (1.16, -0.6), (0, -0.85)))
    fold = symmetric(curve((0, -1.02), (0.5, -0.98), (1.2, -0.76), (1.22, -0.42), (0.5, -0.63), (0, -0.67)))
    return [outlined("hat", dome), outlined("accent", fold)]


HEADWEAR: dict[str, Callable[[Character], list[Shape]]] = {
    "ribbon": _ribbon, "headband": _headband, "witch hat": _witch_hat, "beret": _beret, "tiara": _tiara,
    "cat ears": _cat_ears, "horns": _horns, "flower": _flower, "headphones": _headphones, "beanie": _beanie,
}  # fmt: skip
