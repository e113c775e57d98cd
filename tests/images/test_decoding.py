"""What cannot be decoded, damage of all kinds, and real files."""

from __future__ import annotations

import io
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from handmade import apng, art, chunk, encoded, first, gif, gif_frame, png, reason, webp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.images.files import MAX_PIXELS
from pipeline.images.formats import Undecodable, decode


def test_a_name_lies_and_bytes_do_not() -> None:
    assert decode(gif(2, 1, gif_frame("RG"), gif_frame("GR")), "x.png", frames="first", most=1).facts.format == "GIF"
    for data in (b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0", b"II*\0", b"RIFF\0\0\0\0WAVE"):
        assert reason(data) == "not_an_image"


def test_bombs_are_refused_before_they_go_off() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    png_bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    inner = gif(4, 4, gif_frame("R"), gif_frame("R").replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 9999, 9999)))
    for data in (
        png_bomb, gif(9999, 9999, gif_frame("R")), encoded(Image.new("1", (side, side)), "BMP"),
        encoded(Image.new("L", (side, side)), "JPEG"),
    ):  # fmt: skip
        assert reason(data) == "too_large"
    assert reason(inner, "all") == "too_large"
    assert first(inner).shape == (4, 4, 4)


def test_animations_that_contradict_themselves() -> None:
    """Fewer frames than told, one out of order, one beyond the canvas, a first one that does not fill it."""
    small = {"rgba": art("G"), "left": 1}
    animation = apng(2, 1, [{"rgba": art("RR")}, small])
    count = struct.pack(">II", 2, 0)
    fewer = animation.replace(chunk(b"acTL", count), chunk(b"acTL", struct.pack(">II", 3, 0)))
    more = animation.replace(chunk(b"acTL", count), chunk(b"acTL", struct.pack(">II", 1, 0)))
    second = animation.index(b"fcTL", animation.index(b"IDAT")) - 4
    skipped = animation[:second] + animation[second + 38 :]  # one fcTL chunk less
    beyond = apng(2, 1, [{"rgba": art("RR")}, {**small, "left": 2}])
    assert reason(fewer) == "truncated"
    assert reason(apng(2, 1, [{"rgba": art("R")}])) == "unreadable"
    assert [reason(data) for data in (more, skipped, beyond)] == ["unreadable"] * 3


def test_too_many_frames() -> None:
    assert reason(gif(1, 1, *[gif_frame("R")] * 10_001)) == "too_many_frames"
    wide = gif(4000, 4000, *[gif_frame("R")] * 20)
    assert reason(wide, "all") == reason(wide, "distinct") == "too_many_frames"
    assert first(wide).shape == (4000, 4000, 4)


def samples_of_all_formats() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (10, 12, 4), dtype=np.uint8))
    yield "png", encoded(noise, "PNG")
    yield "png16", png(rng.integers(0, 65536, (9, 7, 4)), 6, 16, interlaced=True)
    yield "apng", apng(3, 2, [{"rgba": art("RRR/RRR")}, {"rgba": art(".G"), "left": 1, "dispose": 2, "over": 1}])
    yield "gif", gif(3, 2, gif_frame("RGB/BGR"), gif_frame("Y.", 1, 1, 3), gif_frame("W"))
    yield "webp", encoded(noise, "WEBP", lossless=True)
    yield "lossy", encoded(noise, "WEBP", quality=60)
    yield "anim", webp((4, 2), [(art("RRRR/RRRR"), 0, 0, 0), (art("G."), 2, 0, 1)], alpha=True)
    yield "jpeg", encoded(noise.convert("RGB"), "JPEG")
    yield "bmp", encoded(noise.convert("RGB"), "BMP")


FILES = dict(samples_of_all_formats())


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_anywhere_is_never_a_picture(name: str) -> None:
    """Every byte but trailing ones counts, also where all pixels are there."""
    data = FILES[name]
    decoded = decode(data, "x", frames="all", most=9)
    assert len(decoded.frames) == decoded.facts.frames
    frames = [found.start() for found in re.finditer(b"\x21\xf9\x04", data)] if name == "gif" else []
    ends = {*frames[1:], len(data) - 1} if frames else set()
    for length in range(len(data)):
        if length in ends:  # whole images, and only the trailer is missing
            continue
        why = reason(data[:length], "all")
        assert why in ("truncated", "unreadable") or length < 12, length


@pytest.mark.parametrize("name", FILES)
@given(st.data())
@settings(max_examples=150)
def test_damage_ends_in_a_reason_or_in_a_picture_of_the_size_that_is_told(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode(bytes(damaged), "x", frames=data.draw(st.sampled_from(["first", "distinct", "all"])), most=3)
    except Undecodable:
        return
    shapes = {frame.rgba.shape for frame in decoded.frames}
    assert shapes == {(decoded.facts.height, decoded.facts.width, 4)}


@pytest.mark.parametrize("name", ["png", "png16", "apng"])
@given(st.data())
@settings(max_examples=150)
def test_a_flipped_bit_never_changes_a_png_in_silence(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    damaged[data.draw(st.integers(8, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode(bytes(damaged), "x", frames="all", most=9)
    except Undecodable:
        return
    true = decode(FILES[name], "x", frames="all", most=9)
    assert [frame.rgba.tolist() for frame in decoded.frames] == [frame.rgba.tolist() for frame in true.frames]


@pytest.mark.shared
@pytest.mark.parametrize(
    "tar", ["decoders", "pixel_faces", "pixel_chars", "pixel_tiles", "pixel_scenes", "cartoon_faces"]
)
def test_real_files_look_as_pillow_shows_them(shared_files, tar: str) -> None:
    """Where Pillow is known to be exact: not in 16 bits. Also of all frames of the real animations."""
    for name, data in shared_files(tar, 201).items():
        decoded = decode(data, name, frames="all", most=1)
        if data[24:25] == b"\x10" and data[1:4] == b"PNG":
            continue
        with Image.open(io.BytesIO(data)) as image:
            assert decoded.facts.frames == getattr(image, "n_frames", 1), name
            for frame in decoded.frames if image.width * image.height < 250_000 else decoded.frames[:2]:
                image.seek(frame.index)
                expected = np.array(image.convert("RGBA"))
                expected[expected[..., 3] == 0] = 0
                assert np.array_equal(frame.rgba, expected), (name, frame.index)


@pytest.mark.shared
def test_sprites_that_are_gifs_under_the_name_of_png(shared_tar) -> None:
    with tarfile.open(shared_tar("pixel_chars")) as tar:
        members = [member for member in tar if member.name.endswith(".png")]
        files = {member.name: tar.extractfile(member).read() for member in members}
    liars = [name for name, data in files.items() if not data.startswith(b"\x89PNG")]
    assert len(liars) == 8
    assert {decode(files[name], name, frames="first", most=1).facts.format for name in liars} == {"GIF"}
