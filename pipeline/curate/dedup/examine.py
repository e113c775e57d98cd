"""What deduplication needs to know of one image file: decoded once, as a value of the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from pipeline.images import canonical
from pipeline.images.files import Pixels, encode_art_png
from pipeline.images.formats import Frame, Undecodable, decode
from pipeline.runtime import cache
from pipeline.similarity import search
from pipeline.similarity.fingerprints import THUMBNAIL, Look

MIN_SIDE = 4  # canonical pictures with a shorter side are too simple to be compared by sight, ...
MIN_AREA, MIN_COLOURS = 16, 3  # ... with fewer pixels and fewer colours to be told from one another when enlarged


class Frames(BaseModel):
    """Which frames of an animation are looked at; see `decoding.decode`."""

    frames: Literal["first", "distinct", "all"]
    most: int


@dataclass(frozen=True)
class Seen:
    """What comparison needs of one picture; says nothing of the work or the file it came from."""

    key: str
    kin: str | None
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]
    area: int
    colour_bits: int
    blank: bool
    look: Look


@dataclass(frozen=True)
class Picture:
    """One frame of a file."""

    index: int
    png: bytes  # RGBA
    seen: Seen


@dataclass(frozen=True)
class Examined:
    """A file that was looked at; `reason` is one of `decoding.REASONS` where it could not be decoded."""

    reason: str | None
    facts: Mapping[str, int]  # frames, width, height
    lossless: bool
    pictures: list[Picture]


def examine(data: bytes, facts: Mapping[str, Any], wanted: Frames) -> bytes:  # noqa: ARG001
    """Decode a file; the result is read by `examined`."""
    try:
        decoded = decode(data, "file", frames=wanted.frames, most=wanted.most)
    except Undecodable as error:
        return cache.pack({"reason": error.reason, "facts": {}, "lossless": False, "pictures": []})
    told = {"frames": decoded.facts.frames, "width": decoded.facts.width, "height": decoded.facts.height}
    heads, blobs = [], []
    for frame in decoded.frames:
        head, *more = _packed(frame)
        heads.append(head)
        blobs += more
    whole = {"reason": None, "facts": told, "lossless": decoded.facts.lossless, "pictures": heads}
    return cache.pack(whole, *blobs)


def examined(value: bytes) -> Examined:
    """The inverse of `examine`."""
    head, blobs = cache.unpack(value)
    pairs = zip(blobs[::2], blobs[1::2], strict=True)
    pictures = [_unpacked(one, png, thumbnail) for one, (png, thumbnail) in zip(head["pictures"], pairs, strict=True)]
    return Examined(head["reason"], head["facts"], head["lossless"], pictures)


def see(rgba: Pixels) -> Seen:
    """What a picture is compared by: uint8 (H, W, 4), colours under alpha 0 zeroed."""
    placed = canonical.canonical_place(rgba)
    core = placed.core
    area, colours = core.shape[0] * core.shape[1], canonical.colour_count(core)
    return Seen(
        key=canonical.digest(core if area >= MIN_AREA or colours >= MIN_COLOURS else rgba),
        kin=canonical.kinship(core) if min(core.shape[:2]) >= MIN_SIDE else None,
        factor=placed.factor,
        canvas=placed.canvas,
        place=placed.place,
        area=area,
        colour_bits=colours.bit_length(),
        blank=core.shape[:2] == (1, 1),
        look=search.look(rgba),
    )


def _packed(frame: Frame) -> Iterator[Any]:
    """JSON, PNG, thumbnail."""
    seen = see(frame.rgba)
    look = {name: value for name, value in vars(seen.look).items() if name != "thumbnail"}
    yield {**vars(seen), "look": look, "index": frame.index}
    yield encode_art_png(frame.rgba)
    yield seen.look.thumbnail.tobytes()


def _unpacked(head: dict[str, Any], png: bytes, thumbnail: bytes) -> Picture:
    index, look = head.pop("index"), head.pop("look")
    side = THUMBNAIL
    small = np.frombuffer(thumbnail, np.uint8).reshape(side, side, 4)
    head["look"] = Look(hashes=tuple(look.pop("hashes")), thumbnail=small, **look)
    head |= {name: tuple(head[name]) for name in ("canvas", "place")}
    return Picture(index, png, Seen(**head))
