"""What an image file is, by its bytes alone: names, addresses and MIME types lie."""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass

from PIL import Image

from pipeline.images.files import FORMATS, MAX_PIXELS
from pipeline.scrape.sites.gallery import Rejection

MAX_FRAMES = 1024
MAX_ANIMATION = 256_000_000  # pixels of all frames together
TAIL = 1024  # bytes after the end of a JPEG in which cameras and editors leave things
MAGIC = re.compile(
    rb"(?P<png>\x89PNG\r\n\x1a\n)|(?P<gif>GIF8[79]a)|(?P<jpeg>\xff\xd8\xff)|(?P<bmp>BM)|(?P<webp>RIFF.{4}WEBP)",
    re.DOTALL,
)
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError)


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image that decodes to its end."""

    format: str  # png, gif, jpeg, bmp, webp
    width: int
    height: int
    frames: int
    has_alpha: bool  # some pixel of some frame is not opaque


def identify(data: bytes) -> ImageFacts:
    """The facts of an image, of which every frame is decoded.

    Raises:
        Rejection: not_an_image, truncated (cut or damaged), too_large (pixels or frames).
    """
    kind = _kind(data)
    if not _has_its_end(kind, data):
        raise Rejection("truncated", f"a {kind} file without its end, {len(data)} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of bombs and odd metadata; both are judged here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decode(kind, image)
    except Image.DecompressionBombError as error:
        raise Rejection("too_large", str(error)) from error
    except UNREADABLE as error:
        raise Rejection("truncated", f"a {kind} file that does not decode: {error}") from error


def _kind(data: bytes) -> str:
    if match := MAGIC.match(data):
        return str(match.lastgroup)
    if not data:
        raise Rejection("truncated", "an empty answer")
    raise Rejection("not_an_image", f"bytes begin with {data[:12]!r}")


def _has_its_end(kind: str, data: bytes) -> bool:
    """A file that lost only its last chunk or whole frames decodes in silence: look at its end."""
    if kind == "png":
        return b"IEND\xaeB`\x82" in data
    if kind == "gif":
        return data.rstrip(b"\x00").endswith(b"\x3b")
    if kind == "webp":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    if kind == "jpeg":
        return b"\xff\xd9" in data[-TAIL:]
    return True


def _decode(kind: str, image: Image.Image) -> ImageFacts:
    if image.width * image.height > MAX_PIXELS:
        raise Rejection("too_large", f"{image.width}x{image.height} pixels, the limit is {MAX_PIXELS}")
    frames = int(getattr(image, "n_frames", 1)) if kind in ("gif", "webp", "png") else 1
    if frames > MAX_FRAMES:
        raise Rejection("too_large", f"{frames} frames, the limit is {MAX_FRAMES}")
    if frames * image.width * image.height > MAX_ANIMATION:
        raise Rejection("too_large", f"{frames} frames of {image.width}x{image.height} pixels")
    has_alpha = False
    for number in range(frames):
        image.seek(number)
        image.load()
        has_alpha = has_alpha or _transparent(image)
    return ImageFacts(kind, image.width, image.height, frames, has_alpha)


def _transparent(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    alpha = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
    least, _ = alpha.getchannel("A").getextrema()
    return least != 255
