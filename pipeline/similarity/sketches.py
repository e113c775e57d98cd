"""Patches: what two pictures share, whatever lies around it and however it is turned.

A patch is a window of PATCH x PATCH pixels with three colours or more and no ground in it. Its number is the same in
all eight positions (turned, mirrored). Of the numbers of a picture the KEPT smallest are its sketch, and what two
sketches share estimates what all their patches share (bottom-k sketches: Broder 1997).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.images import canonical
from pipeline.images.files import Pixels
from pipeline.similarity.hamming import Mask, Pairs

Numbers = NDArray[np.uint64]
Sketch = NDArray[np.uint32]  # (KEPT,), ascending; NONE where there are fewer patches
Sketches = NDArray[np.uint32]  # (N, KEPT)

PATCH, KEPT = 5, 64
COLOURS = 3  # least number of them in a patch
FEWEST = 12  # patches of a picture that says enough ...
TELLING = 8  # ... and those that two sketches may be compared by
LARGER = 4.0  # times the patches of the other: beyond, one is a part of a scene or sheet
COMMON = 24  # pictures; a patch of more is no sign
LARGEST = 1 << 18  # pixels of a picture that is looked at
NONE = np.uint32(2**32 - 1)
GROUND = 0.5  # share of an opaque picture's frame that one colour fills, from which on it is the ground
WEIGHTS = np.random.default_rng(5).integers(1, 2**63, (PATCH, PATCH), np.uint64) | np.uint64(1)


def sketch(rgba: Pixels) -> Sketch:
    """The KEPT smallest patch numbers of a native picture, uint8 (H, W, 4)."""
    kept = np.full(KEPT, NONE)
    height, width = rgba.shape[:2]
    if min(height, width) < PATCH or height * width > LARGEST:
        return kept
    words = _mixed(canonical.pack(rgba).astype(np.uint64))
    telling = ~_any(ground_of(rgba)) & _several(words)
    if telling.any():
        turned = [WEIGHTS, WEIGHTS.T]
        positions = [weights[::down, ::across] for weights in turned for down in (1, -1) for across in (1, -1)]
        numbers = np.min([_weighted(words, weights)[telling] for weights in positions], axis=0)
        least = np.unique((_mixed(numbers) >> np.uint64(32)).astype(np.uint32))[:KEPT]
        kept[: len(least)] = least
    return kept


def ground_of(rgba: Pixels) -> Mask:
    """Where nothing is drawn: transparency, or of an opaque picture the colour that most of its frame has."""
    clear: Mask = rgba[..., 3] == 0
    if clear.any():
        return clear
    packed = canonical.pack(rgba)
    colours, counts = np.unique(canonical.border(packed), return_counts=True)
    most = counts.argmax()
    is_ground: Mask = packed == colours[most] if counts[most] >= GROUND * counts.sum() else clear
    return is_ground


def _mixed(values: Numbers) -> Numbers:
    """Numbers without order (splitmix64, Steele et al. 2014)."""
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed: Numbers = values ^ values >> np.uint64(31)
    return mixed


def _windows(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Each place of the window, as a picture of all windows."""
    height, width = (side - PATCH + 1 for side in values.shape)
    return [values[y : y + height, x : x + width] for y in range(PATCH) for x in range(PATCH)]


def _any(mask: Mask) -> Mask:
    found: Mask = np.logical_or.reduce(_windows(mask))
    return found


def _several(words: Numbers) -> Mask:
    """Which windows have COLOURS colours or more: some pixel is neither as the least nor as the largest."""
    places = _windows(words)
    least, largest = np.minimum.reduce(places), np.maximum.reduce(places)
    several: Mask = np.logical_or.reduce([(place != least) & (place != largest) for place in places])
    return several


def _weighted(words: Numbers, weights: Numbers) -> Numbers:
    total = np.zeros_like(_windows(words)[0])
    for place, weight in zip(_windows(words), weights.ravel(), strict=True):
        total += place * weight
    return total


def shared(sketches: Sketches, least: float) -> tuple[Pairs, NDArray[np.float64]]:
    """Pairs that share at least this part of the patches of the smaller one, and the part; common ones do not count."""
    telling = np.flatnonzero(np.count_nonzero(sketches != NONE, axis=1) >= FEWEST)
    owners = np.repeat(telling, KEPT)
    numbers = sketches[telling].ravel()
    owners, numbers = owners[numbers != NONE], numbers[numbers != NONE]
    order = np.argsort(numbers, kind="stable")
    owners, numbers = owners[order], numbers[order]
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    lengths = np.diff(np.r_[starts, len(numbers)])
    rare = np.repeat((lengths > 1) & (lengths <= COMMON), lengths)
    found = []
    last = np.repeat(starts + lengths, lengths)
    place = np.flatnonzero(rare)
    for step in range(1, COMMON):
        place = place[place + step < last[place]]
        found.append(owners[place] * len(sketches) + owners[place + step])
    codes, counts = np.unique(np.concatenate(found), return_counts=True) if found else (np.empty(0, int), np.empty(0))
    pairs = np.stack(np.divmod(codes, max(1, len(sketches))), axis=1)
    pairs = pairs[counts >= least * TELLING]
    parts = np.array([_part(sketches[left], sketches[right]) for left, right in pairs.tolist()])
    near = parts >= least
    return pairs[near], parts[near]


def _part(left: Sketch, right: Sketch) -> float:
    """The part of the smaller set of patches that is in the other, as their sketches estimate it; 0 = no telling."""
    least = min(left[-1], right[-1])  # up to here both are complete
    left, right = left[left <= least], right[right <= least]
    left, right = left[left != NONE], right[right != NONE]
    fewer, more = sorted((len(left), len(right)))
    if fewer < TELLING or more > LARGER * fewer:
        return 0.0
    return len(np.intersect1d(left, right, assume_unique=True)) / fewer
