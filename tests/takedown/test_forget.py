"""Take-down: what was wished away is gone from every crawl state, whatever happens on the way, and stays away."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline.errors import BadInput
from pipeline.params import load
from pipeline.runtime.files import folder_digest
from pipeline.runtime.manifest import Row
from pipeline.sample.params import Sample
from pipeline.scrape import crawl, store
from pipeline.takedown import blocklist, command

ROOT = Path(__file__).parents[2]


def row_id(source_id: str, source: str = "lospec") -> str:
    return f"{source}-{hashlib.sha256(source_id.encode()).hexdigest()[:16]}"


def row(source_id: str, artist: str | None, data: bytes | None = b"", source: str = "lospec") -> Row:
    """A kept row, or of a work without an image a failed one."""
    return {
        "id": row_id(source_id, source), "source": source, "source_id": source_id, "artist": artist, "title": "A cat",
        "sha256": hashlib.sha256(data).hexdigest() if data is not None else None, "format": "png",
        "bytes": len(data or b""), "status": "kept" if data is not None else "failed",
        "reason": None if data is not None else "not_found", "origin": "live",
    }  # fmt: skip


def item(source_id: str, artist: str | None, artwork: dict[str, Any] | None = None) -> Row:
    return {"source_id": source_id, "page_url": f"/{source_id}", "title": "A cat", "artist": artist, "artwork": artwork}


def crawled(folder: Path, works: Sequence[tuple[Row, bytes | None]]) -> Path:
    """A crawl state with these works, as a crawl leaves it."""
    with store.locked(folder) as state:
        for work, data in works:
            if data is None:
                state.record(work)
            else:
                state.keep(work, data)
    return folder


def write_lines(path: Path, lines: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return path


def pages(*listed: Sequence[Row]) -> list[Row]:
    return [{"listing": {"items": list(items), "next": None}, "cookies": []} for items in listed]


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def ids(folder: Path) -> list[str]:
    return [line["source_id"] for line in lines(folder / "journal.jsonl")]


def images(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (folder / "images").iterdir())


def run(home: Path, *, artists: Sequence[str] = (), ids: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    options = {"source": None, "dry_run": False, **more}
    return command.run(
        artists=artists, ids=ids, state=home / ".state", blocklist=home / "inputs" / "blocklist.jsonl",
        outputs=(home / "data", home / "exports"), **options,
    )  # fmt: skip


def home_with_ann(home: Path) -> Path:
    """Ann's cat, dog and lost bird, Bob's cow, and a fox of Bob's that is the same picture as Ann's dog."""
    folder = crawled(
        home / ".state" / "crawl" / "lospec" / "live",
        [
            (row("ann/cat", "Ann", b"cat"), b"cat"), (row("bob/cow", "Bob", b"cow"), b"cow"),
            (row("x/dog", " ANN", b"dog"), b"dog"), (row("bob/fox", "Bob", b"dog"), b"dog"),
            (row("ann/bird", None, None), None),
        ],
    )  # fmt: skip
    listed = pages([item("bob/cow", "Bob")], [item("ann/cat", "Ann"), item("bob/fox", "Bob")], [item("z/z", "Zoe")])
    write_lines(folder / "pass-0.jsonl", listed)
    write_lines(folder / "last-0.jsonl", listed)
    write_lines(home / "data" / "raw" / "lospec" / "manifest.jsonl", lines(folder / "journal.jsonl"))
    return folder


def test_an_artist_leaves_journal_images_and_listings_and_nobody_else_does(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    before = (folder / "journal.jsonl").read_bytes().splitlines()
    result = run(tmp_path, artists=["ann"])
    assert (folder / "journal.jsonl").read_bytes().splitlines() == [before[1], before[3]]
    assert images(folder) == [b"cow", b"dog"]
    assert "nn" not in "".join(path.read_text() for path in folder.glob("*.jsonl"))
    works = sorted(row_id(name) for name in ("ann/cat", "x/dog", "ann/bird"))
    assert result == {
        "blocklisted": 1, "found": {"ann": 3}, "works": works, "images": 1, "states": {str(folder): 3},
        "outputs": {str(tmp_path / "data/raw/lospec/manifest.jsonl"): 3},
        "next": ["uv run dvc repro", "uv run dvc gc --workspace"],
    }  # fmt: skip
    assert lines(tmp_path / "inputs/blocklist.jsonl") == [{"artist": "ann", "source": None}]


def test_exports_are_told_and_cached_pictures_go(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    exported = write_lines(tmp_path / "exports" / "split-parquet" / "manifest.jsonl", lines(folder / "journal.jsonl"))
    cached = write_lines(tmp_path / ".state" / "cache" / "grid.sqlite", [])
    assert run(tmp_path, artists=["Ann"], dry_run=True)["outputs"][str(exported)] == 3
    assert cached.exists()
    assert run(tmp_path, artists=["Ann"])["outputs"][str(exported)] == 3
    assert not cached.parent.exists()
    assert exported.exists()


def test_listing_pages_that_told_of_a_work_are_asked_for_again(tmp_path: Path) -> None:
    """An emptied page would end the pass there; a cursor is cut, a finished pass loses that page only."""
    folder = home_with_ann(tmp_path)
    run(tmp_path, artists=["Ann"])
    remaining = {name: [page["listing"]["items"][0]["source_id"] for page in lines(folder / f"{name}-0.jsonl")]
            for name in ("pass", "last")}  # fmt: skip
    assert remaining == {"pass": ["bob/cow"], "last": ["bob/cow", "z/z"]}


def test_an_artwork_on_a_listing_tells_its_artist_too(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    listing = pages([item("7", None, {"artist": "Ann"})], [item("8", None, {"artist": "B"})])
    write_lines(folder / "last-0.jsonl", listing)
    assert run(tmp_path, artists=["ann"])["works"] == sorted(map(row_id, ("ann/cat", "x/dog", "ann/bird", "7")))
    assert [page["listing"]["items"][0]["source_id"] for page in lines(folder / "last-0.jsonl")] == ["8"]


def test_an_id_takes_one_work_and_one_of_its_frames_names_it_too(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    assert run(tmp_path, ids=[row_id("ann/cat")])["works"] == [row_id("ann/cat")]
    assert ids(folder) == ["bob/cow", "x/dog", "bob/fox", "ann/bird"]
    assert run(tmp_path, ids=[f" {row_id('bob/cow')}-f003-t01x02\n"])["works"] == [row_id("bob/cow")]
    assert ids(folder) == ["x/dog", "bob/fox", "ann/bird"]
    assert images(folder) == [b"dog"]


def test_every_line_of_a_work_goes_also_one_that_names_no_artist(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    crawled(folder, [(row("5", None, b"early", "lospec"), b"early"), (row("5", "Ann", b"late"), b"late")])
    run(tmp_path, artists=["Ann"])
    assert "5" not in ids(folder)
    assert images(folder) == [b"cow", b"dog"]


def test_a_wish_for_one_site_leaves_the_others_alone(tmp_path: Path) -> None:
    lospec = home_with_ann(tmp_path)
    work = (row("1", "Ann", b"elk", "pixeljoint"), b"elk")
    pixeljoint = crawled(tmp_path / ".state/crawl/pixeljoint/live", [work])
    result = run(tmp_path, artists=["Ann"], source="lospec")
    assert list(result["states"]) == [str(lospec)]
    assert images(pixeljoint) == [b"elk"]
    again = run(tmp_path, artists=["Ann"])
    assert again["blocklisted"] == 1
    assert list(again["states"]) == [str(pixeljoint)]
    assert images(pixeljoint) == []


def test_who_is_found_nowhere_is_blocked_even_so(tmp_path: Path) -> None:
    result = run(tmp_path, artists=["Nobody"], ids=["lospec-0000000000000000"])
    assert result["found"] == {"Nobody": 0, "lospec-0000000000000000": 0}
    assert (result["blocklisted"], result["works"], result["next"]) == (2, [], [])
    listed = blocklist.load(tmp_path / "inputs/blocklist.jsonl")
    assert listed.covers(id="lospec-0000000000000000", source="lospec", artists=[])
    assert listed.covers(id="x", source="pixiehaus", artists=["nobody"])


def test_a_person_is_told_what_was_found_and_what_to_do_next(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    assert command.lines(run(tmp_path, artists=["ann", "Nobody"])) == [
        "ann: 3 works",
        "Nobody: 0 works",
        "2 new on the blocklist, 1 images out of the state",
        f"in {folder}: 3 works",
        f"{tmp_path / 'data/raw/lospec/manifest.jsonl'} tells of 3 works",
        "to rebuild without them and to purge what was: uv run dvc repro && uv run dvc gc --workspace",
    ]
    assert command.lines(run(tmp_path, artists=["Nobody"]))[-1] == "0 new on the blocklist, 0 images out of the state"


def test_a_second_time_there_is_nothing_left_to_do(tmp_path: Path) -> None:
    journal = home_with_ann(tmp_path) / "journal.jsonl"
    run(tmp_path, artists=["Ann"])
    before, written = folder_digest(tmp_path), journal.stat().st_mtime_ns
    again = run(tmp_path, artists=["Ann"])
    assert (again["blocklisted"], again["images"], again["states"]) == (0, 0, {})
    assert folder_digest(tmp_path) == before
    assert journal.stat().st_mtime_ns == written


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    home_with_ann(tmp_path)
    before = folder_digest(tmp_path)
    plan = run(tmp_path, artists=["Ann"], dry_run=True)
    assert folder_digest(tmp_path) == before
    assert plan == run(tmp_path, artists=["Ann"])


def test_a_crawl_at_work_is_left_alone_the_rest_is_done_and_the_wish_stands(tmp_path: Path) -> None:
    busy = home_with_ann(tmp_path)
    idle = crawled(tmp_path / ".state/crawl/pixiehaus/live", [(row("1", "Ann", b"elk", "pixiehaus"), b"elk")])
    with FileLock(busy / "lock"), pytest.raises(BadInput, match=r"lospec/live: another crawl is at work there"):
        run(tmp_path, artists=["Ann"])
    assert b"cat" in images(busy)
    assert images(idle) == []
    assert (tmp_path / "inputs/blocklist.jsonl").read_text() == '{"artist": "Ann", "source": null}\n'
    assert run(tmp_path, artists=["Ann"])["states"] == {str(busy): 3}


def test_two_take_downs_at_once_do_not_write_over_one_another(tmp_path: Path) -> None:
    (tmp_path / ".state/forget").mkdir(parents=True)
    with FileLock(tmp_path / ".state/forget/lock"), pytest.raises(BadInput, match="another take-down is at work"):
        run(tmp_path, artists=["Ann"])
    assert run(tmp_path, artists=["Ann"])["blocklisted"] == 1


def test_a_crawl_of_another_site_does_not_matter(tmp_path: Path) -> None:
    lospec = home_with_ann(tmp_path)
    busy = crawled(tmp_path / ".state/crawl/pixiehaus/live", [])
    with FileLock(busy / "lock"):
        assert run(tmp_path, ids=[row_id("ann/cat")])["states"] == {str(lospec): 1}
        assert run(tmp_path, artists=["Ann"], source="lospec")["states"] == {str(lospec): 2}


def test_a_torn_last_line_goes_with_the_image_it_was_for(tmp_path: Path) -> None:
    folder = home_with_ann(tmp_path)
    torn = json.dumps(row("ann/elk", "Ann", b"elk")).encode()
    (folder / "images" / f"{hashlib.sha256(b'elk').hexdigest()}.png").write_bytes(b"elk")
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(torn[:-9])
    (folder / "images" / ".abc.png.77.partial").write_bytes(b"e")
    assert run(tmp_path, ids=["lospec-0000000000000000"])["images"] == 1
    assert images(folder) == [b"cat", b"cow", b"dog"]
    assert ids(folder) == ["ann/cat", "bob/cow", "x/dog", "bob/fox", "ann/bird"]


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"x": 1}'])
def test_a_damaged_line_is_told_and_keeps_nothing_else_from_going(tmp_path: Path, damage: bytes) -> None:
    damaged = home_with_ann(tmp_path)
    sound = crawled(tmp_path / ".state/crawl/pixiehaus/live", [(row("1", "Ann", b"elk", "pixiehaus"), b"elk")])
    journal = (damaged / "journal.jsonl").read_bytes()
    (damaged / "journal.jsonl").write_bytes(damage + b"\n" + journal)
    with pytest.raises(BadInput, match=r"journal\.jsonl:1: "):
        run(tmp_path, artists=["Ann"])
    assert images(sound) == []
    assert (damaged / "journal.jsonl").read_bytes() == damage + b"\n" + journal


def test_a_damaged_blocklist_stops_everything_before_anything_is_removed(tmp_path: Path) -> None:
    home_with_ann(tmp_path)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/blocklist.jsonl").write_text("Ann\n")
    before = folder_digest(tmp_path / ".state/crawl")
    with pytest.raises(BadInput, match=r"blocklist\.jsonl:1"):
        run(tmp_path, artists=["Ann"])
    assert folder_digest(tmp_path / ".state/crawl") == before


def test_nobody_named_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="name an artist or an id"):
        run(tmp_path)


def test_outputs_that_tell_of_a_work_are_named_and_left_as_they_are(tmp_path: Path) -> None:
    home_with_ann(tmp_path)
    frame = {"id": row_id("bob/cow") + "-f001", "source": "lospec", "status": "dropped", "reason": "duplicate"}
    noted = {**row("bob/cow", None, None), "title": None, "reason": "blocklist"}
    write_lines(tmp_path / "data/dedup/manifest.jsonl", [frame])
    write_lines(tmp_path / "data/raw/new/manifest.jsonl", [noted])
    before = folder_digest(tmp_path / "data")
    result = run(tmp_path, artists=["Bob"], ids=[row_id("bob/cow")])
    assert result["works"] == sorted(map(row_id, ("bob/cow", "bob/fox")))
    assert result["outputs"] == {
        str(tmp_path / "data/dedup/manifest.jsonl"): 1, str(tmp_path / "data/raw/lospec/manifest.jsonl"): 2,
    }  # fmt: skip
    assert folder_digest(tmp_path / "data") == before


def test_a_folder_of_the_users_own_is_no_artist(tmp_path: Path) -> None:
    drawing = row("ann/cat.png", None, b"", "inputs")
    write_lines(tmp_path / "data/raw/inputs/manifest.jsonl", [drawing, row("b.png", "Ann", b"", "inputs")])
    assert run(tmp_path, artists=["Ann"])["works"] == [row_id("b.png", "inputs")]


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_forget
steps = int(sys.argv[2])
def watch(event, arguments):
    global steps
    changes = event in ("os.rename", "os.remove") or event == "open" and arguments[1] == "w"
    steps -= changes
    if changes and steps < 0:
        os.kill(os.getpid(), 9)
sys.addaudithook(watch)
test_forget.run(Path(sys.argv[1]), artists=["Ann"])
"""


def killed_after(home: Path, steps: int) -> bool:
    """Forget Ann in another process, which is killed before its next change of a file; False when it was done."""
    code = KILLED.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(home), str(steps)], env=environment, check=False)
    assert done.returncode in (-9, 0)
    return done.returncode == -9


def state_of(home: Path) -> dict[str, bytes]:
    files = (path for path in sorted((home / ".state/crawl").rglob("*")) if path.is_file() and path.name != "lock")
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


def test_killed_before_any_change_of_a_file_the_same_command_finishes(tmp_path: Path) -> None:
    home_with_ann(tmp_path / "undisturbed")
    run(tmp_path / "undisturbed", artists=["Ann"])
    for steps in range(100):
        home = tmp_path / str(steps)
        home_with_ann(home)
        before = state_of(home)
        if not killed_after(home, steps):
            break
        listed = blocklist.load(home / "inputs/blocklist.jsonl")
        assert listed.covers(id="x", source="lospec", artists=["Ann"]) or state_of(home) == before
        run(home, artists=["Ann"])
        assert state_of(home) == state_of(tmp_path / "undisturbed")
    assert 9 <= steps < 100


def test_the_next_crawl_notes_the_works_as_blocked_and_fetches_nothing_of_them(tmp_path: Path) -> None:
    params = load(ROOT / "tests" / "params.yaml")
    sample = Sample(revision="x", pixeljoint=1, lospec=24, pixiehaus=1, faces=8)
    dst, places = tmp_path / "data/raw/lospec", {"state": tmp_path / ".state"}

    def crawl_again() -> dict[str, Row]:
        listed = tmp_path / "inputs" / "blocklist.jsonl"
        crawl.run("lospec", dst, params.scrape, sample, blocklist=listed, **places)
        return {line["id"]: line for line in lines(dst / "manifest.jsonl")}

    before = crawl_again()
    artist = next(work["artist"] for work in before.values() if work["status"] == "kept")
    result = run(tmp_path, artists=[artist.upper()])
    assert result["works"] == sorted(id for id, work in before.items() if work["artist"] == artist)
    after = crawl_again()
    assert {id for id, work in after.items() if work["reason"] == "blocklist"} >= set(result["works"])
    assert {id: after[id] for id in after.keys() - result["works"]} == {
        id: before[id] for id in before.keys() - result["works"]
    }
    removed = {before[id]["sha256"] for id in result["works"]} - {after[id]["sha256"] for id in after}
    assert removed
    assert removed.isdisjoint(path.stem for path in tmp_path.rglob("images/*"))
    assert artist not in next((tmp_path / ".state").rglob("journal.jsonl")).read_text(encoding="utf-8")
    run(tmp_path, ids=list(before))
    assert not any(work["status"] == "kept" for work in crawl_again().values())
    assert not list(tmp_path.rglob("images/*")), "an output of before does not bring them back"
