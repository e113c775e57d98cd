"""Pairs of a face and the artworks whose style it takes: by seed, or as a file says.

    {"face": "face-3f0c9d1e5b7a2c44", "artworks": ["lospec-02a2998b2ce6ffd8"], "weights": [1.0], "note": "asked for"}

One JSON object a line; `weights` (equal when left out) and `note` are optional. An empty file leaves the choice to the
seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.errors import BadInput
from pipeline.images import files, resample
from pipeline.images.files import Pixels
from pipeline.runtime import lists, seeds

EXPECTED = 'expected {"face": ID, "artworks": [ID, ...]}, with "weights" (as many, above 0) and "note" if any'


@dataclass(frozen=True)
class Artwork:
    """An artwork, enlarged to whole cells, and how much it counts beside the others of a face."""

    name: str
    pixels: Pixels  # (H, W, 3)
    weight: float = 1.0
    figure: NDArray[np.bool_] | None = None  # (H, W): what has style; all of it where left out

    def enlarge(self, factor: int) -> Artwork:
        """The artwork with factor x factor equal pixels for every pixel."""
        figure = None if self.figure is None else resample.enlarge(self.figure, factor)
        return replace(self, pixels=resample.enlarge(self.pixels, factor), figure=figure)


@dataclass(frozen=True)
class Pair:
    """A face and the artworks whose style it takes."""

    face: str
    content: Pixels  # (H, W, 3)
    artworks: tuple[Artwork, ...]


class Line(BaseModel):
    """A line of the file of pairs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    face: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    artworks: Annotated[list[Annotated[str, Field(pattern=r"^[^/\\]+$")]], Field(min_length=1)]
    weights: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    note: str = ""

    @model_validator(mode="after")
    def _a_weight_each(self) -> Line:
        if self.weights is not None and len(self.weights) != len(self.artworks):
            raise ValueError(f"{len(self.weights)} weights for {len(self.artworks)} artworks")
        return self


def choose(split: Path, file: Path, *, pairs: int, artworks: int, size: int, seed: int) -> list[Pair]:
    """The pairs that a file lists; where it is empty, those of the seed.

    Args:
        split: output of the split stage; its test pictures can be chosen.
        file: of pairs, see above.
        pairs: how many faces, by seed.
        artworks: how many a face, by seed.
        size: pixels a side of every picture.
        seed: of the whole run.

    Raises:
        BadInput: a line that is no pair or names no test picture, or no test pictures at all.
    """
    lines: dict[str, tuple[str, Line]] = {}
    for place, line in lists.read(file, Line, topic="pairs", expected=EXPECTED):
        if line.face in lines:  # its second picture would need another name
            first = lines[line.face][0]
            raise BadInput(f"{place}: face {line.face!r} is already in {first}: expected each face once")
        lines[line.face] = place, line
    if not lines:
        return by_seed(split, pairs=pairs, artworks=artworks, size=size, seed=seed)
    return [_pair(line, place, split, size) for place, line in lines.values()]


def by_seed(split: Path, *, pairs: int, artworks: int, size: int, seed: int) -> list[Pair]:
    """The first `pairs` test faces after a seeded shuffle (all, when there are fewer), each with some test artworks.

    Artworks come in a shuffled order of their own, again from the start when there are too few. The flatter half of
    them is left out: a small item on an empty background has no style to give but its background.

    Raises:
        BadInput: no test face or no test artwork, or one that is not `size` x `size`.
    """
    faces = _shuffled(split / "faces" / "test", seed, "faces")[:pairs]
    art = [Artwork(path.stem, _read(path, size)) for path in _shuffled(split / "pixel" / "test", seed, "artworks")]
    middle = np.median([_busyness(artwork.pixels) for artwork in art])
    busy = itertools.cycle([artwork for artwork in art if _busyness(artwork.pixels) >= middle])
    return [Pair(face.stem, _read(face, size), tuple(itertools.islice(busy, artworks))) for face in faces]


def _pair(line: Line, place: str, split: Path, size: int) -> Pair:
    weights = line.weights or [1.0] * len(line.artworks)
    artworks = [
        Artwork(name, _picture(split / "pixel" / "test", name, place, size), weight)
        for name, weight in zip(line.artworks, weights, strict=True)
    ]
    return Pair(line.face, _picture(split / "faces" / "test", line.face, place, size), tuple(artworks))


def _picture(folder: Path, name: str, place: str, size: int) -> Pixels:
    path = folder / f"{name}.png"
    if not path.is_file():
        raise BadInput(f"{place}: {name!r}: expected the id of a picture in {folder}")
    return _read(path, size)


def _busyness(pixels: Pixels) -> float:
    """Share of the horizontal neighbours that differ."""
    return float((pixels[:, 1:] != pixels[:, :-1]).any(axis=2).mean())


def _shuffled(folder: Path, seed: int, name: str) -> Sequence[Path]:
    files = sorted(folder.glob("*.png"))
    if not files:
        raise BadInput(f"{folder}: expected at least 1 PNG, found none: run the split stage, or raise split.test")
    order = seeds.generator(seed, "style", "pairs", name).permutation(len(files))
    return [files[index] for index in order]


def _read(path: Path, size: int) -> Pixels:
    pixels = files.read_rgb(path)
    if pixels.shape != (size, size, 3):
        raise BadInput(f"{path}: expected {size}x{size}, got {pixels.shape[1]}x{pixels.shape[0]}: run split again")
    return pixels
