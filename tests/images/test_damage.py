"""Half pictures are damaged and odd ones are not, and crawl, import and deduplication say the same of each."""

from __future__ import annotations

import re
import struct
import zlib

import numpy as np
import pytest
from handmade import TABLE, apng, art, chunk, encoded, gif, gif_frame, png
from packing import place
from PIL import Image
from sprites import rows_of

from pipeline.curate.dedup.examine import FrameSelection, examine, unpack
from pipeline.curate.importing import stage as importing
from pipeline.images.formats import Undecodable, survey
from pipeline.scrape import sniff
from pipeline.scrape.sites.gallery import Rejection

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
PHOTO = Image.fromarray(np.asarray(Image.fromarray(RGB).resize((160, 96), Image.Resampling.BICUBIC)))
PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"
CODINGS = {
    "baseline": {}, "444": {"subsampling": 0}, "optimised": {"optimize": True}, "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4}, "best": {"quality": 100},
}  # fmt: skip
JPEGS = {name: encoded(PHOTO, "JPEG", **{"quality": 85, **options}) for name, options in CODINGS.items()}
JPEGS["grey"] = encoded(PHOTO.convert("L"), "JPEG", quality=85)
JPEGS["cmyk"] = encoded(PHOTO.convert("CMYK"), "JPEG")
GIF = gif(3, 2, gif_frame("RGB/BGR"), gif_frame("W"))
ANIMATION = apng(2, 2, [{"rgba": art("RR/RR")}, {"rgba": art("GB/BG")}])


def png_of(rows: np.ndarray, height: int, *extra: bytes) -> bytes:
    """A PNG that says it has `height` rows, whatever rows it has."""
    head = struct.pack(">IIBBBBB", rows.shape[1], height, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def half_interlaced() -> bytes:
    data = png(np.ones((16, 16, 1), int), 0, 8, interlaced=True)
    lines = zlib.decompress(data[data.index(b"IDAT") + 4 :])
    return data[: data.index(b"IDAT") - 4] + chunk(b"IDAT", zlib.compress(lines[: len(lines) // 2])) + data[-12:]


def bad_sum(name: bytes, content: bytes) -> bytes:
    whole = chunk(name, content)
    return whole[:-1] + bytes([whole[-1] ^ 1])


def half_animation() -> bytes:
    """An APNG whose second frame has half of its rows."""
    at = ANIMATION.index(b"fdAT", ANIMATION.index(b"IDAT"))
    short = struct.pack(">I", 2) + zlib.compress(b"\0" + art("GB").tobytes())
    return ANIMATION[: at - 4] + chunk(b"fdAT", short) + chunk(b"IEND", b"")


def middle(data: bytes) -> int:
    """A place in the middle of the codes of a JPEG file's last scan but none."""
    return (data.index(b"\xff\xda") + len(data)) // 2


DAMAGED = {
    "png half of its rows": png_of(RGB[:12], 24),
    "png a row too few": png_of(RGB[:-1], 24),
    "png half interlaced": half_interlaced(),
    "png a hole": (lambda data: data[:200] + data[300:])(png_of(RGB, 24)),
    "png page inside": (lambda data: data[:200] + PAGE + data[200 + len(PAGE) :])(png_of(RGB, 24)),
    "png bad sum of pixels": png_of(RGB, 24).replace(b"IDAT", b"IDAU"),
    "png bad sum of transparency": png_of(RGB, 24, bad_sum(b"tRNS", bytes(6))),
    "apng half of its second frame": half_animation(),
    "gif half of its rows": gif(3, 4, gif_frame("RGB/BGR").replace(struct.pack("<HH", 3, 2), struct.pack("<HH", 3, 4))),
    "gif cut in its second frame": GIF[:-6],
    "webp closed too early": (lambda data: data[:4] + struct.pack("<I", 292) + data[8:300])(encoded(PHOTO, "WEBP")),
    "webp page inside": (lambda data: data[:200] + PAGE + data[200 + len(PAGE) :])(encoded(PHOTO, "WEBP")),
    "bmp half": encoded(PHOTO, "BMP")[:9000],
    **{f"jpeg {name} closed too early": data[: middle(data)] + b"\xff\xd9" for name, data in JPEGS.items()},
    **{f"jpeg {name} closed a little early": data[:-9] + b"\xff\xd9" for name, data in JPEGS.items()},
    **{f"jpeg {name} a hole": data[: middle(data)] + data[middle(data) + 400 :] for name, data in JPEGS.items()},
    **{
        f"jpeg {name} zeros inside": data[: middle(data)] + bytes(400) + data[middle(data) + 400 :]
        for name, data in JPEGS.items()
    },
    **{f"jpeg {name} page inside": data[: middle(data)] + PAGE + data[middle(data) :] for name, data in JPEGS.items()},
    **{f"jpeg {name} page at its end": data[: middle(data)] + PAGE for name, data in JPEGS.items()},
    "jpeg without its later scans": (lambda data: data[: data.rindex(b"\xff\xda")] + b"\xff\xd9")(JPEGS["progressive"]),
}
WHOLE = {
    "gif bytes after its end": GIF + PAGE,
    "gif zeros after its end": GIF + bytes(2000),
    "gif without its trailer": GIF[:-1],
    "gif zeros in place of its trailer": GIF[:-1] + bytes(3),
    "gif colour beyond its palette": gif(3, 1, gif_frame("RWS", table=TABLE[:6] * 4, transparent=False)).replace(
        b"\x82" + TABLE[:6] * 4, b"\x80" + TABLE[:6]
    ),
    "png bytes after its end": png_of(RGB, 24) + PAGE,
    "png bad sum of a text": png_of(
        RGB, 24, bad_sum(b"tEXt", b"Title\0x"), bad_sum(b"iTXt", b"y"), bad_sum(b"tIME", b"")
    ),
    "png colour beyond its palette": png(np.array([[[0], [3]]]), 3, 2, chunk(b"PLTE", bytes(9))),
    "png black to its end": png_of(np.zeros_like(RGB), 24),
    "png without the sum of its stream": png_of(RGB, 24).replace(
        chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in RGB))),
        chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in RGB))[:-4]),
    ),
    "webp bytes after its end": encoded(PHOTO, "WEBP") + PAGE,
    **{f"jpeg {name}": data for name, data in JPEGS.items()},
    **{f"jpeg {name} bytes after its end": data + PAGE * 30 for name, data in JPEGS.items()},
    "jpeg zeros before its end": JPEGS["baseline"][:-2] + bytes(64) + b"\xff\xff\xd9",
    "jpeg grey to its end": encoded(Image.new("RGB", (300, 200), "#808080"), "JPEG", optimize=True),
    "jpeg of one pixel": encoded(Image.new("RGB", (1, 1), "white"), "JPEG", progressive=True),
}


def verdicts(data: bytes, tmp_path) -> dict[str, str | None]:
    """What the decoder, a crawl, the import and deduplication say: a reason, None = it is a picture."""
    said: dict[str, str | None] = dict.fromkeys(("decoder", "crawl"))
    try:
        survey(data, "file")
    except Undecodable as error:
        said["decoder"] = error.reason
    try:
        sniff.identify(data)
    except Rejection as error:
        said["crawl"] = error.reason
    importing.run(place(tmp_path / "art" / "x.png", data).parent, tmp_path / "out", tmp_path / "none.jsonl")
    (row,) = rows_of(tmp_path / "out").values()
    said["import"] = row["reason"]
    said["dedup"] = unpack(examine(data, {}, FrameSelection(frames="all", most=1)))[0].reason
    return said


@pytest.mark.parametrize("name", DAMAGED)
def test_a_half_picture_is_damaged_for_all(name: str, tmp_path) -> None:
    said = verdicts(DAMAGED[name], tmp_path)
    assert said["decoder"] in ("truncated", "unreadable")
    assert said == {**dict.fromkeys(said, said["decoder"]), "crawl": "truncated"}


@pytest.mark.parametrize("name", WHOLE)
def test_an_odd_picture_is_whole_for_all(name: str, tmp_path) -> None:
    assert set(verdicts(WHOLE[name], tmp_path).values()) == {None}


def test_the_reason_says_what_is_missing() -> None:
    with pytest.raises(Undecodable, match=re.escape("file: not a readable image: a PNG file without 1452 bytes")):
        survey(DAMAGED["png half of its rows"], "file")
    with pytest.raises(Undecodable, match="hole or an early end: too few codes"):
        survey(DAMAGED["jpeg baseline closed too early"], "file")
