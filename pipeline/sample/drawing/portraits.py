"""The pixel renderer of a character: busts, reduced to cells, then shaded, outlined and stamped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels
from pipeline.sample.drawing import stamps
from pipeline.sample.drawing.character import Character, draw_character
from pipeline.sample.drawing.figure import EYE_X, EYE_Y, Figure, build
from pipeline.sample.drawing.geometry import Placement, points
from pipeline.sample.drawing.pixel_grid import (
    BASE,
    EMPTY,
    INK,
    LIGHT,
    SHADE,
    PixelGrid,
    dither,
    fewer_colours,
    inside,
    line_mask,
    neighbours,
    reduce_shapes,
    smear,
)
from pipeline.sample.drawing.ramps import GOLDEN, Colour, mix, oklch

MOST_COLOURS = 20
SKIN, HAIR, CLOTHES, TRIM, GOLD, EYE, PAPER = range(1, 8)  # materials
MATERIAL = {
    "face": SKIN, "ear": SKIN, "neck": SKIN, "back": HAIR, "tail": HAIR, "front tail": HAIR, "cap": HAIR,
    "fringe": HAIR, "side": HAIR, "clothes": CLOTHES, "hat": CLOTHES, "trim": TRIM, "collar": TRIM, "accent": TRIM,
    "strand": HAIR, "front strand": HAIR, "tie": TRIM, "front tie": TRIM, "gold": GOLD, "glasses": TRIM,
}  # fmt: skip
LETTERS = {
    "B": (SKIN, SHADE), "R": (EYE, BASE),
    "K": (HAIR, INK), "D": (EYE, SHADE), "I": (EYE, LIGHT), "W": (PAPER, BASE), "L": (SKIN, INK), "M": (EYE, INK),
}  # fmt: skip
PAPER_WHITE: Colour = (250, 250, 252)
MOUTH: Colour = (158, 54, 62)
BLUSH: Colour = (232, 96, 110)


def portrait(rng: np.random.Generator, cells: int = 32) -> Pixels:
    """A random bust, uint8 (cells, width, 4): alpha 0 or 255, at most 20 colours; width <= cells where trimmed."""
    character = draw_character(rng)
    place = pose(rng, character, cells)
    kind = rng.random()
    picture = draw(character, place, cells)
    if kind < 0.4:
        return fewer_colours(_over(picture, _background(rng, cells)), MOST_COLOURS)
    picture = fewer_colours(picture, MOST_COLOURS)
    return _trimmed(picture) if kind > 0.85 else picture


def pose(rng: np.random.Generator, character: Character, cells: int) -> Placement:
    """Nearly frontal, on the middle of the grid: busts are drawn straight."""
    tall = character.headwear in ("witch hat", "horns", "cat ears", "tiara", "beret")
    tilted = rng.random() < 0.2
    return Placement(
        x=0.5 + float(rng.integers(-1, 2)) * 0.5 / cells,
        y=0.475 + 0.045 * tall,
        scale=rng.uniform(0.25, 0.27) - 0.015 * tall,
        tilt=rng.uniform(-0.08, 0.08) * tilted,
        turn=rng.uniform(-0.9, 0.9) * (rng.random() < 0.4),
    )


def draw(character: Character, place: Placement, cells: int) -> Pixels:
    """A character without background, uint8 (cells, cells, 4)."""
    figure = build(character, place)
    grid = reduce_shapes([*figure.below, *figure.above], cells, MATERIAL)
    _shade_hair(grid, figure, cells)
    _shade_skin(grid, cells)
    _shade_cloth(grid, cells)
    around = np.stack(neighbours(grid.material, EMPTY))
    grid.outline(np.where(np.isin(around, (TRIM, GOLD)), HAIR, around).max(axis=0))
    _features(grid, character, place, cells)
    return _coloured(grid, character)


def _shade_hair(grid: PixelGrid, figure: Figure, cells: int) -> None:
    """Rear hair dark, strands between locks, tips in shade, light across the dome."""
    tone = grid.tone
    rear, front = grid.of("back"), grid.of("cap", "fringe", "side")
    hair = grid.material == HAIR
    tone[rear] = SHADE
    above, below, left, right = neighbours(grid.shape)
    for side in (above, below, left, right):
        covered = hair & (side > grid.shape) & (np.isin(side, grid.shape[hair]))
        tone[covered & ~rear & ~grid.of("cap")] = SHADE
        tone[covered & rear] = INK
    tone[grid.of("fringe", "side") & neighbours(grid.of("face"))[1]] = SHADE
    lit = inside(figure.shine, cells) & front & ((tone == BASE) | grid.of("fringe"))
    tone[lit] = LIGHT
    tone[rear & grid.beside("face", "neck", "ear")] = INK
    tails = grid.of("tail", "front tail")
    tone[tails & (right == 0)] = SHADE
    for shape in (*figure.below, *figure.above):
        if shape.part in ("strand", "front strand"):
            tone[line_mask(shape.ink, cells) & (tails | grid.of("cap"))] = SHADE
            tone[line_mask(shape.ink, cells) & rear] = INK


def _shade_skin(grid: PixelGrid, cells: int) -> None:
    """Shadows of hair and hat on the face, of the head on the neck, and the jaw line."""
    step = 1 if cells < 44 else 2
    over_face = grid.of("cap", "fringe", "side", "hat", "accent", "gold")
    face, neck = grid.of("face"), grid.of("neck")
    grid.tone[face & smear(over_face, step)] = SHADE
    grid.tone[neck & smear(face, 2 * step)] = SHADE
    grid.tone[neck & grid.beside("face")] = INK
    inner_ear = grid.of("ear") & grid.beside("face")
    grid.tone[inner_ear] = SHADE


def _shade_cloth(grid: PixelGrid, cells: int) -> None:
    """Light on the shoulders, shade below the head and at the borders away from the light."""
    step = 1 if cells < 44 else 2
    cloth = np.isin(grid.material, (CLOTHES, TRIM, GOLD))
    above, below, left, right = neighbours(grid.shape)
    grid.tone[cloth & (above == 0) & (grid.material == CLOTHES)] = LIGHT
    grid.tone[cloth & ((right != grid.shape) | (below < grid.shape))] = SHADE
    grid.tone[grid.of("clothes", "trim", "collar") & smear(grid.of("face", "neck", "side", "fringe"), step)] = SHADE
    covered = (
        grid.of("clothes") & ((left > grid.shape) | (above > grid.shape)) & grid.beside("clothes", "trim", "collar")
    )
    grid.tone[covered] = INK


def _features(grid: PixelGrid, character: Character, place: Placement, cells: int) -> None:
    def cell(x: float, y: float) -> NDArray[np.float64]:
        spot: NDArray[np.float64] = place.head(points((x, y)))[0] * cells
        return spot

    eye = stamps.eyes_for(cells)
    for side in (-1, 1):
        winking = character.lids == "wink" and (side < 0) == character.left
        lids = "closed" if winking else "open" if character.lids == "wink" else character.lids
        _stamp(grid, eye[lids], cell(side * EYE_X, EYE_Y), flip=side > 0, hidden=0.55)
        if character.blush and cells >= 28:
            _stamp(grid, ("RR",) if cells < 40 else ("RRR", "RRR"), cell(side * 0.62, 0.72))
        if cells >= 40:
            _brow(grid, character, place, cells, side)
    if cells >= 28:
        _stamp(grid, ("B",), cell(0.0, 0.62))
    _stamp(grid, stamps.mouths_for(cells)[character.mouth], cell(0.0, 0.86))
    if character.extra == "glasses":
        _glasses(grid, place, cells)


def _stamp(
    grid: PixelGrid, stamp: stamps.Stamp, centre: NDArray[np.float64], *, flip: bool = False, hidden: float = 0.0
) -> None:
    """Put a stamp around `centre` (x, y in cells) unless more than `hidden` of it would lie off the skin."""
    skin = grid.of("face")
    rows = [row[::-1] if flip else row for row in stamp]
    left = round(float(centre[0]) - len(rows[0]) / 2 + (1e-6 if flip else -1e-6))
    top = round(float(centre[1]) - len(rows) / 2 - 1e-6)
    spots = [(top + y, left + x, letter) for y, row in enumerate(rows) for x, letter in enumerate(row) if letter != "."]
    spots = [(y, x, letter) for y, x, letter in spots if 0 <= y < len(skin) and 0 <= x < len(skin)]
    if sum(not skin[y, x] for y, x, _ in spots) > hidden * len(spots):
        return
    for y, x, letter in spots:
        grid.material[y, x], grid.tone[y, x] = LETTERS[letter]


def _brow(grid: PixelGrid, character: Character, place: Placement, cells: int, side: int) -> None:
    outer, inner = stamps.BROWS[character.brows]
    y = EYE_Y - 0.52
    path = np.array([(side * x, y - inner + (inner - outer) * (x - 0.24) / 0.44) for x in np.linspace(0.24, 0.68, 8)])
    face = grid.of("face")
    for column, row in np.floor(place.head(path) * cells).astype(np.int64):
        if face[row, column] and grid.material[row, column] == SKIN:
            grid.material[row, column], grid.tone[row, column] = HAIR, INK


def _glasses(grid: PixelGrid, place: Placement, cells: int) -> None:
    """Rims around the eyes: a rectangle without corners, and the bridge."""
    half = max(2, round(0.36 * place.scale * cells))
    for side in (-1, 1):
        x, y = (int(v) for v in np.floor(place.head(points((side * EYE_X, EYE_Y + 0.04)))[0] * cells))
        run = range(-half + 1, half)
        rim = [(y + s * half, x + i) for i in run for s in (-1, 1)] + [
            (y + i, x + s * half) for i in run for s in (-1, 1)
        ]
        for row, column in rim:
            if grid.of("face")[row, column]:
                grid.material[row, column], grid.tone[row, column] = TRIM, SHADE


def _coloured(grid: PixelGrid, character: Character) -> Pixels:
    table = np.zeros((8, 4, 3), dtype=np.uint8)
    table[[SKIN, HAIR, CLOTHES]] = character.skin, character.hair, character.clothes
    table[[TRIM, GOLD, EYE]] = character.trim, GOLDEN, character.iris
    table[HAIR, INK] = mix(character.hair.ink, (18, 12, 24), 0.25)
    table[EYE, INK], table[PAPER] = MOUTH, PAPER_WHITE
    table[EYE, BASE] = mix(character.skin.base, BLUSH, 0.3)
    alpha = np.where(grid.material == EMPTY, 0, 255).astype(np.uint8)
    return np.dstack([table[grid.material, grid.tone], alpha])


def _background(rng: np.random.Generator, cells: int) -> Pixels:
    """Flat, or two tones with a dithered border."""
    hue, lightness = rng.uniform(0, 360), rng.uniform(0.45, 0.95)
    first = oklch(lightness, rng.uniform(0.01, 0.08), hue)
    second = oklch(lightness - rng.uniform(0.05, 0.12), rng.uniform(0.01, 0.08), hue + rng.uniform(-40, 40))
    return dither((cells, cells), first, first if rng.random() < 0.5 else second, rng.uniform(0.4, 0.7))


def _over(picture: Pixels, background: Pixels) -> Pixels:
    rgb = np.where(picture[..., 3:] > 0, picture[..., :3], background)
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, dtype=np.uint8)])


def _trimmed(picture: Pixels) -> Pixels:
    """Without the empty columns at both sides."""
    used = np.flatnonzero(picture[..., 3].any(axis=0))
    return np.ascontiguousarray(picture[:, used[0] : used[-1] + 1])
