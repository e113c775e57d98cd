"""A finished run: manifests and pictures as stages write them, and stand-ins for the pictures of trained networks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from drawings import with_tiles

from pipeline.convert import baselines
from pipeline.evaluate import stage
from pipeline.evaluate.params import Evaluate
from pipeline.images import files, resample
from pipeline.metrics.smoothing import smooth_version
from pipeline.runtime import manifest, seeds
from pipeline.runtime.files import write_atomic
from pipeline.runtime.settings import Resize

RESIZE = Resize(size=128, cells=32, min_cells=12, max_aspect=1.9, larger="crop", crop="saliency")
EVALUATE = Evaluate(palette=16, fixed_palette="facetopix-32", patches=1000, projections=16, cascade=None, show=3)


def build_run(root: Path, art: list[np.ndarray], faces: list[np.ndarray]) -> Path:
    works = [_work(index) for index in range(len(art))]
    people = [{"id": f"faces-{index:02}", "source": "faces", "origin": "sample"} for index in range(len(faces))]
    _write_curated(root / "data", works, art)
    _write_split(root / "data", works, art, people, faces)
    _write_outputs(root / "artifacts", people, faces)
    _write_pairs(root / "artifacts", works, art)
    _write_curves(root / "plots" / "train")
    evaluate(root)
    return root


def evaluate(root: Path, seed: int = 7, resize: Resize = RESIZE) -> dict:
    artifacts = root / "artifacts"
    return stage.run(
        root / "data/split", artifacts / "translate", artifacts / "style", dst=root / "metrics/evaluate.json",
        plots=root / "plots/evaluate", pictures=artifacts / "baselines", params=EVALUATE, resize=resize, seed=seed,
    )  # fmt: skip


def _work(index: int) -> dict:
    source = ("lospec", "pixeljoint", "pixiehaus")[index % 3]
    return {
        "id": f"{source}-{index:02}", "source": source, "source_id": str(index), "origin": "sample",
        "title": f"Figure <{index}>", "artist": f"artist {index % 4}", "licence": "CC0-1.0",
        "ai_generated": source == "pixiehaus", "tags": [], "parent": None,
    }  # fmt: skip


def _write_curated(data: Path, works: list[dict], art: list[np.ndarray]) -> None:
    """Three sources; dedup drops the last work, flatten and grid keep, grid reduces to one pixel per cell."""
    for source in ("lospec", "pixeljoint", "pixiehaus"):
        rows = [_served(data / "raw" / source, work, picture) for work, picture in zip(works, art, strict=True)]
        fetched = [row for row in rows if row["source"] == source]
        refused = manifest.failed({"id": f"{source}-99", "source": source}, "robots")
        rows = [*fetched, refused]
        manifest.write(data / "raw" / source, rows, inputs=[row["id"] for row in rows])
    kept = works[:-1]
    for work in kept[:2]:
        work["family"] = kept[0]["id"]
    rows = [
        *(manifest.kept(work) for work in kept),
        manifest.dropped(works[-1], "duplicate", in_favour_of=kept[0]["id"]),
    ]
    _write_stage(data / "dedup", rows, [work["id"] for work in works], art)
    _write_decisions(data / "dedup", works)
    natives = [picture[::4, ::4] for picture in art]
    facts = {"flatten": {"transparent_share": 0.25}, "grid": {"cell": 4.0, "native_width": 32, "native_height": 32}}
    for name, pictures in (("flatten", art), ("grid", natives), ("resize", art)):
        rows = [manifest.kept(work, **facts.get(name, {})) for work in kept]
        _write_stage(data / name, rows, [work["id"] for work in kept], pictures)


def _write_decisions(folder: Path, works: list[dict]) -> None:
    """The last work is a near copy of the first, the second an alternate of it."""
    first, second, *_, last = (work["id"] for work in works)
    decisions = [
        {"kept": first, "dropped": last, "in_favour_of": first, "tier": "near", "distance": 7.25},
        {"kept": second, "dropped": None, "in_favour_of": first, "tier": "alternate", "distance": 3.5},
        {"kept": last, "dropped": None, "in_favour_of": second, "tier": "kin", "distance": None},
    ]
    write_atomic(folder / "decisions.jsonl", "".join(json.dumps(line) + "\n" for line in decisions).encode())


def _served(folder: Path, work: dict, picture: np.ndarray) -> dict:
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    files.write_png(folder / "images" / f"{digest}.png", picture)
    height, width = picture.shape[:2]
    return manifest.kept(
        work, sha256=digest, format="png", width=width, height=height, frames=1 + (work["id"][-1] == "3")
    )


def _write_stage(folder: Path, rows: list[dict], inputs: list[str], pictures: list[np.ndarray]) -> None:
    for row, picture in zip(rows, pictures, strict=False):
        if row["status"] == "kept":
            files.write_png(folder / "images" / f"{row['id']}.png", picture)
    manifest.write(folder, rows, inputs=inputs)


def _write_split(data: Path, works: list, art: list, people: list, faces: list) -> None:
    _write_stage(data / "faces", [manifest.kept(person) for person in people], [p["id"] for p in people], faces)
    rows = []
    for domain, members, pictures in (("pixel", works[:-1], art), ("faces", people, faces)):
        for member, picture in zip(members, pictures, strict=False):
            files.write_png(data / "split" / domain / "test" / f"{member['id']}.png", picture)
            rows.append(manifest.kept(member, domain=domain, split="test"))
    manifest.write(data / "split", rows, inputs=[row["id"] for row in rows])


def _write_outputs(artifacts: Path, people: list[dict], faces: list[np.ndarray]) -> None:
    cells = [resample.enlarge(baselines.majority_palette(face, (32, 32), colours=8, seed=1), 4) for face in faces]
    tiled = [with_tiles(face) for face in faces]
    for folder, pictures in (("translate/cell", cells), ("translate/resnet", tiled)):
        for person, picture in zip(people, pictures, strict=True):
            files.write_png(artifacts / folder / f"{person['id']}.png", picture)
    for canvas, pictures in (("cell", cells), ("free", tiled)):
        for person, picture in list(zip(people, pictures, strict=True))[:2]:
            files.write_png(artifacts / "style" / canvas / f"{person['id']}.png", picture)
    for generator, pictures in (("cell", cells), ("resnet", tiled)):
        samples = artifacts / "cyclegan" / generator / "samples"
        files.write_png(samples / "inputs.png", np.hstack(faces[:2]))
        for epoch in range(1, 9):
            files.write_png(samples / f"epoch-{epoch:03}.png", np.hstack(pictures[:2]))


def _write_pairs(artifacts: Path, works: list[dict], art: list[np.ndarray]) -> None:
    """Smooth versions of three works; `cell` draws all cells of them right but those of one column."""
    smooth = {}
    for work, picture in list(zip(works, art, strict=True))[:3]:
        native = picture[::4, ::4]
        smooth[work["id"]] = smooth_version(native, 4, seeds.generator(0, "smooth", work["id"]))
        drawn = native.copy()
        drawn[:, 12] = native[:, 14]
        for folder, pixels in (
            ("inputs", smooth[work["id"]]),
            ("cell", resample.enlarge(drawn, 4)),
            ("resnet", with_tiles(smooth[work["id"]])),
        ):
            files.write_png(artifacts / "translate/pairs" / folder / f"{work['id']}.png", pixels)
    strip = np.vstack([np.hstack(list(smooth.values())), np.hstack(art[:3])])
    files.write_png(artifacts / "cyclegan/cell/pairs.png", strip)


def _write_curves(folder: Path) -> None:
    for generator, floor in (("cell", 0.2), ("resnet", 0.4)):
        for metric in ("loss_generators", "loss_discriminators"):
            rows = "".join(f"{step}\t{floor + 2 / (step + 1)}\n" for step in range(6))
            path = folder / generator / "plots" / "metrics" / "train" / f"{metric}.tsv"
            write_atomic(path, f"step\t{metric}\n{rows}".encode())
