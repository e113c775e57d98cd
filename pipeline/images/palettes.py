"""Palettes: those shipped with the package, those of a user's file, and those that a picture needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.images.colour import distinct, from_oklab, nearest_indices, to_oklab
from pipeline.images.files import Pixels
from pipeline.runtime import seeds

Floats = NDArray[np.float64]

MAX_COLOURS = 256
ROUNDS = 30  # of Lloyd's algorithm; pictures of 16,000 colours settle in 10 to 25
SAMPLE = 4096  # distinct colours that k-means starts from; more change no palette visibly


def names() -> list[str]:
    """The names of the palettes that are shipped."""
    folder = resources.files("pipeline.images") / "shipped"
    return sorted(file.name.removesuffix(".hex") for file in folder.iterdir() if file.name.endswith(".hex"))


def load(palette: str) -> Pixels:
    """The colours (k, 3) of a shipped palette, by its name, or of a file: .hex, .gpl, .json or a PNG of colours.

    Raises:
        BadInput: neither a shipped name nor a readable file of 1 to MAX_COLOURS colours.
    """
    if palette in names():
        text = (resources.files("pipeline.images") / "shipped" / f"{palette}.hex").read_text(encoding="utf-8")
        return _from_hex(text.split(), palette)
    path = Path(palette)
    if not path.is_file():
        raise BadInput(f"palette {palette}: no such file, nor one of the shipped palettes {', '.join(names())}")
    return _checked(_from_file(path), palette)


def quantise(rgb: Pixels, palette: Pixels) -> Pixels:
    """The pixels (..., 3) with every colour replaced by the nearest of the palette (k, 3), in OKLab."""
    colours, indices, _ = distinct(rgb)
    chosen = palette[nearest_indices(to_oklab(colours), to_oklab(palette))]
    return chosen[indices].reshape(rgb.shape)


def adaptive_palette(rgb: Pixels, colours: int, seed: int) -> Pixels:
    """At most `colours` colours (k, 3) that stand for those of (..., 3), darkest first: means, which need not occur.

    k-means in OKLab with a k-means++ start. Pictures with few enough colours keep theirs, exactly.
    """
    levels, _, counts = distinct(rgb)
    if len(levels) <= colours:
        return _darkest_first(levels)
    rng = seeds.generator(seed, "palette")
    if len(levels) > SAMPLE:
        sample = np.sort(rng.choice(len(levels), SAMPLE, replace=False))
        levels, counts = levels[sample], counts[sample]
    points, weights = to_oklab(levels), counts.astype(np.float64)

    def draw(mass: Floats) -> int:
        return int(rng.choice(len(points), p=mass / mass.sum()))

    starts = _spread_out(points, draw(weights), colours, lambda distance: draw(weights * distance))
    return _darkest_first(distinct(from_oklab(_k_means(points, weights, starts)))[0])


def medoid_palette(rgb: Pixels, colours: int, areas: Floats | None = None) -> Pixels:
    """At most `colours` of the colours that occur in (..., 3), never a mean of them, commonest first, (k, 3).

    All of them where they are few enough; else k-means on the colours weighted by area, each centre replaced by
    the nearest colour that occurs. Starts from the commonest colour and then the farthest ones (Gonzalez 1985):
    no randomness, and small accents are found.

    Args:
        rgb: the P pixels of artworks.
        colours: k at most, 1 or more.
        areas: what each of the pixels counts, (P,), in any unit; all the same when left out.
    """
    levels, indices, _ = distinct(rgb)
    weights: Floats = np.bincount(indices, areas).astype(np.float64)
    commonest_first = np.argsort(-weights, kind="stable")
    levels, weights = levels[commonest_first], weights[commonest_first]
    if len(levels) <= colours:
        return levels
    points = levels.astype(np.float64)
    centres = _k_means(points, weights, _spread_out(points, 0, colours, lambda distance: int(distance.argmax())))
    return levels[sorted({int(_squared_distances(points, centre).argmin()) for centre in centres})]


def _k_means(points: Floats, weights: Floats, centres: Floats) -> Floats:
    """Lloyd's algorithm on weighted points (n, 3), from k centres to k; one that loses its last point stays."""
    for _ in range(ROUNDS):
        nearest = nearest_indices(points, centres)
        mass = np.bincount(nearest, weights, len(centres))
        sums = np.stack([np.bincount(nearest, weights * points[:, axis], len(centres)) for axis in range(3)], axis=1)
        moved = np.where(mass[:, None] > 0, sums / np.where(mass > 0, mass, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _spread_out(points: Floats, first: int, k: int, pick: Callable[[Floats], int]) -> Floats:
    """A first point and k - 1 others, each picked by the squared distances (n,) to the nearest of those before."""
    indices = [first]
    distance = _squared_distances(points, points[first])
    while len(indices) < k:
        indices.append(pick(distance))
        distance = np.minimum(distance, _squared_distances(points, points[indices[-1]]))
    return points[indices]


def _squared_distances(points: Floats, centre: Floats) -> Floats:
    distances: Floats = ((points - centre) ** 2).sum(axis=1)
    return distances


def _darkest_first(colours: Pixels) -> Pixels:
    return colours[np.argsort(to_oklab(colours)[:, 0], kind="stable")]


def _from_file(path: Path) -> Pixels:
    if path.suffix.lower() == ".png":
        rgba = files.read_rgba(path)
        return rgba[rgba[..., 3] > 0][:, :3]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"palette {path}: not a text file: {error}") from error
    if path.suffix.lower() == ".gpl":
        return _from_gpl(text, str(path))
    if path.suffix.lower() == ".json":
        return _from_json(text, str(path))
    return _from_hex(text.split(), str(path))


def _from_hex(words: list[str], origin: str) -> Pixels:
    wrong = [word for word in words if not re.fullmatch(r"#?[0-9a-fA-F]{6}", word)]
    if wrong:
        raise BadInput(f"palette {origin}: expected colours as six hex digits, found {wrong[0]!r}")
    return np.array([list(bytes.fromhex(word.removeprefix("#"))) for word in words], np.uint8).reshape(-1, 3)


def _from_gpl(text: str, origin: str) -> Pixels:
    if not text.startswith("GIMP Palette"):
        raise BadInput(f"palette {origin}: expected 'GIMP Palette' in the first line")
    rows = [re.match(r"\s*(\d+)\s+(\d+)\s+(\d+)(\s|$)", line) for line in text.splitlines()]
    colours = [[int(row[1]), int(row[2]), int(row[3])] for row in rows if row]
    if any(value > 255 for colour in colours for value in colour):
        raise BadInput(f"palette {origin}: expected levels in 0..255")
    return np.array(colours, np.uint8).reshape(-1, 3)


def _from_json(text: str, origin: str) -> Pixels:
    try:
        words = json.loads(text)["colors"]
        return _from_hex([word.strip() for word in words], origin)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f'palette {origin}: expected {{"colors": ["rrggbb", ...]}}') from error


def _checked(colours: Pixels, origin: str) -> Pixels:
    """The colours without repeats, in the order of first appearance."""
    first = sorted(np.unique(colours, axis=0, return_index=True)[1])
    if not 1 <= len(first) <= MAX_COLOURS:
        raise BadInput(f"palette {origin}: expected 1 to {MAX_COLOURS} colours, found {len(first)}")
    return colours[first]
