from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.sample.galleries import encodings
from pipeline.scrape import sniff
from pipeline.scrape.sites.gallery import Rejection

ART = np.random.default_rng(5).integers(0, 2, (9, 7, 4), np.uint8) * 255
ART[..., 3] = 255
CLEAR = ART.copy()
CLEAR[0, 0] = 0
KINDS = {"png": "png", "png-palette": "png", "gif": "gif", "webp": "webp", "jpg": "jpeg"}


@pytest.mark.parametrize("kind", KINDS)
def test_format_and_size_come_from_the_bytes(kind: str) -> None:
    assert sniff.identify(encodings.encode([ART], kind)) == sniff.ImageFacts(KINDS[kind], 7, 9, 1, False)


@pytest.mark.parametrize("kind", ["png", "png-palette", "gif", "webp"])
def test_a_single_transparent_pixel_is_alpha(kind: str) -> None:
    assert sniff.identify(encodings.encode([CLEAR], kind)).has_alpha


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_frames_are_counted_and_their_alpha_seen(kind: str) -> None:
    facts = sniff.identify(encodings.encode([ART, ART[::-1], CLEAR], kind))
    assert (facts.frames, facts.has_alpha) == (3, True)


CUTS = [(kind, cut) for kind in ("png", "png-palette", "gif", "webp", "jpg") for cut in (1, 2, 12, 40)]


@pytest.mark.parametrize(("kind", "cut"), [case for case in CUTS if case != ("gif", 1)])  # only its trailer
def test_a_cut_file_is_truncated_wherever_it_was_cut(kind: str, cut: int) -> None:
    frames = [ART, ART[::-1], CLEAR] if kind in ("gif", "webp") else [ART]
    with pytest.raises(Rejection, match="truncated"):
        sniff.identify(encodings.encode(frames, kind)[:-cut])


@pytest.mark.parametrize("data", [b"<html></html>", b"\x00" * 64, b"%!PS-Adobe-3.0 EPSF"])
def test_other_bytes_are_not_an_image(data: bytes) -> None:
    with pytest.raises(Rejection, match="not_an_image"):
        sniff.identify(data)


def test_a_pixel_bomb_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(file, "PNG")
    with pytest.raises(Rejection, match="too_large"):
        sniff.identify(file.getvalue())
