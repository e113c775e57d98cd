"""A character as plain values, from which the smooth and the pixel renderer draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.sample.drawing.ramps import Ramp, any_ramp, ramp, skin_ramp

BACKS = (
    "short", "bob", "long", "wavy", "twin tails", "braids", "ponytail", "side tail", "buns", "spiky", "drills", "curly",
)  # fmt: skip
FRINGES = ("straight", "pointed", "parted", "swept", "centre lock", "over one eye", "brushed back", "cropped")
OUTFITS = ("sailor", "hoodie", "shirt", "turtleneck", "armour", "robe", "dress", "kimono")
HEADWEAR = (
    "ribbon", "headband", "witch hat", "beret", "tiara", "cat ears", "horns", "flower", "headphones", "beanie",
)  # fmt: skip
EXTRAS = ("glasses", "hairpin", "earrings", "choker", "scarf")
MOUTHS = ("smile", "line", "open", "pout", "grin", "worried")
LIDS = ("open", "half", "closed", "wink")
BROWS = ("calm", "angry", "worried", "raised")

HAIR = {
    "black": (0.33, 0.03, 280.0), "brown": (0.46, 0.065, 55.0), "chestnut": (0.42, 0.085, 38.0),
    "blond": (0.82, 0.11, 88.0), "honey": (0.71, 0.115, 72.0), "red": (0.53, 0.16, 30.0),
    "orange": (0.68, 0.15, 52.0), "pink": (0.74, 0.12, 2.0), "blue": (0.58, 0.12, 255.0),
    "sky": (0.77, 0.085, 232.0), "teal": (0.62, 0.095, 195.0), "green": (0.63, 0.12, 150.0),
    "violet": (0.52, 0.13, 305.0), "lilac": (0.72, 0.09, 308.0), "silver": (0.79, 0.02, 265.0),
    "white": (0.91, 0.012, 250.0),
}  # fmt: skip
SKIN = (
    (0.93, 0.028, 62.0), (0.91, 0.038, 60.0), (0.89, 0.046, 62.0), (0.86, 0.054, 63.0), (0.78, 0.066, 62.0),
    (0.66, 0.07, 58.0), (0.54, 0.066, 55.0), (0.45, 0.055, 50.0),
)  # fmt: skip
EYES = (250.0, 225.0, 195.0, 150.0, 125.0, 85.0, 60.0, 45.0, 25.0, 0.0, 305.0, 285.0)


@dataclass(frozen=True, kw_only=True)
class Character:
    """Everything that identifies and poses a character. Lengths in head units (geometry.py)."""

    skin: Ramp
    hair: Ramp
    hair_name: str
    iris: Ramp
    clothes: Ramp
    trim: Ramp
    back: str
    fringe: str
    outfit: str
    headwear: str | None
    extra: str | None
    elf_ears: bool
    ahoge: bool  # the stray lock on top
    mouth: str
    lids: str
    brows: str
    blush: bool
    jaw: float  # 0 round .. 1 pointed
    eye_width: float
    eye_height: float
    slant: float  # outer corner above (+) or below (-) the inner one
    side_length: float  # y at which the locks beside the face end; 0 = none
    volume: float  # of the hair, 1 = tight
    jitter: tuple[float, ...]  # 16 numbers in -1..1: the individuality of locks
    left: bool  # side of asymmetric things

    @property
    def sign(self) -> int:
        """The sign of x on the side of asymmetric things."""
        return -1 if self.left else 1


def draw_character(rng: np.random.Generator) -> Character:
    """One character at random."""
    name = str(rng.choice(list(HAIR)))
    gaze = float(rng.choice(EYES))
    return Character(
        skin=_skin(rng),
        hair=_varied(rng, *HAIR[name]),
        hair_name=name,
        iris=ramp(rng.uniform(0.52, 0.66), rng.uniform(0.09, 0.16), gaze, 1.3),
        clothes=any_ramp(rng),
        trim=_trim(rng),
        back=str(rng.choice(BACKS)),
        fringe=str(rng.choice(FRINGES, p=(0.14, 0.2, 0.15, 0.15, 0.14, 0.08, 0.05, 0.09))),
        outfit=str(rng.choice(OUTFITS)),
        headwear=_maybe(rng, HEADWEAR, 0.42),
        extra=_maybe(rng, EXTRAS, 0.3),
        elf_ears=bool(rng.random() < 0.1),
        ahoge=bool(rng.random() < 0.22),
        mouth=str(rng.choice(MOUTHS, p=(0.38, 0.18, 0.2, 0.08, 0.11, 0.05))),
        lids=str(rng.choice(LIDS, p=(0.76, 0.1, 0.08, 0.06))),
        brows=str(rng.choice(BROWS, p=(0.5, 0.16, 0.18, 0.16))),
        blush=bool(rng.random() < 0.5),
        jaw=rng.uniform(0, 1),
        eye_width=rng.uniform(0.25, 0.31),
        eye_height=rng.uniform(0.24, 0.34),
        slant=rng.uniform(-0.06, 0.1),
        side_length=float(rng.choice([0, 0.55, 0.8, 1.15, 1.6])),
        volume=rng.uniform(1.0, 1.12),
        jitter=tuple(rng.uniform(-1, 1, 16).tolist()),
        left=bool(rng.random() < 0.5),
    )


def _skin(rng: np.random.Generator) -> Ramp:
    if rng.random() < 0.04:  # fantasy folk
        return skin_ramp(0.76, 0.07, float(rng.choice([150.0, 230.0, 310.0])))
    lightness, chroma, hue = SKIN[int(rng.choice(len(SKIN), p=(0.16, 0.2, 0.2, 0.14, 0.1, 0.08, 0.07, 0.05)))]
    return skin_ramp(lightness + rng.uniform(-0.012, 0.012), chroma, hue + rng.uniform(-5, 5))


def _varied(rng: np.random.Generator, lightness: float, chroma: float, hue: float) -> Ramp:
    return ramp(lightness + rng.uniform(-0.03, 0.03), chroma * rng.uniform(0.85, 1.12), hue + rng.uniform(-8, 8), 1.15)


def _trim(rng: np.random.Generator) -> Ramp:
    """Ribbons, collars, metal: vivid, golden or white."""
    kind = rng.random()
    if kind < 0.25:
        return ramp(0.82, 0.14, 88.0)
    if kind < 0.5:
        return ramp(0.95, 0.01, 250.0)
    return ramp(rng.uniform(0.5, 0.7), rng.uniform(0.13, 0.19), rng.uniform(0, 360))


def _maybe(rng: np.random.Generator, names: tuple[str, ...], share: float) -> str | None:
    chosen = str(rng.choice(names))
    return chosen if rng.random() < share else None
