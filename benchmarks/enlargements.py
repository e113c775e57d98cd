"""Real pixel art and what galleries and tools do to it, each with the answer a detector of cells should give."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image
from real_data import open_tar

from pipeline.curate.flatten import judge
from pipeline.curate.params import Flatten
from pipeline.images.files import WORD, Pixels, read_rgba
from pipeline.images.resample import enlarge
from pipeline.runtime import seeds

ART = ("pixel_faces", "pixel_chars", "pixel_tiles", "pixel_scenes")
SMOOTH = ("photos", "anime_faces_256", "anime_faces_128_a", "anime_drawn")
HALVES = ("choose", "report")  # thresholds are chosen on one half of the paths, figures come from the other
RULES = Flatten(
    policy="contrast", backgrounds=["#ffffff", "#c8d2dc", "#8fa3b8", "#5a6478", "#e4c9a8", "#a8c8a0"],
    alpha_threshold=128, max_transparent=0.97,
)  # fmt: skip
SCANT = 12  # edges, columns and rows together: with fewer an enlargement cannot be told from a simple drawing
LARGEST = 1_000_000  # pixels: what a condition would enlarge beyond is left out of it
COLLAGES = (  # title pages put together from sprites that are enlarged already, each at an offset of its own
    "pixel_scenes/ninja_adventure/MusicCover.png",
    "pixel_scenes/ninja_adventure/preview-part-2.png",
)
PLANTED = 8  # edges from which a common divisor of their distances marks a work as enlarged by its artist
KEPT = (0.7, 1.0)  # share of each side that a random crop leaves

Random = np.random.Generator  # every way of making a case is given one, those that need no chance ignore theirs


@dataclass(frozen=True)
class Work:
    """A native artwork, opaque."""

    path: str
    rgb: Pixels


@dataclass(frozen=True)
class Case:
    """An image, the size of its cells in pixels, and the native pixels, so how many there are.

    `also`: other sizes that are right too, where a picture has two.
    """

    rgb: Pixels
    cell: float
    native: Pixels
    also: tuple[float, ...] = ()


Make = Callable[[Pixels, Random], Case]


@dataclass(frozen=True)
class Condition:
    """What is done to a native work.

    Attributes:
        scale: about how many times longer the sides become.
        least: demanded share of right sizes; of native works the share that is not shrunk.
        within: native pixels by which a side may be off.
    """

    name: str
    make: Make
    scale: float = 1.0
    least: float | None = None
    within: int = 0


@dataclass(frozen=True)
class Sample:
    """Works of one tar, and how many of its files were left out, by reason."""

    tar: str
    works: list[Work]
    files: int
    left_out: dict[str, int]


def half_of(path: str) -> str:
    return HALVES[seeds.derive(0, "grid benchmark", path) % 2]


def sample(tar: str, count: int, half: str, seed: int) -> Sample:
    """`count` works of that half of a tar, in an order hashed from the path."""
    works: list[Work] = []
    left_out = {"mostly transparent": 0, "enlarged by its artist": 0, "collage of enlarged works": 0}
    images = list(files_of(tar))
    chosen = [image for image in images if half_of(image[0]) == half]
    for path, data in sorted(chosen, key=lambda image: seeds.derive(seed, "sample", image[0])):
        if len(works) == count:
            break
        rgb = flattened(read_rgba(data, path), path)
        if rgb is None:
            left_out["mostly transparent"] += 1
        elif path in COLLAGES:
            left_out["collage of enlarged works"] += 1
        elif enlarged_already(rgb):
            left_out["enlarged by its artist"] += 1
        else:
            works.append(Work(path, rgb))
    return Sample(tar, works, len(images), left_out)


def files_of(tar: str) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every image that a tar's manifest names.

    Raises:
        BadInput: no such tar.
    """
    with open_tar(tar) as archive:
        table = archive.extractfile("manifest.csv")
        assert table is not None
        for line in csv.DictReader(io.TextIOWrapper(table, "utf-8")):
            member = archive.extractfile(line["path"])
            assert member is not None
            yield line["path"], member.read()


def flattened(rgba: Pixels, work: str) -> Pixels | None:
    """As the stage `flatten` does it; None where there is next to nothing to see."""
    _, rgb = judge(rgba.view(WORD)[..., 0], work, RULES)
    return rgb


def edges(rgb: Pixels) -> int:
    """How many columns and rows differ from the one before; enlarging does not change it."""
    return len(_changes(rgb, 1)) + len(_changes(rgb, 0))


def enlarged_already(rgb: Pixels) -> bool:
    """Every edge and both sides at multiples of one number: the artist, or a tool of theirs, has enlarged it."""
    at = [*rgb.shape[:2], *_changes(rgb, 0), *_changes(rgb, 1)]
    return len(at) >= PLANTED + 2 and int(np.gcd.reduce(at)) > 1


def _changes(rgb: Pixels, axis: int) -> np.ndarray:
    changed = np.diff(rgb.astype(np.int16), axis=axis).any(axis=(1 - axis, 2))
    return np.flatnonzero(changed) + 1


def untouched(rgb: Pixels, _: Random) -> Case:
    return Case(rgb, 1.0, rgb)


def repeated(rgb: Pixels, _: Random, factor: int) -> Case:
    return Case(enlarge(rgb, factor), factor, rgb)


def cropped(rgb: Pixels, random: Random, factor: int) -> Case:
    """A window anywhere in the enlargement; cells that it cuts count as cells."""
    top, bottom = _window(rgb.shape[0] * factor, random)
    left, right = _window(rgb.shape[1] * factor, random)
    native = rgb[top // factor : -(-bottom // factor), left // factor : -(-right // factor)]
    window = enlarge(rgb, factor)[top:bottom, left:right]
    return Case(np.ascontiguousarray(window), factor, native)


def _window(length: int, random: Random) -> tuple[int, int]:
    size = max(1, round(length * random.uniform(*KEPT)))
    start = int(random.integers(0, length - size + 1))
    return start, start + size


def resized(rgb: Pixels, _: Random, pitch: float, corner: bool = False) -> Case:
    """Fractional nearest neighbour. Pillow samples at pixel centres; others, OpenCV for one, at `corner`s."""
    height, width = rgb.shape[:2]
    size = round(width * pitch), round(height * pitch)
    if corner:
        x, y = (np.arange(long) * short // long for long, short in zip(size, (width, height), strict=True))
        return Case(np.ascontiguousarray(rgb[y][:, x]), size[0] / width, rgb)
    again = Image.fromarray(rgb).resize(size, Image.Resampling.NEAREST)
    return Case(np.array(again), size[0] / width, rgb)


def filtered(rgb: Pixels, _: Random, factor: int, share: float, resample: Image.Resampling) -> Case:
    """Enlarged `factor` times, then brought to `share` of that by a smoothing filter."""
    height, width = rgb.shape[:2]
    size = round(width * factor * share), round(height * factor * share)
    again = Image.fromarray(enlarge(rgb, factor)).resize(size, resample)
    return Case(np.array(again), size[0] / width, rgb)


def smoothed(rgb: Pixels, _: Random, factor: int, resample: Image.Resampling) -> Case:
    """Enlarged by a filter alone: no hard cell is left."""
    height, width = rgb.shape[:2]
    again = Image.fromarray(rgb).resize((width * factor, height * factor), resample)
    return Case(np.array(again), factor, rgb)


def compressed(rgb: Pixels, random: Random, make: Make, quality: int) -> Case:
    case = make(rgb, random)
    data = io.BytesIO()
    Image.fromarray(case.rgb).save(data, "JPEG", quality=quality)
    return replace(case, rgb=np.array(Image.open(data)))


def noisy(rgb: Pixels, random: Random, make: Make, deviation: float) -> Case:
    """Gaussian noise, each channel of each pixel its own."""
    case = make(rgb, random)
    noise = random.normal(0, deviation, case.rgb.shape)
    spoilt = np.clip(np.rint(case.rgb + noise), 0, 255).astype(np.uint8)
    return replace(case, rgb=spoilt)


def times(factor: int) -> Make:
    return partial(repeated, factor=factor)


def lossy(make: Make, quality: int) -> Make:
    return partial(compressed, make=make, quality=quality)


def grainy(make: Make) -> Make:
    return partial(noisy, make=make, deviation=2.0)


def crop(factor: int) -> Make:
    return partial(cropped, factor=factor)


def lanczos(factor: int, share: float) -> Condition:
    make = partial(filtered, factor=factor, share=share, resample=Image.Resampling.LANCZOS)
    return Condition(f"x{factor}, Lanczos to x{factor * share:.4g}", make, factor, 0.8)


NATIVE = (
    Condition("native", untouched, least=1.0),
    Condition("native, JPEG 90", lossy(untouched, 90), least=1.0),
    Condition("native, JPEG 75", lossy(untouched, 75), least=1.0),
    Condition("native, noise 2", grainy(untouched), least=1.0),
)
ENLARGED = (
    *(Condition(f"x{factor}", times(factor), factor, 1.0) for factor in (2, 3, 4, 5, 6, 8, 10, 12)),
    *(Condition(f"x{factor}, crop", crop(factor), factor, 1.0, within=2) for factor in (4, 6, 8)),
    *(Condition(f"x2, JPEG {quality}", lossy(times(2), quality), 2) for quality in (90, 75)),
    *(
        Condition(f"x{factor}, JPEG {quality}", lossy(times(factor), quality), factor, 0.95)
        for factor in (4, 8)
        for quality in (90, 75)
    ),
    Condition("x8, JPEG 50", lossy(times(8), 50), 8),
    Condition("x8, crop, JPEG 85", lossy(crop(8), 85), 8, 0.95, within=2),
    *(Condition(f"x{factor}, noise 2", grainy(times(factor)), factor, 0.95) for factor in (2, 4, 8)),
)
FRACTIONAL = (
    Condition("x1.5", partial(resized, pitch=1.5), 1.5),
    *(Condition(f"x{pitch:.4g}", partial(resized, pitch=pitch), pitch, 0.8) for pitch in (2.5, 3.3, 16 / 3)),
    Condition("x2.5, corners", partial(resized, pitch=2.5, corner=True), 2.5, 0.8),
    lanczos(8, 2 / 3),
    lanczos(6, 3 / 4),
    lanczos(10, 0.63),
)
BLURRED = (
    Condition("x4 bilinear", partial(smoothed, factor=4, resample=Image.Resampling.BILINEAR), 4),
    Condition("x8 bicubic", partial(smoothed, factor=8, resample=Image.Resampling.BICUBIC), 8),
)
CONDITIONS = (*NATIVE, *ENLARGED, *FRACTIONAL, *BLURRED)
