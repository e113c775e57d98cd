"""What artists, hosts and tools do to enlarged art so that part of it, or all, lies off its grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from enlargements import Case, Condition, Make, Random, crop, cropped, lossy, resized, times, untouched
from PIL import Image, ImageDraw, ImageFont

from pipeline.images.files import Pixels
from pipeline.images.resample import enlarge

WORDS = ("by pixelpete", "(c) 2019 M. Sato", "HERO sprite v2", "@dotsmith", "SAMPLE", "do not repost")
CAPTION = (0.06, 0.22)  # of the height: the strip under or over the art
SHRUNK = (0.4, 0.95)  # of the sides: what a host leaves
KERNELS = Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS
UNKNOWABLE = -1.0  # as the size of a cell: "unknown" is the only right answer


def written(shape: tuple[int, int], text: str, size: int, place: tuple[float, float], *, smooth: bool) -> np.ndarray:
    """Opacity of a text, 0..1 (H, W), whose middle lies at `place`, (x, y) as shares of the sides."""
    height, width = shape
    layer = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(layer)
    draw.fontmode = "L" if smooth else "1"
    at = place[0] * width, place[1] * height
    draw.text(at, text, 255, font=ImageFont.load_default(max(size, 7)), anchor="mm")
    return np.asarray(layer, np.float64) / 255


def overlaid(rgb: Pixels, opacity: np.ndarray, colour: np.ndarray) -> Pixels:
    mixed = rgb + opacity[..., None] * (colour - rgb.astype(np.float64))
    return np.rint(mixed).astype(np.uint8)


def captioned(rgb: Pixels, random: Random, make: Make) -> Case:
    """A strip with a line of text, under the art or over it, of a height that no cell divides."""
    case = make(rgb, random)
    height, width = case.rgb.shape[:2]
    tall = max(9, round(height * random.uniform(*CAPTION)))
    ground, ink = (np.array((level,) * 3, np.uint8) for level in random.permutation([16, 240]))
    strip = np.full((tall, width, 3), ground, np.uint8)
    text = str(random.choice(WORDS))
    strip = overlaid(strip, written((tall, width), text, round(tall * 0.7), (0.5, 0.5), smooth=True), ink)
    more = np.full((-(-tall // max(round(case.cell), 1)), case.native.shape[1], 3), ground, np.uint8)
    above = random.random() < 0.5
    return replace(
        case,
        rgb=np.vstack([strip, case.rgb] if above else [case.rgb, strip]),
        native=np.vstack([more, case.native] if above else [case.native, more]),
    )


def watermarked(rgb: Pixels, random: Random, make: Make) -> Case:
    """Letters that shine through, over the middle."""
    case = make(rgb, random)
    height, width = case.rgb.shape[:2]
    place = random.uniform(0.35, 0.65), random.uniform(0.35, 0.65)
    opacity = written((height, width), str(random.choice(WORDS)), round(width / 10), place, smooth=True)
    level = float(random.choice([0, 255]))
    return replace(case, rgb=overlaid(case.rgb, opacity * random.uniform(0.25, 0.6), np.full(3, level)))


def signed(rgb: Pixels, random: Random, make: Make) -> Case:
    """Small letters, smooth or hard, in a corner."""
    case = make(rgb, random)
    size = int(random.integers(7, 13))
    place = float(random.choice([0.25, 0.75])), float(random.choice([0.08, 0.92]))
    smooth = bool(random.random() < 0.5)
    opacity = written(case.rgb.shape[:2], str(random.choice(WORDS[:4])), size, place, smooth=smooth)
    return replace(case, rgb=overlaid(case.rgb, opacity, random.integers(0, 256, 3).astype(np.float64)))


def framed(rgb: Pixels, random: Random, make: Make) -> Case:
    """A thin frame around the art, thinner than a cell."""
    case = make(rgb, random)
    thick = int(random.integers(1, max(2, min(case.cell, 6))))
    colour = random.integers(0, 256, 3).astype(np.uint8)
    frame = np.empty((case.rgb.shape[0] + 2 * thick, case.rgb.shape[1] + 2 * thick, 3), np.uint8)
    frame[:] = colour
    frame[thick:-thick, thick:-thick] = case.rgb
    native = np.pad(case.native, ((1, 1), (1, 1), (0, 0)), mode="edge")
    native[[0, -1]] = native[:, [0, -1]] = colour
    return replace(case, rgb=frame, native=native)


def inset(rgb: Pixels, random: Random, make: Make, factor: int) -> Case:
    """A copy of part of the art at another scale, over a corner: about a sixth of the picture."""
    case = make(rgb, random)
    height, width = case.rgb.shape[:2]
    tall, wide = round(height * 0.4), round(width * 0.4)
    part = enlarge(rgb[: -(-tall // factor), : -(-wide // factor)], factor)[:tall, :wide]
    spoilt = case.rgb.copy()
    top, left = (0, width - part.shape[1]) if random.random() < 0.5 else (height - part.shape[0], 0)
    spoilt[top : top + part.shape[0], left : left + part.shape[1]] = part
    whole = float(np.gcd(round(case.cell), factor))
    return replace(case, rgb=spoilt, also=(whole,) if whole > 1 else ())


def jittered(rgb: Pixels, random: Random, factor: int) -> Case:
    """Every boundary a pixel to the left or right of where it belongs, or there: as generators of images draw."""
    height, width = rgb.shape[:2]
    rows, columns = (_moved(length, factor, random) for length in (height, width))
    return Case(rgb.repeat(rows, axis=0).repeat(columns, axis=1), factor, rgb)


def _moved(cells: int, factor: int, random: Random) -> np.ndarray:
    bounds = np.arange(cells + 1) * factor + random.integers(-1, 2, cells + 1)
    return np.diff(bounds)


def drifting(rgb: Pixels, _: Random, factor: int) -> Case:
    """Cells that grow from the left to the right and from the top to the bottom by a quarter of their size."""
    height, width = rgb.shape[:2]
    rows, columns = (_grown(length, factor) for length in (height, width))
    return Case(rgb.repeat(rows, axis=0).repeat(columns, axis=1), UNKNOWABLE, rgb)


def _grown(cells: int, factor: int) -> np.ndarray:
    bounds = np.cumsum(np.concatenate(([0], np.linspace(0.875, 1.125, cells) * factor)))
    return np.diff(np.rint(bounds).astype(int))


def shrunk(rgb: Pixels, random: Random, factor: int, resample: Image.Resampling | None = None) -> Case:
    """Enlarged, then made smaller by a smoothing filter, to a share that chance chooses; native art has no answer."""
    height, width = rgb.shape[:2]
    share = random.uniform(*SHRUNK)
    size = max(round(width * factor * share), 2), max(round(height * factor * share), 2)
    chosen = KERNELS[int(random.integers(len(KERNELS)))] if resample is None else resample
    again = np.array(Image.fromarray(enlarge(rgb, factor)).resize(size, chosen))
    same = factor == 1 and size == (width, height)
    return Case(again, 1.0 if same else UNKNOWABLE if factor == 1 else size[0] / width, rgb)


def cropped_fraction(rgb: Pixels, random: Random, pitch: float) -> Case:
    """A window anywhere in a fractional enlargement."""
    case = resized(rgb, random, pitch)
    return _window_of(case, random)


def cropped_then_enlarged(rgb: Pixels, random: Random, factor: int) -> Case:
    """A window of an enlargement, enlarged again by a fraction."""
    window = cropped(rgb, random, factor)
    height, width = window.rgb.shape[:2]
    more = random.uniform(1.15, 2.3)
    size = round(width * more), round(height * more)
    again = Image.fromarray(window.rgb).resize(size, Image.Resampling.NEAREST)
    return Case(np.array(again), factor * size[0] / width, window.native)


def _window_of(case: Case, random: Random) -> Case:
    height, width = case.rgb.shape[:2]
    top, left = (int(random.integers(1, max(2, length // 5))) for length in (height, width))
    bottom, right = (length - int(random.integers(1, max(2, length // 8))) for length in (height, width))
    rows, columns = (
        slice(int(low / case.cell), int(-(-high // case.cell))) for low, high in ((top, bottom), (left, right))
    )
    return Case(np.ascontiguousarray(case.rgb[top:bottom, left:right]), case.cell, case.native[rows, columns])


def scanlined(rgb: Pixels, random: Random, factor: int, every: int) -> Case:
    """Every so many rows one that is darker, as a cathode ray tube shows them."""
    case = times(factor)(rgb, random)
    dark = case.rgb.astype(np.float64)
    dark[every - 1 :: every] *= random.uniform(0.4, 0.8)
    return replace(case, rgb=np.rint(dark).astype(np.uint8))


def ruled(rgb: Pixels, random: Random, factor: int, every: int = 1) -> Case:
    """Lines of one pixel on every boundary of cells, or on one of so many."""
    case = times(factor)(rgb, random)
    lines = case.rgb.copy()
    colour = random.integers(0, 256, 3).astype(np.uint8)
    lines[:: factor * every] = lines[:, :: factor * every] = colour
    return replace(case, rgb=lines)


def oblong(rgb: Pixels, _: Random, wide: float, tall: float) -> Case:
    """Cells that are no squares: they have no size."""
    size = round(rgb.shape[1] * wide), round(rgb.shape[0] * tall)
    again = Image.fromarray(rgb).resize(size, Image.Resampling.NEAREST)
    return Case(np.array(again), UNKNOWABLE, rgb)


def spoilt(name: str, how: Callable[..., Case], factors: tuple[int, ...] = (4, 8)) -> tuple[Condition, ...]:
    return tuple(
        Condition(f"x{factor}, {name}", partial(how, make=times(factor)), factor, within=2) for factor in factors
    )


ADDED = (
    *spoilt("caption", captioned),
    Condition("x8, caption, JPEG 90", lossy(partial(captioned, make=times(8)), 90), 8, within=2),
    *spoilt("watermark", watermarked),
    *spoilt("signature", signed),
    Condition("x8, signature, JPEG 90", lossy(partial(signed, make=times(8)), 90), 8, within=2),
    *spoilt("frame", framed),
    Condition("x6, crop, signature", partial(signed, make=crop(6)), 6, within=2),
    Condition("native, caption", partial(captioned, make=untouched), within=0),
    Condition("native, watermark", partial(watermarked, make=untouched)),
    Condition("native, signature", partial(signed, make=untouched)),
)
SCALES = (
    *(Condition(f"x8, part x{part}", partial(inset, make=times(8), factor=part), 8) for part in (3, 4, 5)),
    Condition("x4, part native", partial(inset, make=times(4), factor=1), 4),
    Condition("native, part x4", partial(inset, make=untouched, factor=4)),
    Condition("x8, boundaries moved", partial(jittered, factor=8), 8),
    Condition("x5, boundaries moved", partial(jittered, factor=5), 5),
    Condition("x8, boundaries moved, JPEG 90", lossy(partial(jittered, factor=8), 90), 8),
    Condition("x7 to x9", partial(drifting, factor=8), 8),
    Condition("x7 to x9, JPEG 90", lossy(partial(drifting, factor=8), 90), 8),
    *(
        Condition(f"x{wide:g} by x{tall:g}", partial(oblong, wide=wide, tall=tall), max(wide, tall))
        for wide, tall in ((2, 1), (4, 2), (3, 4), (8, 6), (5.5, 4))
    ),
    Condition("x8 by x6, JPEG 90", lossy(partial(oblong, wide=8, tall=6), 90), 8),
)
SHRUNK_BY_FILTERS = (
    *(
        Condition(
            f"{name}, shrunk, {kernel.name.lower()}", partial(shrunk, factor=factor, resample=kernel), factor, within=1
        )
        for name, factor in (("native", 1), ("x4", 4))
        for kernel in KERNELS
    ),
    Condition("x2, shrunk", partial(shrunk, factor=2), 2, within=1),
    Condition("x8, shrunk", partial(shrunk, factor=8), 8, within=1),
    Condition("x8, shrunk, JPEG 90", lossy(partial(shrunk, factor=8), 90), 8, within=1),
)
CROPPED = (
    *(
        Condition(f"x{pitch:.4g}, crop", partial(cropped_fraction, pitch=pitch), pitch, within=2)
        for pitch in (1.5, 2.5, 16 / 3)
    ),
    Condition("x4, crop, enlarged by a fraction", partial(cropped_then_enlarged, factor=4), 9.2, within=2),
    Condition(
        "x4, crop, enlarged by a fraction, JPEG 90", lossy(partial(cropped_then_enlarged, factor=4), 90), 9.2, within=2
    ),
)
LINES = (
    Condition("x4, scanlines, one a cell", partial(scanlined, factor=4, every=4), 4),
    Condition("x6, scanlines, every other row", partial(scanlined, factor=6, every=2), 6),
    Condition("x3, scanlines, every other row", partial(scanlined, factor=3, every=2), 3),
    Condition("x8, grid lines", partial(ruled, factor=8), 8, within=1),
    Condition("x12, grid lines", partial(ruled, factor=12), 12, within=1),
    Condition("x6, grid lines, every 8 cells", partial(ruled, factor=6, every=8), 6, within=1),
)
LARGE = (
    *(Condition(f"x{factor}", times(factor), factor) for factor in (17, 20, 32)),
    Condition("x24, JPEG 90", lossy(times(24), 90), 24),
    Condition("x18.7", partial(resized, pitch=18.7), 18.7),
)
CONDITIONS = (*ADDED, *SCALES, *SHRUNK_BY_FILTERS, *CROPPED, *LINES, *LARGE)
