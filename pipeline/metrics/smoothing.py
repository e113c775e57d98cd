"""Makes a soft drawing of native pixel art, of which the artwork is then the truth.

It stands for drawings that no training saw: no training may use it, and its means are on purpose not those of a
renderer of training pairs. Areas are rounded by the most frequent colour of a window, lines are inked over them as
strokes from cell to cell; shades are clustered in OKLab, and each cluster is blurred by itself; light is a slope and a
lamp; then comes a codec. Each range below is drawn from once a picture.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from scipy.cluster import hierarchy

from pipeline.images.colour import Lab, distinct, from_oklab, to_oklab
from pipeline.images.files import Pixels
from pipeline.images.resample import enlarge
from pipeline.metrics.pixel_art import Array
from pipeline.metrics.recovery import NEIGHBOURS, line_cells

Mask = NDArray[np.bool_]
Cell = tuple[int, int]  # row, column
Point = tuple[float, float]  # x, y

SCALE = 8  # pixels a cell while it is drawn; lengths in pixels below are of these
MAX_COLOURS = 256  # ranks of one byte
ROUND = (9, 11, 13)  # pixels a side of the window whose most frequent colour a pixel takes: corners become arcs
INK = (5, 6, 7)  # pixels, a line's width
MARK = 0.12  # OKLab: a cell that far off its neighbourhood's median is drawn by itself
ALIKE = 0.1  # OKLab: a line that is two cells wide in colours that near is an area
EASE = 4  # times that a line is drawn towards its neighbours' middle: stairs become slopes
BAND = (0.08, 0.18)  # OKLab: shades nearer than that become one gradient
BAND_BLUR = (0.4, 1.0)  # cells, standard deviation of the gradient
PALE_LINES = (0.0, 0.3)  # share of a line's depth that is lost
LINE_BLUR = 2.0  # cells: what a line is darker than
SOFT = (0.12, 0.35)  # cells, standard deviation of the edges' blur
LIGHT = 0.035  # OKLab lightness, most that a slope adds in one corner and takes in another, and a lamp in its middle
GROUND = 0.045  # OKLab lightness, most that the ground differs as a whole, and its own slope in a corner
PALE = (0.82, 1.0)  # what is left of contrast
LIFT = (0.0, 0.04)  # OKLab lightness that is added
FADE = (0.85, 1.0)  # what is left of chroma
MOVE = 0.35  # cells, the picture moves by less, each way
QUALITY = (80, 95)  # of JPEG or WebP
RESAMPLING = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def smooth_version(native: Pixels, factor: int, rng: np.random.Generator) -> Pixels:
    """Draw native pixel art as a soft picture: (rows, columns, 3) -> (rows * factor, columns * factor, 3), uint8.

    Edges are round, lines thinner and paler, neighbouring shades one gradient; there is light from one side and a lamp,
    another gradient on the ground, less contrast and chroma; the picture moves by less than MOVE cells and passes
    through a lossy codec. Hue stays. Equal arguments and an equal state of `rng` give equal pixels.

    Args:
        native: one pixel a cell, opaque. What touches the border in its most frequent colour is the ground.
        factor: pixels a cell, out; at least 1.

    Raises:
        ValueError: no cell, or a factor below 1.
    """
    if native.size == 0 or factor < 1:
        raise ValueError(f"expected at least one cell and a factor of at least 1, got {native.shape} and {factor}")
    ranks, palette = _ranks(native)
    colours = to_oklab(palette)
    lines, wide = line_cells(native), _wide(colours[ranks])
    drawn = _drawn(ranks, lines & ~wide, _marks(colours[ranks]) & ~lines & ~wide, rng)
    lab = _merged(colours, drawn, rng)
    ground = _round(enlarge(_ground(ranks).astype(np.uint8), SCALE), max(ROUND))
    lab = _pale(_lit(lab, ground, rng), rng)
    soft = Image.fromarray(from_oklab(lab)).filter(ImageFilter.GaussianBlur(SCALE * rng.uniform(*SOFT)))
    coded = _coded(_moved(soft, rng), rng)
    rows, columns = native.shape[:2]
    resampling = RESAMPLING[rng.integers(len(RESAMPLING))]
    return np.asarray(coded.resize((columns * factor, rows * factor), resampling))


def _ranks(native: Pixels) -> tuple[NDArray[np.uint8], Pixels]:
    """Each cell's colour as its rank from dark to light (rows, columns), and the colours in that order (k, 3)."""
    colours, indices, _ = distinct(native)
    if len(colours) > MAX_COLOURS:
        few = Image.fromarray(native).quantize(MAX_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        colours, indices, _ = distinct(np.asarray(few.convert("RGB")))
    order = np.argsort(to_oklab(colours)[:, 0], kind="stable")
    rank = np.argsort(order, kind="stable")
    return rank[indices].reshape(native.shape[:2]).astype(np.uint8), colours[order]


def _drawn(ranks: NDArray[np.uint8], lines: Mask, marks: Mask, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Ranks at SCALE pixels a cell: areas with round edges, marks and lines inked over them, unmixed."""
    areas, inked = enlarge(ranks, SCALE), enlarge(lines, SCALE)
    if not lines.all():  # what is beside a line meets under its middle
        beside = ndimage.distance_transform_edt(inked, return_distances=False, return_indices=True)
        areas = areas[tuple(beside)]
    size = int(rng.choice(ROUND))
    picture = Image.fromarray(_round(_round(areas, size), size))
    pen, width = ImageDraw.Draw(picture), int(rng.choice(INK))
    for rank in np.unique(ranks[marks])[::-1]:
        _ink(pen, ranks, marks & (ranks == rank), width)
    _ink(pen, ranks, lines, width)
    return np.asarray(picture)


def _marks(lab: Lab) -> Mask:
    """The lightest or most colourful cells of their 3x3 that stand off its median: highlights, studs."""
    around = ndimage.median_filter(lab, (3, 3, 1), mode="nearest")
    lightness, chroma = lab[..., 0], (lab[..., 1:] ** 2).sum(axis=-1)
    most = [plane >= ndimage.maximum_filter(plane, 3, mode="nearest") for plane in (lightness, chroma)]
    return np.asarray((((lab - around) ** 2).sum(axis=-1) >= MARK**2) & (most[0] | most[1]))


def _wide(lab: Lab) -> Mask:
    """The cells that stand in a square of four, none of which differs from them by more than ALIKE."""
    rows, columns = lab.shape[:2]
    wide = np.zeros((rows, columns), np.bool_)
    corners = [(y, x) for y in (0, 1) for x in (0, 1)]
    for y, x in corners:
        mine = lab[y : rows - 1 + y, x : columns - 1 + x]
        others = [lab[below : rows - 1 + below, beside : columns - 1 + beside] for below, beside in corners]
        alike = [((mine - other) ** 2).sum(axis=-1) <= ALIKE**2 for other in others]
        wide[y : rows - 1 + y, x : columns - 1 + x] |= np.logical_and.reduce(alike)
    return wide


def _ink(pen: ImageDraw.ImageDraw, ranks: NDArray[np.uint8], lines: Mask, width: int) -> None:
    """Draw line cells as strokes from centre to centre, from light to dark; four in a square are filled."""
    radius = (width - 1) / 2
    cells = {(int(y), int(x)) for y, x in np.argwhere(lines)}
    joined = {cell: [other for other in _neighbours(*cell) if _are_joined(cell, other, cells)] for cell in cells}
    points = _eased(joined)
    for cell in sorted(cells, key=lambda cell: (-int(ranks[cell]), cell)):
        (x, y), rank = points[cell], int(ranks[cell])
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=rank)
        for other in joined[cell]:
            middle = ((x + points[other][0]) / 2, (y + points[other][1]) / 2)
            pen.line([(x, y), middle], fill=rank, width=width)
            if _in_square(cell, other, cells):
                corner = ((cell[1] + other[1] + 1) / 2 * SCALE, (cell[0] + other[0] + 1) / 2 * SCALE)
                pen.rectangle([*map(min, (x, y), corner), *map(max, (x, y), corner)], fill=rank)


def _neighbours(y: int, x: int) -> list[Cell]:
    return [(y + down, x + across) for down, across in NEIGHBOURS]


def _are_joined(cell: Cell, other: Cell, cells: set[Cell]) -> bool:
    """Whether a stroke goes from one to the other; across a corner only where it goes no other way, or in a square."""
    if other not in cells:
        return False
    (y, x), (below, beside) = cell, other
    around = ((y, beside) in cells) + ((below, x) in cells) if y != below and x != beside else 0
    return around != 1


def _in_square(cell: Cell, other: Cell, cells: set[Cell]) -> bool:
    (y, x), (below, beside) = cell, other
    return y != below and x != beside and {(y, beside), (below, x)} <= cells


def _eased(joined: dict[Cell, list[Cell]]) -> dict[Cell, Point]:
    """Where strokes pass, (x, y) in pixels: each cell's centre, moved to between its two neighbours."""
    points = {(y, x): ((x + 0.5) * SCALE, (y + 0.5) * SCALE) for y, x in joined}
    passed = {cell: others for cell, others in joined.items() if len(others) == 2}
    for _ in range(EASE):
        points |= {cell: _between(points[cell], points[a], points[b]) for cell, (a, b) in passed.items()}
    return points


def _between(here: Point, before: Point, after: Point) -> Point:
    return here[0] / 2 + (before[0] + after[0]) / 4, here[1] / 2 + (before[1] + after[1]) / 4


def _round(plane: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(plane).filter(ImageFilter.ModeFilter(size)))


def _merged(palette: Lab, drawn: NDArray[np.uint8], rng: np.random.Generator) -> Lab:
    """The picture in OKLab, (H, W, 3); shades of one group run into one another, groups do not."""
    reach, blur = rng.uniform(*BAND), SCALE * rng.uniform(*BAND_BLUR)
    group = np.zeros(1, np.intp)
    if len(palette) > 1:
        group = hierarchy.fcluster(hierarchy.linkage(palette, "average"), reach, "distance") - 1
    lab = palette[drawn]
    groups = group[drawn]
    merged = lab.copy()
    for index in np.unique(groups):
        mine = groups == index
        if (np.bincount(group)[index]) == 1:
            continue
        weight = _blurred(mine.astype(np.float64), blur)
        for axis in range(3):
            merged[..., axis][mine] = (_blurred(lab[..., axis] * mine, blur)[mine]) / weight[mine]
    return _fainter_lines(merged, rng)


def _fainter_lines(lab: Lab, rng: np.random.Generator) -> Lab:
    depth = _blurred(lab[..., 0], LINE_BLUR * SCALE) - lab[..., 0]
    fainter = lab.copy()
    fainter[..., 0] += rng.uniform(*PALE_LINES) * np.maximum(depth - 0.05, 0)
    return fainter


def _ground(ranks: NDArray[np.uint8]) -> Mask:
    """The cells that touch the border, directly or by one another, in its most frequent colour."""
    border = np.zeros(ranks.shape, np.bool_)
    border[[0, -1]], border[:, [0, -1]] = True, True
    same = ranks == np.bincount(ranks[border]).argmax()
    labels, _ = ndimage.label(same)
    return np.asarray(same & np.isin(labels, np.unique(labels[border & same])))


def _lit(lab: Lab, ground: NDArray[np.uint8], rng: np.random.Generator) -> Lab:
    """With light from one side and a lamp, and the ground changing along a line of its own."""
    rows, columns = lab.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    lamp = np.exp(-((y - rng.uniform(-1, 1)) ** 2 + (x - rng.uniform(-1, 1)) ** 2) / rng.uniform(0.2, 1.0))
    light = _plane(y, x, rng) * rng.uniform(0, LIGHT) + lamp * rng.uniform(-LIGHT, LIGHT)
    edge = _blurred(ground.astype(np.float64), SCALE / 4)
    light += edge * (_plane(y, x, rng) * rng.uniform(0, GROUND) + rng.uniform(-GROUND, GROUND))
    lit = lab.copy()
    lit[..., 0] += light
    return lit


def _plane(y: Array, x: Array, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray((y * np.sin(angle) + x * np.cos(angle)) / np.sqrt(2))


def _pale(lab: Lab, rng: np.random.Generator) -> Lab:
    """Less contrast around the mean lightness, more light, less chroma: the direction of (a, b) stays."""
    pale = lab * rng.uniform(*FADE)
    mean = lab[..., 0].mean()
    pale[..., 0] = np.clip((lab[..., 0] - mean) * rng.uniform(*PALE) + mean + rng.uniform(*LIFT), 0, 1)
    return pale


def _moved(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Moved by less than MOVE cells each way, the border repeated."""
    x, y = SCALE * rng.uniform(-MOVE, MOVE, 2)
    framed = Image.fromarray(np.pad(np.asarray(picture), ((SCALE, SCALE), (SCALE, SCALE), (0, 0)), mode="edge"))
    shift = (1, 0, SCALE + x, 0, 1, SCALE + y)
    return framed.transform(picture.size, Image.Transform.AFFINE, shift, Image.Resampling.BICUBIC)


def _coded(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    data = BytesIO()
    picture.save(data, ("JPEG", "WEBP")[rng.integers(2)], quality=int(rng.integers(*QUALITY, endpoint=True)))
    with Image.open(data) as coded:
        return coded.convert("RGB")


def _blurred(plane: Array, deviation: float) -> Array:
    """Three box filters in each direction, a Gaussian to the eye."""
    width = max(1, round(np.sqrt(4 * deviation**2 + 1)))
    for _ in range(3):
        plane = ndimage.uniform_filter(plane, width, mode="nearest")
    return np.asarray(plane)
