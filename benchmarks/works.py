"""What the benchmark of curation looks at: real works where they are, and any number of drawn ones."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.images.files import Pixels, encode_png
from pipeline.runtime import manifest

SHARED = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[2] / "shared")) / "data"
SETS = ("pixel_tiles", "pixel_chars", "pixel_faces", "pixel_scenes", "decoders")
SIDES = (16, 49)  # native pixels
ENLARGED = (1, 1, 1, 2, 3)


def real(name: str, count: int) -> list[bytes]:
    """About `count` files spread over a set; none where the set is not."""
    path = SHARED / f"{name}.tar"
    if not path.is_file():
        return []
    with tarfile.open(path) as tar:
        table = tar.extractfile("manifest.csv")
        assert table is not None
        lines = list(csv.DictReader(io.TextIOWrapper(table, "utf-8")))
        chosen = {line["path"] for line in lines[:: max(1, len(lines) // count)][:count]}
        files = [tar.extractfile(member) for member in tar if member.name in chosen]
        return [file.read() for file in files if file is not None]


def drawn(number: int) -> Pixels:
    """uint8 (H, W, 4), no two alike: a mirrored body of few colours on transparency, every fourth opaque.

    Of 16 to 48 native pixels a side, two of five enlarged by 2 or 3.
    """
    rng = np.random.default_rng(number)
    height, width = rng.integers(*SIDES, 2)
    palette = np.full((6, 4), 255, np.uint8)
    palette[:, :3] = rng.integers(0, 256, (6, 3))
    palette[0, 3] = 255 * (number % 4 == 0)
    coarse = rng.integers(0, 6, (-(-height // 2), -(-width // 4))).repeat(2, 0).repeat(2, 1)[:height, : -(-width // 2)]
    coarse[rng.random(coarse.shape) < 0.15] = rng.integers(1, 6)
    art = palette[np.concatenate([coarse, coarse[:, ::-1][:, width % 2 :]], axis=1)]
    factor = ENLARGED[number % len(ENLARGED)]
    return art.repeat(factor, 0).repeat(factor, 1)


def folder(path: Path, numbers: range, before: Path | None = None) -> Path:
    """Drawn works as a crawl leaves them: images by their hash, and a manifest.

    Args:
        before: a folder with the first of them, which are linked and not drawn again.
    """
    (path / "images").mkdir(parents=True)

    def groups() -> Iterator[tuple[str, list[manifest.Row]]]:
        there = 0
        for row in manifest.stream_kept(before) if before else ():
            (path / "images" / f"{row['sha256']}.png").hardlink_to(before / "images" / f"{row['sha256']}.png")
            there += 1
            yield row["id"], [row]
        for number in numbers[there:]:
            data = encode_png(drawn(number))
            row = {"id": f"drawn-{number:08}", "source": "drawn", "artist": f"a{number % 97}", "licence": "CC0-1.0"}
            row["sha256"] = hashlib.sha256(data).hexdigest()
            (path / "images" / f"{row['sha256']}.png").write_bytes(data)
            yield row["id"], [manifest.kept(row)]

    manifest.write_streamed(path, groups())
    return path


def faces(path: Path, count: int) -> Path:
    """Drawn works as the stage of faces leaves them."""
    (path / "images").mkdir(parents=True)
    rows = [{"id": f"face-{number:08}", "source": "drawn", "identity": str(number)} for number in range(count)]
    for row in rows:
        face = np.random.default_rng([1, int(row["identity"])]).integers(0, 256, (128, 128, 3), np.uint8)
        (path / "images" / f"{row['id']}.png").write_bytes(encode_png(face))
    manifest.write(path, [manifest.kept(row) for row in rows], inputs=[row["id"] for row in rows])
    return path
