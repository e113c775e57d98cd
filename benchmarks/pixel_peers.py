"""Other tools that look for the cells of pixel art, each as a function from an image to its native width and height.

They are no dependencies of this project; who wants them in the table brings them along (see README.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Callable
from functools import partial
from types import ModuleType

from PIL import Image

from pipeline.images.files import Pixels, encode_png

Detector = Callable[[Pixels], tuple[int, int]]

MODULES = {"unfake": "unfake.pixel", "proper-pixel-art": "proper_pixel_art", "pixel-snapper": "pixel_snapper"}


def installed() -> dict[str, Detector]:
    """Detectors that can be imported here, by the name of their package."""
    detectors = {}
    for package, module in MODULES.items():
        with contextlib.suppress(ImportError):
            detectors[package] = partial(CALLS[package], importlib.import_module(module))
    logging.getLogger("unfake").setLevel(logging.ERROR)
    return detectors


def _unfake(module: ModuleType, rgb: Pixels) -> tuple[int, int]:
    done = asyncio.run(module.process_image(Image.fromarray(rgb), detect_method="auto"))
    return size_of(done["image"])


def _proper_pixel_art(module: ModuleType, rgb: Pixels) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return size_of(module.pixelate(Image.fromarray(rgb)).image)


def _pixel_snapper(module: ModuleType, rgb: Pixels) -> tuple[int, int]:
    with Image.open(io.BytesIO(bytes(module.process_image(encode_png(rgb))))) as image:
        return size_of(image)


def size_of(image: Image.Image) -> tuple[int, int]:
    return image.width, image.height


CALLS: dict[str, Callable[[ModuleType, Pixels], tuple[int, int]]] = {
    "unfake": _unfake,
    "proper-pixel-art": _proper_pixel_art,
    "pixel-snapper": _pixel_snapper,
}
