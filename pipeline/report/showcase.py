"""The pictures of all methods side by side: what each method is called, where its pictures are, which faces to show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.report.thumbnails import Thumbnail, thumbnail

HERO = ("input", "nearest", "box_palette", "style_cell", "cyclegan_resnet", "cyclegan_cell", "real")
HERO_FACES = 3
NAMES = {
    "input": ("input", "The face itself."),
    "nearest": ("nearest", "Nearest-neighbour shrinking to the grid and back: no learning."),
    "box_palette": ("box + palette", "Mean colour per cell, then k-means to few colours: no learning."),
    "majority_palette": ("majority + palette", "Few colours first, then the most frequent of each cell: no learning."),
    "fixed_palette": ("fixed palette", "Mean colour per cell, then the nearest of a fixed palette: no learning."),
    "style_free": ("style transfer", "Gatys et al.: every pixel is free."),
    "style_cell": ("style, cell canvas", "Style transfer whose canvas has one colour per cell."),
    "cyclegan_resnet": ("CycleGAN resnet", "The usual generator, with transposed convolutions: the baseline to beat."),
    "cyclegan_resize": ("CycleGAN resize", "The same with nearest enlargement and convolution instead."),
    "cyclegan_cell": (
        "cell",
        "Our generator: one colour per cell, without an upscaling half, then few colours for all cells together. "
        "Taught by pairs that the art gives, by unpaired pictures, or both: train.cell.pairs.",
    ),
    "real": ("real pixel art", "Artworks of the test split, for reference; their distance is half against half."),
}


@dataclass(frozen=True)
class Method:
    """A way to draw a face, and the folder of its pictures."""

    key: str
    name: str
    about: str
    folder: Path


def methods(root: Path) -> list[Method]:
    """Every method that has a folder of pictures, trivial ones first, real art last."""
    folders = {"input": root / "data/split/faces/test"}
    for prefix, parent in (("", "baselines"), ("style_", "style"), ("cyclegan_", "translate")):
        folders |= {prefix + path.name: path for path in (root / "artifacts" / parent).glob("*")}
    folders["real"] = root / "data/split/pixel/test"
    return [Method(key, *describe(key), folders[key]) for key in in_order(folders) if any(folders[key].glob("*.png"))]


def in_order(keys: Iterable[str]) -> list[str]:
    """Methods in the order of NAMES, others before the last, which is real art."""
    order = {key: position for position, key in enumerate(NAMES)}
    return sorted(keys, key=lambda key: (order.get(key, order["real"] - 0.5), key))


def describe(key: str) -> tuple[str, str]:
    """What a method is called on the page, and one sentence about it."""
    if key in NAMES:
        return NAMES[key]
    family, _, name = key.partition("_")
    return f"{'CycleGAN' if family == 'cyclegan' else family} {name}", ""


def generator_name(generator: str) -> str:
    """What a trained generator is called on the page."""
    return describe(f"cyclegan_{generator}")[0]


def faces(columns: list[Method], count: int) -> list[str]:
    """Ids of test faces to show: those that most methods have drawn, in order of id."""
    drawn = [{path.stem for path in method.folder.glob("*.png")} for method in columns if method.key != "real"]
    ids = sorted(set().union(*drawn))
    return sorted(sorted(ids, key=lambda key: -sum(key in stems for stems in drawn))[:count])


def rows(columns: list[Method], ids: list[str], credits: dict[str, str]) -> list[list[Thumbnail | None]]:
    """One row per face, one picture per method; None where a method did not draw the face.

    Args:
        columns: the methods.
        ids: of the test faces.
        credits: id -> title, artist, licence, for the artworks.
    """
    drawn = [
        [path and thumbnail(path, f"{method.name}: {credits.get(path.stem, path.stem)}") for path in paths(method, ids)]
        for method in columns
    ]
    return [list(row) for row in zip(*drawn, strict=True)]


def paths(method: Method, ids: list[str]) -> list[Path | None]:
    """A picture per face; of the real artworks, which are nobody's pair, evenly spaced ones."""
    if method.key == "real":
        art = sorted(method.folder.glob("*.png"))
        return [art[index * len(art) // len(ids)] for index in range(len(ids))]
    files = [method.folder / f"{face}.png" for face in ids]
    return [file if file.is_file() else None for file in files]
