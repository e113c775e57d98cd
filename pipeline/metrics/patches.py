"""Metrics of sets of pictures: kept content, and the distance of small patterns from real pixel art."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.images.colour import LUMA_WEIGHTS, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import box
from pipeline.metrics.diversity import POOLED
from pipeline.metrics.pixel_art import Array


def retrieval(outputs: Sequence[Pixels], inputs: Sequence[Pixels], sources: Sequence[int]) -> float:
    """Share of the outputs whose nearest of all inputs is their own: 1 = content kept, 1 / len(inputs) = lost.

    By z-scored 8x8 luminance. Another input that is as near as the output's own makes it a miss.

    Args:
        outputs: translated pictures.
        inputs: all pictures that could have been translated.
        sources: for each output, the index of its input.
    """
    gallery = np.stack([_thumbprint(picture) for picture in inputs])
    hits = 0
    for output, index in zip(outputs, sources, strict=True):
        distance = ((gallery - _thumbprint(output)) ** 2).sum(axis=1)
        hits += int((distance <= distance[index]).sum() == 1)
    return hits / len(sources)


def draw_patches(natives: Sequence[Pixels], size: int, count: int, rng: np.random.Generator, *, centred: bool) -> Array:
    """Random size x size patches of native pictures in OKLab, drawn with replacement: (count, size * size * 3).

    From centred patches their mean colour is subtracted: pattern without colour.
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


def draw_directions(dimensions: int, count: int, rng: np.random.Generator) -> Array:
    """Random unit vectors: (dimensions, count)."""
    drawn = rng.standard_normal((dimensions, count))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0))


def project(patches: Array, directions: Array) -> Array:
    """Lengths of patches (n, d) along directions (d, k): (k, n), each row sorted."""
    return np.sort(directions.T @ patches.T, axis=1)


def sliced_wasserstein(a: Array, b: Array) -> float:
    """Mean absolute difference of the sorted projections (k, n) of two sets of equal size."""
    return float(np.abs(a - b).mean())


def _thumbprint(picture: Pixels) -> Array:
    """8x8 luminance with mean 0 and standard deviation 1; a flat picture is all 0."""
    luminance = (box(picture, POOLED).astype(np.float64) @ LUMA_WEIGHTS).ravel()
    centred = luminance - luminance.mean()
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 1e-9 else centred * 0)
