"""Hair: what hangs behind the head, the cap and the locks beside the face (head units)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pipeline.sample.drawing.character import Character
from pipeline.sample.drawing.geometry import (
    Points,
    Shape,
    bezier,
    curve,
    ellipse,
    mirrored,
    outlined,
    pair,
    plain,
    points,
    smooth,
    symmetric,
    taper,
)


def behind(character: Character) -> list[Shape]:
    """Shapes of the hair behind neck and face, rearmost first."""
    return BACK[character.back](character)


def cap(character: Character) -> list[Shape]:
    """The dome over the skull, drawn over the face down to the hairline."""
    wide = 1.1 * character.volume
    top = -0.12 + 1.32 * np.array([-math.sin(a) for a in np.linspace(math.pi / 2, -0.12, 12)]) * character.volume
    side = np.array([math.cos(a) for a in np.linspace(math.pi / 2, -0.12, 12)]) * wide
    outer = np.stack([side, top], axis=1)
    line = -0.62 if character.fringe == "brushed back" else -0.5
    hairline = bezier((0.9, 0.12), (0.86, line), (0.0, line - 0.08))
    contour = np.concatenate([mirrored(outer), outer[1:], hairline, mirrored(hairline)[1:]])
    crest = np.concatenate([mirrored(outer), outer[1:]])
    shapes = [Shape("cap", contour, (crest,)), Shape("front strand", contour[:2], _strands(character))]
    if character.ahoge:
        shapes.append(_ahoge(character))
    return shapes


def _strands(character: Character) -> tuple[Points, ...]:
    if character.fringe != "brushed back":
        return ()
    return tuple(
        bezier((x, -0.72 - 0.05 * abs(x)), (x * 1.15, -1.05), (x * 0.7, -1.3)) for x in (-0.55, -0.2, 0.2, 0.55)
    )


def _ahoge(character: Character) -> Shape:
    sign = character.sign
    path = bezier((0.05 * sign, -1.25), (0.1 * sign, -1.75), (0.5 * sign, -1.6 + 0.1 * character.jitter[0]))
    return outlined("cap", taper(path, (0.09, 0.08, 0.0)))


def beside(character: Character) -> list[Shape]:
    """Shapes of the locks in front of the ears."""
    if not character.side_length:
        return []
    end, bend = character.side_length, 0.06 * character.jitter[8]
    right = np.concatenate([
        bezier((0.74, -0.62), (0.98, -0.3), (0.8, 0.3)),
        bezier((0.8, 0.3), (0.74 + bend, 0.6 * end), (0.9 + bend, end)),
        bezier((0.9 + bend, end), (1.16 + bend, 0.5 * end), (1.1, 0.0)),
        bezier((1.1, 0.0), (1.14, -0.4), (0.86, -0.8)),
    ])  # fmt: skip
    return _both([Shape("side", right, (right[6:-5],))])


def shine(character: Character) -> Points:
    """The band of light across the dome, zigzag below."""
    teeth = 9
    angle = np.linspace(math.radians(205), math.radians(318), 2 * teeth + 1)
    if not character.left:
        angle = math.pi - angle[::-1] + 2 * math.pi
    inner = np.where(np.arange(2 * teeth + 1) % 2 == 0, 0.8, 0.66)
    lower = np.stack([np.cos(angle) * inner * 1.08, -0.1 + np.sin(angle) * inner * 1.2], axis=1)
    upper = np.stack([np.cos(angle) * 0.86 * 1.08, -0.1 + np.sin(angle) * 0.86 * 1.24], axis=1)
    return np.concatenate([upper, lower[::-1]]) * character.volume


# behind the head


def _skull(low: float, wide: float) -> Points:
    """A mass of hair around the head down to y = low."""
    return symmetric(curve((0, -1.3), (0.8, -1.05), (wide, -0.3), (wide, 0.3), (0.8 * wide, low), (0, low - 0.12)))


def _short(character: Character) -> list[Shape]:
    tip = taper(bezier((0.85, 0.2), (1.1, 0.55), (0.98 + 0.1 * character.jitter[0], 0.95)), (0.3, 0.22, 0.0))
    return [outlined("back", _skull(0.72, 1.08 * character.volume)), *pair("back", tip)]


def _bob(character: Character) -> list[Shape]:
    wide = (1.2 + 0.05 * character.jitter[0]) * character.volume
    low = 1.08 + 0.12 * character.jitter[1]
    right = curve((0, -1.3), (0.85, -1.05), (wide, -0.2), (wide + 0.08, 0.6), (0.88, low), (0.3, low - 0.14))
    return [outlined("back", symmetric(right)), *_hanging_lines(wide * 0.8, low - 0.1)]


def _hanging_lines(wide: float, low: float) -> list[Shape]:
    lines = tuple(
        bezier((s * x, 0.2), (s * (x + 0.12), 0.7), (s * x, low)) for s in (-1, 1) for x in (wide, wide + 0.18)
    )
    return [Shape("strand", points((0, 0), (0, 0)), lines)]


def _long(character: Character) -> list[Shape]:
    wide = (1.22 + 0.08 * character.jitter[0]) * character.volume
    right = curve((0, -1.3), (0.85, -1.05), (wide, -0.2), (wide + 0.1, 0.9), (wide + 0.16, 1.9), (wide + 0.02, 2.9))
    return [outlined("back", symmetric(right)), *_hanging_lines(wide * 0.82, 2.4)]


def _wavy(character: Character) -> list[Shape]:
    y = np.linspace(-0.4, 2.9, 12)
    wave = 1.28 + 0.13 * np.sin(3.4 * y + character.jitter[0]) + 0.08 * y
    right = smooth(
        np.concatenate([points((0, -1.3), (0.85, -1.05)), np.stack([wave, y], axis=1)]), closed=False, steps=4
    )
    inner = np.stack([wave - 0.3, y], axis=1)[4:]
    lines = (inner, mirrored(inner))
    return [outlined("back", symmetric(right)), Shape("strand", points((0, 0), (0, 0)), lines)]


def _both(shapes: list[Shape]) -> list[Shape]:
    """The shapes and their mirror images."""
    return [*shapes, *(shape.placed(mirrored) for shape in shapes)]


def _twin_tails(character: Character) -> list[Shape]:
    out, low = 1.36 + 0.08 * character.jitter[0], 1.9 + 0.3 * character.jitter[1]
    path = curve((1.0, -0.72), (1.34, -0.66), (out + 0.1, 0.2), (out - 0.02, 1.1), (out + 0.12, low))
    tail = outlined("tail", taper(path, (0.16, 0.3, 0.34, 0.28, 0.0)))
    strand = Shape("strand", path[:2], (path[5:-3],))
    return [*_short(character), *_both([tail, strand, outlined("tie", ellipse(1.07, -0.7, 0.15, 0.17))])]


def _braids(character: Character) -> list[Shape]:
    """Plaits over the shoulders: beads, smaller towards the tie."""
    beads = [
        outlined("front tail", ellipse(1.02 + 0.05 * (i % 2), 0.78 + 0.27 * i, 0.2 - 0.012 * i, 0.19, 16))
        for i in range(5)
    ]
    end = outlined("front tail", taper(bezier((1.03, 2.1), (1.05, 2.3), (1.0, 2.55)), (0.16, 0.2, 0.0)))
    return [*_short(character), *_both([*beads, end, outlined("front tie", ellipse(1.03, 2.08, 0.15, 0.1))])]


def _ponytail(character: Character) -> list[Shape]:
    sign = character.sign
    path = curve((0.45, -1.1), (1.0, -1.38), (1.5, -0.9), (1.52, 0.0), (1.32, 0.75), (1.5, 1.25)) * np.array([sign, 1])
    tail = outlined("tail", taper(path, (0.14, 0.3, 0.38, 0.36, 0.24, 0.0)))
    strand = Shape("strand", path[:2], (path[6:-4],))
    return [tail, strand, *_short(character), outlined("tie", ellipse(0.66 * sign, -1.2, 0.16, 0.16))]


def _side_tail(character: Character) -> list[Shape]:
    sign = character.sign
    path = curve((0.95, 0.45), (1.28, 0.8), (1.22, 1.4), (1.0, 1.9), (1.1, 2.5)) * np.array([sign, 1])
    tail = outlined("front tail", taper(path, (0.14, 0.3, 0.34, 0.28, 0.0)))
    strand = Shape("front strand", path[:2], (path[5:-4],))
    return [*_short(character), tail, strand, outlined("front tie", ellipse(1.06 * sign, 0.52, 0.16, 0.15))]


def _buns(character: Character) -> list[Shape]:
    size = 0.4 + 0.05 * character.jitter[0]
    bun = outlined("tail", ellipse(0.84, -1.12, size, size))
    curl = Shape("strand", bun.points[:3], (ellipse(0.84, -1.12, size * 0.5, size * 0.5)[4:22],))
    return [*_both([bun, curl]), *_short(character)]


def _spiky(character: Character) -> list[Shape]:
    shapes = [outlined("back", _skull(0.75, 1.08))]
    for i in range(9):
        a = math.radians(-30 + 30 * i + 6 * character.jitter[i])
        root = np.array([0.9 * math.cos(a), -0.1 - 0.95 * math.sin(a)])
        reach = 0.76 + 0.16 * character.jitter[-1 - i]
        lean = 0.35 * math.cos(a) + 0.1 * character.jitter[5]
        tip = root + reach * np.array([math.cos(a), -math.sin(a)]) + np.array([lean * 0.3, -0.12 + 0.3 * abs(lean)])
        bend = root + 0.55 * reach * np.array([math.cos(a + 0.3), -math.sin(a + 0.3)])
        shapes.append(outlined("tail", taper(bezier(root, bend, tip), (0.46, 0.27, 0.0))))
    return shapes


def _drills(character: Character) -> list[Shape]:
    coils = []
    for i in range(6):
        y, half = 0.2 + 0.33 * i, 0.36 - 0.035 * i
        coil = ellipse(1.28, y, half, 0.22, 18) + np.array([0, 1]) * 0.25 * (ellipse(0, 0, 1, 1, 18)[:, :1])
        coils.append(outlined("tail", coil))
    return [*_short(character), *_both(coils[::-1])]


def _curly(character: Character) -> list[Shape]:
    count = 15
    angle = np.linspace(math.radians(128), math.radians(412), count)
    blobs = [
        outlined("back", ellipse(1.16 * math.cos(a), -0.08 + 1.14 * math.sin(a), 0.34 + 0.06 * n, 0.34 + 0.06 * n, 16))
        for a, n in zip(angle, character.jitter, strict=False)
    ]
    return [*blobs, plain("back", _skull(0.75, 1.1))]


BACK: dict[str, Callable[[Character], list[Shape]]] = {
    "short": _short, "bob": _bob, "long": _long, "wavy": _wavy, "twin tails": _twin_tails, "braids": _braids,
    "ponytail": _ponytail, "side tail": _side_tail, "buns": _buns, "spiky": _spiky, "drills": _drills, "curly": _curly,
}  # fmt: skip
