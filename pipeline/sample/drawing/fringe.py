"""Locks of hair over the forehead, as tuples (crown, left, right, tip) in head units."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pipeline.sample.drawing.character import Character
from pipeline.sample.drawing.geometry import Shape, bezier

Spot = tuple[float, float]
Lock = tuple[Spot, float, float, Spot]  # leaves the crown, covers x = left..right at the hairline, ends in its tip


def fringe(character: Character) -> list[Shape]:
    """The locks of `character`, rearmost first."""
    return [_lock(*lock) for lock in FRINGE[character.fringe](character)]


def _lock(crown: Spot, left: float, right: float, tip: Spot) -> Shape:
    level = -0.52 + 0.22 * max(abs(left), abs(right)) ** 2
    high, low = min(-1.1, crown[1]), (level + tip[1]) / 2 + 0.1
    down = bezier(crown, (left * 1.05, high), (left, level))
    edge = bezier((left, level), (left * 0.9 + tip[0] * 0.1, low), tip)
    back = bezier(tip, (right * 0.9 + tip[0] * 0.1, low), (right, level))
    up = bezier((right, level), (right * 1.05, high), crown)
    pen = np.concatenate([down[6:], edge, back, up[:2]])
    return Shape("fringe", np.concatenate([down, edge, back, up]), (pen,))


def _straight(character: Character) -> list[Lock]:
    spans = zip(_spans(np.linspace(-0.93, 0.93, 6)), character.jitter, strict=False)
    return [((0.0, -1.2), a - 0.05, b + 0.05, ((a + b) / 2, 0.04 * n)) for (a, b), n in spans]


def _pointed(character: Character) -> list[Lock]:
    noise, depth = character.jitter, (0.28, 0.02, 0.16, 0.0, 0.3)
    spans = _spans(np.array([-0.98, -0.6, -0.22, 0.2, 0.6, 0.98]) + 0.05 * np.array(noise[:6]))
    tips = [((a + b) / 2 + 0.1 * noise[6 + i], depth[i] + 0.07 * noise[i]) for i, (a, b) in enumerate(spans)]
    return [((0.1 * character.sign, -1.2), a - 0.04, b + 0.04, tip) for (a, b), tip in zip(spans, tips, strict=True)]


def _parted(character: Character) -> list[Lock]:
    return _on_both_sides([
        ((0.0, -1.2), 0.02, 0.5, (0.62, -0.1 + 0.08 * character.jitter[0])),
        ((0.0, -1.2), 0.42, 0.98, (0.96, 0.42 + 0.1 * character.jitter[1])),
    ])  # fmt: skip


def _swept(character: Character) -> list[Lock]:
    noise, crown = character.jitter, (-0.45, -1.18)
    return _to_a_side(character, [
        (crown, -0.98, -0.5, (-0.93, 0.3 + 0.1 * noise[0])),
        (crown, 0.5, 0.98, (0.98, 0.42 + 0.1 * noise[1])),
        (crown, 0.12, 0.72, (0.8, 0.12 + 0.08 * noise[2])),
        (crown, -0.3, 0.34, (0.4, 0.08 * noise[3])),
        (crown, -0.58, -0.08, (-0.02, -0.14 + 0.05 * noise[4])),
    ])  # fmt: skip


def _centre_lock(character: Character) -> list[Lock]:
    noise = character.jitter
    sides = _on_both_sides([
        ((0.0, -1.2), 0.14, 0.6, (0.42 + 0.06 * noise[0], 0.02 + 0.06 * noise[1])),
        ((0.0, -1.2), 0.5, 0.98, (0.9, 0.4 + 0.1 * noise[2])),
    ])  # fmt: skip
    return [*sides, ((0.0, -1.2), -0.26, 0.26, (0.06 * character.sign, 0.4 + 0.08 * noise[3]))]


def _over_one_eye(character: Character) -> list[Lock]:
    noise, crown = character.jitter, (-0.4, -1.18)
    return _to_a_side(character, [
        (crown, -0.98, -0.52, (-0.9, 0.35 + 0.1 * noise[0])),
        (crown, 0.5, 1.02, (0.9, 0.95 + 0.08 * noise[1])),
        (crown, 0.05, 0.68, (0.52, 0.72 + 0.08 * noise[2])),
        (crown, -0.5, 0.2, (0.1, 0.08 * noise[3])),
    ])  # fmt: skip


def _cropped(character: Character) -> list[Lock]:
    sign = character.sign
    spans = _spans(np.linspace(-0.94, 0.94, 7) + 0.04 * np.array(character.jitter[:7]))
    return [
        ((0.3 * sign, -1.2), a - 0.04, b + 0.04, ((a + b) / 2 + 0.14 * sign, -0.22 + 0.1 * n))
        for (a, b), n in zip(spans, character.jitter, strict=False)
    ]


FRINGE: dict[str, Callable[[Character], list[Lock]]] = {
    "straight": _straight, "pointed": _pointed, "parted": _parted, "swept": _swept, "centre lock": _centre_lock,
    "over one eye": _over_one_eye, "brushed back": lambda _: [], "cropped": _cropped,
}  # fmt: skip


def _spans(edges: ArrayLike) -> list[tuple[float, float]]:
    return list(itertools.pairwise(np.asarray(edges, dtype=np.float64).tolist()))


def _flipped(lock: Lock) -> Lock:
    crown, left, right, tip = lock
    return (-crown[0], crown[1]), -right, -left, (-tip[0], tip[1])


def _on_both_sides(locks: list[Lock]) -> list[Lock]:
    return [*map(_flipped, locks), *locks]


def _to_a_side(character: Character, locks: list[Lock]) -> list[Lock]:
    return [_flipped(lock) for lock in locks] if character.left else locks
