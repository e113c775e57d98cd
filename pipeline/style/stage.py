"""Stage: test faces in the style of test artworks: `<canvas>/<face>.png`, `losses-<canvas>.csv`, manifest and stats.

One row per face and canvas, `<face>-<canvas>`; reasons: diverged (a loss is no longer a number).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.styletransfer.canvases import Relaxation
from models.styletransfer.optimise import Objective, Schedule
from models.styletransfer.steps import OnStep, OptimisationStep
from models.styletransfer.vgg import VGG19
from pipeline.images import files, palettes
from pipeline.images.files import Pixels
from pipeline.runtime import manifest
from pipeline.runtime.devices import pick_bf16, run_name
from pipeline.runtime.files import atomic_file, output_dir, sha256, write_atomic
from pipeline.runtime.locks import locked
from pipeline.runtime.manifest import Row
from pipeline.runtime.progress import Progress, silent
from pipeline.runtime.settings import Resize
from pipeline.style import features, pairs
from pipeline.style.pairs import Pair
from pipeline.style.params import Canvas, Style
from pipeline.style.transfer import ColourChoice, StylizedBatch, Transfer, stylize


def run(
    split: Path,
    dst: Path,
    params: Style,
    resize: Resize,
    seed: int,
    threads: int,
    state: Path = Path(".state"),
    *,
    device: str = "cpu",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Stylize pairs of `split/{faces,pixel}/test` (see `pairs`) on every canvas of `params.canvases` into `dst`.

    Finished batches wait in `state/style/<fingerprint>/` until all are done: a killed run loses the one in flight.

    Args:
        split: output of the split stage.
        dst: output folder.
        params: the section `style`.
        resize: the section `resize`; size and cells are used.
        seed: of the whole run.
        threads: CPU threads; part of the result, since sums are reordered.
        state: folder of unfinished runs.
        device: cpu or cuda, where the networks run; part of the result.
        progress: called with the number of pairs that are done, after every iteration.

    Raises:
        BadInput: no test pictures, a pair that cannot be, or features that cannot be read.
        BadParams: values that do not go together.
    """
    selection = pairs.choose(
        split, Path(params.pairs_file), pairs=params.pairs, artworks=params.artworks, size=resize.size, seed=seed
    )
    network = load_features(params, seed)
    network_digest = features.digest(network)
    network.to(device)
    folder = state / "style" / _fingerprint(params, resize, [seed, threads], device, selection, network_digest)
    message = f"{folder}: another stylize run with the same inputs is working there"
    with locked(folder / "lock", message), _threads(threads), output_dir(dst) as out:
        rows = []
        for canvas in dict.fromkeys(params.canvases):
            transfer = transfer_of(params, canvas, network, resize.size // resize.cells, seed, device)
            size = 1 if params.optimiser == "lbfgs" else params.batch_size  # its line search couples pairs
            stylized = _all_batches(transfer, selection, size, folder, progress)
            of_canvas = [_row(pair, canvas, params.features, stylized, at) for at, pair in enumerate(selection)]
            for pair, pixels, row in zip(selection, stylized.pixels, of_canvas, strict=True):
                if row["status"] == "kept":
                    files.write_png(out / canvas / f"{pair.face}.png", pixels)
            rows += of_canvas
            curve = _curve(stylized, [row["status"] == "kept" for row in of_canvas])
            write_atomic(out / f"losses-{canvas}.csv", ("iteration,style,content\n" + "".join(curve)).encode())
        ids = [row["id"] for row in rows]
        stats = manifest.write(out, rows, inputs=ids, canvases=_summary(rows), features_sha256=network_digest)
    shutil.rmtree(folder)
    return stats


def load_features(params: Style, seed: int) -> VGG19:
    """The feature network that the section `style` names; raises as `features.load`."""
    layers = [*params.style_layers, params.content_layer]
    return features.load(params.features, layers, seed, average_pooling=params.pooling == "average")


def transfer_of(params: Style, canvas: Canvas, network: VGG19, cell: int, seed: int, device: str) -> Transfer:
    """The transfer that the section `style` describes, on one canvas.

    Args:
        params: the section.
        canvas: one of its canvases.
        network: its features, on `device`.
        cell: pixels a side of a cell, on the canvas of cells.
        seed: of the whole run.
        device: cpu or cuda.
    """
    free = canvas == "free"
    schedule = Schedule(
        iterations=params.iterations, lr=params.lr, lr_end=params.lr_end, lbfgs=params.optimiser == "lbfgs",
        ema=params.ema, plateau=params.plateau, patience=params.patience, levels=params.levels,
        bf16=pick_bf16(params.precision, device),
    )  # fmt: skip
    return Transfer(
        canvas=canvas, cell=1 if free else cell, choice=None if free else _colour_choice(params), network=network,
        objective=objective(params), schedule=schedule,
        from_noise=params.start == "noise", ground=params.ground == "style", seed=seed, device=device,
    )  # fmt: skip


def objective(params: Style) -> Objective:
    """The objective that the section `style` describes."""
    return Objective(
        content_layer=params.content_layer, content_weight=params.content_weight,
        style_layers=params.style_layers, style_weight=params.style_weight,
        wasserstein=params.statistics == "wasserstein", falloff=params.falloff, tv_weight=params.tv_weight,
    )  # fmt: skip


def _colour_choice(params: Style) -> ColourChoice | None:
    if params.palette is None:
        return None
    end = params.temperature.end
    start = end if params.optimiser == "lbfgs" else params.temperature.start
    return ColourChoice(
        colours=params.palette, palette=palettes.load(params.palette_file) if params.palette_from == "file" else None,
        learned=params.palette_from == "learned", toning=params.toning,
        colour_weight=params.colour_weight, cooccurrence_weight=params.neighbour_weight,
        relaxation=Relaxation(hard=params.choice == "hard", noise=params.gumbel, start=start, end=end),
    )  # fmt: skip


def _all_batches(
    transfer: Transfer, selection: Sequence[Pair], size: int, folder: Path, progress: Progress
) -> StylizedBatch:
    """All pairs as one batch, stylized `size` at once."""
    parts = []
    for number, start in enumerate(range(0, len(selection), size)):
        on_step = partial(_report_step, progress, transfer, start, len(selection))
        file = folder / f"{transfer.canvas}-{number:04d}.npz"
        parts.append(_resume(file, transfer, selection[start : start + size], on_step))
    progress(f"stylize {transfer.canvas}", len(selection), len(selection))
    longest = max(len(part.style) for part in parts)
    return StylizedBatch(
        pixels=np.concatenate([part.pixels for part in parts]),
        style=np.concatenate([_lengthen(part.style, longest) for part in parts], axis=1),
        content=np.concatenate([_lengthen(part.content, longest) for part in parts], axis=1),
        iterations=np.concatenate([part.iterations for part in parts]),
    )


def _report_step(progress: Progress, transfer: Transfer, before: int, total: int, step: OptimisationStep) -> None:
    done = before + sum(step.done)
    if done < total:
        text = f"iteration {step.iteration}/{transfer.schedule.iterations}, style loss {np.mean(step.style):.4g}"
        progress(f"stylize {transfer.canvas}", done, total, text)


def _lengthen(curve: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The curve of a batch that ended early stays at the losses of its results."""
    return np.concatenate([curve, np.repeat(curve[-1:], length - len(curve), axis=0)])


def _resume(file: Path, transfer: Transfer, batch: Sequence[Pair], on_step: OnStep) -> StylizedBatch:
    """The batch of `file` if an earlier run finished it, else stylized now and stored there."""
    if file.is_file():
        with np.load(file, allow_pickle=False) as arrays:
            return StylizedBatch(**arrays)
    stylized = stylize(transfer, batch, on_step)
    with atomic_file(file) as stored:
        np.savez(stored, **vars(stylized))
    return stylized


def _row(pair: Pair, canvas: Canvas, source: str, stylized: StylizedBatch, at: int) -> Row:
    row = {"id": f"{pair.face}-{canvas}"}
    facts: Row = {"face": pair.face, "artworks": [artwork.name for artwork in pair.artworks], "canvas": canvas}
    facts |= {"weights": [artwork.weight for artwork in pair.artworks], "features": source}
    facts |= {"iterations": int(stylized.iterations[at])}
    ends = {"style": stylized.style[[0, -1], at], "content": stylized.content[[0, -1], at]}
    if not all(np.isfinite(losses).all() for losses in ends.values()):
        return manifest.failed(row, "diverged", **facts)
    values = {f"{name}_{end}": _rounded(ends[name][i]) for name in ends for i, end in enumerate(("start", "end"))}
    return manifest.kept(row, **facts, **values)


def _curve(stylized: StylizedBatch, kept: Sequence[bool]) -> list[str]:
    """The mean losses of the kept pairs over the iterations, as lines of CSV."""
    if not any(kept):
        return []
    style, content = (losses[:, kept].mean(axis=1) for losses in (stylized.style, stylized.content))
    points = enumerate(zip(style, content, strict=True))
    return [f"{iteration},{_rounded(s)},{_rounded(c)}\n" for iteration, (s, c) in points]


def _summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The mean losses of the kept rows of each canvas."""
    kept = [row for row in rows if row["status"] == "kept"]
    keys = ("style_start", "style_end", "content_start", "content_end")
    return {
        canvas: {key: _rounded(np.mean([row[key] for row in kept if row["canvas"] == canvas])) for key in keys}
        for canvas in sorted({row["canvas"] for row in kept})
    }


def _rounded(value: float | np.floating[Any]) -> float:
    """A number with six significant digits, which is what float32 holds."""
    return float(f"{value:.6g}")


def _fingerprint(
    params: Style, resize: Resize, others: Sequence[Any], device: str, selection: Sequence[Pair], features_sha256: str
) -> str:
    """Digest of everything that decides the result, so that state of another run is never mixed in.

    `device` by its name: then the kind of GPU counts too.
    """
    contents = [
        [pair.face, _sha256(pair.content), [[art.name, art.weight, _sha256(art.pixels)] for art in pair.artworks]]
        for pair in selection
    ]
    palette = sha256(Path(params.palette_file)) if params.palette_from == "file" else None
    facts = [params.model_dump(), resize.size, resize.cells, *others, contents, palette, features_sha256]
    arithmetic = {"device": device, "bf16": pick_bf16(params.precision, device)}
    return run_name({"facts": facts, **arithmetic}, __name__)


def _sha256(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
