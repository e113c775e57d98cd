"""Pixel art of things to pick up, from shapes in the unit square (y down)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.images.files import Pixels
from pipeline.sample.drawing.dolls import Doll, both, closed, render
from pipeline.sample.drawing.geometry import Points, bezier, blob, curve, ellipse, plain, points, taper
from pipeline.sample.drawing.ramps import Ramp, any_ramp, ramp

STEEL, GOLD, WOOD = ramp(0.78, 0.02, 250), ramp(0.82, 0.14, 88), ramp(0.52, 0.09, 55)
GLASS, LEAF, PAPER = ramp(0.9, 0.03, 220), ramp(0.62, 0.14, 145), ramp(0.9, 0.05, 90)


def item(rng: np.random.Generator, cells: int = 16) -> Pixels:
    """A random thing on transparency, uint8 (cells, cells, 4)."""
    kinds: tuple[Callable[[np.random.Generator], Doll], ...] = (
        _potion, _sword, _gem, _coin, _apple, _cherries, _chest, _key, _heart, _shield, _scroll, _axe,
    )  # fmt: skip
    return render(kinds[int(rng.integers(len(kinds)))](rng), cells)


def _vivid(rng: np.random.Generator) -> Ramp:
    return ramp(rng.uniform(0.5, 0.78), rng.uniform(0.13, 0.19), rng.uniform(0, 360))


def _diagonal(contour: Points) -> Points:
    """An upright thing leaned to the right by 45 degrees about the middle."""
    x, y = contour[:, 0] - 0.5, contour[:, 1] - 0.5
    return np.stack([0.5 + (x - y) * 0.7071, 0.5 + (x + y) * 0.7071], axis=1)


def _potion(rng: np.random.Generator) -> Doll:
    level, wide = rng.uniform(0.5, 0.62), rng.uniform(0.26, 0.34)
    neck = plain("glass", points((0.41, 0.2), (0.59, 0.2), (0.59, 0.46), (0.41, 0.46)))
    flask = plain("glass", ellipse(0.5, 0.65, wide, 0.27))
    liquid = plain("liquid", np.clip(ellipse(0.5, 0.65, wide - 0.05, 0.22), [0, level], [1, 1]))
    cork = plain("cork", points((0.42, 0.08), (0.58, 0.08), (0.58, 0.2), (0.42, 0.2)))
    return Doll(
        [neck, flask, liquid, cork], {"glass": GLASS, "liquid": _vivid(rng), "cork": WOOD}, [(0.4, 0.66, ("W",))]
    )


def _sword(rng: np.random.Generator) -> Doll:
    half, end = rng.uniform(0.06, 0.1), rng.uniform(-0.06, 0.04)
    blade = points((0.5, end), (0.5 + half, end + 0.1), (0.5 + half, 0.66), (0.5 - half, 0.66), (0.5 - half, end + 0.1))
    guard = points((0.3, 0.64), (0.7, 0.64), (0.7, 0.73), (0.3, 0.73))
    grip = points((0.45, 0.73), (0.55, 0.73), (0.55, 0.95), (0.45, 0.95))
    pommel = ellipse(0.5, 0.98, 0.08, 0.07, 12)
    steel = STEEL if rng.random() < 0.6 else _vivid(rng)
    shapes = [
        plain(part, _diagonal(shape))
        for part, shape in (("steel", blade), ("grip", grip), ("gold", guard), ("gold", pommel))
    ]
    return Doll(shapes, {"steel": steel, "grip": any_ramp(rng), "gold": GOLD}, [])


def _gem(rng: np.random.Generator) -> Doll:
    top, waist = rng.uniform(0.16, 0.24), rng.uniform(0.36, 0.44)
    stone = plain("stone", closed(points((0.5, top), (0.74, top), (0.92, waist), (0.5, 0.92))))
    table = plain("facet", closed(points((0.5, top + 0.02), (0.66, top + 0.02), (0.7, waist), (0.5, waist))))
    front = plain("facet", closed(points((0.5, waist + 0.04), (0.66, waist + 0.04), (0.5, 0.82))))
    tones = _vivid(rng)
    bright = Ramp(tones.ink, tones.base, tones.light, (255, 255, 255))
    return Doll([stone, table, front], {"stone": tones, "facet": bright}, [])


def _coin(rng: np.random.Generator) -> Doll:
    return coin(1.0, GOLD if rng.random() < 0.6 else ramp(0.75, 0.03, 60))


def coin(width: float, metal: Ramp) -> Doll:
    """A coin turned so that its width is `width` (0..1) of its height."""
    half = max(0.07, 0.38 * width)
    shapes = [plain("metal", ellipse(0.5, 0.5, half, 0.4))]
    if width > 0.4:
        shapes.append(plain("face", ellipse(0.5, 0.5, half * 0.66, 0.28)))
        shapes.append(plain("metal", ellipse(0.5, 0.5, half * 0.22, 0.16)))
    return Doll(shapes, {"metal": metal, "face": Ramp(metal.ink, metal.ink, metal.shade, metal.base)}, [])


def _apple(rng: np.random.Generator) -> Doll:
    skin = ramp(0.6, 0.19, float(rng.choice([25.0, 30.0, 60.0, 125.0])))
    fruit = plain("skin", closed(curve((0.5, 0.34), (0.66, 0.27), (0.88, 0.4), (0.84, 0.7), (0.64, 0.92), (0.5, 0.88))))
    stalk = plain("wood", taper(bezier((0.5, 0.36), (0.5, 0.2), (0.58, 0.1)), (0.045, 0.045)))
    leaf = plain("leaf", blob((0.54, 0.26), (0.68, 0.1), (0.88, 0.14), (0.74, 0.28)))
    return Doll([fruit, stalk, leaf], {"skin": skin, "wood": WOOD, "leaf": LEAF}, [(0.3, 0.46, ("W",))])


def _cherries(rng: np.random.Generator) -> Doll:
    tones = ramp(0.5, 0.19, float(rng.choice([20.0, 10.0, 300.0, 270.0])))
    stems = [
        plain("leaf", taper(bezier((x, 0.6), (x * 0.5 + 0.3, 0.35), (0.6, 0.12)), (0.03, 0.03))) for x in (0.3, 0.7)
    ]
    balls = [plain("skin", ellipse(0.28, 0.7, 0.21, 0.21)), plain("skin", ellipse(0.72, 0.74, 0.21, 0.21))]
    return Doll([*stems, *balls], {"skin": tones, "leaf": LEAF}, [(0.22, 0.64, ("W",)), (0.66, 0.68, ("W",))])


def _chest(rng: np.random.Generator) -> Doll:
    wood = WOOD if rng.random() < 0.6 else any_ramp(rng)
    lid = plain("wood", closed(curve((0.5, 0.2), (0.8, 0.23), (0.92, 0.36), (0.92, 0.5), (0.5, 0.5))))
    box = plain("wood", points((0.08, 0.5), (0.92, 0.5), (0.92, 0.88), (0.08, 0.88)))
    band = plain("metal", points((0.08, 0.46), (0.92, 0.46), (0.92, 0.54), (0.08, 0.54)))
    strap = plain("metal", points((0.74, 0.22), (0.83, 0.26), (0.83, 0.88), (0.74, 0.88)))
    lock = plain("lock", points((0.42, 0.42), (0.58, 0.42), (0.58, 0.64), (0.42, 0.64)))
    return Doll(
        [lid, box, *both(strap), band, lock], {"wood": wood, "metal": STEEL, "lock": GOLD}, [(0.5, 0.56, ("K",))]
    )


def _key(rng: np.random.Generator) -> Doll:
    metal = GOLD if rng.random() < 0.6 else STEEL
    angle = np.linspace(0, 2 * np.pi, 24)
    ring = taper(np.stack([0.5 + 0.16 * np.cos(angle), 0.2 + 0.16 * np.sin(angle)], axis=1), (0.06, 0.06))
    shaft = points((0.45, 0.36), (0.55, 0.36), (0.55, 0.98), (0.45, 0.98))
    teeth = [points((0.55, y), (0.72, y), (0.72, y + 0.09), (0.55, y + 0.09)) for y in (0.72, 0.89)]
    return Doll([plain("metal", _diagonal(shape)) for shape in (ring, shaft, *teeth)], {"metal": metal}, [])


def _heart(rng: np.random.Generator) -> Doll:
    right = curve((0.5, 0.3), (0.64, 0.17), (0.86, 0.2), (0.92, 0.42), (0.76, 0.68), (0.5, 0.9))
    return Doll(
        [plain("heart", closed(right))], {"heart": ramp(0.6, 0.2, rng.uniform(-10, 35))}, [(0.3, 0.36, ("WW", "W."))]
    )


def _shield(rng: np.random.Generator) -> Doll:
    edge = plain("rim", closed(curve((0.5, 0.08), (0.74, 0.14), (0.88, 0.14), (0.86, 0.52), (0.7, 0.78), (0.5, 0.94))))
    field = plain("field", closed(curve((0.5, 0.18), (0.7, 0.23), (0.77, 0.23), (0.76, 0.5), (0.64, 0.7), (0.5, 0.82))))
    sign = plain("rim", closed(points((0.5, 0.3), (0.56, 0.44), (0.66, 0.48), (0.56, 0.54), (0.5, 0.7))))
    shapes = [edge, field, sign] if rng.random() < 0.7 else [edge, field]
    return Doll(shapes, {"rim": STEEL if rng.random() < 0.5 else GOLD, "field": any_ramp(rng)}, [])


def _scroll(rng: np.random.Generator) -> Doll:
    sheet = plain("paper", points((0.22, 0.2), (0.78, 0.2), (0.78, 0.8), (0.22, 0.8)))
    rolls = [plain("paper", points((0.1, y), (0.9, y), (0.9, y + 0.16), (0.1, y + 0.16))) for y in (0.1, 0.74)]
    seal = plain("seal", ellipse(0.64, 0.64, 0.1, 0.1, 14))
    lines = [(0.46, y, ("KKKK",)) for y in (0.38, 0.52)]
    return Doll([sheet, *rolls, seal], {"paper": PAPER, "seal": _vivid(rng)}, lines)


def _axe(rng: np.random.Generator) -> Doll:
    haft = points((0.46, 0.02), (0.55, 0.02), (0.55, 1.02), (0.46, 1.02))
    head = blob((0.5, 0.12), (0.78, 0.0), (0.88, 0.24), (0.78, 0.48), (0.5, 0.36))
    steel = STEEL if rng.random() < 0.6 else _vivid(rng)
    return Doll([plain("wood", _diagonal(haft)), plain("steel", _diagonal(head))], {"wood": WOOD, "steel": steel}, [])
