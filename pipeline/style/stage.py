"""Test faces in the style of test artworks: `<canvas>/<face>.png`, `losses-<canvas>.csv`, manifest and stats.

One row per face and canvas, `<face>-<canvas>`; reasons: diverged (a loss is no longer a number).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.styletransfer.watching import Progress
from pipeline.images import files
from pipeline.images.files import Pixels
from pipeline.runtime import manifest
from pipeline.runtime.devices import pick_bf16, run_name
from pipeline.runtime.files import output_dir, sha256, write_atomic
from pipeline.runtime.locks import locked
from pipeline.runtime.manifest import Row
from pipeline.runtime.progress import Progress as Tell
from pipeline.runtime.progress import silent
from pipeline.runtime.settings import Resize
from pipeline.style import features, pairs
from pipeline.style.pairs import Pair
from pipeline.style.params import Style
from pipeline.style.transfer import Stylized, Transfer, Watch, stylize


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
    progress: Tell = silent,
) -> dict[str, Any]:
    """Stylize pairs of `split/{faces,pixel}/test` (see `pairs`) on every canvas of `params.canvases` into `dst`.

    Finished batches wait in `state/style/<fingerprint>/` until all are done: a killed run loses the one in flight.

    Args:
        split: output of the split stage.
        dst: output folder.
        params: style section.
        resize: resize section; size and cells are used.
        seed: of the whole run.
        threads: CPU threads; part of the result, since sums are reordered.
        state: where unfinished work is kept.
        device: cpu or cuda, where the networks run; part of the result.
        progress: told how many pairs are done, after every iteration.

    Raises:
        BadInput: no test pictures, a pair that cannot be, or features that cannot be read.
        BadParams: values that do not go together.
    """
    chosen = pairs.choose(
        split, Path(params.pairs_file), pairs=params.pairs, artworks=params.artworks, size=resize.size, seed=seed
    )
    network = features.features(params, seed)
    network_digest = features.digest(network)
    network.to(device)
    folder = state / "style" / _fingerprint(params, resize, [seed, threads], device, chosen, network_digest)
    message = f"{folder}: another stylize run with the same inputs is working there"
    with locked(folder / "lock", message), _threads(threads), output_dir(dst) as out:
        rows = []
        for canvas in dict.fromkeys(params.canvases):
            cell = 1 if canvas == "free" else resize.size // resize.cells
            transfer = Transfer(canvas, network, params, cell, seed, device)
            stylized = _all_batches(transfer, chosen, folder, progress)
            made = [_row(pair, transfer, stylized, at) for at, pair in enumerate(chosen)]
            _write_pictures(out / canvas, chosen, stylized, made)
            rows += made
            curve = _curve(stylized, [row["status"] == "kept" for row in made])
            write_atomic(out / f"losses-{canvas}.csv", ("iteration,style,content\n" + "".join(curve)).encode())
        ids = [row["id"] for row in rows]
        stats = manifest.write(out, rows, inputs=ids, canvases=_summary(rows), features_sha256=network_digest)
    shutil.rmtree(folder)
    return stats


def _all_batches(transfer: Transfer, chosen: Sequence[Pair], folder: Path, progress: Tell) -> Stylized:
    size = 1 if transfer.params.optimiser == "lbfgs" else transfer.params.batch_size  # its line search couples pairs
    done = []
    for number, start in enumerate(range(0, len(chosen), size)):
        watch = partial(_tell, progress, transfer, start, len(chosen))
        file = folder / f"{transfer.canvas}-{number:04d}.npz"
        done.append(_resumed(file, transfer, chosen[start : start + size], watch))
    progress(f"stylize {transfer.canvas}", len(chosen), len(chosen))
    longest = max(len(part.style) for part in done)
    return Stylized(
        pixels=np.concatenate([part.pixels for part in done]),
        style=np.concatenate([_lengthened(part.style, longest) for part in done], axis=1),
        content=np.concatenate([_lengthened(part.content, longest) for part in done], axis=1),
        iterations=np.concatenate([part.iterations for part in done]),
    )


def _tell(progress: Tell, transfer: Transfer, before: int, total: int, step: Progress) -> None:
    done = before + sum(step.done)
    if done < total:
        text = f"iteration {step.iteration}/{transfer.params.iterations}, style loss {np.mean(step.style):.4g}"
        progress(f"stylize {transfer.canvas}", done, total, text)


def _lengthened(curve: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """A batch that ended early stays at the losses of its results."""
    return np.concatenate([curve, np.repeat(curve[-1:], length - len(curve), axis=0)])


def _resumed(file: Path, transfer: Transfer, batch: Sequence[Pair], watch: Watch) -> Stylized:
    """The batch from `file` if an earlier run finished it, else stylized now and kept there."""
    if file.is_file():
        with np.load(file, allow_pickle=False) as saved:
            return Stylized(**{field.name: saved[field.name] for field in fields(Stylized)})
    done = stylize(transfer, batch, watch)
    buffer = BytesIO()
    np.savez(buffer, **{field.name: getattr(done, field.name) for field in fields(Stylized)})
    write_atomic(file, buffer.getvalue())
    return done


def _row(pair: Pair, transfer: Transfer, stylized: Stylized, at: int) -> Row:
    row = {"id": f"{pair.face}-{transfer.canvas}"}
    facts: Row = {"face": pair.face, "artworks": [work.name for work in pair.works], "canvas": transfer.canvas}
    facts |= {"weights": [work.weight for work in pair.works], "features": transfer.params.features}
    facts |= {"iterations": int(stylized.iterations[at])}
    ends = {"style": stylized.style[[0, -1], at], "content": stylized.content[[0, -1], at]}
    if not all(np.isfinite(found).all() for found in ends.values()):
        return manifest.failed(row, "diverged", **facts)
    values = {f"{name}_{end}": _rounded(ends[name][i]) for name in ends for i, end in enumerate(("start", "end"))}
    return manifest.kept(row, **facts, **values)


def _write_pictures(folder: Path, pairs: Sequence[Pair], stylized: Stylized, rows: Sequence[Row]) -> None:
    for pair, pixels, row in zip(pairs, stylized.pixels, rows, strict=True):
        if row["status"] == "kept":
            files.write_png(folder / f"{pair.face}.png", pixels)


def _curve(stylized: Stylized, kept: Sequence[bool]) -> list[str]:
    """CSV lines: the mean losses of the kept pairs over the iterations."""
    if not any(kept):
        return []
    style = stylized.style[:, kept].mean(axis=1)
    content = stylized.content[:, kept].mean(axis=1)
    points = enumerate(zip(style, content, strict=True))
    return [f"{iteration},{_rounded(s)},{_rounded(c)}\n" for iteration, (s, c) in points]


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
    params: Style, resize: Resize, others: Sequence[Any], device: str, chosen: Sequence[Pair], features_sha256: str
) -> str:
    """Digest of everything that decides the result, so that state of another run is never mixed in.

    `device` by its name: then the kind of GPU counts too.
    """
    works = [
        [pair.face, _sha256(pair.content), [[work.name, work.weight, _sha256(work.pixels)] for work in pair.works]]
        for pair in chosen
    ]
    given = sha256(Path(params.palette_file)) if params.palette_from == "file" else None
    facts = [params.model_dump(), resize.size, resize.cells, *others, works, given, features_sha256]
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
