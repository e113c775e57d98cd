"""Eyes, brows, nose and mouth of the smooth renderer: filled curves on a supersampled canvas."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from pipeline.sample.drawing.character import Character
from pipeline.sample.drawing.figure import EYE_X, EYE_Y
from pipeline.sample.drawing.geometry import Placement, Points, bezier, blob, curve, ellipse, points, taper
from pipeline.sample.drawing.ramps import Colour, mix
from pipeline.sample.drawing.stamps import BROWS

WHITE: Colour = (252, 252, 255)
MOUTH: Colour = (176, 62, 72)
SLICES = 9  # steps of the iris gradient


class Pen:
    """Draws head-unit curves on an image, which shows a frame of `side` pixels from its `corner` (x, y) on."""

    def __init__(self, image: Image.Image, place: Placement, side: int, corner: tuple[int, int] = (0, 0)) -> None:
        self.image, self.place, self.side, self.corner = image, place, side, corner
        self.draw = ImageDraw.Draw(image)

    def fill(self, shape: Points, colour: Colour | int) -> None:
        """A filled polygon."""
        pixels = np.floor(self.place.head(shape) * self.side).astype(np.int64) - self.corner
        self.draw.polygon(pixels.ravel().tolist(), fill=colour)

    def stroke(self, path: Points, widths: tuple[float, ...], colour: Colour) -> None:
        """A line whose half width (head units) runs through `widths`."""
        self.fill(taper(path, widths), colour)


def lash_colour(character: Character) -> Colour:
    """The colour of lashes: the hair's line, darkened."""
    return mix(character.hair.ink, (24, 16, 28), 0.55)


def draw_eyes(pen: Pen, character: Character) -> None:
    """Both eyes, open, closed or winking."""
    for side in (-1, 1):
        winking = character.lids == "wink" and (side < 0) == character.left
        if character.lids == "closed" or winking:
            _closed_eye(pen, character, side)
        else:
            _open_eye(pen, character, side)


def _local(character: Character, side: int, path: Points) -> Points:
    """Eye units (u outwards, v down, both about -1..1) to head units."""
    lift = -character.slant * path[:, :1] * np.array([0.0, 1.0])
    size = np.array([side * character.eye_width, character.eye_height])
    placed: Points = path * size + lift + np.array([side * EYE_X, EYE_Y])
    return placed


def _closed_eye(pen: Pen, character: Character, side: int) -> None:
    arc = bezier((-0.95, 0.45), (0.0, -0.45), (1.05, 0.35), 10)
    pen.stroke(_local(character, side, arc), (0.015, 0.035, 0.045, 0.03), lash_colour(character))
    for u in (0.75, 1.05):
        pen.stroke(
            _local(character, side, bezier((u - 0.1, 0.2), (u + 0.1, 0.3), (u + 0.3, 0.5))),
            (0.02, 0.005),
            lash_colour(character),
        )


def _lids(character: Character) -> tuple[Points, Points]:
    drop = 0.55 if character.lids == "half" else 0.0
    upper = curve((-1.0, 0.3), (-0.72, -0.45 + drop), (-0.1, -0.95 + drop), (0.6, -0.8 + drop), (1.02, -0.05))
    lower = curve((1.02, -0.05), (0.86, 0.6), (0.3, 0.98), (-0.35, 0.96), (-0.8, 0.72), (-1.0, 0.3))
    return upper, lower


def _open_eye(pen: Pen, character: Character, side: int) -> None:
    upper, lower = _lids(character)
    opening = np.concatenate([upper, lower[1:-1]])
    contour = _local(character, side, opening)
    spots = np.floor(pen.place.head(contour) * pen.side).astype(np.int64)
    left, top = (int(low) for low in spots.min(axis=0))
    width, height = (int(extent) + 1 for extent in np.ptp(spots, axis=0))
    mask = Pen(Image.new("L", (width, height)), pen.place, pen.side, (left, top))
    mask.fill(contour, 255)
    eyeball = Pen(Image.new("RGB", (width, height), WHITE), pen.place, pen.side, (left, top))
    _eyeball(eyeball, character, side)
    pen.image.paste(eyeball.image, (left, top), mask.image)
    _lashes(pen, character, side, upper, lower)


def _eyeball(pen: Pen, character: Character, side: int) -> None:
    iris = character.iris
    dark = mix(iris.ink, (16, 12, 26), 0.3)
    pen.fill(
        _local(character, side, points((-1.2, -1.2), (1.2, -1.2), (1.2, -0.5), (-1.2, -0.38))),
        mix(WHITE, character.skin.shade, 0.45),
    )
    pen.fill(_local(character, side, ellipse(-0.06, 0.04, 0.74, 1.02)), dark)
    for step in range(SLICES):
        share = step / (SLICES - 1)
        cut = np.clip(ellipse(-0.06, 0.04, 0.66, 0.94), [-9, -0.9 + 1.85 * step / SLICES], [9, 9])
        tone = mix(iris.shade, iris.base, share * 2) if share < 0.5 else mix(iris.base, iris.light, share * 2 - 1)
        pen.fill(_local(character, side, cut), mix(dark, tone, min(1.0, 0.25 + 1.2 * share)))
    pen.fill(_local(character, side, ellipse(-0.06, 0.0, 0.24, 0.4)), dark)
    glow = blob((-0.44, 0.42), (-0.06, 0.6), (0.32, 0.42), (0.2, 0.76), (-0.06, 0.86), (-0.32, 0.76))
    pen.fill(_local(character, side, glow), mix(iris.light, WHITE, 0.35))
    lit = side if character.left else -side  # the light comes from one side for both eyes
    pen.fill(_local(character, side, ellipse(-0.06 + 0.28 * lit, -0.36, 0.26, 0.3, 16)), WHITE)
    pen.fill(_local(character, side, ellipse(-0.06 - 0.3 * lit, 0.4, 0.12, 0.14, 12)), WHITE)


def _lashes(pen: Pen, character: Character, side: int, upper: Points, lower: Points) -> None:
    colour = lash_colour(character)
    wing = np.concatenate([upper[:-3], points((1.12, -0.32), (1.3, -0.5))])
    pen.stroke(_local(character, side, wing), (0.008, 0.035, 0.055, 0.055, 0.045, 0.0), colour)
    pen.stroke(_local(character, side, upper[-6:] + np.array([0.02, 0.06])), (0.03, 0.03, 0.012), colour)
    pen.stroke(_local(character, side, lower[3:19]), (0.012, 0.014, 0.006), mix(character.skin.ink, colour, 0.4))
    pen.stroke(
        _local(character, side, upper[5:-3] * np.array([0.95, 1.0]) + np.array([0, -0.3])),
        (0.004, 0.011, 0.004),
        character.skin.ink,
    )


def draw_nose_and_mouth(pen: Pen, character: Character) -> None:
    """The nose as a short line, the mouth by the character's mood."""
    line = mix(character.skin.ink, character.skin.shade, 0.25)
    pen.stroke(bezier((0.02, 0.62), (0.06, 0.68), (-0.01, 0.7)), (0.004, 0.016, 0.004), line)
    _mouth(pen, character, line)


def _mouth(pen: Pen, character: Character, line: Colour) -> None:
    thin = (0.004, 0.016, 0.018, 0.016, 0.004)
    match character.mouth:
        case "smile":
            pen.stroke(bezier((-0.2, 0.82), (0, 0.95), (0.2, 0.82)), thin, line)
        case "line":
            pen.stroke(bezier((-0.12, 0.86), (0, 0.89), (0.12, 0.86)), thin, line)
        case "open":
            mouth = np.concatenate(
                [bezier((-0.2, 0.8), (0, 0.83), (0.2, 0.8)), bezier((0.2, 0.8), (0.0, 1.16), (-0.2, 0.8))]
            )
            pen.fill(mouth, MOUTH)
            pen.fill(bezier((-0.12, 0.95), (0, 0.86), (0.12, 0.95)), (226, 120, 124))
            pen.stroke(mouth, (0.014, 0.014), line)
        case "pout":
            pen.fill(ellipse(0.0, 0.88, 0.06, 0.05, 14), MOUTH)
            pen.stroke(ellipse(0.0, 0.88, 0.065, 0.055, 14), (0.012, 0.012), line)
        case "grin":
            mouth = np.concatenate(
                [bezier((-0.24, 0.79), (0, 0.87), (0.24, 0.79)), bezier((0.24, 0.79), (0.0, 1.08), (-0.24, 0.79))]
            )
            pen.fill(mouth, WHITE)
            pen.stroke(mouth, (0.014, 0.014), line)
        case _:
            pen.stroke(bezier((-0.15, 0.91), (0.02, 0.8), (0.15, 0.9)), thin, line)


def draw_brows(pen: Pen, character: Character) -> None:
    """Both brows, over the hair, as the genre does."""
    outer, inner = BROWS[character.brows]
    colour = mix(character.hair.ink, character.hair.shade, 0.35)
    for side in (-1, 1):
        y = EYE_Y - character.eye_height - 0.2
        path = bezier(
            (side * 0.2, y - inner), (side * 0.46, y - 0.1 - max(inner, outer) * 0.5), (side * 0.74, y + 0.06 - outer)
        )
        pen.stroke(path, (0.03, 0.028, 0.004), colour)
