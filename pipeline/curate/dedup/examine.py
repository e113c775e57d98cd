"""What deduplication needs to know of one image file, which is decoded once: a value of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from pipeline.images import canonical
from pipeline.images.files import Pixels, encode_art_png
from pipeline.images.formats import Frame, Undecodable, decode
from pipeline.runtime import cache
from pipeline.similarity import search
from pipeline.similarity.fingerprints import THUMBNAIL, Fingerprint

MIN_SIDE = 4  # canonical pictures with a shorter side are too simple to be compared by sight, ...
MIN_AREA, MIN_COLOURS = 16, 3  # ... with fewer pixels and fewer colours to be told from one another when enlarged


class FrameSelection(BaseModel):
    """Which frames of an animation are compared; see `formats.decode`."""

    frames: Literal["first", "distinct", "all"]
    most: int


@dataclass(frozen=True)
class Comparable:
    """What comparison needs of one picture; says nothing of the work or the file it came from.

    Attributes:
        key, kinship: hex digests; they and the other facts as in `table.DedupEntry`.
        blank: of one colour, or fully transparent.
    """

    key: str
    kinship: str | None
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]
    area: int
    colour_bits: int
    blank: bool
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Picture:
    """One frame of a file."""

    index: int
    png: bytes  # RGBA
    comparable: Comparable


@dataclass(frozen=True)
class ExaminedFile:
    """A file's frames and facts; `reason` is one of `formats.REASONS` where it could not be decoded."""

    reason: str | None
    facts: Mapping[str, int]  # frames, width, height
    lossless: bool
    pictures: list[Picture]


def examine(data: bytes, facts: Mapping[str, Any], selection: FrameSelection) -> bytes:  # noqa: ARG001
    """Decode a file and describe its frames, as a value of the cache; `unpack` reads it."""
    try:
        decoded = decode(data, "file", frames=selection.frames, most=selection.most)
    except Undecodable as error:
        return cache.pack({"reason": error.reason, "facts": {}, "lossless": False, "pictures": []})
    size = {"frames": decoded.facts.frames, "width": decoded.facts.width, "height": decoded.facts.height}
    heads, blobs = [], []
    for frame in decoded.frames:
        head, png, thumbnail = _packed(frame)
        heads.append(head)
        blobs += [png, thumbnail]
    file = {"reason": None, "facts": size, "lossless": decoded.facts.lossless, "pictures": heads}
    return cache.pack(file, *blobs)


def unpack(value: bytes) -> ExaminedFile:
    """Read a value that `examine` made."""
    file, blobs = cache.unpack(value)
    heads = zip(file.pop("pictures"), blobs[::2], blobs[1::2], strict=True)
    return ExaminedFile(**file, pictures=[_unpacked(*head) for head in heads])


def comparable(rgba: Pixels) -> Comparable:
    """What a picture is compared by: uint8 (H, W, 4), colours under alpha 0 zeroed."""
    form = canonical.canonical_form(rgba)
    core = form.core
    area, colours = core.shape[0] * core.shape[1], canonical.colour_count(core)
    return Comparable(
        key=canonical.digest(core if area >= MIN_AREA or colours >= MIN_COLOURS else rgba),
        kinship=canonical.kinship_digest(core) if min(core.shape[:2]) >= MIN_SIDE else None,
        factor=form.factor,
        canvas=form.canvas,
        place=form.place,
        area=area,
        colour_bits=colours.bit_length(),
        blank=core.shape[:2] == (1, 1),
        fingerprint=search.fingerprint(rgba),
    )


def _packed(frame: Frame) -> tuple[dict[str, Any], bytes, bytes]:
    """JSON, PNG, thumbnail."""
    facts = vars(comparable(frame.rgba))
    fingerprint = dict(vars(facts["fingerprint"]))
    thumbnail = fingerprint.pop("thumbnail").tobytes()
    return {**facts, "fingerprint": fingerprint, "index": frame.index}, encode_art_png(frame.rgba), thumbnail


def _unpacked(head: dict[str, Any], png: bytes, thumbnail: bytes) -> Picture:
    index, fingerprint = head.pop("index"), head.pop("fingerprint")
    fingerprint["hashes"] = tuple(fingerprint["hashes"])
    fingerprint["thumbnail"] = np.frombuffer(thumbnail, np.uint8).reshape(THUMBNAIL, THUMBNAIL, 4)
    head |= {name: tuple(head[name]) for name in ("canvas", "place")}
    return Picture(index, png, Comparable(**head, fingerprint=Fingerprint(**fingerprint)))
