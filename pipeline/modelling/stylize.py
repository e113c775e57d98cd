"""Test faces in the style of test artworks: `<canvas>/<face>.png`, `manifest.jsonl`, `stats.json`, `losses.csv`.

One row per face and canvas, `<face>-<canvas>`; reasons: diverged (a loss is no longer a number).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from models import images
from models.images import to_pixels, to_signed
from models.styletransfer import canvases, losses, optimise, vgg
from models.styletransfer.canvases import Canvas, PaletteCanvas, PixelCanvas
from models.styletransfer.optimise import Objective, Progress
from models.styletransfer.vgg import VGG19
from pipeline import io, manifest, seeds
from pipeline.errors import BadInput
from pipeline.io import Pixels
from pipeline.manifest import Row
from pipeline.modelling import palette, weights
from pipeline.modelling.generators import pick_bf16
from pipeline.params import Resize, Style


@dataclass(frozen=True)
class Pair:
    """A face and the artwork whose style it takes; both uint8 (S, S, 3)."""

    face: str
    artwork: str
    content: Pixels
    style: Pixels


@dataclass(frozen=True)
class Stylized:
    """What one batch of N pairs became on one canvas."""

    pixels: Pixels  # (N, S, S, 3)
    style: NDArray[np.float64]  # (iterations + 1, N), before weighting
    content: NDArray[np.float64]


@dataclass(frozen=True)
class Transfer:
    """One canvas for all pairs: what decides a batch's result, but for the batch itself."""

    canvas: str
    network: VGG19
    params: Style
    cell: int  # pixels a side of a cell; 1 for the free canvas
    seed: int


def run(
    split: Path, dst: Path, params: Style, resize: Resize, seed: int, threads: int, state: Path = Path(".state")
) -> dict[str, Any]:
    """Stylize `params.pairs` faces of `split/faces/test` on every canvas of `params.canvases` into `dst`.

    Finished batches wait in `state/style/<fingerprint>/` until all are done: a killed run loses the one in flight.

    Args:
        split: output of the split stage.
        dst: output folder.
        params: style section.
        resize: resize section; size and cells are used.
        seed: of the whole run.
        threads: CPU threads; part of the result, since sums are reordered.
        state: where unfinished work is kept.
    """
    pairs = choose_pairs(split, params.pairs, resize.size, seed)
    network = weights.features(params, seed)
    sha256 = weights.digest(network)
    folder = state / "style" / _fingerprint(params, resize, seed, threads, pairs, sha256)
    with _lock(folder), _threads(threads), io.output_dir(dst) as out:
        rows, curves = [], []
        for canvas in dict.fromkeys(params.canvases):
            cell = 1 if canvas == "free" else resize.size // resize.cells
            stylized = _all_batches(Transfer(canvas, network, params, cell, seed), pairs, folder)
            made = [_row(pair, canvas, stylized, at, params) for at, pair in enumerate(pairs)]
            _write_pictures(out / canvas, pairs, stylized, made)
            rows += made
            curves += _curve(canvas, stylized, [row["status"] == "kept" for row in made])
        io.write_atomic(out / "losses.csv", ("canvas,iteration,style,content\n" + "".join(curves)).encode())
        ids = [row["id"] for row in rows]
        stats = manifest.write(out, rows, inputs=ids, canvases=_summary(rows), features_sha256=sha256)
    shutil.rmtree(folder)
    return stats


def choose_pairs(split: Path, wanted: int, size: int, seed: int) -> list[Pair]:
    """The first `wanted` test faces after a seeded shuffle (all, when there are fewer), each with one test artwork.

    Artworks come in a shuffled order of their own, again from the start when there are fewer than faces. The flatter
    half of them is left out: a small item on an empty background has no style to give but its background.

    Raises:
        BadInput: no test face or no test artwork, or one that is not `size` x `size`.
    """
    faces = _shuffled(split / "faces" / "test", seed, "faces")[:wanted]
    artworks = {path: _read(path, size) for path in _shuffled(split / "pixel" / "test", seed, "artworks")}
    middle = np.median([_busyness(pixels) for pixels in artworks.values()])
    busy = [(path, pixels) for path, pixels in artworks.items() if _busyness(pixels) >= middle]
    chosen = zip(faces, itertools.cycle(busy), strict=False)
    return [Pair(face.stem, art.stem, _read(face, size), pixels) for face, (art, pixels) in chosen]


def _busyness(pixels: Pixels) -> float:
    """Share of the horizontal neighbours that differ."""
    return float((pixels[:, 1:] != pixels[:, :-1]).any(axis=2).mean())


def _shuffled(folder: Path, seed: int, name: str) -> list[Path]:
    files = sorted(folder.glob("*.png"))
    if not files:
        raise BadInput(f"{folder}: expected at least 1 PNG, found none: run the split stage, or raise split.test")
    order = seeds.generator(seed, "style", "pairs", name).permutation(len(files))
    return [files[index] for index in order]


def _read(path: Path, size: int) -> Pixels:
    pixels = io.read_rgb(path)
    if pixels.shape != (size, size, 3):
        raise BadInput(f"{path}: expected {size}x{size}, got {pixels.shape[1]}x{pixels.shape[0]}: run split again")
    return pixels


def _all_batches(transfer: Transfer, pairs: Sequence[Pair], folder: Path) -> Stylized:
    size = transfer.params.batch_size
    batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    done = [
        _resumed(folder / f"{transfer.canvas}-{number:04d}.npz", transfer, batch)
        for number, batch in enumerate(batches)
    ]
    return Stylized(
        pixels=np.concatenate([part.pixels for part in done]),
        style=np.concatenate([part.style for part in done], axis=1),
        content=np.concatenate([part.content for part in done], axis=1),
    )


def _resumed(file: Path, transfer: Transfer, batch: Sequence[Pair]) -> Stylized:
    """The batch from `file` if an earlier run finished it, else stylized now and kept there."""
    if file.is_file():
        with np.load(file, allow_pickle=False) as saved:
            return Stylized(saved["pixels"], saved["style"], saved["content"])
    done = _stylize(transfer, batch)
    buffer = BytesIO()
    np.savez(buffer, pixels=done.pixels, style=done.style, content=done.content)
    io.write_atomic(file, buffer.getvalue())
    return done


def _stylize(transfer: Transfer, batch: Sequence[Pair]) -> Stylized:
    params = transfer.params
    content = to_signed(np.stack([pair.content for pair in batch]))
    style = to_signed(np.stack([pair.style for pair in batch]))
    curve: list[Progress] = []
    image = optimise.optimise(
        _canvas(transfer, batch, content),
        transfer.network,
        content,
        style,
        Objective(
            content_layer=params.content_layer,
            style_layers=params.style_layers,
            content_weight=params.content_weight,
            style_weight=params.style_weight,
        ),
        iterations=params.iterations,
        lr=params.lr,
        bf16=pick_bf16(params.precision, "cpu"),
        report=curve.append,
    )
    return Stylized(
        pixels=to_pixels(image.nan_to_num()),  # a pair that diverged gets no picture: see _row
        style=np.array([step.style for step in curve]),
        content=np.array([step.content for step in curve]),
    )


def _canvas(transfer: Transfer, batch: Sequence[Pair], content: Tensor) -> Canvas:
    params, cell = transfer.params, transfer.cell
    start = canvases.cell_means(content, cell)
    if params.start == "noise":
        addresses = [seeds.derive(transfer.seed, "style", "noise", pair.face) for pair in batch]
        start = canvases.noise(start, [torch.Generator().manual_seed(address) for address in addresses])
    if transfer.canvas == "free" or params.palette is None:
        return PixelCanvas(start, cell=cell)
    return PaletteCanvas(start, [_palette(pair.style, cell, params.palette) for pair in batch], cell=cell)


def _palette(artwork: Pixels, cell: int, colours: int) -> Tensor:
    """At most `colours` colours of the artwork's native pixels, (K, 3) in [-1, 1]."""
    native = artwork[cell // 2 :: cell, cell // 2 :: cell]
    return to_signed(palette.read_palette(native, colours)[None])[:, 0].T


def _row(pair: Pair, canvas: str, stylized: Stylized, at: int, params: Style) -> Row:
    row = {"id": f"{pair.face}-{canvas}"}
    facts: Row = {"face": pair.face, "artwork": pair.artwork, "canvas": canvas}
    facts |= {"features": params.features, "iterations": params.iterations}
    ends = {"style": stylized.style[[0, -1], at], "content": stylized.content[[0, -1], at]}
    if not all(np.isfinite(found).all() for found in ends.values()):
        return manifest.failed(row, "diverged", **facts)
    values = {f"{name}_{end}": _rounded(ends[name][i]) for name in ends for i, end in enumerate(("start", "end"))}
    return manifest.kept(row, **facts, **values)


def _write_pictures(folder: Path, pairs: Sequence[Pair], stylized: Stylized, rows: Sequence[Row]) -> None:
    for pair, pixels, row in zip(pairs, stylized.pixels, rows, strict=True):
        if row["status"] == "kept":
            io.write_png(folder / f"{pair.face}.png", pixels)


def _curve(canvas: str, stylized: Stylized, kept: Sequence[bool]) -> list[str]:
    """CSV lines: the mean losses of the kept pairs over the iterations."""
    if not any(kept):
        return []
    style = stylized.style[:, kept].mean(axis=1)
    content = stylized.content[:, kept].mean(axis=1)
    points = enumerate(zip(style, content, strict=True))
    return [f"{canvas},{iteration},{_rounded(s)},{_rounded(c)}\n" for iteration, (s, c) in points]


def _summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Mean losses of the kept rows of each canvas."""
    kept = [row for row in rows if row["status"] == "kept"]
    keys = ("style_start", "style_end", "content_start", "content_end")
    return {
        canvas: {key: _rounded(np.mean([row[key] for row in kept if row["canvas"] == canvas])) for key in keys}
        for canvas in sorted({row["canvas"] for row in kept})
    }


def _rounded(value: float | np.floating[Any]) -> float:
    """Six significant digits: what float32 holds."""
    return float(f"{value:.6g}")


def _fingerprint(
    params: Style, resize: Resize, seed: int, threads: int, pairs: Sequence[Pair], features_sha256: str
) -> str:
    """Digest of everything that decides the result, so that state of another run is never mixed in."""
    modules = (images, canvases, losses, optimise, vgg, palette)
    code = [io.sha256(Path(file)) for file in [__file__, *(module.__file__ for module in modules)] if file]
    works = [[pair.face, _sha256(pair.content), pair.artwork, _sha256(pair.style)] for pair in pairs]
    facts = [params.model_dump(), resize.size, resize.cells, seed, threads, works, features_sha256, code]
    return hashlib.sha256(json.dumps([*facts, torch.__version__], sort_keys=True).encode()).hexdigest()


def _sha256(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise BadInput(f"{folder}: another stylize run with the same inputs is working there") from error


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
