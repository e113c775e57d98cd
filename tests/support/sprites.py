"""Art typed as text, and folders as stages leave them; shared by the tests of curation."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.curate.split.params import PaletteNear
from pipeline.images.files import Pixels, write_png
from pipeline.runtime import manifest
from pipeline.runtime.settings import Executor

SERIAL = Executor(backend="threading", n_jobs=1)
EVERYTHING: dict[str, Any] = {  # parameters of the split: no artwork is left out
    "max_group": 1.0,
    "allow_shared_identity": False,
    "sources": [],
    "native": None,
    "palette_near": PaletteNear(palette="facetopix-32", distance=None),
}
COLOURS = {
    ".": (0, 0, 0, 0),
    "K": (24, 20, 37, 255),
    "R": (228, 59, 68, 255),
    "G": (62, 137, 72, 255),
    "B": (0, 149, 233, 255),
    "Y": (254, 231, 97, 255),
    "W": (255, 255, 255, 255),
    "S": (194, 133, 105, 255),
}
HERO = "..KKKK../.KSSSSK./.KSKSKK./.KSSSSK./..KRRK../.KRRRYK./.KBRRBK./..K..K.."
FOE = "K......K/KGGKKGGK/.KGGGGK./KGYGGYGK/KGGGGGGK/.KGRRGK./..KGGK../...KK..."


def art(text: str) -> Pixels:
    """'AB/BA' -> uint8 (2, 2, 4)."""
    return np.array([[COLOURS[letter] for letter in line] for line in text.split("/")], np.uint8)


def noise_art(seed: int, width: int = 16, height: int = 16, colours: int = 6) -> Pixels:
    """Opaque random pixels of few colours: the least structured art there is."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colours, 4), dtype=np.uint8)
    palette[:, 3] = 255
    return palette[rng.integers(0, colours, (height, width))]


def scaled(pixels: Pixels, factor: int) -> Pixels:
    return pixels.repeat(factor, 0).repeat(factor, 1)


def encoded(pixels: Pixels, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert("RGB") if kind == "JPEG" else image).save(buffer, kind, **options)
    return buffer.getvalue()


def raw_folder(folder: Path, works: dict[str, bytes], **facts: Any) -> Path:
    """A source folder as a scrape stage leaves it: id -> bytes."""
    rows = []
    (folder / "images").mkdir(parents=True)
    for name, data in works.items():
        digest = hashlib.sha256(data).hexdigest()
        extension = "jpg" if data[:2] == b"\xff\xd8" else "png"
        (folder / "images" / f"{digest}.{extension}").write_bytes(data)
        row = {"id": name, "source": folder.name, "artist": None, "licence": "CC0-1.0", "sha256": digest, **facts}
        rows.append(manifest.kept(row))
    manifest.write(folder, rows, inputs=list(works))
    return folder


def stage_folder(folder: Path, works: dict[str, Pixels], **facts: dict[str, Any]) -> Path:
    """A stage's output: id -> pixels; `facts`: id (with _ for -) -> further keys of its row."""
    for name, pixels in works.items():
        write_png(folder / "images" / f"{name}.png", pixels)
    rows = [
        manifest.kept(
            {"id": name, "source": "s", "artist": None, **facts.get(name.replace("-", "_"), {})},
            **facts.get(name.replace("-", "_"), {}),
        )
        for name in works
    ]
    manifest.write(folder, rows, inputs=list(works))
    return folder


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in manifest.read(folder)}


def load(folder: Path, name: str) -> Pixels:
    return np.asarray(Image.open(folder / "images" / f"{name}.png"))


def colours_of(pixels: Pixels) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in pixels[..., :3].reshape(-1, 3).tolist()}
