"""The smooth renderer of a character: anime-like faces, drawn supersampled, reduced, then shaded softly."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pipeline.images.files import Pixels
from pipeline.sample.drawing.character import Character, draw_character
from pipeline.sample.drawing.face_parts import Pen, draw_brows, draw_eyes, draw_nose_and_mouth
from pipeline.sample.drawing.figure import Figure, build
from pipeline.sample.drawing.geometry import Placement, Shape, pixel_coordinates, points
from pipeline.sample.drawing.pixel_grid import moved
from pipeline.sample.drawing.ramps import GOLDEN, Colour, Ramp, mix, oklch

SUPERSAMPLE = 2  # at least
LEAST_SIDE = 512  # pixels a side of the drawing, at least
CLEAR: Colour = (128, 128, 128)  # under the background
Plane = NDArray[np.float32]  # (size, size), 0..1
Picture = NDArray[np.float32]  # (size, size, 3), 0..255

SKIN = ("face", "ear", "neck")
FRONT_HAIR = ("cap", "fringe", "side", "front tail", "front strand")
REAR_HAIR = ("back", "tail", "strand")


def face(rng: np.random.Generator, size: int = 256) -> Pixels:
    """A random face over a background, uint8 (size, size, 3)."""
    character = draw_character(rng)
    return draw(character, pose(rng, character), _background(rng, size), size)


def pose(rng: np.random.Generator, character: Character) -> Placement:
    """Head and shoulders, slightly turned, tilted and moved."""
    tall = character.headwear in ("witch hat", "horns", "cat ears", "tiara", "beret")
    return Placement(
        x=rng.uniform(0.465, 0.535),
        y=rng.uniform(0.45, 0.5) + 0.04 * tall,
        scale=rng.uniform(0.245, 0.28) - 0.015 * tall,
        tilt=float(np.clip(rng.normal(0, 0.07), -0.16, 0.16)),
        turn=rng.uniform(-0.9, 0.9),
    )


def draw(character: Character, place: Placement, background: Picture, size: int) -> Pixels:
    """A character over a background of the same size, uint8 (size, size, 3)."""
    figure = build(character, place)
    factor = max(SUPERSAMPLE, LEAST_SIDE // size)
    side = size * factor
    image, labels = Image.new("RGB", (side, side), CLEAR), Image.new("L", (side, side))
    _paint(image, labels, figure.below, character, 1)
    pen = Pen(image, place, side)
    draw_eyes(pen, character)
    draw_nose_and_mouth(pen, character)
    _paint(image, labels, figure.above, character, 1 + len(figure.below))
    draw_brows(pen, character)
    coverage = partial(_coverage, labels, ["", *(shape.part for shape in (*figure.below, *figure.above))], factor)
    picture = np.asarray(image.reduce(factor), dtype=np.float32).copy()
    _shade(picture, coverage, figure, character, place)
    picture += coverage("")[..., None] * (background - np.array(CLEAR, dtype=np.float32))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _paint(image: Image.Image, labels: Image.Image, shapes: list[Shape], character: Character, first: int) -> None:
    side, pen, marker = image.width, ImageDraw.Draw(image), ImageDraw.Draw(labels)
    for index, shape in enumerate(shapes, first):
        contour = pixel_coordinates(shape.points, side)
        fill, ink = _colours(shape.part, character, index)
        pen.polygon(contour, fill=fill)
        marker.polygon(contour, fill=index)
        for line in shape.ink:
            pen.line(pixel_coordinates(line, side), fill=ink, width=max(1, side // 220), joint="curve")
            marker.line(pixel_coordinates(line, side), fill=index, width=max(1, side // 220))


def _colours(part: str, character: Character, index: int) -> tuple[Colour, Colour]:
    """Fill and line of a part; neighbouring locks differ slightly."""
    if part in SKIN:
        return character.skin.base, mix(character.skin.ink, character.skin.shade, 0.2)
    if part in REAR_HAIR:
        return mix(character.hair.shade, character.hair.base, 0.45 if part == "tail" else 0.1), character.hair.ink
    if part in FRONT_HAIR:
        line = mix(character.hair.ink, character.hair.shade, 0.3)
        return mix(character.hair.base, character.hair.shade, 0.14 * (index % 3)), line
    tones = character.clothes if part in ("clothes", "hat") else GOLDEN if part == "gold" else character.trim
    return (tones.light if part == "collar" else tones.base), tones.ink


def _coverage(labels: Image.Image, names: list[str], factor: int, *parts: str) -> Plane:
    """Share of each pixel (0..1) that shows given parts; part "" is the background."""
    table = [255 * (name in parts) for name in names] + [0] * (256 - len(names))
    return np.asarray(labels.point(table).reduce(factor), dtype=np.float32) / np.float32(255)


def _shade(
    picture: Picture, coverage: Callable[..., Plane], figure: Figure, character: Character, place: Placement
) -> None:
    """Cast shadows, gradients, blush and gloss, in place."""
    size = len(picture)
    unit = place.scale * size  # pixels per head unit
    down: Plane = np.linspace(0, 1, size, dtype=np.float32)[:, None]  # 0 at the top, 1 at the bottom
    front, rear, skin = coverage(*FRONT_HAIR), coverage(*REAR_HAIR), coverage("face")
    head = np.minimum(front + skin, 1)

    over = np.minimum(front + coverage("hat", "accent", "gold"), 1)
    away = _ramp_up(1 - down.T if character.left else down.T, 0.5, 2.0)
    shadow: Plane = skin * (0.9 * moved(over, round(0.13 * unit), round(0.03 * unit)) + 0.8 * away**2)
    shadow += coverage("neck") * 1.1 * moved(skin, round(0.34 * unit), round(0.04 * unit))
    _tint(picture, shadow, character.skin)
    _blush(picture, skin, character, place)

    edge = 1 - moved(front, round(-0.1 * unit), round(-0.1 * character.sign * unit))
    shadow = front * (0.8 * _ramp_up(down, place.y, 2.2) + 0.6 * edge)
    shadow += rear * (0.5 * _ramp_up(down, place.y, 1.5) + 0.6 * moved(head, round(0.12 * unit), 0))
    _tint(picture, shadow, character.hair)
    _gloss(picture, front, figure, character)

    shadow = moved(head, round(0.22 * unit), round(0.05 * unit)) + _ramp_up(down, 0.72, 1.4)
    _tint(picture, coverage("clothes", "trim", "collar", "hat") * shadow, character.clothes)


def _ramp_up(values: Plane, start: float, slope: float) -> Plane:
    ramped: Plane = np.clip((values - start) * slope, 0, 1)
    return ramped


def _tint(picture: Picture, mask: Plane, tones: Ramp) -> None:
    """Multiply towards shade / base where the mask is 1: lines darken with their surface."""
    ratio = (np.array(tones.shade, dtype=np.float32) + 8) / (np.array(tones.base, dtype=np.float32) + 8)
    picture *= 1 - mask[..., None] * np.maximum(1 - ratio, 0)


def _blush(picture: Picture, skin: Plane, character: Character, place: Placement) -> None:
    size = len(skin)
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    wide, high = 0.24 * place.scale, 0.13 * place.scale
    glow = np.zeros_like(skin)
    for side in (-1, 1):
        x, y = place.head(points((side * 0.6, 0.66)))[0]
        glow += np.exp(-(((grid - y) / high) ** 2))[:, None] * np.exp(-(((grid - x) / wide) ** 2))[None, :]
    picture[..., 1:] *= (1 - (0.15 if character.blush else 0.05) * glow * skin)[..., None]


def _gloss(picture: Picture, front: Plane, figure: Figure, character: Character) -> None:
    size = len(picture)
    image = Image.new("L", (size, size))
    ImageDraw.Draw(image).polygon(pixel_coordinates(figure.shine, size), fill=255)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(size / 170)), dtype=np.float32) / 255
    light = np.array(mix(character.hair.light, (255, 255, 255), 0.45), dtype=np.float32)
    picture += (soft * front * 0.62)[..., None] * (light - picture)


def _background(rng: np.random.Generator, size: int) -> Picture:
    """Flat, a gradient, or a gradient with soft discs."""
    hue, lightness = rng.uniform(0, 360), rng.uniform(0.55, 0.97)
    first = oklch(lightness, rng.uniform(0, 0.07), hue)
    second = oklch(min(0.98, lightness + rng.uniform(-0.15, 0.12)), rng.uniform(0, 0.08), hue + rng.uniform(-60, 60))
    kind, angle = rng.random(), rng.uniform(0, math.tau)
    if kind < 0.3:
        second = first
    grid = np.linspace(-0.7, 0.7, 64)
    share = np.clip(0.5 + grid[None, :] * math.cos(angle) + grid[:, None] * math.sin(angle), 0, 1)[..., None]
    blend = np.rint(np.array(first) * (1 - share) + np.array(second) * share).astype(np.uint8)
    small = Image.fromarray(blend)
    if kind > 0.6:
        _discs(rng, small, first)
        small = small.filter(ImageFilter.GaussianBlur(1.6))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


def _discs(rng: np.random.Generator, small: Image.Image, near: Colour) -> None:
    pen = ImageDraw.Draw(small)
    for _ in range(int(rng.integers(3, 9))):
        x, y, radius = (int(v) for v in rng.integers((-4, -4, 4), (68, 68, 16)))
        red, green, blue = (int(v) for v in np.clip(np.array(near) + rng.integers(-30, 31, 3), 0, 255))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(red, green, blue))
