"""The faces of the sample: manifest facts of each, and its image. As in real collections, some are copies."""

from __future__ import annotations

import hashlib

import numpy as np

from pipeline.images.files import Pixels
from pipeline.runtime import seeds
from pipeline.runtime.manifest import Row
from pipeline.sample.drawing import art
from pipeline.sample.drawing.character import draw_character

COPY_EVERY = 40  # of so many faces, the last is a copy of an earlier one
COPY_BACK = 17


def rows(count: int) -> list[Row]:
    """Provenance of the first `count` faces; `index` is what `draw` takes."""
    return [_row(index) for index in range(count)]


def _row(index: int) -> Row:
    original, source_id = _original(index), f"face/{index}"
    character = draw_character(_stream(original))
    return {
        "id": f"sample-{hashlib.sha256(source_id.encode()).hexdigest()[:16]}",
        "source": "sample",
        "source_id": source_id,
        "origin": "sample",
        "licence": "MIT",
        "artist": "facetopix sample",
        "identity": f"face/{original}",
        "tags": [f"{character.hair_name} hair", character.back, character.fringe, character.outfit, character.mouth],
        "index": index,
    }


def draw(index: int, size: int) -> Pixels:
    """A face, uint8 (size, size, 3); every other copy is a little darker than its original."""
    pixels = art.face(_stream(_original(index)), size)
    if _original(index) != index and (index // COPY_EVERY) % 2:
        return (pixels.astype(np.uint16) * 97 // 100).astype(np.uint8)
    return pixels


def _original(index: int) -> int:
    """The index itself, or that of the face of which this one is a copy."""
    return index - COPY_BACK if index % COPY_EVERY == COPY_EVERY - 1 else index


def _stream(index: int) -> np.random.Generator:
    return seeds.generator(0, "sample", "face", index)
