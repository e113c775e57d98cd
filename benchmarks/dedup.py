"""What deduplication merges wrongly and what it misses on real sprites, and how fast near hashes are found.

    python benchmarks/dedup.py [--parts search distinct copies] [--limit N] [--sheets FOLDER] [--json FILE]

Peers in the same run: imagehash's pHash at 0, 4 and 10 bits; pdqhash and faiss-cpu where they are installed (`uv run
--with faiss-cpu --with pdqhash python benchmarks/dedup.py`). Exit code 1 when a figure misses what is demanded of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import dedup_sprites
from dedup_sprites import AGAIN, COPIES, LOSSLESS, LOSSY, Merged, Sprites
from demands import Demand

from pipeline import params as parameters
from pipeline.errors import BadInput
from pipeline.images import canonical
from pipeline.images.files import encode_png

HERE = Path(__file__).parent
ORIGINAL = "original"
DISTANCES = (0, 4, 10)
PARTS = ("search", "distinct", "copies")
PDQ_DISTANCE, PDQ_LIMIT = 31, 2000  # bits of 256, as its authors advise; sprites it is tried on
WRONG, WRONG_BESIDE, LOSSY_RECALL = 0.4, 1.0, 90.0  # percent
SECONDS, MEGABYTES = 10.0, 1024.0
LOSSLESS_SHARE = 8  # the lossless copies are made of one sprite in so many
SEARCHES = (("random", 1_000_000, 4), ("random", 100_000, 10), ("skewed", 50_000, 4), ("skewed", 50_000, 10),
            ("chains", 50_000, 4))  # fmt: skip


@dataclass(frozen=True)
class Figure(Demand):
    """A demand with its unit."""

    unit: str = "%"


class Bench:
    """Sprites, their canonical pictures, and the rules of params.yaml."""

    def __init__(self, sprites: Sprites, sheets: Path | None) -> None:
        self.sprites = sprites
        self.sheets = sheets
        self.cores = {path: canonical.digest(canonical.canonical_form(rgba).core) for path, rgba in sprites.items()}
        rules = parameters.load(HERE.parent / "params.yaml").dedup
        self.rules = rules.model_copy(update={"overrides": os.devnull})

    def all_distinct(self) -> Iterator[Figure]:
        yield from self.distinct(ORIGINAL, most=WRONG)
        for kind, (loss, _) in COPIES.items():
            if loss == LOSSY and "bicubic" not in kind:
                yield from self.distinct(kind, most=WRONG)

    def all_copies(self) -> Iterator[Figure]:
        """Of all but blank sprites (one colour), whose copies are dropped as blank like themselves."""
        paths = [path for path, rgba in self.sprites.items() if canonical.canonical_form(rgba).core.shape[:2] > (1, 1)]
        yield from self.copies(LOSSLESS, paths[::LOSSLESS_SHARE], 100.0)
        yield from self.copies(LOSSY, paths, LOSSY_RECALL)
        yield from self.without_original(paths)

    def without_original(self, paths: list[str]) -> Iterator[Figure]:
        """A JPEG of each picture beside another one: found are pairs of which one went for the other."""
        base = "JPEG q85, white"
        for kind in (kind for kind, (how, _) in COPIES.items() if how == AGAIN):
            merged = self.merged([base, kind], paths, f"{kind} without original")
            right = sum(self.same(m) for m in merged)
            title = f"{kind}, beside {base}, no original"
            yield Figure(f"{title}: found", percent(right, len(paths)))
            yield Figure(f"{title}: dropped wrongly", percent(len(merged) - right, 2 * len(paths)))

    def files(self, kind: str, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for path in paths:
            rgba = self.sprites[path]
            yield f"{kind}\t{path}", encode_png(rgba) if kind == ORIGINAL else COPIES[kind][1](rgba)

    def merged(self, kinds: Sequence[str], paths: Sequence[str], name: str) -> list[Merged]:
        works = (work for kind in kinds for work in self.files(kind, paths))
        sheet = None if self.sheets is None else self.sheets / f"{name.replace(' ', '-')}.png"
        return dedup_sprites.deduplicate(works, self.rules, sheet)

    def distinct(self, kind: str, most: float | None = None) -> Iterator[Figure]:
        """Every drop is wrong here; also told without those of one canonical picture, and on the test half."""
        paths = list(self.sprites)
        merged = self.merged([kind], paths, f"distinct {kind}")
        drawn = [m for m in merged if not self.same(m)]
        tested = [path for path in paths if dedup_sprites.is_test(path)]
        held_out = [m for m in merged if dedup_sprites.is_test(path_of(m.work))]
        title = f"distinct sprites dropped, {kind}"
        yield Figure(title, percent(len(merged), len(paths)), most=most)
        yield Figure(f"{title}: those of other pictures", percent(len(drawn), len(paths)), most=most)
        yield Figure(f"{title}: test half", percent(len(held_out), len(tested)), most=most)
        hashes = dedup_sprites.phashes(data for _, data in self.files(kind, paths))
        for distance in DISTANCES:
            dropped = dedup_sprites.keep_first(hashes, distance)
            yield Figure(f"{title}: imagehash pHash <= {distance}", percent(len(dropped), len(paths)))
        if importlib.util.find_spec("pdqhash"):
            few = paths[:: max(1, len(paths) // PDQ_LIMIT)]
            dropped = dedup_sprites.pdq_keep_first((data for _, data in self.files(kind, few)), PDQ_DISTANCE)
            yield Figure(f"{title}: pdqhash <= {PDQ_DISTANCE}, {len(few)} sprites", percent(len(dropped), len(few)))

    def same(self, merged: Merged) -> bool:
        return self.cores[path_of(merged.work)] == self.cores[path_of(merged.kept)]

    def found(self, merged: Merged) -> bool:
        return self.cores[path_of(merged.work)] == self.cores[path_of(merged.favourite)]

    def copies(self, loss: str, paths: list[str], least: float) -> Iterator[Figure]:
        """All copies and their originals in one set.

        Found: dropped for a version of the own picture. Wrong is what costs a picture or its lossless version: what is
        another picture's in the end, so also a copy that was found but whose original goes for another picture, and an
        original that goes for a copy. Pictures are the same where their canonical pixels are.
        """
        kinds = [kind for kind, (how, _) in COPIES.items() if how == loss]
        merged = self.merged([ORIGINAL, *kinds], paths, f"{loss} copies")
        test = [path for path in paths if dedup_sprites.is_test(path)]
        originals = dedup_sprites.phashes(data for _, data in self.files(ORIGINAL, paths))
        for kind in [ORIGINAL, *kinds]:
            copies = [m for m in merged if m.work.startswith(f"{kind}\t")]
            wrong = sum(not self.same(m) or (kind == ORIGINAL and not m.kept.startswith(ORIGINAL)) for m in copies)
            yield Figure(f"{kind}, among {loss} copies: dropped wrongly", percent(wrong, len(paths)), most=WRONG_BESIDE)
            if kind == ORIGINAL:
                continue
            right = Counter(dedup_sprites.is_test(path_of(m.work)) for m in copies if self.found(m))
            yield Figure(f"{kind}: found", percent(right.total(), len(paths)), least=least)
            yield Figure(f"{kind}: found, test half", percent(right[True], len(test)), least=least)
            hashes = dedup_sprites.phashes(data for _, data in self.files(kind, paths))
            for distance in DISTANCES:
                near = sum(
                    (int(original) ^ int(copy)).bit_count() <= distance
                    for original, copy in zip(originals, hashes, strict=True)
                )
                yield Figure(f"{kind}: found by imagehash pHash <= {distance}", percent(near, len(paths)))


def path_of(work: str) -> str:
    return work.split("\t")[1]


def percent(count: int, of: int) -> float:
    return 100 * count / max(1, of)


def search_figures(share: float) -> Iterator[Figure]:
    """Every search of every set, each in a process of its own; all exact ones must agree."""
    peers = ("faiss-multihash", "faiss-flat") if importlib.util.find_spec("faiss") else ()
    for data, count, distance in SEARCHES:
        total = int(count * share)
        slow = ("blocks",) if total <= 100_000 else ()
        runs = {name: search(name, data, total, distance) for name in ("banded", *slow, *peers)}
        if len({run["pairs"] for run in runs.values()}) > 1:
            raise RuntimeError(f"the searches disagree: { {name: run['pairs'] for name, run in runs.items()} }")
        demanded = data == "random" and distance == 4
        for name, run in runs.items():
            title = f"{name}: {total} {data} hashes within {distance} bits"
            bound = demanded and name == "banded"
            yield Figure(title, run["seconds"], unit="s", most=SECONDS if bound else None)
            yield Figure(title, run["cpu"], unit="CPU s")
            yield Figure(title, run["peak_mb"], unit="MB", most=MEGABYTES if bound else None)


def search(name: str, data: str, count: int, distance: int) -> dict[str, float]:
    command = [sys.executable, str(HERE / "dedup_search.py"), name, data, str(count), str(distance)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, env={**os.environ, "PYTHONPATH": str(HERE.parent)}
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def line(figure: Figure) -> str:
    missed = "" if figure.met else "MISSED"
    return f"| {figure.what} | {figure.value:.2f} {figure.unit} | {figure.bound} | {missed} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--limit", type=int, help="sprites, evenly spread (default: all)")
    parser.add_argument("--hashes", type=float, default=1.0, help="share of the hashes of each search")
    parser.add_argument("--sheets", type=Path, help="write the sheets of the closest decisions there")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args(arguments)
    machine = f"{os.cpu_count()} CPUs ({platform.machine()}), Python {platform.python_version()}"
    setting = f"{machine}, {datetime.now(UTC):%Y-%m-%d}"
    print(f"{setting}, load {os.getloadavg()[0]:.1f}\n\n| figure | measured | demanded | |\n{'|---' * 4}|")  # noqa: T201
    figures: list[Figure] = []
    try:
        for figure in _all_figures(options):
            print(line(figure), flush=True)  # noqa: T201
            figures.append(figure)
    except BadInput as error:
        parser.error(f"{error}; --parts search needs none")
    if options.json:
        rows = [{**asdict(figure), "met": figure.met} for figure in figures]
        options.json.write_text(json.dumps({"setting": setting, "figures": rows}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.met for figure in figures) else 1


def _all_figures(options: argparse.Namespace) -> Iterator[Figure]:
    if "search" in options.parts:
        yield from search_figures(options.hashes)
    if {"distinct", "copies"} & set(options.parts):
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
        bench = Bench(dedup_sprites.sprites(options.limit), options.sheets)
        yield from bench.all_distinct() if "distinct" in options.parts else ()
        yield from bench.all_copies() if "copies" in options.parts else ()


if __name__ == "__main__":
    sys.exit(main())
