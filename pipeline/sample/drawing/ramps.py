"""Hue-shifted colour ramps in OKLCh (Ottosson 2020): shadows turn towards violet, lights towards yellow."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Colour = tuple[int, int, int]  # sRGB, 0..255

SHADOW_HUE, LIGHT_HUE = 285.0, 100.0  # degrees


class Ramp(NamedTuple):
    """Four tones of one material, darkest first; `ink` outlines it."""

    ink: Colour
    shade: Colour
    base: Colour
    light: Colour


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """Lightness 0..1, chroma 0..0.35, hue in degrees; out-of-gamut channels are clipped."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encode(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encode(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encode(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _encode(linear: float) -> int:
    value = min(max(linear, 0.0), 1.0)
    encoded = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * encoded)


def ramp(lightness: float, chroma: float, hue: float, contrast: float = 1.0) -> Ramp:
    """A ramp around one base colour; `contrast` scales the steps."""
    return Ramp(
        ink=oklch(0.14 + 0.18 * lightness, 0.5 * chroma + 0.02, _turned(hue, SHADOW_HUE, 0.22)),
        shade=oklch(lightness * (1 - 0.2 * contrast), chroma * 1.06 + 0.004, _turned(hue, SHADOW_HUE, 0.1)),
        base=oklch(lightness, chroma, hue),
        light=oklch(min(0.985, lightness + 0.11 * contrast), chroma * 0.8, _turned(hue, LIGHT_HUE, 0.12)),
    )


def skin_ramp(lightness: float, chroma: float, hue: float) -> Ramp:
    """Skin: warm shadows and a brownish line instead of violet ones."""
    return Ramp(
        ink=oklch(0.2 + 0.24 * lightness, chroma + 0.03, hue - 22),
        shade=oklch(lightness * 0.885, chroma * 1.35 + 0.012, hue - 14),
        base=oklch(lightness, chroma, hue),
        light=oklch(min(0.985, lightness + 0.045), chroma * 0.75, hue + 8),
    )


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of `second` in `first`, per sRGB channel."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def any_ramp(rng: np.random.Generator) -> Ramp:
    """A clothes-like colour: any hue, from muted to vivid, dark to pale."""
    return ramp(rng.uniform(0.36, 0.86), float(rng.choice([0.02, 0.05, 0.08, 0.11, 0.14])), rng.uniform(0, 360))


def _turned(hue: float, towards: float, share: float) -> float:
    """`hue` moved along the shorter arc, at most 40 degrees."""
    arc = (towards - hue + 180) % 360 - 180
    return hue + max(-40.0, min(40.0, share * arc))


GOLDEN = ramp(0.82, 0.14, 88.0)
