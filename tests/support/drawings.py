"""Procedural art and smooth pictures: the synthetic sets on which the metrics are known."""

from __future__ import annotations

import numpy as np

from pipeline.runtime import seeds

PALETTE = np.array(
    [[20, 18, 31], [124, 67, 53], [181, 112, 79], [243, 198, 163], [53, 90, 168], [130, 180, 86], [245, 216, 120]],
    np.uint8,
)


def draw_sprite(seed: int, cells: int = 32) -> np.ndarray:
    """A mirrored figure of few flat colours with a dark outline on a flat ground: uint8 (cells, cells, 3)."""
    rng = seeds.generator(seed, "sprite")
    y, x = np.mgrid[:cells, :cells] / cells
    mirrored = np.abs(x + 0.5 / cells - 0.5)
    label = np.zeros((cells, cells), int)
    body = np.zeros((cells, cells), bool)
    for part in range(1, 5):
        cy, cx = rng.uniform(0.25, 0.75), rng.uniform(0, 0.2)
        ry, rx = rng.uniform(0.12, 0.3), rng.uniform(0.08, 0.2)
        inside = ((y - cy) / ry) ** 2 + ((mirrored - cx) / rx) ** 2 < 1
        label[inside], body[inside] = part, True
    padded = np.pad(body, 1)
    edge = body & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])
    colours = PALETTE[1 + rng.permutation(len(PALETTE) - 1)]
    native = colours[label]
    native[edge] = PALETTE[0]
    return native


def draw_smooth(seed: int, size: int = 128) -> np.ndarray:
    """An anime-like head with soft shading and antialiased edges: uint8 (size, size, 3)."""
    rng = seeds.generator(seed, "smooth")
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    tint = rng.uniform(120, 235, 3)
    picture = tint * (0.75 + 0.25 * y)[..., None]
    for scale, level in ((1.35, rng.uniform(30, 200, 3)), (1.0, np.array([240, 205, 180]) - rng.uniform(0, 40))):
        cy, cx = 0.5 + rng.uniform(-0.04, 0.04), 0.5 + rng.uniform(-0.04, 0.04)
        radius = np.hypot((y - cy) / (0.3 * scale), (x - cx) / (0.24 * scale))
        cover = np.clip((1 - radius) * 24, 0, 1)[..., None]
        picture = picture * (1 - cover) + cover * level * (1.05 - 0.25 * radius[..., None])
    for side in (-1, 1):
        radius = np.hypot((y - 0.55) / 0.06, (x - 0.5 - side * 0.1) / 0.04)
        cover = np.clip((1 - radius) * 8, 0, 1)[..., None]
        picture = picture * (1 - cover) + cover * rng.uniform(20, 120, 3)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def with_tiles(picture: np.ndarray, level: float = 8) -> np.ndarray:
    """The picture under a pattern of period 4, as transposed convolutions leave it."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    tile = seeds.generator(0, "tile").standard_normal((4, 4, 3))
    return np.clip(np.round(picture + level * tile[y % 4, x % 4]), 0, 255).astype(np.uint8)
