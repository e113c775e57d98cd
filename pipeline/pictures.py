"""Image files as found in folders: which they are, and what can be said of one without judging its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.errors import BadInput
from pipeline.io import open_image

EXTENSIONS = {"PNG": "png", "GIF": "gif", "WEBP": "webp", "JPEG": "jpg", "BMP": "bmp"}
COMPANIONS = (".csv", ".html", ".json", ".jsonl", ".md", ".pdf", ".rst", ".txt", ".yaml", ".yml", "")
LICENCE_FOLDER = "licences"
MAX_FRAMES = 10_000


@dataclass(frozen=True)
class Facts:
    """What an image file says of itself; `format` by its magic bytes."""

    format: str
    width: int
    height: int
    frames: int
    has_alpha: bool
    lossless: bool


def describe(path: Path) -> Facts:
    """Facts of an image file whose first frame can be decoded.

    Raises:
        BadInput: not a readable image, too large, or more than MAX_FRAMES frames.
    """
    with open_image(path) as image:
        frames = int(getattr(image, "n_frames", 1))
        if frames > MAX_FRAMES:
            raise BadInput(f"{path}: {frames} frames, the limit is {MAX_FRAMES}")
        image.seek(0)
        image.load()
        has_alpha = "A" in image.getbands() or "transparency" in image.info
        return Facts(str(image.format), image.width, image.height, frames, has_alpha, _lossless(path, image))


def _lossless(path: Path, image: Image.Image) -> bool:
    if image.format == "WEBP":
        return b"VP8 " not in _chunks(path.read_bytes())
    return image.format != "JPEG"


def _chunks(webp: bytes) -> set[bytes]:
    """Four-letter names of a RIFF file's chunks, those of animation frames included."""
    names, offset = set(), 12
    while offset + 8 <= len(webp):
        name, size = webp[offset : offset + 4], int.from_bytes(webp[offset + 4 : offset + 8], "little")
        names.add(name)
        offset += 24 if name == b"ANMF" else 8 + size + size % 2  # ANMF: 16 bytes of its own, then chunks
    return names


def files_below(folder: Path) -> list[Path]:
    """Candidate image files, sorted by path: not hidden, no text beside the art, nothing in a licence folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _is_candidate(path.relative_to(folder)))


def _is_candidate(relative: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    companion = relative.suffix.lower() in COMPANIONS or LICENCE_FOLDER in relative.parts[:-1]
    return not hidden and not companion and "__MACOSX" not in relative.parts
