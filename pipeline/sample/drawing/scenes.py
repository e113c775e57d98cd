"""Opaque pixel art of landscapes with dithered skies, and of maps of tiles seen from above."""

from __future__ import annotations

import numpy as np

from pipeline.images.files import Pixels
from pipeline.sample.drawing.pixel_grid import dither, fewer_colours
from pipeline.sample.drawing.ramps import Colour, Ramp, mix, oklch, ramp

MOST_COLOURS = 16
TILE = 16  # cells a side


def scene(rng: np.random.Generator, width: int = 96, height: int = 64) -> Pixels:
    """A random scene, uint8 (height, width, 4): opaque, at most 16 colours."""
    rgb = _landscape(rng, width, height) if rng.random() < 0.6 else _map(rng, width, height)
    return fewer_colours(np.dstack([rgb, np.full((height, width), 255, dtype=np.uint8)]), MOST_COLOURS)


def _landscape(rng: np.random.Generator, width: int, height: int) -> Pixels:
    night = rng.random() < 0.3
    hue = rng.uniform(270, 300) if night else float(rng.choice([235.0, 215.0, 30.0, 60.0]))
    sky = oklch(0.35 if night else 0.72, 0.07, hue), oklch(0.5 if night else 0.88, 0.06, hue + rng.uniform(-50, 50))
    rgb = dither((height, width), sky[0], sky[1], 0.3)
    _disc(rgb, rng, (252, 244, 206) if night else (255, 232, 150))
    (_stars if night else _clouds)(rgb, rng)
    land = ramp(rng.uniform(0.5, 0.7), 0.11, rng.uniform(100, 160))
    for depth in range(3):
        share = depth / 2
        tone = mix(sky[1], land.base if depth < 2 else land.shade, 0.35 + 0.6 * share)
        _hills(rgb, rng, tone, mix(tone, land.light, 0.5), 0.5 + 0.16 * depth)
    _trees(rgb, rng)
    return rgb


def _disc(rgb: Pixels, rng: np.random.Generator, colour: Colour) -> None:
    height, width = rgb.shape[:2]
    row, column = np.indices((height, width))
    x, y, radius = rng.integers(width // 8, width * 7 // 8), rng.integers(8, max(9, height // 3)), rng.integers(4, 8)
    rgb[(row - y) ** 2 + (column - x) ** 2 <= radius * radius + 1] = colour


def _stars(rgb: Pixels, rng: np.random.Generator) -> None:
    height, width = rgb.shape[:2]
    for _ in range(width // 4):
        rgb[rng.integers(0, height // 2), rng.integers(0, width)] = (250, 246, 222)


def _clouds(rgb: Pixels, rng: np.random.Generator) -> None:
    height, width = rgb.shape[:2]
    row, column = np.indices((height, width))
    for _ in range(int(rng.integers(2, 5))):
        x, y, size = rng.integers(0, width), rng.integers(6, max(7, height // 3)), rng.integers(5, 11)
        cloud = np.zeros((height, width), dtype=bool)
        for puff in range(4):
            px, r = x + (puff - 1.5) * size * 0.7, size * (0.35 + 0.2 * (puff % 2) + 0.05 * puff)
            cloud |= (row - y) ** 2 + (column - px) ** 2 <= r * r
        cloud &= row <= y + 1
        rgb[cloud] = (255, 255, 255)
        rgb[cloud & (row == y + 1)] = (206, 218, 236)


def _hills(rgb: Pixels, rng: np.random.Generator, tone: Colour, edge: Colour, level: float) -> None:
    height, width = rgb.shape[:2]
    x = np.arange(width)
    waves = sum(
        rng.uniform(0.02, 0.07) * height * np.sin(x * rng.uniform(0.03, 0.16) + rng.uniform(0, 6.28)) for _ in range(3)
    )
    crest = np.rint(level * height + waves).astype(np.int64)
    row = np.arange(height)[:, None]
    rgb[row >= crest[None, :]] = tone
    rgb[row == crest[None, :]] = edge


def _trees(rgb: Pixels, rng: np.random.Generator) -> None:
    height, width = rgb.shape[:2]
    leaf, trunk = ramp(0.45, 0.1, rng.uniform(120, 165)), (86, 58, 48)
    for x in sorted(rng.integers(3, width - 3, int(rng.integers(3, 9))).tolist()):
        base, tall = int(height - rng.integers(2, 10)), int(rng.integers(9, 18))
        rgb[base - 4 : base + 1, x : x + 2] = trunk
        for step in range(tall):
            y, half = base - 4 - tall + step, 1 + (step % 6) + step // 4
            if 0 <= y < height:
                rgb[y, max(0, x - half + 1) : x + half + 1] = leaf.base
                rgb[y, max(0, x - half + 1) : max(0, x - half + 3)] = leaf.light
                rgb[y, x + max(1, half - 1) : x + half + 1] = leaf.shade


def _map(rng: np.random.Generator, width: int, height: int) -> Pixels:
    grass, water = ramp(0.68, 0.13, rng.uniform(115, 150)), ramp(0.62, 0.11, rng.uniform(220, 255))
    path, leaf, wall = ramp(0.75, 0.07, 75), ramp(0.48, 0.1, 150), ramp(0.62, 0.13, 35)
    rows, columns = -(-height // TILE), -(-width // TILE)
    lake, road = rng.integers(0, columns), rng.integers(0, rows)
    rgb = np.zeros((rows * TILE, columns * TILE, 3), dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            spot = rgb[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            _ground(spot, rng, path if row == road else water if abs(column - lake) < 1 else grass)
            if row != road and column != lake:
                chance = rng.random()
                _bush(spot, leaf) if chance < 0.3 else _house(spot, wall) if chance < 0.42 else None
    return rgb[:height, :width]


def _ground(spot: Pixels, rng: np.random.Generator, tones: Ramp) -> None:
    spot[:] = tones.base
    for tone in (tones.shade, tones.shade, tones.light):
        y, x = (int(v) for v in rng.integers(1, TILE - 3, 2))
        spot[y, x : x + 3] = tone
        spot[y + 1, x + 1] = tone


def _bush(spot: Pixels, leaf: Ramp) -> None:
    row, column = np.indices((TILE, TILE)) - (TILE - 1) / 2
    radius = row * row + column * column
    spot[radius <= 46] = leaf.ink
    spot[radius <= 34] = leaf.base
    spot[(row + 1.5) ** 2 + (column + 1.5) ** 2 <= 12] = leaf.light
    spot[(radius <= 34) & (row + column > 4)] = leaf.shade


def _house(spot: Pixels, roof: Ramp) -> None:
    spot[2:14, 2:14] = roof.ink
    spot[3:8, 3:13] = roof.base
    spot[3, 3:13] = roof.light
    spot[7, 3:13] = roof.shade
    spot[8:13, 3:13] = (236, 220, 190)
    spot[9:13, 7:10] = (96, 64, 52)
