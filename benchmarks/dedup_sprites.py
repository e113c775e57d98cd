"""Distinct real sprites, what galleries do to them, and what deduplication makes of it.

The sprites are read from $FACETOPIX_SHARED (default ../shared beside the checkout) and are never written anywhere but
to a temporary folder. "Distinct" are sprites that differ in their decoded RGBA, invisible colours zeroed.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from real_data import open_tar

from pipeline.curate.dedup import stage
from pipeline.curate.dedup.params import Dedup
from pipeline.errors import BadInput
from pipeline.images import canonical
from pipeline.images.files import Pixels, encode_png, read_rgba
from pipeline.images.folders import EXTENSIONS
from pipeline.runtime import manifest
from pipeline.runtime.settings import Executor
from pipeline.similarity import groups, hamming, search

TARS = ("pixel_tiles", "pixel_chars")
LOSSLESS, LOSSY, AGAIN = "lossless", "lossy", "again"

Sprites = Mapping[str, Pixels]  # by path inside its tar
Make = Callable[[Pixels], bytes]


def sprites(limit: int | None = None) -> dict[str, Pixels]:
    """The distinct sprites of TARS by path, all or `limit` of them evenly spread.

    Raises:
        BadInput: one of TARS is not there.
    """
    decoded: dict[str, Pixels] = {}
    for name in TARS:
        with open_tar(name) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith((".png", ".gif")):
                    decoded |= _decoded(name, member.name, tar.extractfile(member).read())  # type: ignore[union-attr]
    first: dict[str, str] = {}
    for path in sorted(decoded):
        first.setdefault(canonical.digest(decoded[path]), path)
    paths = sorted(first.values())
    paths = paths if limit is None else paths[:: max(1, len(paths) // limit)][:limit]
    return {path: decoded[path] for path in paths}


def _decoded(tar: str, path: str, data: bytes) -> dict[str, Pixels]:
    try:
        return {f"{tar}/{path}": read_rgba(data, path)}
    except BadInput:
        return {}


def is_test(path: str) -> bool:
    """The half on which no threshold was chosen."""
    return hashlib.sha256(path.encode()).digest()[0] % 2 == 1


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def _enlarged(factor: int) -> Make:
    return lambda rgba: encode_png(rgba.repeat(factor, axis=0).repeat(factor, axis=1))


def _padded(left: int, top: int, right: int, bottom: int) -> Make:
    return lambda rgba: encode_png(np.pad(rgba, ((top, bottom), (left, right), (0, 0))))


def _both(rgba: Pixels) -> bytes:
    return encode_png(np.pad(rgba.repeat(3, axis=0).repeat(3, axis=1), ((16, 16), (16, 16), (0, 0))))


def _cropped(rgba: Pixels) -> bytes:
    rows, columns = (np.flatnonzero((rgba[..., 3] > 0).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return encode_png(rgba)
    return encode_png(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _jpeg(rgba: Pixels, quality: int) -> bytes:
    return _saved(search.on_ground(rgba, 255), "JPEG", quality=quality)


def _again(rgba: Pixels) -> bytes:
    return _jpeg(read_rgba(_jpeg(rgba, 85)), 85)


def _bicubic(rgba: Pixels) -> bytes:
    image = Image.fromarray(rgba)
    return _saved(image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC), "PNG")


COPIES: dict[str, tuple[str, Make]] = {
    **{f"x{factor} nearest": (LOSSLESS, _enlarged(factor)) for factor in range(2, 9)},
    "padded, centred": (LOSSLESS, _padded(8, 8, 8, 8)),
    "padded, shifted": (LOSSLESS, _padded(3, 11, 9, 1)),
    "x3 and padded": (LOSSLESS, _both),
    "cropped to content": (LOSSLESS, _cropped),
    "WebP, lossless": (LOSSLESS, lambda rgba: _saved(Image.fromarray(rgba), "WEBP", lossless=True)),
    "PNG, saved again": (LOSSLESS, lambda rgba: _saved(Image.fromarray(rgba), "PNG", compress_level=1)),
    "WebP q80": (LOSSY, lambda rgba: _saved(Image.fromarray(rgba), "WEBP", quality=80)),
    "JPEG q85, white": (LOSSY, lambda rgba: _jpeg(rgba, 85)),
    "x2 bicubic": (LOSSY, _bicubic),
    "JPEG q95, white": (AGAIN, lambda rgba: _jpeg(rgba, 95)),
    "JPEG q85, saved again": (AGAIN, _again),
}


@dataclass(frozen=True)
class Merged:
    """A work that was dropped, by name.

    Attributes:
        favourite: the one it was dropped for, as its row says.
        kept: the one that stays instead; another one where the favourite was dropped too.
    """

    work: str
    favourite: str
    kept: str
    tier: str


def deduplicate(works: Iterator[tuple[str, bytes]], params: Dedup, sheet: Path | None = None) -> list[Merged]:
    """What the stage itself drops of named files; the sheet of its closest decisions is written to `sheet`."""
    with tempfile.TemporaryDirectory(prefix="facetopix-benchmark-") as folder:
        src, dst = Path(folder, "raw"), Path(folder, "dedup")
        names = _raw_folder(src, works)
        stage.run([src], dst, params, Executor(backend="loky", n_jobs=2))
        if sheet is not None and (dst / "closest.png").exists():
            sheet.write_bytes((dst / "closest.png").read_bytes())
        tiers = {line["dropped"]: line["tier"] for line in map(json.loads, (dst / "decisions.jsonl").open())}
        rows = {row["id"]: row for row in manifest.read(dst)}
        dropped = [id for id, row in rows.items() if row["status"] == "dropped" and row.get("in_favour_of")]
        return [
            Merged(names[id], names[rows[id]["in_favour_of"]], names[_final(rows, id)], tiers[id]) for id in dropped
        ]


def _final(rows: Mapping[str, manifest.Row], id: str) -> str:
    """The work that stays for a dropped one, whose first favourite may have gone itself."""
    while rows[id].get("in_favour_of"):
        id = rows[id]["in_favour_of"]
    return id


def _raw_folder(src: Path, works: Iterator[tuple[str, bytes]]) -> dict[str, str]:
    (src / "images").mkdir(parents=True)
    names, rows = {}, []
    for number, (name, data) in enumerate(works):
        id, digest = f"w-{number:06}", hashlib.sha256(data).hexdigest()
        extension = EXTENSIONS[str(Image.open(io.BytesIO(data)).format)]
        (src / "images" / f"{digest}.{extension}").write_bytes(data)
        names[id] = name
        rows.append(manifest.kept({"id": id, "source": "benchmark", "sha256": digest}))
    manifest.write(src, rows, inputs=list(names))
    return names


def phashes(files: Iterator[bytes]) -> NDArray[np.uint64]:
    """imagehash.phash on white, as anyone would call it."""
    images = (search.on_ground(read_rgba(data), 255) for data in files)
    return np.array([int(str(imagehash.phash(image)), 16) for image in images], np.uint64)


def keep_first(hashes: NDArray[np.uint64], distance: int) -> set[int]:
    """Indices that go when each goes for the first one before it, that stays, within `distance` bits."""
    blocks = (block.tolist() for block in hamming.pairs_within(hashes, distance))
    return set(groups.choose_originals((original, copy, 0.0) for block in blocks for original, copy in block))


def pdq_keep_first(files: Iterator[bytes], distance: int) -> set[int]:
    """The same by pdqhash (256 bits); needs it installed."""
    import pdqhash

    images = (search.on_ground(read_rgba(data), 255) for data in files)
    bits = np.array([pdqhash.compute(np.array(image))[0] for image in images], np.uint8)
    words = np.packbits(bits, axis=1).view(np.uint64)
    dropped: set[int] = set()
    for index, word in enumerate(words):
        if index not in dropped:
            near = np.flatnonzero(np.bitwise_count(words[index + 1 :] ^ word).sum(axis=1) <= distance)
            dropped.update((near + index + 1).tolist())
    return dropped
