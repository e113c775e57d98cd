"""Judges the weights of a `cell` generator on art and faces that its training did not see, beside other methods.

    python benchmarks/real_faces.py [--weights FILE|shipped] [--cells 24 32 48 64] [--works N] [--faces N]
        [--json FILE] [--sheet FILE.png] [--held-out FILE]

Needs the folder of real data (`FACETOPIX_SHARED`, by default `../shared` beside the checkout). Artworks are rendered
smooth by a renderer that no training uses and drawn again, so each cell has a truth: heads of portraits held out of
training, and works of other kinds. Real anime faces have none: there a detector of faces, accents and stray cells
count. Intervals (5 to 95 %) are those of drawing the pictures anew. KID (Binkowski et al. 2018) on MobileNetV2 features
and distances of patches are reported without a bound: both follow composition and ground more than drawing. The weights
draw as `facetopix convert` draws. Exit code 1 when a figure of theirs misses its bound.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torchvision
from demands import Demand, table
from PIL import Image
from real_data import SHARED, open_tar
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from models.tensors import to_signed
from pipeline.convert import baselines
from pipeline.convert.command import DEFAULT_COLOURS, SHIPPED, SHIPPED_WEIGHTS
from pipeline.convert.pictures import Method
from pipeline.cyclegan import generators
from pipeline.cyclegan.generators import Shape
from pipeline.cyclegan.samples import draw_cells
from pipeline.errors import BadInput
from pipeline.evaluate.stage import PATTERNS
from pipeline.images import resample
from pipeline.images.colour import OPAQUE, to_oklab
from pipeline.images.files import Pixels, read_rgba, without_alpha, write_png
from pipeline.images.reduction import reduce_colours
from pipeline.images.resample import Grid
from pipeline.metrics import patches
from pipeline.metrics.faces_found import faces_found, share_found
from pipeline.metrics.pixel_art import Array, colours
from pipeline.metrics.recovery import Recovery, compare, total
from pipeline.metrics.smoothing import smooth_version
from pipeline.runtime.seeds import generator
from pipeline.runtime.spacing import evenly_spaced

HERE = Path(__file__).parent
FEATURES = SHARED / "weights" / "mobilenet_v2_1.0_224_imagenet.fp16.safetensors"
CASCADE = SHARED / "weights" / "lbpcascade_animeface.xml"
FACES = ("anime_faces_256", "anime_faces_128_a")
PORTRAITS = ("pixel_faces", ("cabbit",))
KINDS = {  # of works that no training saw: their tar, their folders in it
    "other heads": ("pixel_faces", ("lpc_heads",)),
    "monsters": ("pixel_chars", ("tuxemon_monsters",)),
    "people": ("pixel_chars", ("tuxemon_people",)),
    "overworld": ("pixel_chars", ("tuxemon_overworld",)),
    "items": ("pixel_tiles", ("tuxemon_items",)),
    "scenes": ("pixel_scenes", ("tuxemon_backgrounds", "tuxemon_tilesets", "ninja_adventure")),
}
GROUNDS = ("#ffffff", "#c8d2dc", "#8fa3b8", "#5a6478", "#e4c9a8", "#a8c8a0")  # `flatten.backgrounds`
LEAST_SHOWN = 0.15  # of a work that is opaque: less is an overlay or a placeholder
HEAD = 48  # cells a side, at the top of a portrait
MARGIN = 2  # cells of ground around a work that is smaller than its window
FACTOR = 4  # pixels a cell of smooth versions
SCALE = 48  # cells: the size that the bounds are strictest at
FACE_CELLS = {48: 0.95, 32: 0.85}  # and the least share of faces that the detector still finds
MAJORITY, WEIGHTS, ART = "majority + 16", "weights", "the art itself"
PAIRED = {
    "error": "error x100",
    "within": "within 0.05",
    "lines": "lines, F1",
    "accents": "accents kept",
    "lone": "lone",
}
OF_FACES = {"found": "found", "accents": "accents kept", "lone": "lone", "colours": "colours"}
RESAMPLES = 200
PATCHES, DIRECTIONS = 20_000, 128
CHANGED = 0.03  # OKLab: a cell has changed to the eye
TIMED = 20  # faces
SHOWN, TILE = 12, 288  # rows of a sheet, pixels a side of a picture there


@dataclass(frozen=True)
class Sample:
    """An artwork's window at one pixel a cell, and the smooth version of it that is to be drawn again."""

    truth: Pixels
    smooth: Pixels


@dataclass(frozen=True)
class Painter:
    """A trained generator as a method of `facetopix convert`: draws freely, then chooses colours."""

    net: nn.Module
    shape: Shape

    @property
    def colours(self) -> int:
        """The most colours of a picture."""
        return self.shape.palette or DEFAULT_COLOURS

    def free(self, rgb: Pixels, grid: Grid) -> Pixels:
        """The drawing before its colours are chosen, (rows, columns, 3)."""
        return draw_cells(self.net, self.shape, rgb, grid)

    def __call__(self, rgb: Pixels, grid: Grid) -> Pixels:
        return reduce_colours(self.free(rgb, grid), self.colours)


def painter(weights: str) -> Painter:
    """The generator of a file, or the shipped one.

    Raises:
        BadInput: a file that cannot be read, or another generator than `cell`.
    """
    net, shape = generators.load(SHIPPED_WEIGHTS if weights == SHIPPED else Path(weights))
    if shape.generator != "cell":
        raise BadInput(f"{weights}: expected a cell generator, found {shape.generator}")
    return Painter(net, shape)


def methods(weights: Painter) -> dict[str, Method]:
    """Everything that is measured, by its name in the tables."""
    known: dict[str, Method] = {
        "nearest": resample.nearest,
        "box + 16": lambda rgb, grid: baselines.box_palette(rgb, grid, colours=DEFAULT_COLOURS, seed=0),
        MAJORITY: lambda rgb, grid: baselines.majority_palette(rgb, grid, colours=DEFAULT_COLOURS, seed=0),
    }
    if importlib.util.find_spec("pyxelate"):
        pyxelate = importlib.import_module("pyxelate")

        def pyxelated(rgb: Pixels, grid: Grid) -> Pixels:
            paint = pyxelate.Pyx(height=grid[0], width=grid[1], palette=DEFAULT_COLOURS, dither="none")
            return np.asarray(paint.fit_transform(rgb), np.uint8)[..., :3]

        known["pyxelate"] = pyxelated
    return {**known, WEIGHTS: weights}


def pictures(
    tar: str, chosen: Callable[[Mapping[str, str]], bool], count: int | None = None
) -> list[tuple[str, Pixels]]:
    """Paths and RGBA of chosen rows of a tar's manifest, each picture once, `count` spread over them.

    Raises:
        BadInput: no such tar.
    """
    with open_tar(tar) as archive:
        listing = io.TextIOWrapper(cast(io.BytesIO, archive.extractfile("manifest.csv")), "utf-8")
        rows = {row["sha256"]: row["path"] for row in csv.DictReader(listing) if chosen(row)}
        paths = sorted(rows.values())
        read = ((path, cast(io.BytesIO, archive.extractfile(path)).read()) for path in evenly_spaced(paths, count))
        return [(path, read_rgba(data, path)) for path, data in read]


def portraits(held_out: Path, count: int | None) -> list[tuple[str, Pixels]]:
    """The portraits of the identities that a file lists, one a line.

    Raises:
        BadInput: no such file, no portrait of these identities, or no such tar.
    """
    if not held_out.is_file():
        raise BadInput(f"{held_out}: no such file; expected identities of portraits, one a line")
    identities = {f"cabbit:{line}" for line in held_out.read_text(encoding="utf-8").split("\n") if line}
    tar, folders = PORTRAITS
    chosen = pictures(
        tar, lambda row: Path(row["path"]).parent.name in folders and row["identity"] in identities, count
    )
    if not chosen:
        raise BadInput(f"{held_out}: expected identities of portraits, found none that {tar}.tar has")
    return chosen


def works(kind: str, count: int | None) -> list[tuple[str, Pixels]]:
    """Works of one of KINDS, without those that show next to nothing."""
    tar, folders = KINDS[kind]
    chosen = pictures(tar, lambda row: Path(row["path"]).parent.name in folders)
    shown = [(path, rgba) for path, rgba in chosen if (rgba[..., 3] >= OPAQUE).mean() >= LEAST_SHOWN]
    return evenly_spaced(shown, count)


def faces(count: int | None) -> list[Pixels]:
    """Real faces of all sets alike, at most `count`."""
    shares = [None if count is None else (count + at) // len(FACES) for at in range(len(FACES))]
    sets_of_faces = [pictures(name, lambda _: True, share) for name, share in zip(FACES, shares, strict=True)]
    return [without_alpha(rgba) for one in sets_of_faces for _, rgba in one]


def on_ground(rgba: Pixels, path: str) -> tuple[Pixels, Pixels]:
    """What a work shows, without its transparent margin, (rows, columns, 3) on a ground drawn for it; and the ground.

    An opaque work's ground is the commonest colour of its border.
    """
    opaque = rgba[..., 3] >= OPAQUE
    if opaque.all():
        rgb = without_alpha(rgba)
        border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
        levels, counts = np.unique(border, axis=0, return_counts=True)
        return rgb, levels[counts.argmax()]
    rows, columns = (np.flatnonzero(opaque.any(axis=axis)) for axis in (1, 0))
    shown = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    name = GROUNDS[int(generator(0, "ground", path).integers(len(GROUNDS)))]
    ground = np.array(list(bytes.fromhex(name[1:])), np.uint8)
    return np.where(opaque[shown][..., None], rgba[shown][..., :3], ground), ground


def on_canvas(rgb: Pixels, ground: Pixels, grid: Grid, *, foot: bool) -> Pixels:
    """A picture in the middle of a larger canvas, or at its foot."""
    rows, columns = rgb.shape[:2]
    canvas = np.broadcast_to(ground, (*grid, 3)).copy()
    top, left = (grid[0] - rows) // (1 if foot else 2), (grid[1] - columns) // 2
    canvas[top : top + rows, left : left + columns] = rgb
    return canvas


def head(rgba: Pixels, path: str, cells: int) -> Pixels:
    """The head of a portrait, (cells, cells, 3): its top, in the middle; of less than HEAD cells, some part of that.

    Where the portrait is smaller, its ground goes on.
    """
    rgb, ground = on_ground(rgba, path)
    side = max(cells, HEAD)
    left = max(0, (rgb.shape[1] - side) // 2)
    top = on_canvas(rgb[:side, left : left + side], ground, (side, side), foot=True)
    y, x = generator(0, "part", path, cells).integers(0, side - cells + 1, 2)
    return np.ascontiguousarray(top[y : y + cells, x : x + cells])


def whole_or_part(rgba: Pixels, path: str, cells: int) -> Pixels:
    """A work with some ground around it, or a part of one that is larger: at most `cells` cells a side."""
    rgb, ground = on_ground(rgba, path)
    rng = generator(0, "part", path, cells)
    y, x = (int(rng.integers(0, max(0, side - cells) + 1)) for side in rgb.shape[:2])
    part = rgb[y : y + cells, x : x + cells]
    rows, columns = (min(cells, side + 2 * MARGIN) for side in part.shape[:2])
    return on_canvas(part, ground, (rows, columns), foot=False)


def samples(windows: Sequence[Pixels], name: str) -> list[Sample]:
    """Windows on artworks with their smooth versions."""
    return [
        Sample(window, smooth_version(window, FACTOR, generator(0, "smooth", name, number)))
        for number, window in enumerate(windows)
    ]


def recoveries(method: Method, drawn: Sequence[Sample]) -> list[Recovery]:
    """What a method keeps of each sample's truth."""
    return [compare(method(one.smooth, (len(one.truth), one.truth.shape[1])), one.truth) for one in drawn]


def figures(sums: Recovery) -> dict[str, float | None]:
    """The figures of several pictures together, by their names in the tables."""
    return {
        "error": 100 * sums.error, "within": sums.within, "lines": sums.lines, "accents": sums.accents,
        "lone": sums.lone, "lone_truth": sums.lone_truth,
    }  # fmt: skip


def intervals(compared: Sequence[Recovery], resamples: int = RESAMPLES) -> dict[str, tuple[float, float]]:
    """5 to 95 % of each figure when the pictures are drawn anew; a figure without a value has none."""
    rows = np.array([astuple(one) for one in compared])
    drawn = generator(0, "intervals").integers(0, len(rows), (resamples, len(rows)))
    anew = [figures(Recovery(*sums)) for sums in rows[drawn].sum(axis=1)]
    values = {name: [one[name] for one in anew if one[name] is not None] for name in anew[0]}
    ends = {name: np.quantile(np.array(of, float), (0.05, 0.95)) for name, of in values.items() if of}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def judged(drawn: Sequence[Sample], by: Mapping[str, Method]) -> dict[str, Any]:
    """Figures of every method, and of the art itself beside its own truth."""
    lists = {name: recoveries(method, drawn) for name, method in by.items()}
    lists[ART] = [compare(one.truth, one.truth) for one in drawn]
    rows = {name: {**figures(total(compared)), "intervals": intervals(compared)} for name, compared in lists.items()}
    return {"pictures": len(drawn), "methods": rows}


def searched(natives: Sequence[Pixels], inputs: Sequence[Pixels]) -> float | None:
    """Share of the inputs' faces that the detector finds in drawings; None without OpenCV or its file."""
    if importlib.util.find_spec("cv2") is None or not CASCADE.is_file():
        return None
    return share_found(faces_found(natives, inputs, str(CASCADE), parameter="the cascade"))


def judged_faces(
    drawings: Mapping[str, Sequence[Pixels]], inputs: Sequence[Pixels], art: Sequence[Sample], cells: int
) -> dict[str, Any]:
    """Figures of the methods' drawings of real faces; the art's own are of as many heads, or fewer where there are."""
    means = [resample.box(face, (cells, cells)) for face in inputs]
    rows: dict[str, Any] = {}
    for name, made in drawings.items():
        compared = [compare(one, mean) for one, mean in zip(made, means, strict=True)]
        spans = intervals(compared)
        rows[name] = {
            "found": searched(made, inputs), "accents": total(compared).accents, "lone": total(compared).lone,
            "colours": float(np.mean([colours(one) for one in made])),
            "intervals": {figure: spans[figure] for figure in ("accents", "lone") if figure in spans},
        }  # fmt: skip
    heads = evenly_spaced(art, len(inputs))
    truths = [one.truth for one in heads]
    rows[ART] = {
        "found": searched(truths, [one.smooth for one in heads]), "accents": None,
        "lone": total([compare(one, one) for one in truths]).lone,
        "colours": float(np.mean([colours(one) for one in truths])), "intervals": {},
    }  # fmt: skip
    return {"pictures": len(inputs), "heads": len(heads), "methods": rows}


def distances(made: Sequence[Pixels], art: Sequence[Pixels]) -> dict[str, float]:
    """Of two lists of native pictures, by the names that the evaluate stage has for them."""
    apart, rng = {}, generator(0, "patches")
    for size, centred, name in PATTERNS:
        onto = patches.draw_directions(3 * size**2, DIRECTIONS, generator(0, "directions", size))
        sides = [patches.draw_patches(side, size, PATCHES, rng, centred=centred) for side in (made, art)]
        apart[name] = patches.sliced_wasserstein(*(patches.project(side, onto) for side in sides))
    return apart


class Features(nn.Module):
    """MobileNetV2 with its norms folded in: (N, 3, 224, 224) in [-1, 1] -> (N, 1280).

    Stride-2 convolutions are padded on the right and below only, as the weights' origin does.
    """

    def __init__(self) -> None:
        super().__init__()
        net = torchvision.models.mobilenet_v2(num_classes=1001)
        for module in list(net.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
                if isinstance(child, nn.Conv2d):
                    child.bias = nn.Parameter(torch.zeros(child.out_channels))
                    if child.stride == (2, 2):
                        child.padding = (0, 0)
                        setattr(module, name, nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), child))
        weights = {key: value.float() for key, value in load_file(FEATURES).items()}
        own = {key: key.replace(".0.1.", ".0.") if key not in weights else key for key in net.state_dict()}
        net.load_state_dict({key: weights[theirs] for key, theirs in own.items()})
        self.net = net.features.eval()

    @torch.no_grad()
    def forward(self, natives: Sequence[Pixels]) -> Array:
        """uint8 (H, W, 3) each -> (N, 1280)."""
        batches = []
        for start in range(0, len(natives), 16):
            x = functional.interpolate(to_signed(np.stack(natives[start : start + 16])), size=224, mode="nearest")
            batches.append(self.net(x).mean(dim=(2, 3)))
        return np.asarray(torch.cat(batches).double())


def kid(x: Array, y: Array) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x.y / d + 1)^3 (Binkowski et al. 2018, sec. 4)."""
    kernels = [(one @ other.T / x.shape[1] + 1) ** 3 for one, other in ((x, x), (y, y), (x, y))]
    within = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in kernels[:2]]
    return float(sum(within) - 2 * kernels[2].mean())


def sets(drawings: Mapping[str, Sequence[Pixels]], art: Sequence[Pixels]) -> dict[str, Any]:
    """KID and distances of patches from one half of the heads: of the methods and of the other half, as many of each.

    Args:
        art: sorted by person, so that at most one is in both halves; nothing is measured of a single one.
    """
    count = min(len(art) // 2, *(len(made) for made in drawings.values()))
    if not count:
        return {"pictures": 0, "methods": {}}
    halves = [evenly_spaced(half, count) for half in (art[: len(art) // 2], art[len(art) // 2 :])]
    compared = {**{name: evenly_spaced(made, count) for name, made in drawings.items()}, ART: halves[1]}
    rows = {name: distances(made, halves[0]) for name, made in compared.items()}
    if FEATURES.is_file() and count > 1:
        features = Features()
        there = features(halves[0])
        for name, made in compared.items():
            rows[name]["kid"] = kid(features(made), there)
    return {"pictures": count, "methods": rows}


def changed(method: Method, face: Pixels, cells: int) -> tuple[float, float]:
    """Share of the cells that change when the face moves to the left by one source pixel: to the eye, and at all."""
    one, other = (method(np.ascontiguousarray(view), (cells, cells)) for view in (face[:, :-1], face[:, 1:]))
    far = np.linalg.norm(to_oklab(one) - to_oklab(other), axis=-1) > CHANGED
    return float(far.mean()), float((one != other).any(axis=-1).mean())


def stability(by: Mapping[str, Method], inputs: Sequence[Pixels]) -> dict[str, Any]:
    """`changed` of each method, median over faces; to the eye also over those of each size."""
    sides = np.array([face.shape[1] for face in inputs])
    rows: dict[str, Any] = {}
    for name, method in by.items():
        eye, bits = np.array([changed(method, face, SCALE) for face in inputs]).T
        rows[name] = {"to_the_eye": float(np.median(eye)), "at_all": float(np.median(bits))}
        rows[name] |= {f"{side} px": float(np.median(eye[sides == side])) for side in np.unique(sides)}
    return rows


def milliseconds(weights: Painter, inputs: Sequence[Pixels]) -> dict[str, float]:
    """CPU time of one face on SCALE cells, one thread, median: of the network and of the choice of colours."""
    spent = []
    weights(inputs[0], (SCALE, SCALE))
    for face in evenly_spaced(inputs, TIMED):
        began = time.process_time()
        native = weights.free(face, (SCALE, SCALE))
        drawn = time.process_time()
        reduce_colours(native, weights.colours)
        spent.append((drawn - began, time.process_time() - drawn))
    network, choice = 1000 * np.median(spent, axis=0)
    return {"network": float(network), "colours": float(choice), "together": float(network + choice)}


def demands_of_pairs(name: str, result: Mapping[str, Any], share: float | None) -> list[Demand]:
    """Of the weights on pairs: the report's own bounds where `share` is None, else that share of majority's error."""
    ours, theirs = result["methods"][WEIGHTS], result["methods"][MAJORITY]
    lone, their_lone = (abs(one["lone"] - one["lone_truth"]) for one in (ours, theirs))
    if share is None:
        error = Demand(f"{name}: error x100", ours["error"], most=2.5)
        least, most = {"within": 0.88, "lines": 0.94, "accents": 0.92}, 0.005
    else:
        error = Demand(f"{name}: error, of majority's", ours["error"] / theirs["error"], most=share)
        least, most = {figure: theirs[figure] for figure in ("within", "lines", "accents")}, their_lone
    kept = [
        Demand(f"{name}: {figure}", ours[figure], least=bound)
        for figure, bound in least.items()
        if ours[figure] is not None and bound is not None
    ]
    return [error, *kept, Demand(f"{name}: lone cells, off the art's", lone, most=most)]


def demands_of_faces(cells: int, result: Mapping[str, Any]) -> list[Demand]:
    """Of the weights on real faces; nothing of a figure without a value: no detector, or faces without accents."""
    ours = result["methods"][WEIGHTS]
    return [
        Demand(f"faces, {cells} cells: {figure}", ours[figure], least=least)
        for figure, least in (("found", FACE_CELLS[cells]), ("accents", 0.85))
        if ours[figure] is not None
    ]


def demands(report: Mapping[str, Any]) -> list[Demand]:
    """All that is demanded of the weights."""
    rows = [
        demands_of_pairs(f"heads, {cells} cells", result, None if int(cells) == SCALE else 0.5)
        for cells, result in report["heads"].items()
    ]
    rows += [demands_of_pairs(kind, result, 0.7) for kind, result in report["works"].items()]
    rows += [demands_of_faces(int(cells), result) for cells, result in report["faces"].items()]
    moved, spent = report["stability"][WEIGHTS]["to_the_eye"], report["milliseconds"]["together"]
    last = [
        Demand("moved by a source pixel: cells that change", moved, most=0.2),
        Demand(f"ms of CPU, a face on {SCALE} cells", spent, most=30.0),
    ]
    return [*(one for row in rows for one in row), *last]


def markdown(title: str, methods_told: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A table of methods and their figures, with intervals where there are any; `names` are those of its columns."""

    def cell(row: Mapping[str, Any], name: str) -> str:
        if row[name] is None:
            return ""
        low_high = row.get("intervals", {}).get(name)
        return f"{row[name]:.3f}" + (f" ({low_high[0]:.3f} to {low_high[1]:.3f})" if low_high else "")

    lines = [title, "", f"| method | {' | '.join(names.values())} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {method} | {' | '.join(cell(row, name) for name in names)} |" for method, row in methods_told.items()]
    return "\n".join(lines) + "\n\n"


def text(report: Mapping[str, Any]) -> str:
    """Every table of a report."""
    shown = [
        markdown(f"Held-out heads, {cells} cells, {result['pictures']} pictures", result["methods"], PAIRED)
        for cells, result in report["heads"].items()
    ]
    shown += [
        markdown(f"{kind.capitalize()}, {result['pictures']} pictures", result["methods"], PAIRED)
        for kind, result in report["works"].items()
    ]
    for cells, result in report["faces"].items():
        title = f"Real faces, {cells} cells, {result['pictures']} faces beside {result['heads']} heads"
        shown.append(markdown(title, result["methods"], OF_FACES))
        if result["methods"][WEIGHTS]["found"] is None:
            shown.append(
                "Faces were not searched for: no OpenCV (extra `faces`), no cascade, or none in the inputs.\n\n"
            )
    names = {name: name.replace("_", " ") for name in report["stability"][WEIGHTS]}
    shown.append(markdown("Moved by one source pixel, cells that change, median of faces", report["stability"], names))
    result, spent = report["sets"], report["milliseconds"]
    if rows := result["methods"]:
        names = {name: name for name in rows[ART]}
        shown.append(markdown(f"From half of the held-out heads, {result['pictures']} of each", rows, names))
    shown.append(f"A face on {SCALE} cells: {spent['network']:.1f} ms network, {spent['colours']:.1f} ms colours\n\n")
    return "".join(shown)


def rows_of(pictures_of: Sequence[Sequence[Pixels]]) -> Pixels:
    """Rows of pictures, TILE pixels a side each."""
    return np.concatenate([np.concatenate([tile(one) for one in row], axis=1) for row in pictures_of])


def tile(picture: Pixels) -> Pixels:
    """A picture, TILE pixels a side: cells stay sharp where they fit."""
    resampling = Image.Resampling.LANCZOS if TILE % len(picture) else Image.Resampling.NEAREST
    return np.array(Image.fromarray(picture).resize((TILE, TILE), resampling))


def face_sheet(by: Mapping[str, Method], inputs: Sequence[Pixels]) -> Pixels:
    """Rows of face, majority and weights on 48 cells, weights on 32."""
    looks = ((MAJORITY, 48), (WEIGHTS, 48), (WEIGHTS, 32))
    chosen = evenly_spaced(inputs, SHOWN)
    return rows_of([[face, *(by[name](face, (cells, cells)) for name, cells in looks)] for face in chosen])


def pair_sheet(by: Mapping[str, Method], drawn: Sequence[Sample]) -> Pixels:
    """Rows of smooth version, truth, majority, weights."""
    return rows_of(
        [
            [one.smooth, one.truth, *(by[name](one.smooth, (len(one.truth),) * 2) for name in (MAJORITY, WEIGHTS))]
            for one in evenly_spaced(drawn, SHOWN)
        ]
    )


def judge(
    by: Mapping[str, Method], weights: Painter, heads: Mapping[int, Sequence[Sample]], inputs: Sequence[Pixels],
    kinds: Mapping[str, Sequence[Sample]], sizes: Sequence[int],
) -> dict[str, Any]:  # fmt: skip
    """Every figure of every method.

    Args:
        heads: samples by cells; those of FACE_CELLS are there.
        inputs: real faces.
        kinds: samples of other works.
        sizes: cells at which heads are compared.
    """
    drawings = {
        cells: {name: [method(face, (cells, cells)) for face in inputs] for name, method in by.items()}
        for cells in FACE_CELLS
    }
    return {
        "heads": {str(cells): judged(heads[cells], by) for cells in sizes},
        "works": {kind: judged(drawn, by) for kind, drawn in kinds.items()},
        "faces": {
            str(cells): judged_faces(made, inputs, heads[cells], cells) for cells, made in drawings.items()
        },
        "stability": stability(by, inputs),
        "milliseconds": milliseconds(weights, inputs),
        "sets": sets(drawings[SCALE], [one.truth for one in heads[SCALE]]),
    }  # fmt: skip


def positive(words: str) -> int:
    """A number of a command line, at least 1."""
    if (number := int(words)) < 1:
        raise ValueError(words)
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=SHIPPED, help="a file, or those that come with the package (default)")
    parser.add_argument("--cells", type=positive, nargs="+", default=[24, 32, 48, 64], help="of the heads")
    parser.add_argument("--works", type=positive, default=60, help="at most so many of each kind, portraits included")
    parser.add_argument("--faces", type=positive, default=120, help="at most so many real faces")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="two files: FILE-faces.png, FILE-pairs.png")
    parser.add_argument(
        "--held-out", type=Path, default=HERE / "held_out.txt", help="identities of portraits, one a line"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        weights = painter(options.weights)
        chosen, inputs = portraits(options.held_out, options.works), faces(options.faces)
        others = {kind: works(kind, options.works) for kind in KINDS}
    except BadInput as error:
        parser.error(str(error))
    by = methods(weights)
    heads = {
        cells: samples([head(rgba, path, cells) for path, rgba in chosen], f"heads {cells}")
        for cells in sorted({*options.cells, *FACE_CELLS})
    }
    kinds = {
        kind: samples([whole_or_part(rgba, path, SCALE) for path, rgba in found], kind)
        for kind, found in others.items()
    }
    report = judge(by, weights, heads, inputs, kinds, options.cells)
    rows = demands(report)
    sys.stdout.write(text(report) + table(rows))
    if options.json:
        kept = {"weights": options.weights, **report, "demands": [{**asdict(row), "met": row.met} for row in rows]}
        options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if options.sheet:
        for name, sheet in (("faces", face_sheet(by, inputs)), ("pairs", pair_sheet(by, heads[SCALE]))):
            write_png(options.sheet.with_stem(f"{options.sheet.stem}-{name}"), sheet)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
