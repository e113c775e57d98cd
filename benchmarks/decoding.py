"""What exact decoding of a first frame costs beside Pillow's own `.convert("RGBA")`, as an array, on the same files.

    python benchmarks/decoding.py [PATH...] [--works 300] [--rounds 7] [--json FILE]

Without a PATH (images and folders of them) the files are procedural sprites in every format. Both run in turn in one
process, several rounds; the least CPU time of each counts. Exit code 1 when a figure misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.folders import files_below
from pipeline.images.formats import Undecodable, decode
from pipeline.runtime import seeds
from pipeline.sample.drawing import art

MOST = 1.15  # times the CPU time of Pillow, over all files but JPEG
ENDLESS = 10**9  # ns


def pillow(data: bytes) -> None:
    with Image.open(BytesIO(data)) as image:
        np.array(image.convert("RGBA"))


def exact(data: bytes) -> None:
    decode(data, "file", frames="first", most=1)


CONTESTANTS: dict[str, Callable[[bytes], None]] = {"pillow": pillow, "exact": exact}


def drawn(works: int) -> Iterator[bytes]:
    """Sprites and portraits of 16 to 64 pixels a side, each as PNG (two modes), GIF, WebP and JPEG."""
    for number in range(works):
        rng = seeds.generator(1, "benchmarks", "decoding", number)
        frames = [Image.fromarray(frame) for frame in art.animation(rng, cells=int(rng.integers(16, 65)))]
        ways: list[tuple[str, Image.Image, dict[str, object]]] = [
            ("PNG", frames[0], {}), ("PNG", frames[0].quantize(64), {}), ("WEBP", frames[0], {"lossless": True}),
            ("GIF", frames[0], {}), ("GIF", frames[0], {"save_all": True, "append_images": frames[1:]}),
            ("JPEG", frames[0].convert("RGB"), {}),
        ]  # fmt: skip
        for kind, image, options in ways:
            file = BytesIO()
            image.save(file, kind, **options)
            yield file.getvalue()


def by_kind(files: Iterator[bytes]) -> dict[str, list[bytes]]:
    """Files that both can decode, by format and whether they move."""
    kinds: dict[str, list[bytes]] = defaultdict(list)
    for data in files:
        try:
            facts = decode(data, "file", frames="first", most=1).facts
        except Undecodable:
            continue
        kinds[f"{facts.format}, animated" if facts.frames > 1 else facts.format].append(data)
    return dict(sorted(kinds.items()))


def measured(files: list[bytes], rounds: int) -> dict[str, float]:
    """Contestant -> microseconds of CPU a file in its best round."""
    best = dict.fromkeys(CONTESTANTS, ENDLESS)
    for _ in range(rounds):
        for name, contestant in CONTESTANTS.items():
            start = time.process_time_ns()
            for data in files:
                contestant(data)
            best[name] = min(best[name], time.process_time_ns() - start)
    return {name: spent / len(files) / 1000 for name, spent in best.items()}


def report(kinds: dict[str, list[bytes]], rounds: int) -> list[dict[str, object]]:
    """A figure a kind, and at last that of all files together but JPEG, whose codes are walked along."""
    figures: list[dict[str, object]] = []
    sums, count = dict.fromkeys(CONTESTANTS, 0.0), 0
    for kind, files in kinds.items():
        spent = measured(files, rounds)
        figures.append(figure(kind, len(files), spent))
        if kind != "JPEG" or len(kinds) == 1:
            sums = {name: sums[name] + spent[name] * len(files) for name in sums}
            count += len(files)
    name = "all" if len(kinds) == 1 or "JPEG" not in kinds else "all others"
    return [*figures, figure(name, count, {contestant: spent / count for contestant, spent in sums.items()})]


def figure(kind: str, files: int, spent: dict[str, float]) -> dict[str, object]:
    return {"kind": kind, "files": files, **spent, "ratio": round(spent["exact"] / spent["pillow"], 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--works", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    found = (path for place in wanted.paths for path in (files_below(place) if place.is_dir() else [place]))
    kinds = by_kind((path.read_bytes() for path in found) if wanted.paths else drawn(wanted.works))
    if not kinds:
        parser.error("no image there")
    figures = report(kinds, wanted.rounds)
    for one in figures:
        sys.stdout.write("{kind:15} {files:6} files  pillow {pillow:8.1f} us  exact {exact:8.1f} us".format(**one))
        sys.stdout.write(f"  ratio {one['ratio']:.2f}\n")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    met = bool(figures[-1]["ratio"] <= MOST)  # type: ignore[operator]
    sys.stdout.write(f"demanded of them: at most {MOST}{'' if met else ' MISSED'}\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
