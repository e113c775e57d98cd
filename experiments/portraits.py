"""Gathers the artworks that the shipped generator learns from: openly licensed ones, and heads drawn by rules.

    python experiments/portraits.py FOLDER

Needs the folder of real data (`FACETOPIX_SHARED`, by default `../shared` beside the checkout), tars with their
`manifest.csv`. FOLDER gets pictures and a `manifest.csv` for `facetopix add art`. No face is among them, and nothing
that a machine learned to draw. Left out are all persons of `benchmarks/held_out.txt`, as portraits and as small
characters, and every folder that `benchmarks/real_faces.py` judges on.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from real_data import open_tar

from pipeline.errors import BadInput, PipelineError
from pipeline.images.captions import MANIFEST
from pipeline.runtime.files import output_dir
from pipeline.runtime.seeds import generator
from pipeline.sample.drawing.portraits import portrait

HERE = Path(__file__).parent
HELD_OUT = HERE.parent / "benchmarks" / "held_out.txt"
LICENCES = ("CC0", "OGA-BY", "MIT")  # a licence begins so: none that asks for the same licence
DRAWN = {24: 250, 32: 250, 48: 100, 64: 100}  # cells: busts drawn by the rules of the sample
SAME_WORD = {"cleric": "healer"}  # portraits and characters of one collection call them differently
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
    Folder("pixel_tiles", "crawl", 400, "tile"),
    Folder("pixel_tiles", "superpowers", 100, "object"),
)


class Work(NamedTuple):
    """A picture file and its line of the manifest."""

    path: str
    title: str
    licence: str
    identity: str
    tags: str
    picture: bytes


def gather(target: Path) -> int:
    """Write the artworks and their manifest below `target`; returns how many.

    Raises:
        BadInput: no real data, some under a licence that is not wanted, or `target` is there already.
    """
    if target.exists():
        raise BadInput(f"{target}: exists; expected the name of a new folder")
    works = [*_shared_works(), *_drawn()]
    with output_dir(target) as folder:
        with (folder / MANIFEST).open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(Work._fields[:-1])
            lines.writerows(work[:-1] for work in works)
        for work in works:
            (folder / work.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / work.path).write_bytes(work.picture)
    return len(works)


def _shared_works() -> Iterator[Work]:
    held_out = HELD_OUT.read_text(encoding="utf-8").split()
    for folder in FOLDERS:
        with open_tar(folder.tar) as tar:
            files = {member.name: member for member in tar if member.isfile()}
            table = io.StringIO(_read(tar, files["manifest.csv"]).decode())
            rows = {row["path"]: row for row in csv.DictReader(table)}
            paths = sorted(path for path in rows if path.startswith(f"{folder.tar}/{folder.name}/"))
            paths = [path for path in paths if not any(shows(path, person) for person in held_out)]
            if folder.works is not None:
                drawn = generator(SEED, "works", folder.tar, folder.name).permutation(len(paths))
                paths = [paths[index] for index in sorted(drawn[: folder.works])]
            for path in paths:
                row = rows[path]
                if not row["licence"].startswith(LICENCES):
                    raise BadInput(f"{tar.name}: {path}: expected one of the licences {LICENCES}, got {row['licence']}")
                title = Path(path).stem
                yield Work(path, title, row["licence"], row["identity"], folder.tags, _read(tar, files[path]))


def shows(path: str, person: str) -> bool:
    """Whether a file of a collection shows a person: has the name, or all words of what has no name.

    `character__Claris-cleric-001-light.png` shows `Claris-healer`, `elemental-wind-m-001` shows `wind_elemental-001`.
    """
    words, wanted = _words(Path(path).stem.rpartition("__")[2]), _words(person)
    return (person[0].isupper() and wanted[0] in words) or set(wanted) <= set(words)


def _words(name: str) -> list[str]:
    return [SAME_WORD.get(word, word) for word in re.split(r"[-_]", name)]


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None, "only files are asked for"
    return file.read()


def _drawn() -> Iterator[Work]:
    for cells, count in DRAWN.items():
        for number in range(count):
            file = io.BytesIO()
            Image.fromarray(portrait(generator(SEED, "bust", cells, number), cells)).save(file, "PNG")
            path = f"drawn/{cells}-{number:03}.png"
            yield Work(path, f"bust of {cells} cells", "MIT", "", "portrait", file.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    try:
        sys.stdout.write(f"{gather(parser.parse_args().folder)} artworks\n")
    except PipelineError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
