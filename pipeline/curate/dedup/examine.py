"""What deduplication needs to know of one image file, which is decoded once: a value of the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from pipeline.images import canonical
from pipeline.images.canonical import CanonicalForm
from pipeline.images.files import Pixels, encode_art_png
from pipeline.images.formats import Undecodable, decode
from pipeline.runtime import cache
from pipeline.similarity import search, sketches
from pipeline.similarity.fingerprints import FINGERPRINT
from pipeline.similarity.sketches import KEPT

MIN_SIDE = 4  # canonical pictures with a shorter side are too simple to be compared by sight, ...
MIN_AREA, MIN_COLOURS = 16, 3  # ... with fewer pixels and fewer colours to be told from one another when enlarged
ENTRY = np.dtype(  # what comparison and preference need of one picture, about 1.9 KB; says nothing of its work
    [
        ("key", "<u8", 4),  # digest of the canonical picture, or of all pixels where that is too simple
        ("kinship", "<u8", 4),  # of all its positions, turned and mirrored, and their recolours
        ("canvas", "<f8", 2),  # see `canonical.CanonicalForm`
        ("place", "<f8", 2),
        ("picture", "<u8"),  # digest of all pixels: of a million works the chance that two have one is 1 in 10 million
        ("factor", "<i4"),
        ("area", "<i4"),  # pixels of the canonical picture
        ("colour_bits", "u1"),  # binary digits of its number of colours; smoothing and codecs add some, artists use few
        ("lossless", "?"),  # the file's format keeps every pixel
        ("comparable", "?"),  # not too simple to be compared with anything but its exact pixels
        ("fingerprint", FINGERPRINT),
        ("patches", "<u4", KEPT),  # of the canonical picture, see `similarity.sketches`
    ],
    align=True,
)


class FrameSelection(BaseModel):
    """Which frames of an animation are compared; see `formats.decode`."""

    frames: Literal["first", "distinct", "all"]
    most: int


@dataclass(frozen=True, slots=True)
class FileSummary:
    """What the manifest needs of one input file.

    Attributes:
        reason: one of `formats.REASONS` where it could not be decoded.
        count: frames of the file.
        width, height: pixels.
        frames: indices of the frames that were taken.
        blank: those of them that show nothing: of one colour, or fully transparent.
    """

    reason: str | None
    count: int = 0
    width: int = 0
    height: int = 0
    frames: tuple[int, ...] = ()
    blank: tuple[int, ...] = ()

    def picture_id(self, id: str, frame: int) -> str:
        """A picture's id: that of its file, unless several frames were taken from it."""
        return id if len(self.frames) == 1 else f"{id}-f{frame:03}"


def examine(data: bytes, facts: Mapping[str, Any], selection: FrameSelection) -> bytes:  # noqa: ARG001
    """Decode a file and describe its frames, as a value of the cache; `unpack` reads it."""
    try:
        decoded = decode(data, "file", frames=selection.frames, most=selection.most)
    except Undecodable as error:
        return cache.pack([error.reason])
    blank, blobs = [], []
    for frame in decoded.frames:
        form = canonical.canonical_form(frame.rgba)
        if form.core.shape[:2] == (1, 1):
            blank.append(frame.index)
        else:
            png = encode_art_png(frame.rgba)
            blobs += [png, _entry(frame.rgba, form, png, lossless=decoded.facts.lossless)]
    size = decoded.facts.frames, decoded.facts.width, decoded.facts.height
    return cache.pack([None, *size, [frame.index for frame in decoded.frames], blank], *blobs)


def unpack(value: bytes) -> tuple[FileSummary, list[tuple[int, bytes, bytes]]]:
    """Read a value that `examine` made: the file, and index, RGBA PNG and ENTRY of each frame that is not blank."""
    (reason, *facts), blobs = cache.unpack(value)
    summary = FileSummary(reason, *facts[:3], *map(tuple, facts[3:]))
    shown = (frame for frame in summary.frames if frame not in summary.blank)
    return summary, list(zip(shown, blobs[::2], blobs[1::2], strict=True))


def _entry(rgba: Pixels, form: CanonicalForm, png: bytes, *, lossless: bool) -> bytes:
    """The ENTRY of a picture: uint8 (H, W, 4), colours under alpha 0 zeroed."""
    core = form.core
    area, colours = core.shape[0] * core.shape[1], canonical.colour_count(core)
    entry = np.zeros(1, ENTRY)
    entry["key"] = _numbers(canonical.digest(core if area >= MIN_AREA or colours >= MIN_COLOURS else rgba))
    if min(core.shape[:2]) >= MIN_SIDE:
        entry["kinship"], entry["comparable"] = _numbers(canonical.kinship_digest(core)), True
    entry["canvas"], entry["place"], entry["factor"] = form.canvas, form.place, form.factor
    entry["picture"] = _numbers(hashlib.blake2b(b"%d%b" % (lossless, png), digest_size=8).hexdigest())
    entry["area"], entry["colour_bits"], entry["lossless"] = area, colours.bit_length(), lossless
    entry["patches"] = sketches.sketch(core)
    entry["fingerprint"] = search.fingerprint(rgba)
    return entry.tobytes()


def _numbers(digest: str) -> Any:
    return np.frombuffer(bytes.fromhex(digest), "<u8")
