"""Palettes: those shipped with the package, those in a user's file, and those found in a picture."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.images.colour import Lab, distinct, from_oklab, nearest_indices, to_oklab
from pipeline.images.files import Pixels
from pipeline.runtime import seeds

MAX_COLOURS = 256
ROUNDS = 30  # of Lloyd's algorithm; pictures of 16,000 colours settle in 10 to 25
SAMPLE = 4096  # distinct colours that k-means looks at; more change no palette visibly


def names() -> list[str]:
    """Names of the shipped palettes."""
    folder = resources.files("pipeline.images") / "shipped"
    return sorted(file.name.removesuffix(".hex") for file in folder.iterdir() if file.name.endswith(".hex"))


def load(palette: str) -> Pixels:
    """The colours (k, 3) of a shipped palette or of a file: .hex, .gpl, .json or a PNG of colours.

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
    """Every colour of (..., 3) replaced by the nearest of the palette (k, 3), in OKLab."""
    colours, indices, _ = distinct(rgb)
    chosen = palette[nearest_indices(to_oklab(colours), to_oklab(palette))]
    return chosen[indices].reshape(rgb.shape)


def adaptive_palette(rgb: Pixels, colours: int, seed: int) -> Pixels:
    """At most `colours` colours (k, 3) that stand for (..., 3), darkest first: k-means in OKLab, k-means++ start.

    Pictures with few enough colours keep their own, exactly.
    """
    own, _, counts = distinct(rgb)
    if len(own) <= colours:
        return _darkest_first(own)
    rng = seeds.generator(seed, "palette")
    if len(own) > SAMPLE:
        chosen = np.sort(rng.choice(len(own), SAMPLE, replace=False))
        own, counts = own[chosen], counts[chosen]
    centres = _k_means(to_oklab(own), counts.astype(np.float64), colours, rng)
    return _darkest_first(distinct(from_oklab(centres))[0])


def _k_means(points: Lab, weights: Lab, k: int, rng: np.random.Generator) -> Lab:
    """Lloyd's algorithm on weighted points (n, 3) -> (k, 3); a centre that loses its last point stays where it is."""
    centres = _spread_out(points, weights, k, rng)
    for _ in range(ROUNDS):
        nearest = nearest_indices(points, centres)
        mass = np.bincount(nearest, weights, k)
        sums = np.stack([np.bincount(nearest, weights * points[:, axis], k) for axis in range(3)], axis=1)
        moved = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-12)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _spread_out(points: Lab, weights: Lab, k: int, rng: np.random.Generator) -> Lab:
    """k-means++: each next centre is drawn with probability weight x squared distance to the nearest one so far."""
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < k:
        mass = weights * distance
        chosen.append(int(rng.choice(len(points), p=mass / mass.sum())))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return points[chosen]


def _darkest_first(colours: Pixels) -> Pixels:
    return colours[np.argsort(to_oklab(colours)[:, 0], kind="stable")]


def _from_file(path: Path) -> Pixels:
    if path.suffix.lower() == ".png":
        return _from_picture(path)
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


def _from_picture(path: Path) -> Pixels:
    pixels = files.read_rgba(path)
    return pixels[pixels[..., 3] > 0][:, :3]


def _checked(colours: Pixels, origin: str) -> Pixels:
    """Without repeats, in the order of first appearance."""
    first = sorted(np.unique(colours, axis=0, return_index=True)[1])
    if not 1 <= len(first) <= MAX_COLOURS:
        raise BadInput(f"palette {origin}: expected 1 to {MAX_COLOURS} colours, found {len(first)}")
    return colours[first]
