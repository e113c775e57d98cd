"""Whether an artist set the pixels of a picture, or a filter mixed them.

Mixtures lie between their neighbours. An artist's soft edge uses the few colours of a palette again and again, a
filter makes a new colour of every two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.cells.edges import Mask, Numbers, Plane, step_sizes
from pipeline.images.canonical import Packed, pack
from pipeline.images.files import Pixels

ALONE = 2  # pixels of one colour, at most: the colour is rare
CONTRAST, FAINT_CONTRAST = 12, 3  # of 255, luma: between colours nearer than that there is nothing to mix
MOST_CRISP = 3.0
HASHED, BITS = np.uint32(0x9E3779B1), 14  # colours are counted by so many bits of their product with it

# Weights of `features` in their order, then a constant: `benchmarks/grid_confidence.py` fits them.
CRISP_WEIGHTS = np.array([-0.536, 0.032, 8.621, -7.781, -1.355, 0.222, 2.708, 3.051, -13.248])
SOFT_WEIGHTS = np.array([-0.196, 0.672, 4.216, -20.613, -1.029, 1.732, 3.819, -3.263, -11.492])


@dataclass(frozen=True)
class Singles:
    """Pixels that differ from both neighbours, in their row and in their column, and the mixed ones of them."""

    across: Mask
    down: Mask
    mixed_across: Mask
    mixed_down: Mask
    edges: int

    @property
    def number(self) -> int:
        return int(np.count_nonzero(self.across)) + int(np.count_nonzero(self.down))

    @property
    def mixed(self) -> int:
        """How many lie between their neighbours, in luma."""
        return int(np.count_nonzero(self.mixed_across)) + int(np.count_nonzero(self.mixed_down))


def singles_of(pixels: Packed, luma: Plane, contrast: int) -> Singles:
    """Of packed colours (H, W) and their luma."""
    across, down = pixels[:, 1:] != pixels[:, :-1], pixels[1:] != pixels[:-1]
    edges = int(np.count_nonzero(across)) + int(np.count_nonzero(down))
    both = across[:, 1:] & across[:, :-1], down[1:] & down[:-1]
    mixed = (
        both[0] & _between(luma[:, :-2], luma[:, 1:-1], luma[:, 2:], contrast),
        both[1] & _between(luma[:-2], luma[1:-1], luma[2:], contrast),
    )
    return Singles(*both, *mixed, edges)


def _between(before: Plane, middle: Plane, after: Plane, contrast: int) -> Mask:
    ordered = (before < middle) == (middle < after)
    mixed: Mask = ordered & (before != middle) & (middle != after) & (step_sizes(before, after) >= contrast)
    return mixed


def mixed_share(rgb: Pixels, luma: Plane) -> float:
    """Share of single pixels whose luma lies between those of their neighbours; 0 where there are none."""
    singles = singles_of(pack(rgb), luma, FAINT_CONTRAST)
    return singles.mixed / max(singles.number, 1)


def features(rgb: Pixels, luma: Plane, crispness: float, faintness: float) -> Numbers:
    """How mixed a picture looks; `crispness` as in `combs`, `faintness` as in `edges`."""
    pixels = pack(rgb)
    singles = singles_of(pixels, luma, CONTRAST)
    edges = max(singles.edges, 1)
    hashes = (pixels * HASHED) >> np.uint32(32 - BITS)
    counts = np.bincount(hashes.ravel(), minlength=1 << BITS)
    rare = (counts <= ALONE).take(hashes)
    alone = np.count_nonzero(singles.mixed_across & rare[:, 1:-1]) + np.count_nonzero(singles.mixed_down & rare[1:-1])
    return np.array([
        math.log2(np.count_nonzero(counts)),
        math.log2(edges),
        singles.number / edges,
        singles.mixed / edges,
        math.log2(alone / edges + 0.005),
        math.log2(np.count_nonzero(rare) / rare.size + 0.01),
        min(crispness, MOST_CRISP),
        faintness,
        1.0,
    ])  # fmt: skip
