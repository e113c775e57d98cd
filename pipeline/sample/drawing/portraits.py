"""Pixel-art busts: the figure reduced to cells, then shaded, outlined and stamped as a pixel artist does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels
from pipeline.sample.drawing import stamps
from pipeline.sample.drawing.character import Character, draw_character
from pipeline.sample.drawing.figure import EYE_X, EYE_Y, Figure, build
from pipeline.sample.drawing.geometry import Placement, points
from pipeline.sample.drawing.pixel_canvas import (
    BASE,
    EMPTY,
    INK,
    LIGHT,
    SHADE,
    Canvas,
    dithered,
    drawn,
    fewer_colours,
    inside,
    neighbours,
    reduced,
    smeared,
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
    """uint8 (cells, width, 4): a bust, alpha 0 or 255, at most 20 colours; width is `cells`, less where trimmed."""
    who = draw_character(rng)
    place = pose(rng, who, cells)
    kind = rng.random()
    picture = draw(who, place, cells)
    if kind < 0.4:
        return fewer_colours(_over(picture, _background(rng, cells)), MOST_COLOURS)
    picture = fewer_colours(picture, MOST_COLOURS)
    return _trimmed(picture) if kind > 0.85 else picture


def pose(rng: np.random.Generator, who: Character, cells: int) -> Placement:
    """Nearly frontal, on the middle of the grid: busts are drawn straight."""
    tall = who.headwear in ("witch hat", "horns", "cat ears", "tiara", "beret")
    tilted = rng.random() < 0.2
    return Placement(
        x=0.5 + float(rng.integers(-1, 2)) * 0.5 / cells,
        y=0.475 + 0.045 * tall,
        scale=rng.uniform(0.25, 0.27) - 0.015 * tall,
        tilt=rng.uniform(-0.08, 0.08) * tilted,
        turn=rng.uniform(-0.9, 0.9) * (rng.random() < 0.4),
    )


def draw(who: Character, place: Placement, cells: int) -> Pixels:
    """uint8 (cells, cells, 4): the character over nothing."""
    figure = build(who, place)
    canvas = reduced([*figure.below, *figure.above], cells, MATERIAL)
    _shade_hair(canvas, figure, cells)
    _shade_skin(canvas, cells)
    _shade_cloth(canvas, cells)
    _outline(canvas)
    _features(canvas, who, place, cells)
    return _coloured(canvas, who)


def _shade_hair(canvas: Canvas, figure: Figure, cells: int) -> None:
    """Rear hair dark, strands between locks, tips in shade, light across the dome."""
    tone = canvas.tone
    rear, front = canvas.of("back"), canvas.of("cap", "fringe", "side")
    hair = canvas.material == HAIR
    tone[rear] = SHADE
    above, below, left, right = neighbours(canvas.shape)
    for side in (above, below, left, right):
        covered = hair & (side > canvas.shape) & (np.isin(side, canvas.shape[hair]))
        tone[covered & ~rear & ~canvas.of("cap")] = SHADE
        tone[covered & rear] = INK
    tone[canvas.of("fringe", "side") & np.isin(below, _ids(canvas, "face"))] = SHADE
    lit = inside(figure.shine, cells) & front & ((tone == BASE) | canvas.of("fringe"))
    tone[lit] = LIGHT
    tone[rear & canvas.beside("face", "neck", "ear")] = INK
    tails = canvas.of("tail", "front tail")
    tone[tails & (right == 0)] = SHADE
    for shape in (*figure.below, *figure.above):
        if shape.part in ("strand", "front strand"):
            tone[drawn(shape.ink, cells) & (tails | canvas.of("cap"))] = SHADE
            tone[drawn(shape.ink, cells) & rear] = INK


def _ids(canvas: Canvas, *parts: str) -> list[int]:
    return [index for index, part in enumerate(canvas.parts) if part in parts]


def _shade_skin(canvas: Canvas, cells: int) -> None:
    """Shadows of hair and hat on the face, of the head on the neck, and the jaw line."""
    step = 1 if cells < 44 else 2
    over_face = canvas.of("cap", "fringe", "side", "hat", "accent", "gold")
    face, neck = canvas.of("face"), canvas.of("neck")
    canvas.tone[face & smeared(over_face, step)] = SHADE
    canvas.tone[neck & smeared(face, 2 * step)] = SHADE
    canvas.tone[neck & canvas.beside("face")] = INK
    inner_ear = canvas.of("ear") & canvas.beside("face")
    canvas.tone[inner_ear] = SHADE


def _shade_cloth(canvas: Canvas, cells: int) -> None:
    """Light on the shoulders, shade below the head and at the borders away from the light."""
    step = 1 if cells < 44 else 2
    cloth = np.isin(canvas.material, (CLOTHES, TRIM, GOLD))
    above, below, left, right = neighbours(canvas.shape)
    canvas.tone[cloth & (above == 0) & (canvas.material == CLOTHES)] = LIGHT
    canvas.tone[cloth & ((right != canvas.shape) | (below < canvas.shape))] = SHADE
    canvas.tone[canvas.of("clothes", "trim", "collar") & smeared(canvas.of("face", "neck", "side", "fringe"), step)] = (
        SHADE
    )
    covered = (
        canvas.of("clothes")
        & ((left > canvas.shape) | (above > canvas.shape))
        & canvas.beside("clothes", "trim", "collar")
    )
    canvas.tone[covered] = INK


def _outline(canvas: Canvas) -> None:
    """A tinted contour: the empty cells beside the figure take the dark tone of what they touch."""
    around = np.stack(neighbours(canvas.material, EMPTY))
    lined = np.where(np.isin(around, (TRIM, GOLD)), HAIR, around).max(axis=0)
    contour = (canvas.material == EMPTY) & (lined != EMPTY)
    canvas.material[contour] = lined[contour]
    canvas.tone[contour] = INK


def _features(canvas: Canvas, who: Character, place: Placement, cells: int) -> None:
    eye = stamps.eyes_for(cells)
    skin = canvas.of("face")
    for side in (-1, 1):
        winking = who.lids == "wink" and (side < 0) == who.left
        lids = "closed" if winking else "open" if who.lids == "wink" else who.lids
        spot = place.head(points((side * EYE_X, EYE_Y)))[0] * cells
        _stamp(canvas, eye[lids], spot, skin, flip=side > 0, hidden=0.55)
        if who.blush and cells >= 28:
            _stamp(
                canvas,
                ("RR",) if cells < 40 else ("RRR", "RRR"),
                place.head(points((side * 0.62, 0.72)))[0] * cells,
                skin,
                flip=False,
                hidden=0,
            )
        if cells >= 40:
            _brow(canvas, who, place, cells, side)
    if cells >= 28:
        _stamp(canvas, ("B",), place.head(points((0.0, 0.62)))[0] * cells, skin, flip=False, hidden=0)
    mouth = place.head(points((0.0, 0.86)))[0] * cells
    _stamp(canvas, stamps.mouths_for(cells)[who.mouth], mouth, skin, flip=False, hidden=0)
    if who.extra == "glasses":
        _glasses(canvas, place, cells)


def _stamp(
    canvas: Canvas,
    stamp: stamps.Stamp,
    centre: NDArray[np.float64],
    skin: NDArray[np.bool_],
    *,
    flip: bool,
    hidden: float,
) -> None:
    """Put a stamp around `centre` (x, y in cells) unless more than `hidden` of it would lie off the skin."""
    rows = [row[::-1] if flip else row for row in stamp]
    left, top = (
        round(float(at) - extent / 2 - 1e-6) for at, extent in zip(centre, (len(rows[0]), len(rows)), strict=True)
    )
    if flip:
        left = round(float(centre[0]) - len(rows[0]) / 2 + 1e-6)
    spots = [(top + y, left + x, letter) for y, row in enumerate(rows) for x, letter in enumerate(row) if letter != "."]
    spots = [(y, x, letter) for y, x, letter in spots if 0 <= y < len(skin) and 0 <= x < len(skin)]
    if sum(not skin[y, x] for y, x, _ in spots) > hidden * len(spots):
        return
    for y, x, letter in spots:
        canvas.material[y, x], canvas.tone[y, x] = LETTERS[letter]


def _brow(canvas: Canvas, who: Character, place: Placement, cells: int, side: int) -> None:
    outer, inner = stamps.BROWS[who.brows]
    y = EYE_Y - 0.52
    path = np.array([(side * x, y - inner + (inner - outer) * (x - 0.24) / 0.44) for x in np.linspace(0.24, 0.68, 8)])
    face = canvas.of("face")
    for column, row in np.floor(place.head(path) * cells).astype(np.int64):
        if face[row, column] and canvas.material[row, column] == SKIN:
            canvas.material[row, column], canvas.tone[row, column] = HAIR, INK


def _glasses(canvas: Canvas, place: Placement, cells: int) -> None:
    """Rims around the eyes: a rectangle without corners, and the bridge."""
    half = max(2, round(0.36 * place.scale * cells))
    for side in (-1, 1):
        x, y = (int(v) for v in np.floor(place.head(points((side * EYE_X, EYE_Y + 0.04)))[0] * cells))
        run = range(-half + 1, half)
        rim = [(y + s * half, x + i) for i in run for s in (-1, 1)] + [
            (y + i, x + s * half) for i in run for s in (-1, 1)
        ]
        for row, column in rim:
            if canvas.of("face")[row, column]:
                canvas.material[row, column], canvas.tone[row, column] = TRIM, SHADE


def _coloured(canvas: Canvas, who: Character) -> Pixels:
    table = np.zeros((8, 4, 3), dtype=np.uint8)
    ramps = {SKIN: who.skin, HAIR: who.hair, CLOTHES: who.clothes, TRIM: who.trim, GOLD: GOLDEN, EYE: who.iris}
    for material, tones in ramps.items():
        table[material] = (tones.ink, tones.shade, tones.base, tones.light)
    table[HAIR, INK] = mix(who.hair.ink, (18, 12, 24), 0.25)
    table[EYE, INK], table[PAPER] = MOUTH, PAPER_WHITE
    table[EYE, BASE] = mix(who.skin.base, BLUSH, 0.3)
    alpha = np.where(canvas.material == EMPTY, 0, 255).astype(np.uint8)
    return np.dstack([table[canvas.material, canvas.tone], alpha])


def _background(rng: np.random.Generator, cells: int) -> Pixels:
    """Flat, or two tones with a dithered border."""
    hue, lightness = rng.uniform(0, 360), rng.uniform(0.45, 0.95)
    first = oklch(lightness, rng.uniform(0.01, 0.08), hue)
    second = oklch(lightness - rng.uniform(0.05, 0.12), rng.uniform(0.01, 0.08), hue + rng.uniform(-40, 40))
    return dithered((cells, cells), first, first if rng.random() < 0.5 else second, rng.uniform(0.4, 0.7))


def _over(picture: Pixels, background: Pixels) -> Pixels:
    rgb = np.where(picture[..., 3:] > 0, picture[..., :3], background)
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, dtype=np.uint8)])


def _trimmed(picture: Pixels) -> Pixels:
    """Without the empty columns at both sides."""
    used = np.flatnonzero(picture[..., 3].any(axis=0))
    return np.ascontiguousarray(picture[:, used[0] : used[-1] + 1])
