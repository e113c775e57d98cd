"""Pixel art of whole characters and creatures, from shapes in the unit square (y down)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.images.files import Pixels
from pipeline.sample.drawing.character import HAIR, SKIN
from pipeline.sample.drawing.dolls import Doll, both, closed, flipped, render
from pipeline.sample.drawing.geometry import Shape, bezier, blob, curve, ellipse, plain, points, taper
from pipeline.sample.drawing.ramps import Ramp, any_ramp, ramp, skin_ramp

STEEL, GOLD, WOOD, BONE = ramp(0.72, 0.02, 250), ramp(0.82, 0.14, 88), ramp(0.5, 0.08, 55), ramp(0.92, 0.03, 95)
EYES = (("KW", "KK"), ("K", "K"), ("WK", "WK"), ("KK",))


def sprite(rng: np.random.Generator, cells: int = 24) -> Pixels:
    """A random figure on transparency, uint8 (cells, cells, 4)."""
    return render(doll(rng), cells)


def doll(rng: np.random.Generator) -> Doll:
    """A random figure as shapes."""
    kinds: tuple[Callable[[np.random.Generator], Doll], ...] = (
        _person, _person, _person, _mage, _knight, _slime, _ghost, _robot, _mushroom, _cat, _bat, _chick,
    )  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))](rng)


def _vivid(rng: np.random.Generator) -> Ramp:
    return ramp(rng.uniform(0.55, 0.82), rng.uniform(0.1, 0.17), rng.uniform(0, 360))


def _hair(rng: np.random.Generator) -> Ramp:
    lightness, chroma, hue = HAIR[str(rng.choice(list(HAIR)))]
    return ramp(lightness, chroma, hue)


def _skin(rng: np.random.Generator) -> Ramp:
    return skin_ramp(*SKIN[int(rng.integers(len(SKIN)))])


def _body(rng: np.random.Generator) -> list[Shape]:
    """Legs, arms, trunk of a big-headed person."""
    shoulder = 0.5 + rng.uniform(0.13, 0.17)
    leg = plain("trousers", points((0.51, 0.76), (0.61, 0.76), (0.61, 0.91), (0.51, 0.91)))
    boot = plain("leather", points((0.51, 0.9), (0.64, 0.9), (0.64, 0.97), (0.51, 0.97)))
    sleeve = bezier((shoulder - 0.02, 0.62), (shoulder + 0.07, 0.68), (shoulder + 0.05, 0.77))
    arm = plain("shirt", taper(sleeve, (0.05, 0.045)))
    hand = plain("skin", ellipse(shoulder + 0.055, 0.79, 0.045, 0.045, 12))
    trunk = plain("shirt", closed(points((0.5, 0.56), (shoulder - 0.03, 0.57), (shoulder, 0.8), (0.5, 0.81))))
    belt = plain("leather", closed(points((0.5, 0.75), (shoulder, 0.75), (shoulder, 0.79), (0.5, 0.79))))
    parts = [*both(leg), *both(boot), *both(arm), *both(hand), trunk]
    return [*parts, belt] if rng.random() < 0.6 else parts


def _person(rng: np.random.Generator) -> Doll:
    ramps = {"skin": _skin(rng), "hair": _hair(rng), "shirt": any_ramp(rng), "trousers": any_ramp(rng), "leather": WOOD}
    low = float(rng.choice([0.5, 0.62, 0.74]))
    rear = plain("hair", closed(curve((0.5, 0.06), (0.7, 0.12), (0.77, 0.32), (0.74, low), (0.5, low - 0.04))))
    head = plain("skin", closed(curve((0.5, 0.12), (0.68, 0.2), (0.71, 0.36), (0.64, 0.53), (0.5, 0.58))))
    gap = rng.uniform(0.3, 0.4)
    dome = curve((0.5, 0.06), (0.69, 0.12), (0.76, 0.3), (0.74, 0.46))
    tips = points((0.69, 0.34), (0.64, gap), (0.58, 0.27), (0.5, gap), (0.42, 0.28), (0.36, gap), (0.31, 0.34))
    cap = plain("hair", np.concatenate([flipped(dome), dome, tips]))
    eye = EYES[int(rng.integers(2))]
    dots = [(0.4, 0.44, eye), (0.6, 0.44, eye)]
    tails = both(plain("hair", ellipse(0.8, rng.uniform(0.2, 0.4), 0.1, 0.14, 16))) if rng.random() < 0.3 else []
    return Doll([rear, *tails, *_body(rng), head, cap], ramps, dots)


def _mage(rng: np.random.Generator) -> Doll:
    ramps = {
        "skin": _skin(rng),
        "hair": _hair(rng),
        "robe": any_ramp(rng),
        "trim": GOLD,
        "wood": WOOD,
        "orb": _vivid(rng),
    }
    robe = plain("robe", closed(curve((0.5, 0.52), (0.62, 0.58), (0.7, 0.78), (0.76, 0.97))))
    hem = plain("trim", closed(points((0.5, 0.9), (0.745, 0.9), (0.76, 0.97), (0.5, 0.97))))
    head = plain("skin", ellipse(0.5, 0.44, 0.18, 0.15))
    beard = plain("hair", closed(points((0.5, 0.5), (0.66, 0.48), (0.6, 0.64), (0.5, 0.76))))
    brim = plain("robe", closed(curve((0.5, 0.29), (0.7, 0.31), (0.84, 0.37), (0.7, 0.39), (0.5, 0.37))))
    cone = plain("robe", points((0.3, 0.33), (0.4, 0.14), (0.52, 0.04), (0.66, 0.06), (0.58, 0.12), (0.7, 0.33)))
    band = plain("trim", points((0.31, 0.27), (0.68, 0.27), (0.7, 0.33), (0.3, 0.33)))
    staff = plain("wood", points((0.83, 0.42), (0.87, 0.42), (0.87, 0.97), (0.83, 0.97)))
    orb = plain("orb", ellipse(0.85, 0.36, 0.07, 0.07, 16))
    dots = [(0.42, 0.44, EYES[1]), (0.58, 0.44, EYES[1])]
    bearded = [beard] if rng.random() < 0.6 else []
    return Doll([robe, hem, head, *bearded, cone, band, brim, staff, orb], ramps, dots)


def _knight(rng: np.random.Generator) -> Doll:
    ramps = {"steel": STEEL, "plume": _vivid(rng), "dark": ramp(0.3, 0.03, 270), "gold": GOLD}
    leg = plain("steel", points((0.51, 0.76), (0.62, 0.76), (0.64, 0.97), (0.51, 0.97)))
    pauldron = plain("steel", ellipse(0.69, 0.6, 0.1, 0.075, 18))
    arm = plain("steel", points((0.67, 0.62), (0.76, 0.62), (0.75, 0.8), (0.68, 0.8)))
    tabard = plain("plume", closed(points((0.5, 0.56), (0.65, 0.56), (0.65, 0.85), (0.5, 0.85))))
    cross = plain("gold", points((0.47, 0.6), (0.53, 0.6), (0.53, 0.8), (0.47, 0.8)))
    helmet = plain("steel", closed(curve((0.5, 0.16), (0.66, 0.2), (0.71, 0.36), (0.66, 0.54), (0.5, 0.57))))
    slit = plain("dark", points((0.34, 0.36), (0.66, 0.36), (0.66, 0.43), (0.34, 0.43)))
    plume = plain("plume", blob((0.5, 0.18), (0.46, 0.06), (0.6, 0.02), (0.78, 0.1), (0.82, 0.26), (0.7, 0.16)))
    blade = plain("steel", points((0.12, 0.34), (0.18, 0.24), (0.24, 0.34), (0.24, 0.76), (0.12, 0.76)))
    guard = plain("gold", points((0.1, 0.75), (0.27, 0.75), (0.27, 0.79), (0.1, 0.79)))
    return Doll([plume, *both(leg), tabard, cross, *both(arm), *both(pauldron), helmet, slit, blade, guard], ramps, [])


def _slime(rng: np.random.Generator) -> Doll:
    high, wide = rng.uniform(0.3, 0.5), rng.uniform(0.34, 0.42)
    dome = closed(
        curve((0.5, high), (0.5 + wide * 0.6, high + 0.1), (0.5 + wide, 0.74), (0.5 + wide * 0.9, 0.9), (0.5, 0.93))
    )
    gleam = plain("gleam", ellipse(0.38, high + 0.16, 0.05, 0.045, 12))
    eye = EYES[int(rng.integers(3))]
    dots = [(0.4, 0.68, eye), (0.6, 0.68, eye), (0.5, 0.8, ("KKK",) if rng.random() < 0.5 else ("KRK",))]
    return Doll([plain("jelly", dome), gleam], {"jelly": _vivid(rng), "gleam": BONE}, list(dots))


def _ghost(rng: np.random.Generator) -> Doll:
    teeth = [(x, 0.94 if i % 2 else 0.84) for i, x in enumerate(np.linspace(0.78, 0.22, 7).tolist())]
    top = curve((0.22, 0.84), (0.2, 0.4), (0.34, 0.14), (0.5, 0.09), (0.66, 0.14), (0.8, 0.4), (0.78, 0.84))
    sheet = plain("sheet", np.concatenate([top, np.array(teeth)]))
    arm = plain("sheet", ellipse(0.82, 0.52, 0.08, 0.06, 14))
    mouth = [(0.5, 0.56, ("KK", "KK"))] if rng.random() < 0.6 else [(0.5, 0.56, ("RRR", ".R."))]
    dots = [(0.39, 0.4, ("KK", "KK", "KK")), (0.61, 0.4, ("KK", "KK", "KK")), *mouth]
    return Doll([*both(arm), sheet], {"sheet": ramp(0.93, rng.uniform(0.01, 0.06), rng.uniform(0, 360))}, dots)


def _robot(rng: np.random.Generator) -> Doll:
    metal, glow = ramp(rng.uniform(0.55, 0.8), rng.uniform(0.01, 0.1), rng.uniform(0, 360)), _vivid(rng)
    box = plain("metal", points((0.26, 0.18), (0.74, 0.18), (0.74, 0.5), (0.26, 0.5)))
    screen = plain("dark", points((0.32, 0.26), (0.68, 0.26), (0.68, 0.43), (0.32, 0.43)))
    trunk = plain("metal", closed(points((0.5, 0.55), (0.68, 0.55), (0.66, 0.82), (0.5, 0.82))))
    light = plain("glow", ellipse(0.5, 0.67, 0.07, 0.07, 14))
    arm = plain("dark", points((0.7, 0.58), (0.79, 0.58), (0.79, 0.76), (0.7, 0.76)))
    claw = plain("metal", ellipse(0.745, 0.79, 0.065, 0.055, 12))
    foot = plain("dark", points((0.53, 0.83), (0.66, 0.83), (0.69, 0.96), (0.53, 0.96)))
    stalk = plain("dark", points((0.47, 0.08), (0.53, 0.08), (0.53, 0.18), (0.47, 0.18)))
    bulb = plain("glow", ellipse(0.5, 0.08, 0.055, 0.055, 12))
    dots = [(0.42, 0.35, ("WW", "WW")), (0.6, 0.35, ("WW", "WW"))] if rng.random() < 0.6 else [(0.5, 0.35, ("YYYYYY",))]
    shapes = [stalk, bulb, *both(foot), *both(arm), *both(claw), trunk, light, box, screen]
    return Doll(shapes, {"metal": metal, "glow": glow, "dark": ramp(0.33, 0.03, 270)}, dots)


def _mushroom(rng: np.random.Generator) -> Doll:
    cap = plain("cap", closed(curve((0.5, 0.12), (0.78, 0.22), (0.92, 0.48), (0.78, 0.56), (0.5, 0.58))))
    stem = plain("stem", closed(curve((0.5, 0.5), (0.66, 0.54), (0.7, 0.82), (0.62, 0.93), (0.5, 0.95))))
    spots = [
        plain("stem", ellipse(x, y, r, r * 0.9, 14))
        for x, y, r in ((0.34, 0.34, 0.075), (0.6, 0.26, 0.09), (0.74, 0.44, 0.055))
    ]
    eye = EYES[int(rng.integers(3))]
    return Doll([stem, cap, *spots], {"cap": _vivid(rng), "stem": BONE}, [(0.42, 0.72, eye), (0.58, 0.72, eye)])


def _cat(rng: np.random.Generator) -> Doll:
    lightness, chroma, hue = HAIR[str(rng.choice(["black", "brown", "honey", "orange", "silver", "white"]))]
    tail = plain("fur", taper(curve((0.64, 0.86), (0.84, 0.86), (0.9, 0.68), (0.84, 0.54)), (0.05, 0.05, 0.03)))
    body = plain("fur", closed(curve((0.5, 0.5), (0.66, 0.64), (0.7, 0.86), (0.6, 0.95), (0.5, 0.95))))
    chest = plain("pale", ellipse(0.5, 0.76, 0.09, 0.13))
    ear = plain("fur", points((0.56, 0.24), (0.78, 0.08), (0.76, 0.36)))
    head = plain("fur", ellipse(0.5, 0.38, 0.28, 0.21))
    paw = plain("pale", ellipse(0.58, 0.94, 0.07, 0.04, 12))
    dots = [(0.39, 0.37, ("YK", "YK")), (0.61, 0.37, ("KY", "KY")), (0.5, 0.46, ("R",))]
    return Doll(
        [tail, body, chest, *both(paw), *both(ear), head],
        {"fur": ramp(lightness, chroma, hue), "pale": BONE},
        list(dots),
    )


def _bat(rng: np.random.Generator) -> Doll:
    lift = rng.uniform(-0.12, 0.1)
    wing = points(
        (0.58, 0.46),
        (0.74, 0.3 + lift),
        (0.96, 0.32 + lift),
        (0.93, 0.6 + lift),
        (0.83, 0.52),
        (0.76, 0.66),
        (0.68, 0.56),
        (0.6, 0.64),
    )
    ear = plain("fur", points((0.53, 0.34), (0.66, 0.16), (0.66, 0.4)))
    body = plain("fur", ellipse(0.5, 0.52, 0.17, 0.2))
    dots = [(0.43, 0.47, ("Y", "R")), (0.57, 0.47, ("Y", "R")), (0.5, 0.6, ("W.W",))]
    fur = ramp(rng.uniform(0.35, 0.5), 0.06, rng.uniform(260, 330))
    return Doll([*both(plain("wing", wing)), *both(ear), body], {"fur": fur, "wing": _vivid(rng)}, list(dots))


def _chick(rng: np.random.Generator) -> Doll:
    body = plain("down", closed(curve((0.5, 0.2), (0.72, 0.3), (0.8, 0.62), (0.7, 0.84), (0.5, 0.88))))
    wing = plain("down", ellipse(0.76, 0.62, 0.08, 0.14, 16))
    beak = plain("beak", points((0.42, 0.48), (0.58, 0.48), (0.5, 0.58)))
    leg = plain("beak", points((0.57, 0.86), (0.66, 0.86), (0.68, 0.95), (0.55, 0.95)))
    crest = plain("down", points((0.46, 0.22), (0.44, 0.1), (0.52, 0.16), (0.58, 0.08), (0.56, 0.22)))
    dots = [(0.38, 0.42, EYES[0]), (0.62, 0.42, EYES[0])]
    down = ramp(rng.uniform(0.75, 0.9), rng.uniform(0.05, 0.14), float(rng.choice([88, 70, 240, 10, 150])))
    return Doll([*both(leg), crest, body, *both(wing), beak], {"down": down, "beak": ramp(0.7, 0.16, 58)}, dots)
