"""Image files in folders: which files they are, their facts and their first frames."""

from __future__ import annotations

from pathlib import Path, PurePath

from pipeline.errors import BadInput
from pipeline.images.files import Pixels
from pipeline.images.formats import Facts, decode, survey

EXTENSIONS = {"PNG": "png", "GIF": "gif", "WEBP": "webp", "JPEG": "jpg", "BMP": "bmp"}
COMPANIONS = (".csv", ".dvc", ".html", ".json", ".jsonl", ".md", ".pdf", ".rst", ".txt", ".yaml", ".yml")
COMPANION_NAMES = ("authors", "changelog", "contribut", "copying", "credits", "licen", "makefile", "notice", "readme")
LICENCE_FOLDER = "licences"


def describe(path: Path) -> Facts:
    """The facts of an image file of which every frame can be decoded.

    Raises:
        BadInput: no such file.
        Undecodable: not a readable image, too large, or too many frames.
    """
    return survey(_read(path), str(path))


def first_frame(path: Path) -> Pixels:
    """The first frame of an image file, uint8 (H, W, 4), as viewers show it; colours under alpha 0 are 0.

    Raises:
        BadInput: not a readable image, too large, or too many frames.
    """
    return decode(_read(path), str(path), frames="first", most=1).frames[0].rgba


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: not a readable file: {error.strerror}") from error


def files_below(folder: Path) -> list[Path]:
    """The files that may be images, sorted by path: not hidden, no text beside the art, nothing in a licence folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and may_be_image(path.relative_to(folder)))


def may_be_image(relative: PurePath) -> bool:
    """Whether a file may be an image, by its path below the folder that people brought."""
    if relative.suffix:
        companion = relative.suffix.lower() in COMPANIONS
    else:  # a picture may lack its ending, which its bytes tell
        companion = relative.name.lower().startswith(COMPANION_NAMES)
    return not (companion or is_hidden(relative) or LICENCE_FOLDER in relative.parts[:-1])


def is_hidden(relative: PurePath) -> bool:
    """Whether a path below a folder is hidden, or what macOS leaves in archives."""
    return any(part.startswith(".") for part in relative.parts) or "__MACOSX" in relative.parts
