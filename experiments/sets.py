"""Measures the generators of a project that was trained on one of the report's sets, and adds a row a generator.

    uv run dvc exp run -S 'split.sources=[lospec]' translate     # one gallery by itself
    uv run python experiments/sets.py lospec

Run it in the project. The report trained on each gallery alone, and on works of one pixel size and palette, where every
face became one coin: `split.sources`, `split.native` and `split.palette_near` make such sets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import layout, params
from pipeline.evaluate import stage as score
from pipeline.runtime import manifest

RESULTS, SCRATCH = Path(__file__).parent / "results.jsonl", Path(".state/experiments/sets")
BESIDE = ("real", "box_palette", "majority_palette")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the set, in results.jsonl")
    name, values = parser.parse_args().name, params.load()
    folder = SCRATCH / name
    found = score.run(
        layout.SPLIT, layout.TRANSLATE, folder / "none", dst=folder / "scores.json", plots=folder / "plots",
        pictures=folder / "baselines", params=values.evaluate, resize=values.resize, seed=values.seed,
    )["methods"]  # fmt: skip
    parts = Counter(row["split"] for row in manifest.stream_kept(layout.SPLIT) if row["domain"] == "pixel")
    for generator in values.train.generators:
        row = {
            "variant": f"set-{name}-{generator}", "seed": values.seed, "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "artworks": dict(sorted(parts.items())), "split": values.split.model_dump(),
            "scores": found[f"cyclegan_{generator}"], "beside": {key: found[key] for key in BESIDE},
        }  # fmt: skip
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")
        sys.stdout.write(json.dumps(row["scores"], sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
