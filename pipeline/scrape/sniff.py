"""What an image file is, by its bytes alone: names, addresses and MIME types lie."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass

from pipeline.images import formats
from pipeline.images.formats import Undecodable
from pipeline.scrape.sites.gallery import Rejection

MAX_FRAMES = 1024
MAX_ANIMATION = 256_000_000  # pixels of all frames together
TAIL = 1024  # bytes after the end of a JPEG in which cameras and editors leave things
VERDICTS = {  # reason of the decoder -> reason of the crawl
    "not_an_image": "not_an_image", "truncated": "truncated", "unreadable": "truncated", "too_large": "too_large",
    "too_many_frames": "too_large",
}  # fmt: skip
ONE_AT_A_TIME = threading.Lock()  # memory is bounded, and warnings are silenced for the whole process


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image that decodes to its end."""

    format: str  # png, gif, jpeg, bmp, webp
    width: int
    height: int
    frames: int
    has_alpha: bool  # some pixel of some frame is not opaque


def identify(data: bytes) -> ImageFacts:
    """The facts of an image, of which every frame is decoded. May be called from any thread.

    Raises:
        Rejection: not_an_image, truncated (cut or damaged), too_large (pixels or frames).
    """
    if not data:
        raise Rejection("truncated", "an empty answer")
    try:
        with ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of bombs and odd metadata; both are judged here
            return _decode(data)
    except Rejection:
        raise
    except Undecodable as error:
        raise Rejection(VERDICTS[error.reason], str(error)) from error
    except Exception as error:  # whatever a decoder meets in damaged data, it is this file's fault alone
        problem = f"{type(error).__name__}: {error}"
        raise Rejection("truncated", f"a file of {len(data)} bytes that does not decode: {problem}") from error


def _decode(data: bytes) -> ImageFacts:
    source = formats.read(data)
    facts = source.facts
    if facts.format == "JPEG" and b"\xff\xd9" not in data[-TAIL:]:
        raise Rejection("truncated", f"a JPEG file without its end, {len(data)} bytes")
    if facts.frames > MAX_FRAMES:
        raise Rejection("too_large", f"{facts.frames} frames, the limit is {MAX_FRAMES}")
    if source.pixels > MAX_ANIMATION:
        raise Rejection("too_large", f"{facts.frames} frames of {source.pixels} pixels, the limit is {MAX_ANIMATION}")
    has_alpha = False
    for rgba in source.play():
        has_alpha = has_alpha or bool((rgba[..., 3] != 255).any())
    return ImageFacts(facts.format.lower(), facts.width, facts.height, facts.frames, has_alpha)
