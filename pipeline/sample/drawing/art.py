"""Every kind of procedural art: the same random generator draws the same bytes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from pipeline.images.files import Pixels
from pipeline.sample.drawing import portraits
from pipeline.sample.drawing.anime_faces import face
from pipeline.sample.drawing.character import draw_character
from pipeline.sample.drawing.dolls import render
from pipeline.sample.drawing.items import coin, item
from pipeline.sample.drawing.portraits import portrait
from pipeline.sample.drawing.ramps import ramp
from pipeline.sample.drawing.scenes import scene
from pipeline.sample.drawing.sprites import sprite

__all__ = ["animation", "describe", "face", "item", "portrait", "scene", "sprite"]

MOODS = (
    "Sleepy", "Brave", "Little", "Lost", "Grumpy", "Shiny", "Wandering", "Secret", "Cheerful", "Old", "Quiet", "Tiny",
)  # fmt: skip
SUBJECTS = {
    "witch": "fantasy", "knight": "fantasy", "elf": "fantasy", "slime": "creature", "ghost": "creature",
    "robot": "sci-fi", "pilot": "sci-fi", "student": "anime", "idol": "anime", "shrine maiden": "anime",
    "swordswoman": "fantasy", "librarian": "portrait", "princess": "portrait", "florist": "portrait", "cat": "animal",
    "bat": "animal", "potion": "item", "treasure": "item", "meadow": "landscape", "village": "landscape",
}  # fmt: skip
TAGS = ("pixelart", "character", "oc", "practice", "gameart", "lowres", "palette", "commission", "fanart", "study")


def describe(rng: np.random.Generator) -> tuple[str, list[str]]:
    """A title and its tags, such as "Sleepy witch", ["fantasy", "pixelart"]."""
    subject = str(rng.choice(list(SUBJECTS)))
    extra = rng.choice(TAGS, size=int(rng.integers(1, 4)), replace=False)
    return f"{rng.choice(MOODS)} {subject}", [SUBJECTS[subject], *sorted(map(str, extra))]


def animation(rng: np.random.Generator, cells: int = 24, frames: int = 4) -> list[Pixels]:
    """`frames` pictures of one size, uint8 (cells, cells, 4): a bobbing sprite, a blinking bust or a turning coin."""
    kind = rng.random()
    if kind < 0.45:
        return _bobbing(rng, cells, frames)
    return _blinking(rng, cells, frames) if kind < 0.75 and cells >= 20 else _turning(rng, cells, frames)


def _bobbing(rng: np.random.Generator, cells: int, frames: int) -> list[Pixels]:
    figure = np.pad(sprite(rng, cells - 2), ((2, 0), (1, 1), (0, 0)))
    rows = [round(1.0 - math.cos(2 * math.pi * step / frames)) for step in range(frames)]
    return [np.concatenate([figure[row:], np.zeros_like(figure[:row])]) for row in rows]


def _blinking(rng: np.random.Generator, cells: int, frames: int) -> list[Pixels]:
    character = dataclasses.replace(draw_character(rng), fringe="straight", lids="open")
    place = portraits.pose(rng, character, cells)
    shut = dataclasses.replace(character, lids="closed")
    return [portraits.draw(shut if step == frames - 1 else character, place, cells) for step in range(frames)]


def _turning(rng: np.random.Generator, cells: int, frames: int) -> list[Pixels]:
    metal = ramp(rng.uniform(0.7, 0.84), 0.14, float(rng.choice([88.0, 88.0, 72.0, 45.0])))
    return [render(coin(abs(math.cos(math.pi * step / frames)), metal), cells) for step in range(frames)]
