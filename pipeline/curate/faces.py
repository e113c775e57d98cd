"""The faces of the translation: drawn (sample) or read from inputs/faces, square RGB, without duplicates.

Reasons. failed: unreadable. dropped: limit (beyond the first N), too_small (a side shorter than half the size),
duplicate (same RGB bytes as an earlier face), near_duplicate (pHash within max_distance and a thumbnail within
MAX_DIFFERENCE; pHash alone merges different drawings of one layout).
"""

from __future__ import annotations

import csv
import hashlib
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from pipeline import manifest, seeds, similarity
from pipeline.errors import BadInput
from pipeline.executor import parallel_map
from pipeline.io import Pixels, open_image, output_dir, sha256, write_png
from pipeline.manifest import Row
from pipeline.params import Executor, Faces, Sample
from pipeline.pictures import files_below
from pipeline.sample import art
from pipeline.sample.character import draw_character

COPY_EVERY = 40  # of so many sample faces, the last is a copy of an earlier one: real collections have them
COPY_BACK = 17
MAX_DIFFERENCE = 10.0  # levels (0..255), mean over a 16 x 16 thumbnail
CARRIED = ("licence", "artist", "identity", "source", "title", "page_url", "image_url", "posted")  # of manifest.csv


@dataclass(frozen=True)
class Face:
    """A face that lies in the images folder, or the reason why none does."""

    row: Row
    reason: str | None
    digest: str  # of the RGB bytes; empty without image
    look: similarity.Look | None


def run(src: Path, dst: Path, params: Faces, sample: Sample, size: int, executor: Executor) -> dict[str, Any]:
    """Write `dst`: images/<id>.png (size x size RGB), manifest.jsonl, stats.json.

    Args:
        src: folder tree of the user's faces; not read with origin "sample".
        size: pixels a side, out.

    Raises:
        BadInput: origin "inputs" and no file there.
    """
    rows = _sample_rows(sample.faces) if params.origin == "sample" else _input_rows(src)
    taken = rows[: params.limit]
    with output_dir(dst) as out:
        work = _work(src, out / "images", size, params)
        faces = parallel_map(work, taken, executor)
        done = [_finished(face) for face in faces if face.reason is not None]
        done += _without_duplicates(
            [face for face in faces if face.reason is None], out / "images", params.max_distance
        )
        done += [manifest.dropped(row, "limit") for row in rows[len(taken) :]]
        return manifest.write(out, done, inputs=[row["id"] for row in rows], size=size)


def _work(src: Path, images: Path, size: int, params: Faces) -> Callable[[Row], Face]:
    if params.origin == "sample":
        return partial(_drawn, images=images, size=size)
    return partial(_read, src=src, images=images, size=size)


def _finished(face: Face) -> Row:
    row = manifest.failed if face.reason == "unreadable" else manifest.dropped
    return row(face.row, str(face.reason))


# sample


def _sample_rows(count: int) -> list[Row]:
    return [_sample_row(index) for index in range(count)]


def _sample_row(index: int) -> Row:
    original, source_id = _original(index), f"face/{index}"
    who = draw_character(_stream(original))
    return {
        "id": _id("sample", source_id),
        "source": "sample",
        "source_id": source_id,
        "origin": "sample",
        "licence": "MIT",
        "artist": "facetopix sample",
        "identity": f"face/{original}",
        "tags": [f"{who.hair_name} hair", who.back, who.fringe, who.outfit, who.mouth],
        "index": index,
    }


def _id(source: str, source_id: str) -> str:
    return f"{source}-{hashlib.sha256(source_id.encode()).hexdigest()[:16]}"


def _original(index: int) -> int:
    """The index itself, or that of the face of which this one is a copy."""
    return index - COPY_BACK if index % COPY_EVERY == COPY_EVERY - 1 else index


def _stream(index: int) -> np.random.Generator:
    return seeds.generator(0, "sample", "face", index)


def _drawn(row: Row, images: Path, size: int) -> Face:
    index = int(row["index"])
    pixels = art.face(_stream(_original(index)), size)
    if _original(index) != index and (index // COPY_EVERY) % 2:  # every other copy is a little darker
        pixels = (pixels.astype(np.uint16) * 97 // 100).astype(np.uint8)
    return _saved(row, pixels, images)


# inputs


def _input_rows(src: Path) -> list[Row]:
    files = files_below(src) if src.is_dir() else []
    if not files:
        raise BadInput(f"{src}: no faces there; run `facetopix add faces PATH...` first, or set faces.origin to sample")
    known = _described(src)
    return [_input_row(path.relative_to(src), known.get(path, {})) for path in files]


def _described(src: Path) -> dict[Path, dict[str, str]]:
    """What the manifest.csv files below `src` say of the files beside and below them."""
    known: dict[Path, dict[str, str]] = {}
    for table in sorted(src.rglob("manifest.csv")):
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            try:
                known |= {table.parent / line["path"]: line for line in csv.DictReader(lines) if line.get("path")}
            except csv.Error as error:
                raise BadInput(f"{table}: not a CSV table: {error}") from error
    return known


def _input_row(relative: Path, said: dict[str, str]) -> Row:
    path = relative.as_posix()
    source_id = path.encode(errors="backslashreplace").decode()
    facts = {key: said.get(key) or None for key in CARRIED}
    return {
        **facts,
        "id": _id("inputs", f"faces/{source_id}"),  # an artwork of the same name has another id
        "source": facts["source"] or "inputs",
        "source_id": source_id,
        "origin": "inputs",
        "path": path,
    }


def _read(row: Row, src: Path, images: Path, size: int) -> Face:
    path = src / row["path"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF: no reason to refuse the picture
            with open_image(path) as image:
                if min(image.size) * 2 < size:
                    return Face(row, "too_small", "", None)
                pixels = _square(_on_white(ImageOps.exif_transpose(image)), size)
    except (BadInput, struct.error):  # struct.error: damaged EXIF beyond Pillow's own checks
        return Face(row, "unreadable", "", None)
    return _saved({**row, "sha256": sha256(path)}, pixels, images)


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


# both


def _square(image: Image.Image, size: int) -> Pixels:
    """The centre, LANCZOS to size x size: photographs and drawings are smooth, only the art side is not filtered."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    centre = image.crop((left, top, left + side, top + side))
    return np.asarray(centre.resize((size, size), Image.Resampling.LANCZOS))


def _saved(row: Row, pixels: Pixels, images: Path) -> Face:
    write_png(images / f"{row['id']}.png", pixels)
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, dtype=np.uint8)])
    return Face(row, None, hashlib.sha256(pixels.tobytes()).hexdigest(), similarity.look(rgba))


def _without_duplicates(faces: list[Face], images: Path, max_distance: int) -> list[Row]:
    """A row for each face, the first of equal ones kept; removes the images of the others."""
    near = _near_earlier(faces, max_distance)
    first: dict[str, int] = {}
    kept: set[int] = set()
    rows = []
    for index, face in enumerate(faces):
        verdict = _verdict(index, face, first, kept, near)
        if verdict is None:
            kept.add(index)
            first[face.digest] = index
            rows.append(manifest.kept(face.row))
            continue
        reason, favoured, distance = verdict
        (images / f"{face.row['id']}.png").unlink()
        in_favour_of = faces[favoured].row["id"]
        rows.append(manifest.dropped(face.row, reason, in_favour_of=in_favour_of, distance=distance))
    return rows


def _verdict(
    index: int, face: Face, first: dict[str, int], kept: set[int], near: dict[int, list[tuple[int, int]]]
) -> tuple[str, int, int] | None:
    """Reason, index of the favoured face and distance in bits; None = keep."""
    if face.digest in first:
        return "duplicate", first[face.digest], 0
    standing = [(distance, other) for distance, other in near.get(index, []) if other in kept]
    if standing:
        distance, other = min(standing)
        return "near_duplicate", other, distance
    return None


def _near_earlier(faces: list[Face], max_distance: int) -> dict[int, list[tuple[int, int]]]:
    """Index -> (distance in bits, index) of verified earlier near duplicates."""
    looks = [face.look for face in faces if face.look is not None]
    near: dict[int, list[tuple[int, int]]] = {}
    for one, other in similarity.candidates(looks, max_distance).tolist():
        if _difference(looks[one], looks[other]) <= MAX_DIFFERENCE:
            distance = (looks[one].hashes[0] ^ looks[other].hashes[0]).bit_count()
            near.setdefault(other, []).append((distance, one))
    return near


def _difference(one: similarity.Look, other: similarity.Look) -> float:
    gap = one.thumbnails[0].astype(np.int16) - other.thumbnails[0].astype(np.int16)
    return float(np.abs(gap).mean())
