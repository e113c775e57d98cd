"""What each sample gallery lists: its works, who made them, what their files hold.

Work `index` of a source is the same whatever the length of the gallery and the user's seed. Index 0 is the newest.
Every hundred works hold the same mix: what real galleries hold, broken files and copies included.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache

import numpy as np

from pipeline.images.files import Pixels
from pipeline.runtime import seeds
from pipeline.sample.drawing import art
from pipeline.sample.galleries import encodings

MIX = {"portrait": 65, "sprite": 15, "item": 8, "scene": 4, "animation": 8}  # works of each kind in a hundred
NEWEST = datetime(2024, 12, 30, 18, 0, tzinfo=UTC)
ARTISTS = {"pixeljoint": 22, "lospec": 18, "pixiehaus": 14}
ENLARGED = 0.35  # share of works served enlarged by 2..8
DIRTY = 0.2  # share of transparent works with a colour hidden under alpha 0
MAGENTA = (255, 0, 255)

# place in each hundred -> what is special there
BROKEN = {7: "truncated", 11: "html", 15: "missing", 19: "noai"}
SPECIAL = {"pixeljoint": {23: "removed"}, "lospec": {23: "nsfw", 27: "noai page", 17: "empty slug", 20: "same slug",
           21: "same slug"}, "pixiehaus": {}}  # fmt: skip
COPIES = {9: 4, 33: 28, 58: 50, 86: 80}  # exact copies: re-encoded, enlarged, padded
NEAR_COPIES = {13: 8, 47: 40, 71: 64}  # lossy, or two pixels edited
SOFT = (5, 29, 53, 77)  # partial alpha along the outline

SYLLABLES = ("ka", "ri", "mo", "to", "ven", "lu", "sa", "ne", "bit", "pix", "or", "da", "fi", "zu", "mar", "el")
ACCENTS = ("à la carte", "café", "früh", "señor", "déjà vu")


@dataclass(frozen=True)
class ListedWork:
    """One listed work, without its pixels."""

    source: str
    index: int
    kind: str  # a key of MIX, or "copy", "near copy"
    special: str  # "", or a value of BROKEN or SPECIAL
    artist: int
    artist_name: str
    title: str
    tags: tuple[str, ...]
    posted: datetime
    encoding: str  # a kind of encodings.encode
    factor: int  # pixels a side per cell

    @property
    def extension(self) -> str:
        return self.encoding.partition("-")[0]

    @property
    def place(self) -> int:
        return self.index % 100


@cache
def work(source: str, index: int) -> ListedWork:
    """The work at a place of a gallery's list; 0 is the newest."""
    place = index % 100
    rng = seeds.generator(0, "sample", source, index, "facts")
    special = BROKEN.get(place) or SPECIAL[source].get(place, "")
    kind = "copy" if place in COPIES else "near copy" if place in NEAR_COPIES else _kinds(source, index // 100)[place]
    artist = index // 100
    if special not in ("empty slug", "same slug"):
        artist = int(ARTISTS[source] * rng.random() ** 1.6)  # some artists post much, most little
    artist = (artist + (place == 21)) % ARTISTS[source]
    title, tags = art.describe(rng)
    factor = int(rng.integers(2, 9)) if rng.random() < ENLARGED else 1
    if place in (33, 86) or (place == 9 and source == "pixiehaus"):
        factor = work(source, index - place + COPIES[place]).factor % 4 + 2  # never the original's
    return ListedWork(
        source=source,
        index=index,
        kind=kind,
        special=special,
        artist=artist,
        artist_name=artist_names(source)[artist],
        title=f"{title} {ACCENTS[index % len(ACCENTS)]}" if source == "pixeljoint" and index % 4 == 1 else title,
        tags=(*tags, "nsfw") if special == "nsfw" else tuple(tags),
        posted=NEWEST - timedelta(hours=7 * index, minutes=int(rng.integers(60))),
        encoding=_encoding(source, index, kind, rng),
        factor=factor,
    )


@cache
def artist_names(source: str) -> tuple[str, ...]:
    """The artists of a gallery, all of different names."""
    rng = seeds.generator(0, "sample", source, "artists")
    names: list[str] = []
    while len(names) < ARTISTS[source]:
        name = "".join(rng.choice(SYLLABLES, size=3)).capitalize()
        if name not in names:
            names.append(name)
    if source == "pixeljoint":
        names[:2] = ["Zoë", "Jürgen"]
    return tuple(names)


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and hyphens."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")


def number(*address: str | int, digits: int) -> str:
    """A decimal number of `digits` that belongs to an address, leading zeros included."""
    return f"{seeds.derive(0, 'sample', 'number', *address) % 10**digits:0{digits}d}"


@cache
def file(source: str, index: int) -> bytes:
    """The bytes that the gallery serves as the full image."""
    listed = work(source, index)
    pixels = [_enlarge(frame, listed.factor) for frame in frames(source, index)]
    data = encodings.encode(pixels, listed.encoding)
    return data[: len(data) * 2 // 3] if listed.special == "truncated" else data


def thumbnail(source: str, index: int) -> bytes:
    """A PNG of the middle of the first frame: not the work."""
    frame = frames(source, index)[0]
    height, width = frame.shape[:2]
    middle = frame[height // 16 : height - height // 16, width // 16 : width - width // 16]
    return encodings.encode([_enlarge(middle, max(1, 96 // max(middle.shape[:2])))], "png")


@lru_cache(maxsize=128)
def frames(source: str, index: int) -> tuple[Pixels, ...]:
    """The work as drawn, one pixel per cell, before it is enlarged."""
    listed = work(source, index)
    rng = seeds.generator(0, "sample", source, index, "finish")
    if listed.kind == "copy":
        original = _original(listed)
        return tuple(_pad(frame, rng) for frame in original) if listed.place in (58, 86) else original
    if listed.kind == "near copy":
        original = _original(listed)
        return original if listed.encoding in ("jpg", "webp-lossy") else tuple(_edit(frame, rng) for frame in original)
    images = _draw(listed, seeds.generator(0, "sample", source, index))
    if listed.place in SOFT:
        images = [_soften(frame) for frame in images]
    dirty = rng.random() < DIRTY and listed.encoding in ("png", "webp")
    return tuple(_hide_colour(frame) if dirty else frame for frame in images)


def _original(listed: ListedWork) -> tuple[Pixels, ...]:
    place = {**COPIES, **NEAR_COPIES}[listed.place]
    original = frames(listed.source, listed.index - listed.place + place)
    return original if listed.encoding in ("gif", "webp") else original[:1]


def _draw(listed: ListedWork, rng: np.random.Generator) -> list[Pixels]:
    match listed.kind:
        case "portrait":
            return [art.portrait(rng, cells=int(rng.choice((24, 26, 28, 30, 32), p=(0.08, 0.2, 0.24, 0.24, 0.24))))]
        case "sprite":
            return [art.sprite(rng, cells=int(rng.integers(16, 29)))]
        case "item":
            return [art.item(rng, cells=int(rng.integers(14, 19)))]
        case "scene":
            return [art.scene(rng)]
    return list(art.animation(rng, cells=int(rng.integers(20, 29))))


@cache
def _kinds(source: str, block: int) -> tuple[str, ...]:
    deck = [kind for kind, count in MIX.items() for _ in range(count)]
    return tuple(seeds.generator(0, "sample", source, "kinds", block).permutation(deck).tolist())


def _encoding(source: str, index: int, kind: str, rng: np.random.Generator) -> str:
    place = index % 100
    draw = rng.random()
    if place == 47 and source != "lospec":
        return "jpg" if source == "pixeljoint" else "webp-lossy"
    if kind == "animation":
        return "webp" if source == "pixiehaus" and draw < 0.4 else "gif"
    if source == "pixiehaus":
        return "webp"
    if place == 9:
        return "png" if work(source, index - 5).encoding == "gif" else "gif"
    if place in SOFT or kind == "scene" or place in NEAR_COPIES or place in COPIES:
        return "png"
    gif = 0.35 if source == "pixeljoint" else 0.15
    return "gif" if draw < gif else "png-palette" if draw < gif + 0.2 else "png"


def _enlarge(frame: Pixels, factor: int) -> Pixels:
    return frame.repeat(factor, axis=0).repeat(factor, axis=1)


def _pad(frame: Pixels, rng: np.random.Generator) -> Pixels:
    """A border of 1..4 cells in the colour of the first pixel."""
    border = int(rng.integers(1, 5))
    height, width = frame.shape[:2]
    padded = np.tile(frame[0, 0], (height + 2 * border, width + 2 * border, 1))
    padded[border:-border, border:-border] = frame
    return padded


def _edit(frame: Pixels, rng: np.random.Generator) -> Pixels:
    """Two opaque pixels take a colour that another one has."""
    edited = frame.copy()
    rows, columns = np.nonzero(frame[..., 3] == 255)
    colours = frame[rows, columns]
    for place in rng.choice(len(rows), size=2, replace=False):
        others = colours[(colours != colours[place]).any(axis=1)]
        edited[rows[place], columns[place]] = rng.choice(others)
    return edited


def _soften(frame: Pixels) -> Pixels:
    """Opaque pixels with a transparent neighbour above or to the left become half transparent."""
    clear = np.pad(frame[..., 3] == 0, 1)
    outline = (clear[:-2, 1:-1] | clear[1:-1, :-2]) & (frame[..., 3] == 255)
    softened = frame.copy()
    softened[outline, 3] = 128
    return softened


def _hide_colour(frame: Pixels) -> Pixels:
    """Magenta under alpha 0, where nobody should see it."""
    dirty = frame.copy()
    dirty[frame[..., 3] == 0, :3] = MAGENTA
    return dirty


EXCERPT = (0, 1, 2, 3, 5, 9, 13, 29)  # works of each gallery that `digest` looks at


def digest() -> str:
    """First 16 hex digits of a sha256 over a fixed excerpt of what is drawn: galleries and faces.

    Taken of pixels, not of files: encoders may differ between platforms, drawings may not.
    """
    total = hashlib.sha256()
    for source in sorted(ARTISTS):
        for index in EXCERPT:
            listed = work(source, index)
            facts = ", ".join(f"{field.name}={getattr(listed, field.name)!r}" for field in fields(listed))
            total.update(f"Work({facts})".encode())  # the same whatever the class is called
            for frame in frames(source, index):
                total.update(repr(frame.shape).encode() + frame.tobytes())
    for index in range(3):
        face = art.face(seeds.generator(0, "sample", "faces", index), size=64)
        total.update(repr(face.shape).encode() + face.tobytes())
    return total.hexdigest()[:16]
