"""The faces of the translation: drawn (sample) or read from inputs/faces, square RGB, without duplicates.

A picture is one face, its centre; with a detector it becomes one row per face that is found, `<id>-c01`, `<id>-c02`,
... from left to right, each with its `parent` and its `box` ([left, top, side] in pixels of the upright picture).

Reasons. failed: unreadable. dropped: limit (beyond the first N), blocklist, no_face, too_small (a side shorter than
half the size), duplicate (same RGB bytes as an earlier face), near_duplicate (pHash within max_distance and a thumbnail
within MAX_DIFFERENCE; pHash alone merges different drawings of one layout). Faces whose thumbnail differs a little more
are alternates: they stay, as one `family`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.curate.faces import crops as squares
from pipeline.curate.faces import detector
from pipeline.curate.faces.params import Faces
from pipeline.errors import BadInput
from pipeline.images import captions
from pipeline.images.files import Pixels, write_png
from pipeline.images.folders import files_below
from pipeline.runtime import manifest
from pipeline.runtime.files import output_dir, sha256
from pipeline.runtime.manifest import Row
from pipeline.runtime.parallel import parallel_map
from pipeline.runtime.settings import Executor
from pipeline.sample import faces as face_list
from pipeline.sample.params import Sample
from pipeline.similarity import groups, search
from pipeline.similarity.fingerprints import Look
from pipeline.takedown import blocklist

MAX_DIFFERENCE = 7.0  # levels (0..255), mean over a 16 x 16 thumbnail: JPEG 30 and resizing leave at most 4.9
ALTERNATE = 16.0  # levels: up to here two faces are versions of one picture; of distinct ones the closest have 9
CARRIED = ("licence", "artist", "identity", "source", "title", "page_url", "image_url", "posted")  # of manifest.csv


@dataclass(frozen=True)
class Face:
    """A face that lies in the images folder, or the reason why none does."""

    row: Row
    reason: str | None
    digest: str = ""  # of the RGB bytes
    look: Look | None = None


def run(
    src: Path, dst: Path, params: Faces, sample: Sample, size: int, executor: Executor, blocked: Path
) -> dict[str, Any]:
    """Write `dst`: images/<id>.png (size x size RGB), manifest.jsonl, stats.json.

    Args:
        src: folder tree of the user's faces; not read with origin "sample".
        size: pixels a side, out.
        blocked: the blocklist; of a work on it nothing is told but the place of its file.

    Raises:
        BadInput: origin "inputs" and no file there.
        BadParams: a detector that cannot run.
    """
    drawn = params.origin == "sample"
    rows = face_list.rows(sample.faces) if drawn else _input_rows(src, blocklist.load(blocked))
    wanted = [row for row in rows if not row.get("blocked")]
    taken = wanted[: params.limit]
    with output_dir(dst) as out:
        work = (
            partial(_drawn, images=out / "images", size=size) if drawn else _reader(src, out / "images", size, params)
        )
        faces = [face for found in parallel_map(work, taken, executor) for face in found]
        done = [_finished(face) for face in faces if face.reason is not None]
        done += _without_duplicates([face for face in faces if face.reason is None], out / "images", params)
        done += [manifest.dropped(row, "limit") for row in wanted[len(taken) :]]
        done += [manifest.dropped(row, "blocklist") for row in rows if row.get("blocked")]
        return manifest.write(out, done, inputs=[row["id"] for row in rows], size=size)


def _finished(face: Face) -> Row:
    row = manifest.failed if face.reason == "unreadable" else manifest.dropped
    return row(face.row, str(face.reason), **_box(face.row))


def _box(row: Row) -> Row:
    return {"box": row["box"]} if "box" in row else {}


def _drawer(images: Path, size: int) -> Callable[[Row], list[Face]]:
    return partial(_drawn, images=images, size=size)


def _drawn(row: Row, images: Path, size: int) -> list[Face]:
    return [_saved(row, face_list.draw(int(row["index"]), size), images)]


def _input_rows(src: Path, blocked: blocklist.Blocklist) -> list[Row]:
    files = files_below(src) if src.is_dir() else []
    if not files:
        raise BadInput(f"{src}: no faces there; run `facetopix add faces PATH...` first, or set faces.origin to sample")
    said = captions.read(src)
    return [_input_row(path.relative_to(src), said.get(path, {}), blocked) for path in files]


def _input_row(relative: Path, said: captions.Notes, blocked: blocklist.Blocklist) -> Row:
    source_id = captions.source_id(relative)
    id = f"inputs-{hashlib.sha256(f'faces/{source_id}'.encode()).hexdigest()[:16]}"  # an artwork there has another
    source = said.get("source") or "inputs"
    place: Row = {"id": id, "source": source, "source_id": source_id, "origin": "inputs", "path": relative}
    if blocked.covers(id=id, source=source, artists=[said.get("artist")]):
        return {**place, "blocked": True}
    return {**{key: said.get(key) or None for key in CARRIED}, **place}


def _reader(src: Path, images: Path, size: int, params: Faces) -> Callable[[Row], list[Face]]:
    if params.detector is not None:
        detector.require(params.detector)
    return partial(_read, src=src, images=images, size=size, params=params)


def _read(row: Row, src: Path, images: Path, size: int, params: Faces) -> list[Face]:
    path = src / row["path"]
    try:
        image = squares.read_upright(path)
    except BadInput:
        return [Face(row, "unreadable")]
    row = {**row, "sha256": sha256(path)}
    if params.detector is None:
        crops = [(row, squares.centre(*image.size))]
    else:
        boxes = [squares.around(box, params.margin, *image.size) for box in detector.faces(image, params.detector)]
        crops = [(_crop_row(row, number, box), box) for number, box in enumerate(boxes, 1)]
    if not crops:
        return [Face(row, "no_face")]
    return [
        Face(crop, "too_small") if box[2] * 2 < size else _saved(crop, squares.cut(image, box, size), images)
        for crop, box in crops
    ]


def _crop_row(row: Row, number: int, box: squares.Square) -> Row:
    return {**row, "id": f"{row['id']}-c{number:02}", "parent": row["id"], "box": list(box)}


def _saved(row: Row, pixels: Pixels, images: Path) -> Face:
    write_png(images / f"{row['id']}.png", pixels)
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, dtype=np.uint8)])
    return Face(row, None, hashlib.sha256(pixels.tobytes()).hexdigest(), search.look(rgba))


# duplicates


def _without_duplicates(faces: list[Face], images: Path, params: Faces) -> list[Row]:
    """A row for each face, the first of equal ones kept; removes the images of the others."""
    near, alike = _pairs(faces, params.max_distance)
    first: dict[str, int] = {}
    gone: dict[int, tuple[str, int, int]] = {}
    for index, face in enumerate(faces):
        verdict = _verdict(index, face, first, gone, near)
        if verdict is None:
            first[face.digest] = index
            continue
        gone[index] = verdict
        (images / f"{face.row['id']}.png").unlink()
    families = _families(faces, gone, alike)
    return [_row(faces, index, gone.get(index), families.get(index)) for index in range(len(faces))]


def _row(faces: list[Face], index: int, verdict: tuple[str, int, int] | None, family: str | None) -> Row:
    row = faces[index].row
    if verdict is None:
        return manifest.kept(row, **_box(row), **({"family": family} if family else {}))
    reason, favoured, distance = verdict
    return manifest.dropped(row, reason, in_favour_of=faces[favoured].row["id"], distance=distance, **_box(row))


def _verdict(
    index: int,
    face: Face,
    first: dict[str, int],
    gone: dict[int, tuple[str, int, int]],
    near: dict[int, list[tuple[int, int]]],
) -> tuple[str, int, int] | None:
    """Reason, index of the favoured face and distance in bits; None = keep."""
    if face.digest in first:
        return "duplicate", first[face.digest], 0
    standing = [(distance, other) for distance, other in near.get(index, []) if other not in gone]
    if standing:
        distance, other = min(standing)
        return "near_duplicate", other, distance
    return None


def _pairs(faces: list[Face], max_distance: int) -> tuple[dict[int, list[tuple[int, int]]], list[tuple[int, int]]]:
    """Index -> (distance in bits, index) of earlier near duplicates; and the pairs of alternates."""
    looks = [face.look for face in faces if face.look is not None]
    near: dict[int, list[tuple[int, int]]] = {}
    alike = []
    for one, other in search.candidates(looks, max_distance).tolist():
        difference = _difference(looks[one], looks[other])
        if difference <= MAX_DIFFERENCE:
            distance = (looks[one].hashes[0] ^ looks[other].hashes[0]).bit_count()
            near.setdefault(other, []).append((distance, one))
        elif difference <= ALTERNATE:
            alike.append((one, other))
    return near, alike


def _difference(one: Look, other: Look) -> float:
    gap = one.thumbnails[0].astype(np.int16) - other.thumbnails[0].astype(np.int16)
    return float(np.abs(gap).mean())


def _families(faces: list[Face], gone: dict[int, tuple[str, int, int]], alike: list[tuple[int, int]]) -> dict[int, str]:
    """Index -> name of the family, for the kept members of families."""
    links = [(_standing(one, gone), _standing(other, gone)) for one, other in alike]
    clans = groups.components(sorted({index for pair in links for index in pair}), links)
    several = [clan for clan in clans if len(clan) > 1]
    return {index: min(faces[member].row["id"] for member in clan) for clan in several for index in clan}


def _standing(index: int, gone: dict[int, tuple[str, int, int]]) -> int:
    """The face itself, or the one that was kept in its favour."""
    return gone[index][1] if index in gone else index
