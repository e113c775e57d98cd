"""Pairs that an earlier run compared: the same bytes come out, and only what is new is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sprites import SERIAL, encoded, noise_art, raw_folder, scaled

from pipeline.curate.dedup import stage
from pipeline.curate.dedup.compare import PAIR, PairCache
from pipeline.curate.dedup.params import Dedup
from pipeline.images.files import Pixels
from pipeline.runtime import cache
from pipeline.runtime.files import folder_digest

PARAMS = Dedup(max_distance=16, max_difference=24.0, overrides="inputs/overrides.jsonl", frames="first", most_frames=4)


@pytest.fixture(autouse=True)
def _overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "overrides.jsonl").touch()


def smooth(seed: int) -> Pixels:
    return scaled(noise_art(seed, 6, 6, 5), 6)


def edited(rgba: Pixels, seed: int) -> Pixels:
    """A drawing with a stroke of its own: an alternate."""
    left, top = np.random.default_rng(seed).integers(0, 28, 2)
    changed = rgba.copy()
    changed[top : top + 4, left : left + 4, :3] = 255 - changed[top : top + 4, left : left + 4, :3]
    return changed


def drawings(count: int) -> dict[str, bytes]:
    """Each as lossless file, as JPEG, and edited."""
    works = {}
    for seed in range(count):
        rgba = smooth(seed)
        works[f"g-{seed:03}-a"] = encoded(rgba)
        works[f"g-{seed:03}-b"] = encoded(rgba, "JPEG", quality=88)
        works[f"g-{seed:03}-c"] = encoded(edited(rgba, seed))
    return works


def deduplicated(folder: Path, name: str, works: dict[str, bytes], state: Path | None) -> str:
    src = raw_folder(folder / f"of-{name}" / "raw", works)
    stats = stage.run([src], folder / name, PARAMS, SERIAL, state)
    assert stats["inputs"] == len(works)
    return folder_digest(folder / name)


def renamed(works: dict[str, bytes]) -> dict[str, bytes]:
    """The same files, other ids: of equally good works another one is preferred."""
    return {f"x-{999 - number:03}": data for number, data in enumerate(works.values())}


LATER = {
    "nothing new": lambda works: works,
    "more": lambda works: {**works, "f-new": encoded(edited(smooth(1), 77)), "h-new": encoded(smooth(500))},
    "fewer": lambda works: dict(list(works.items())[::2]),
    "other names": renamed,
    "other files": lambda _: drawings(5),
    "none": lambda _: {},
}


@pytest.mark.parametrize("change", LATER)
def test_decisions_do_not_depend_on_what_was_compared_before(tmp_path: Path, change: str) -> None:
    before = drawings(25)
    later = LATER[change](before)
    deduplicated(tmp_path, "first", before, tmp_path / "state")
    second = deduplicated(tmp_path, "second", later, tmp_path / "state")
    assert second == deduplicated(tmp_path, "plain", later, None)
    decisions = (tmp_path / "second" / "decisions.jsonl").read_text()
    assert change in ("none", "fewer") or decisions.count('"near"') + decisions.count('"alternate"') >= 5


def pictures(*names: bytes) -> np.ndarray:
    return np.array([int.from_bytes(name, "little") for name in names], np.uint64)


def pair_cache(memory: cache.Cache, code: bytes = b"k" * 32) -> PairCache:
    return PairCache(memory, cache.CacheScope(code))


def store(memory: cache.Cache) -> None:
    pairs = np.array([([0, 1], 0, 1, 0, 0.5, True), ([1, 2], 2, 2, 0, np.nan, True)], PAIR)
    pair_cache(memory).store(pictures(b"a", b"b", b"c"), pairs)


def test_pairs_are_recalled_by_their_pictures_wherever_they_stand(tmp_path: Path) -> None:
    with cache.opened(tmp_path, "dedup") as memory:
        store(memory)
        known, fresh = pair_cache(memory).recall(pictures(b"new", b"a", b"b", b"c"))
        assert known["pair"].tolist() == [[1, 2], [2, 3]]
        assert known["distance"][0] == 0.5
        assert np.isnan(known["distance"][1])
        assert known["measured"].tolist() == [True, True]
        assert fresh is not None
        assert fresh.tolist() == [True, False, False, False]


def test_a_pair_in_another_order_is_measured_again(tmp_path: Path) -> None:
    with cache.opened(tmp_path, "dedup") as memory:
        store(memory)
        known, _ = pair_cache(memory).recall(pictures(b"b", b"a", b"c"))
        assert (known["pair"].tolist(), known["measured"].tolist()) == ([[0, 1], [0, 2]], [False, True])


def test_of_equal_pictures_one_is_known(tmp_path: Path) -> None:
    with cache.opened(tmp_path, "dedup") as memory:
        store(memory)
        known, fresh = pair_cache(memory).recall(pictures(b"a", b"b", b"b", b"a"))
        assert fresh is not None
        assert fresh.tolist() == [False, False, True, True]
        assert known["pair"].tolist() == [[0, 1]]


def test_other_code_or_an_empty_cache_knows_nothing(tmp_path: Path) -> None:
    with cache.opened(tmp_path, "dedup") as memory:
        assert pair_cache(memory).recall(pictures(b"a"))[1] is None
        store(memory)
        assert pair_cache(memory, b"o" * 32).recall(pictures(b"a"))[1] is None
