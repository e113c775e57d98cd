"""Gathers the artworks that the shipped generator learns from: openly licensed ones, and heads drawn by rules.

    python experiments/portraits.py FOLDER

Needs the folder of real data (`FACETOPIX_SHARED`, by default `../shared` beside the checkout), tars with their
`manifest.csv`. FOLDER gets pictures and a `manifest.csv` for `facetopix add art`. Identities of
`benchmarks/held_out.txt` stay out, and so do all works under licences that ask for the same licence. No face is among
them, and nothing that a machine learned to draw.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from pipeline.errors import BadInput
from pipeline.images.captions import MANIFEST
from pipeline.runtime.seeds import generator
from pipeline.sample.drawing.portraits import portrait

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("FACETOPIX_SHARED", HERE.parents[1] / "shared"))
HELD_OUT = HERE.parent / "benchmarks" / "held_out.txt"
DRAWN = {24: 250, 32: 250, 48: 100, 64: 100}  # cells: busts drawn by the rules of the sample
SEED = 7


class Folder(NamedTuple):
    """A folder of a tar: how many of its works take part, and what they show."""

    tar: str
    name: str
    works: int | None  # drawn by the seed; None: all
    tags: str


FOLDERS = (
    Folder("pixel_faces", "cabbit", None, "portrait"),
    Folder("pixel_faces", "superpowers", None, "portrait"),
    Folder("pixel_chars", "cabbit", 200, "character"),
    Folder("pixel_chars", "lpc_composed", 150, "character"),
    Folder("pixel_tiles", "crawl", 300, "tile"),
    Folder("pixel_tiles", "superpowers", 100, "object"),
)


def gather(target: Path) -> int:
    """Write the artworks and their manifest below `target`; returns how many."""
    target.mkdir(parents=True)
    count = 0
    with (target / MANIFEST).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["path", "title", "licence", "identity", "tags"])
        for name, picture, *facts in (*_shared_works(), *_drawn()):
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
            lines.writerow([name, *facts])
            count += 1
    return count


def _shared_works() -> Iterator[tuple[str, bytes, str, str, str, str]]:
    held_out = set(HELD_OUT.read_text(encoding="utf-8").split())
    for folder in FOLDERS:
        source = SHARED / "data" / f"{folder.tar}.tar"
        if not source.is_file():
            raise BadInput(f"{source}: missing; FACETOPIX_SHARED names the folder of real data")
        with tarfile.open(source) as tar:
            table = io.TextIOWrapper(_member(tar, "manifest.csv"), encoding="utf-8", newline="")
            prefix = f"{folder.tar}/{folder.name}/"
            rows = [row for row in csv.DictReader(table) if row["path"].startswith(prefix)]
            rows = sorted(
                (row for row in rows if row["identity"].partition(":")[2] not in held_out), key=lambda row: row["path"]
            )
            if folder.works is not None:
                chosen = generator(SEED, "works", folder.tar, folder.name).permutation(len(rows))[: folder.works]
                rows = [rows[index] for index in sorted(chosen)]
            for row in rows:
                title = Path(row["path"]).stem
                picture = _member(tar, row["path"]).read()
                yield row["path"], picture, title, row["licence"], row["identity"], folder.tags


def _member(tar: tarfile.TarFile, name: str) -> io.BufferedReader:
    file = tar.extractfile(name)
    if file is None:
        raise BadInput(f"{tar.name}: no file named {name}")
    return file  # type: ignore[return-value]


def _drawn() -> Iterator[tuple[str, bytes, str, str, str, str]]:
    for cells, count in DRAWN.items():
        for number in range(count):
            file = io.BytesIO()
            Image.fromarray(portrait(generator(SEED, "bust", cells, number), cells)).save(file, "PNG")
            name = f"drawn/{cells}-{number:03}.png"
            yield name, file.getvalue(), f"bust of {cells} cells", "MIT", "", "portrait"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    sys.stdout.write(f"{gather(parser.parse_args().folder)} artworks\n")
