"""Metrics of sets of pictures: kept content, and the distance of small patterns from real pixel art."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.images.colour import to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import box
from pipeline.metrics.diversity import POOLED
from pipeline.metrics.pixel_art import Array
from pipeline.metrics.tiles import LUMA


def retrieval(outputs: Sequence[Pixels], inputs: Sequence[Pixels], own: Sequence[int]) -> float:
    """Share of the outputs whose nearest of all inputs is their own: 1 = content kept, 1 / len(inputs) = lost.

    By z-scored 8x8 luminance. An input as near as the output's own counts as a miss.

    Args:
        outputs: translated pictures.
        inputs: all pictures that could have been translated.
        own: for each output, the index of its input.
    """
    gallery = np.stack([_thumbprint(picture) for picture in inputs])
    hits = 0
    for output, index in zip(outputs, own, strict=True):
        distance = ((gallery - _thumbprint(output)) ** 2).sum(axis=1)
        hits += int((distance <= distance[index]).sum() == 1)
    return hits / len(own)


def patches(natives: Sequence[Pixels], size: int, count: int, rng: np.random.Generator, *, centred: bool) -> Array:
    """(count, size * size * 3): random size x size patches of native pictures in OKLab, drawn with replacement.

    Centred patches have their own mean colour removed: pattern without colour.
    """
    shapes = {native.shape for native in natives}
    if len(shapes) != 1:
        raise ValueError(f"expected natives of one shape, got {sorted(shapes)}")
    lab = to_oklab(np.stack(natives))  # (N, rows, columns, 3)
    windows = np.lib.stride_tricks.sliding_window_view(lab, (size, size), axis=(1, 2))  # (N, y, x, 3, size, size)
    picture, y, x = (rng.integers(0, bound, count) for bound in windows.shape[:3])
    drawn = windows[picture, y, x]  # (count, 3, size, size)
    if centred:
        drawn = drawn - drawn.mean(axis=(2, 3), keepdims=True)
    return np.asarray(drawn.reshape(count, -1))


def directions(dimensions: int, count: int, rng: np.random.Generator) -> Array:
    """(dimensions, count): random unit vectors."""
    drawn = rng.standard_normal((dimensions, count))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0))


def projections(drawn: Array, onto: Array) -> Array:
    """Patches (n, d) along directions (d, k) -> (k, n), each row sorted."""
    return np.sort(onto.T @ drawn.T, axis=1)


def sliced_wasserstein(a: Array, b: Array) -> float:
    """Distance of two sets of equal size by their sorted projections (k, n): mean absolute difference."""
    return float(np.abs(a - b).mean())


def _thumbprint(picture: Pixels) -> NDArray[np.float64]:
    """8x8 luminance with mean 0 and standard deviation 1; a flat picture is all 0."""
    luminance = (box(picture, POOLED).astype(np.float64) @ LUMA).ravel()
    centred = luminance - luminance.mean()
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 1e-9 else centred * 0)
