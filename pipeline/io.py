"""Files: atomic writes, complete-or-absent folders, images as integers."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput

Pixels = NDArray[np.uint8]

MAX_PIXELS = 16_000_000  # per frame; a gallery's largest legitimate artwork is far below
FORMATS = ("PNG", "GIF", "WEBP", "JPEG", "BMP")


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: `path` never holds half of `data`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def output_dir(final: Path) -> Iterator[Path]:
    """Yield an empty `final.partial`; on success it becomes `final`, on an error it stays for inspection."""
    partial = final.with_name(final.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    replaced = final.with_name(final.name + ".replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if final.exists():
        final.rename(replaced)
    partial.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def folder_digest(folder: Path) -> str:
    """One hex digest of the names and bytes of every file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{path.relative_to(folder).as_posix()} {sha256(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image by its magic bytes, whatever its name says.

    Raises:
        BadInput: not one of FORMATS, more than MAX_PIXELS, or damaged (also while the block reads it).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF: no matter for pixels
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BadInput(f"{path}: {image.width}x{image.height} pixels, the limit is {MAX_PIXELS}")
                yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path}: not a readable {'/'.join(FORMATS)} image: {error}") from error


def read_rgba(path: Path) -> Pixels:
    """First frame as uint8 (H, W, 4); colours under alpha 0 are set to 0, so that they cannot leak."""
    with open_image(path) as image:
        pixels = np.array(image.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def read_rgb(path: Path) -> Pixels:
    """An opaque image as uint8 (H, W, 3).

    Raises:
        BadInput: the image has an alpha channel with anything but 255 in it: flatten first.
    """
    pixels = read_rgba(path)
    if (pixels[..., 3] != 255).any():
        raise BadInput(f"{path}: expected an opaque image, found transparency: flatten it first")
    return np.ascontiguousarray(pixels[..., :3])


def write_png(path: Path, pixels: Pixels) -> None:
    """uint8 (H, W, 3) or (H, W, 4) as a lossless PNG. Durable only with the folder it is part of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG", compress_level=6)
