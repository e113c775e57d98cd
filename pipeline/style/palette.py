"""The palette of an artwork: colours that the artist used, never a mean of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.files import Pixels

ROUNDS = 20  # of Lloyd's algorithm; far beyond convergence for the few colours of pixel art


def read_palette(artwork: Pixels, colours: int, areas: NDArray[np.float64] | None = None) -> Pixels:
    """At most `colours` of the artwork's own colours, uint8 (K, 3), commonest first.

    All of them where they are few enough; else k-means on the colours weighted by area, each centre replaced by
    the nearest colour that occurs. Starts from the commonest colour and then the farthest ones (Gonzalez 1985):
    no randomness, and small accents are found.

    Args:
        artwork: uint8 (..., 3).
        colours: K at most, 1 or more.
        areas: what each of its pixels counts, (P,), in any unit; all the same when left out.
    """
    found, owner = np.unique(artwork.reshape(-1, 3), axis=0, return_inverse=True)
    counts = np.bincount(owner.ravel(), areas).astype(np.float64)
    commonest_first = np.argsort(-counts, kind="stable")
    unique = found[commonest_first]
    counts = counts[commonest_first]
    if len(unique) <= colours:
        return unique
    points = unique.astype(np.float64)
    centres = points[_spread(points, colours)]
    for _ in range(ROUNDS):
        owner = _distances(points, centres).argmin(axis=1)
        centres = np.stack([_centre(points, counts, owner == k, centres[k]) for k in range(colours)])
    chosen: Pixels = unique[np.unique(_distances(points, centres).argmin(axis=0))]
    return chosen


def _spread(points: NDArray[np.float64], wanted: int) -> list[int]:
    """Indices: the first point, then always the one farthest from those already taken."""
    taken = [0]
    nearest = _distances(points, points[:1])[:, 0]
    while len(taken) < wanted:
        taken.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(points, points[taken[-1:]])[:, 0])
    return taken


def _centre(
    points: NDArray[np.float64], counts: NDArray[np.float64], owned: NDArray[np.bool_], previous: NDArray[np.float64]
) -> NDArray[np.float64]:
    if not owned.any():
        return previous
    centre: NDArray[np.float64] = np.average(points[owned], axis=0, weights=counts[owned])
    return centre


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared, (len(a), len(b))."""
    squared: NDArray[np.float64] = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return squared
