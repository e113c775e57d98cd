"""Still pictures against a reader of PNG of our own, and the formats that other libraries write."""

from __future__ import annotations

import io
import struct
from itertools import product

import numpy as np
import pytest
from handmade import CHANNELS, chunk, encoded, first, png, reason
from PIL import Image, ImageOps

from pipeline.images.files import Pixels
from pipeline.images.formats import decode

ALL_KINDS = [(0, d) for d in (1, 2, 4, 8, 16)] + [(3, d) for d in (1, 2, 4, 8)] + list(product((2, 4, 6), (8, 16)))


def looks(samples: np.ndarray, kind: int, depth: int, palette: np.ndarray, key: tuple[int, ...] | None) -> Pixels:
    """What the samples mean, in plain loops."""
    rgba = np.zeros((*samples.shape[:2], 4), np.uint8)
    largest = 2**depth - 1
    for y, x in np.ndindex(samples.shape[:2]):
        sample = tuple(int(value) for value in samples[y, x])
        scaled = [int(value * 255 / largest + 0.5) for value in sample]
        if kind == 3:
            rgba[y, x] = palette[sample[0]]
        elif kind in (0, 2):
            rgba[y, x] = [*(scaled * 3)[:3], 0 if sample == key else 255]
        else:
            rgba[y, x] = [*(scaled[:-1] * 3)[:3], scaled[-1]]
        if rgba[y, x, 3] == 0:
            rgba[y, x] = 0
    return rgba


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(("kind", "depth"), ALL_KINDS)
@pytest.mark.parametrize(("height", "width"), [(11, 13), (1, 1), (3, 2)])
def test_png_of_every_colour_type_depth_and_transparency(kind, depth, keyed, interlaced, height, width) -> None:
    rng = np.random.default_rng(depth + 100 * kind)
    samples = rng.integers(0, 2**depth, (height, width, CHANNELS[kind]))
    palette = rng.integers(0, 256, (2**depth if kind == 3 else 0, 4), dtype=np.uint8)
    extra, key = [], None
    if kind == 3:
        extra.append(chunk(b"PLTE", palette[:, :3].tobytes()))
        listed = len(palette) // 2 if keyed else 0  # entries beyond tRNS are opaque
        palette[listed:, 3] = 255
        extra += [chunk(b"tRNS", palette[:listed, 3].tobytes())] if keyed else []
    elif keyed and kind in (0, 2):
        key = tuple(int(value) for value in samples[0, 0])
        extra.append(chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))
    data = png(samples, kind, depth, *extra, interlaced=interlaced)
    assert np.array_equal(first(data), looks(samples, kind, depth, palette, key))


def test_sixteen_bits_made_from_eight_are_exact_and_others_go_to_the_nearest() -> None:
    eight = np.arange(256).reshape(16, 16, 1)
    assert np.array_equal(first(png(eight * 257, 0, 16))[..., 0], eight[..., 0])
    deep = np.arange(65536).reshape(256, 256, 1)
    assert np.abs(first(png(deep, 0, 16))[..., 0].astype(int) * 257 - deep[..., 0]).max() == 128


def test_a_sixteen_bit_key_is_compared_in_all_its_bits() -> None:
    samples = np.array([[[0x1234, 5, 6], [0x1200, 5, 6], [0x1234, 5, 6]]])
    data = png(samples, 2, 16, chunk(b"tRNS", struct.pack(">3H", 0x1234, 5, 6)))
    assert first(data)[0, :, 3].tolist() == [0, 255, 0]


def test_a_pixel_beyond_its_palette_is_black_and_without_a_palette_there_is_no_picture() -> None:
    data = png(np.array([[[0], [3]]]), 3, 2, chunk(b"PLTE", b"\xff" * 9))
    assert first(data).tolist() == [[[255, 255, 255, 255], [0, 0, 0, 255]]]
    keyed = png(np.array([[[0], [3]]]), 3, 2, chunk(b"PLTE", b"\xff" * 9), chunk(b"tRNS", b"\0" * 4))
    assert first(keyed).tolist() == [[[0, 0, 0, 0], [0, 0, 0, 255]]]
    assert reason(png(np.zeros((2, 2, 1), int), 3, 8)) == "unreadable"


def test_colours_under_alpha_zero_are_gone_in_every_format_that_can_hide_some() -> None:
    hidden = Image.new("RGBA", (4, 4), (255, 0, 255, 0))
    hidden.putpixel((1, 1), (1, 2, 3, 255))
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        data = encoded(hidden, kind, **options)
        assert first(data).any(axis=2).sum() == 1, kind


def test_lossless_formats_are_exact_and_lossy_ones_close() -> None:
    rng = np.random.default_rng(3)
    rgb = np.kron(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    image = Image.fromarray(rgb)
    for data in (encoded(image, "BMP"), encoded(image, "WEBP", lossless=True), encoded(image.quantize(16), "BMP")):
        assert np.array_equal(first(data)[..., :3], rgb)
    for data in (encoded(image, "JPEG", quality=95, subsampling=0), encoded(image, "WEBP", quality=95)):
        assert np.abs(first(data)[..., :3].astype(int) - rgb).mean() < 8
        assert not decode(data, "x", frames="first", most=1).facts.lossless
    grey = encoded(image.convert("L"), "JPEG", quality=95)
    assert np.array_equal(*(first(grey)[..., channel] for channel in (0, 2)))


def test_cmyk_is_read_as_browsers_do() -> None:
    """Adobe writes inks inverted and says so; one that does not say so means them as they are."""
    inks = np.full((16, 16, 4), (0, 100, 200, 50), np.uint8)
    paper = (255 - inks[0, 0, :3].astype(int)) * (255 - 50) / 255
    data = encoded(Image.frombytes("CMYK", (16, 16), inks.tobytes()), "JPEG")
    assert first(data)[8, 8, :3] == pytest.approx(paper, abs=3)
    assert first(data)[8, 8, 3] == 255


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_turned_as_their_exif_says(kind: str, turn: int) -> None:
    rng = np.random.default_rng(turn)
    image = Image.fromarray(rng.integers(0, 256, (5, 9, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = decode(data, "x", frames="first", most=1)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(decoded.frames[0].rgba[..., :3], np.asarray(expected.convert("RGB")))
    assert (decoded.facts.width, decoded.facts.height) == expected.size


def test_damaged_exif_does_not_matter() -> None:
    data = encoded(Image.new("RGB", (3, 2), (9, 9, 9)), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff\xff")
    assert first(data).shape == (2, 3, 4)
