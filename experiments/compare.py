"""The experiments on the report's conclusions, (a) to (h): same faces, same artworks, same budget of CPU time.

    python experiments/compare.py cell-palette --seeds 0 1 2

Run it in a project whose `data/` holds dedup and split of the art and faces to be compared (README.md here). Every run
has a folder of its own under `.state/experiments/`, goes on where it was killed, and ends as one line of results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import reported_chain

from pipeline import params
from pipeline.cyclegan import stage, translate
from pipeline.cyclegan.params import Train
from pipeline.evaluate import stage as score

DATA, RUNS, RESULTS = Path("data"), Path(".state/experiments"), Path(__file__).parent / "results.jsonl"
REPORT = {"width": 64, "blocks": 9, "ema": 0.0}  # the students' networks ...
STEADY = {"decay_from": 1.0}  # ... and schedule
UNPAIRED = {  # portraits teach more; accents as in LOG.md
    "pairs": 0.0,
    "batch_size": 1,
    "ema": 0.998,
    "lr": 0.0004,
    "cycle": 1.5,
    "identity": 0.5,
    "colour": 0.5,
    "chroma": 1.5,
    "accents": 0.0,
    "patterns": 12.0,
}
PAIRED = {"pairs": 1.0, "batch_size": 8, "ema": 0.998}


@dataclass(frozen=True)
class Variant:
    """One line of the plan.

    Steps of the report's networks are what 10 minutes of CPU time bought on the machine of LOG.md, those of ours about
    two thirds of that: more of them were seen to change little.
    """

    generator: str
    steps: int
    network: dict[str, Any] = field(default_factory=dict)  # of the generator's section
    train: dict[str, Any] = field(default_factory=dict)
    reported_art: bool = False
    transparent: str | None = None  # "more" or "less": the half of the training art with that share of transparency


VARIANTS = {
    "reported": Variant("resnet", 200, REPORT, STEADY, reported_art=True),  # (a)
    "resnet": Variant("resnet", 200, REPORT, STEADY),  # (b)
    "resize": Variant("resize", 200, REPORT, STEADY),  # (c)
    "cell": Variant("cell", 1380, {**UNPAIRED, "palette": None}),  # (d)
    "cell-palette": Variant("cell", 1380, UNPAIRED),  # (e)
    "cell-critics": Variant("cell", 1380, {**UNPAIRED, "patterns": 0.0}),  # (e) by its discriminators alone
    "cell-pairs": Variant("cell", 1380, PAIRED),  # (h)
    "cell-pairs-short": Variant("cell", 240, PAIRED),  # as many steps as cell-both
    "cell-both": Variant("cell", 240, {**UNPAIRED, **PAIRED, "pairs": 0.9}),  # (h)
    "transparent": Variant("cell", 1380, UNPAIRED, transparent="more"),  # (f)
    "opaque": Variant("cell", 1380, UNPAIRED, transparent="less"),  # (f)
    "100-images": Variant("cell", 1380, UNPAIRED, {"limit": 100}),  # (g)
    "quarter": Variant("cell", 340, UNPAIRED),  # (g): as 5 epochs are to 20
    "long": Variant("cell", 5520, UNPAIRED),  # (g): four times as many
}
EPOCHS = 20


def split_of(variant: Variant, folder: Path) -> Path:
    """The split that a variant trains on; its test part is the same for all."""
    split = folder / "split"
    if not variant.reported_art and variant.transparent is None:
        return DATA / "split"
    if not split.exists():
        shutil.copytree(DATA / "split" / "faces", split / "faces")
        shutil.copy(DATA / "split" / "manifest.jsonl", split)
        if variant.reported_art:
            reported_chain.run(DATA / "dedup", DATA / "split", split / "pixel")
        else:
            half(split / "pixel" / "train", more=variant.transparent == "more")
    return split


def half(dst: Path, *, more: bool) -> None:
    """The half of the training art that is transparent the most, or the least, before it is flattened."""
    lines = (DATA / "split" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    works = [work for work in map(json.loads, lines) if work["domain"] == "pixel" and work["split"] == "train"]
    works.sort(key=lambda work: (work["transparent_share"], work["id"]), reverse=more)
    dst.mkdir(parents=True)
    for work in works[: len(works) // 2]:
        shutil.copy(DATA / "split" / "pixel" / "train" / f"{work['id']}.png", dst)


def train_of(variant: Variant, train: Train) -> Train:
    """The values that a variant trains with: those of params.yaml but for its own."""
    name = "cell" if variant.generator == "cell" else "resnet"
    section = getattr(train, name).model_copy(update=variant.network)
    section = section.model_copy(update={"images_per_epoch": variant.steps // EPOCHS * section.batch_size})
    return train.model_copy(update={**variant.train, "generators": [variant.generator], name: section})


def run(name: str, seed: int) -> dict[str, Any]:
    """Train, translate the test faces, measure; the row of results."""
    variant, values = VARIANTS[name], params.load()
    folder = RUNS / f"{name}-{seed}"
    train = train_of(variant, values.train)
    before = time.process_time()
    stage.run(
        split_of(variant, folder), DATA / "grid", folder / "cyclegan", folder / "plots", folder / "train.json",
        params=train, resize=values.resize, epochs=EPOCHS, seed=seed,
        executor=values.executor.model_copy(update={"n_jobs": 1}),
        state=folder / ".state", device="cpu", progress=_progress,
    )  # fmt: skip
    spent = time.process_time() - before
    translate.run(DATA / "split", folder / "cyclegan", folder / "translate", params=values.translate, device="cpu")
    found = score.run(
        DATA / "split", folder / "translate", folder / "none", dst=folder / "scores.json",
        plots=folder / "plots-scores", pictures=folder / "baselines", params=values.evaluate, resize=values.resize,
        seed=values.seed,
    )["methods"]  # fmt: skip
    methods = {key: found[key] for key in ("real", "box_palette", "majority_palette")}
    return {
        "variant": name, "seed": seed, "date": f"{datetime.now(UTC):%Y-%m-%d}", "steps": variant.steps,
        "cpu_minutes": round(spent / 60, 1), "scores": found[f"cyclegan_{variant.generator}"], "beside": methods,
    }  # fmt: skip


def _progress(*state: Any) -> None:
    sys.stderr.write(" ".join(map(str, state)) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="+", choices=sorted(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    for seed in given.seeds:
        for name in given.variants:
            row = run(name, seed)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, sort_keys=True) + "\n")
            sys.stdout.write(json.dumps(row["scores"], sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
