"""Makes the faces of the translation: drawn (sample) or read from inputs/faces, square RGB, without duplicates.

A picture is one face, its centre; with a detector it becomes one row per face that is found, `<id>-c01`, `<id>-c02`,
... from left to right, each with its `parent` and its `box` ([left, top, side] in pixels of the upright picture).

Reasons. failed: unreadable. dropped: limit (beyond the first N), blocklist, no_face, too_small (a side shorter than
half the size), duplicate (same RGB bytes as an earlier face), near_duplicate (pHash within max_distance and a thumbnail
within MAX_DIFFERENCE; pHash alone merges different drawings of one layout). Faces whose thumbnail differs a little more
are alternates: they stay, as one `family`.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.curate.faces import crops
from pipeline.curate.faces.params import Faces
from pipeline.errors import BadInput
from pipeline.images import captions, cascade
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
from pipeline.similarity.fingerprints import Fingerprint
from pipeline.takedown import blocklist

logger = logging.getLogger(__name__)

MAX_DIFFERENCE = 7.0  # levels (0..255), mean over a 16 x 16 thumbnail: JPEG 30 and resizing leave at most 4.9
ALTERNATE = 16.0  # levels: up to here two faces are versions of one picture; of distinct ones the closest have 9
Distance = tuple[str, int]  # reason and bits: of two originals, an equal face comes before a near one

DETECTOR = "faces.detector"  # the parameter, in errors
CARRIED = ("licence", "artist", "identity", "source", "title", "page_url", "image_url", "posted")  # of manifest.csv


@dataclass(frozen=True)
class Face:
    """A face whose picture is in the images folder, or the reason why it has none."""

    row: Row
    reason: str | None
    digest: str = ""  # of the RGB bytes
    fingerprint: Fingerprint | None = None


def run(
    src: Path, dst: Path, params: Faces, sample: Sample, size: int, executor: Executor, blocked: Path
) -> dict[str, Any]:
    """Write the faces to `dst`: images/<id>.png (size x size RGB), manifest.jsonl, stats.json.

    Args:
        src: folder tree of the user's faces; not read with origin "sample".
        size: pixels a side, out.
        blocked: the blocklist; the row of a work on it names the place of its file and nothing else.

    Raises:
        BadInput: origin "inputs" and no file there.
        BadParams: a detector that cannot run.
    """
    drawn = params.origin == "sample"
    rows = face_list.rows(sample.faces) if drawn else _input_rows(src, blocklist.load(blocked))
    allowed = [row for row in rows if not row.get("blocked")]
    with output_dir(dst) as out:
        images = out / "images"
        if not drawn and params.detector is not None:
            cascade.require(params.detector, DETECTOR)
        work = partial(_draw if drawn else _read, src=src, images=images, size=size, params=params)
        faces = [face for parts in parallel_map(work, allowed[: params.limit], executor) for face in parts]
        settled = [_settle(face.row, face.reason) for face in faces if face.reason is not None]
        settled += _without_duplicates([face for face in faces if face.reason is None], images, params)
        if params.limit is not None:
            settled += [manifest.dropped(row, "limit") for row in allowed[params.limit :]]
        settled += [manifest.dropped(row, "blocklist") for row in rows if row.get("blocked")]
        return manifest.write(out, settled, inputs=[row["id"] for row in rows], size=size)


def _settle(row: Row, reason: str | None, **facts: Any) -> Row:
    status = "kept" if reason is None else "failed" if reason == "unreadable" else "dropped"
    return manifest.row_of_verdict(row, manifest.verdict(status, reason, **facts), carried=("box",))


def _draw(row: Row, src: Path, images: Path, size: int, params: Faces) -> list[Face]:  # noqa: ARG001
    return [_saved(row, face_list.draw(int(row["index"]), size), images)]


def _input_rows(src: Path, blocked: blocklist.Blocklist) -> list[Row]:
    files = files_below(src) if src.is_dir() else []
    if not files:
        raise BadInput(f"{src}: no faces there; run `facetopix add faces PATH...` first, or set faces.origin to sample")
    told = captions.read(src, files)
    for remark in told.remarks:
        logger.warning(remark)
    return [_input_row(path.relative_to(src), told.notes.get(path, {}), blocked) for path in files]


def _input_row(relative: Path, notes: captions.Notes, blocked: blocklist.Blocklist) -> Row:
    source_id = captions.source_id(relative)
    id = f"inputs-{hashlib.sha256(f'faces/{source_id}'.encode()).hexdigest()[:16]}"  # an artwork there has another
    source = notes.get("source") or "inputs"
    place: Row = {"id": id, "source": source, "source_id": source_id, "origin": "inputs", "path": relative}
    if blocked.covers(id=id, source=source, artists=[notes.get("artist")]):
        return {**place, "blocked": True}
    return {**{key: notes.get(key) or None for key in CARRIED}, **place}


def _read(row: Row, src: Path, images: Path, size: int, params: Faces) -> list[Face]:
    path = src / row["path"]
    try:
        image = crops.read_upright(path)
    except BadInput:
        return [Face(row, "unreadable")]
    row = {**row, "sha256": sha256(path)}
    if params.detector is None:
        boxes = [(row, crops.centre(*image.size))]
    else:
        squares = cascade.faces(image, params.detector, DETECTOR)
        around = [crops.around(square, params.margin, *image.size) for square in squares]
        boxes = [
            ({**row, "id": f"{row['id']}-c{number:02}", "parent": row["id"], "box": list(box)}, box)
            for number, box in enumerate(around, 1)
        ]
    if not boxes:
        return [Face(row, "no_face")]
    return [
        Face(crop, "too_small") if box[2] * 2 < size else _saved(crop, crops.cut(image, box, size), images)
        for crop, box in boxes
    ]


def _saved(row: Row, pixels: Pixels, images: Path) -> Face:
    write_png(images / f"{row['id']}.png", pixels)
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, dtype=np.uint8)])
    return Face(row, None, hashlib.sha256(pixels.tobytes()).hexdigest(), search.fingerprint(rgba))


# duplicates: pairs are indices of faces, the earlier first


def _without_duplicates(faces: list[Face], images: Path, params: Faces) -> list[Row]:
    """A row for each face, the first of equal ones kept; removes the images of the others."""
    copies, alternates = _near_pairs(faces, params.max_distance)
    first: dict[str, int] = {}  # by digest
    for index, face in enumerate(faces):
        if (original := first.setdefault(face.digest, index)) != index:
            copies.append((original, index, ("duplicate", 0)))
    originals = groups.choose_originals(copies)
    families = _families(faces, originals, alternates)
    rows = []
    for index, face in enumerate(faces):
        if index in originals:
            (reason, distance), original = originals[index]
            (images / f"{face.row['id']}.png").unlink()
            favoured = faces[original].row["id"]
            rows.append(_settle(face.row, reason, in_favour_of=favoured, distance=distance))
        else:
            family = {"family": families[index]} if index in families else {}
            rows.append(_settle(face.row, None, **family))
    return rows


def _near_pairs(faces: list[Face], max_distance: int) -> tuple[list[tuple[int, int, Distance]], list[tuple[int, int]]]:
    """Near duplicates, and alternates."""
    fingerprints = [face.fingerprint for face in faces if face.fingerprint is not None]
    near: list[tuple[int, int, Distance]] = []
    alternates = []
    for left, right in search.candidates(fingerprints, max_distance).tolist():
        before, after = (fingerprints[index]["thumbnail"][..., :3].astype(np.int16) for index in (left, right))
        difference = np.abs(before - after).mean()
        if difference <= MAX_DIFFERENCE:
            bits = int(np.bitwise_count(fingerprints[left]["hashes"][0] ^ fingerprints[right]["hashes"][0]))
            near.append((left, right, ("near_duplicate", bits)))
        elif difference <= ALTERNATE:
            alternates.append((left, right))
    return near, alternates


def _families(
    faces: list[Face], originals: dict[int, tuple[Distance, int]], alternates: list[tuple[int, int]]
) -> dict[int, str]:
    """Index -> name of the family, for the members of families; alternates of a dropped face are its original's."""
    favoured = {index: original for index, (_, original) in originals.items()}
    links = [(favoured.get(left, left), favoured.get(right, right)) for left, right in alternates]
    families = groups.components(sorted({index for pair in links for index in pair}), links)
    several = [family for family in families if len(family) > 1]
    return {index: min(faces[member].row["id"] for member in family) for family in several for index in family}
