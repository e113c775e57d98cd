"""The store of a crawl: images before rows, whatever ends the process and however full the disk is."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.runtime.files import write_atomic
from pipeline.scrape import store
from pipeline.scrape.store import Store


def row(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    return {"source_id": name, "sha256": sha256, "bytes": len(data), "format": "png", "status": "kept", **more}


def image(folder: Path, data: bytes) -> Path:
    return folder / "images" / f"{hashlib.sha256(data).hexdigest()}.png"


def names(folder: Path) -> list[str]:
    """Of the works in the journal, in order."""
    return [json.loads(line)["source_id"] for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_a_work_is_known_once_it_is_kept(tmp_path: Path) -> None:
    with store.locked(tmp_path) as works:
        works.keep(row("a", b"cat"), b"cat")
        assert works.settled("a") == row("a", b"cat")
        works.keep(row("b", b"cat"), b"cat")  # the same picture
        assert works.settled("b") == row("b", b"cat")
    assert names(tmp_path) == ["a", "b"]


def test_an_image_is_on_the_disk_before_the_journal_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines_before = []

    def write(path: Path, data: bytes) -> None:
        lines_before.append(names(tmp_path))
        write_atomic(path, data)

    monkeypatch.setattr(store, "write_atomic", write)
    with store.locked(tmp_path) as works:
        works.keep(row("a", b"cat"), b"cat")
        works.keep(row("b", b"cow"), b"cow")
    assert lines_before == [[], ["a"]]


def test_a_full_disk_leaves_neither_image_nor_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run asks for the work again."""

    def full(path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space", str(path))

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"):  # noqa: SIM117
        with store.locked(tmp_path) as works:
            patched.setattr(store, "write_atomic", full)
            works.keep(row("a", b"cat"), b"cat")
    assert not image(tmp_path, b"cat").exists()
    with store.locked(tmp_path) as works:
        assert works.settled("a") is None


def test_a_later_result_of_a_work_that_failed_before_counts(tmp_path: Path) -> None:
    with store.locked(tmp_path) as works:
        works.record({**row("a", b""), "status": "failed", "reason": "server"})
        works.keep(row("a", b"cat"), b"cat")
    with store.locked(tmp_path) as works:
        assert works.settled("a") == row("a", b"cat")


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    torn = [tmp_path / ".slot-2.partial", tmp_path / "images" / ".1f.png.77.partial"]
    for path in torn:
        path.write_bytes(b"half")
    with store.locked(tmp_path) as works:
        assert len(works) == 0
    assert not any(path.exists() for path in torn)


def test_a_long_line_is_read_whole(tmp_path: Path) -> None:
    long = {**row("a", b"cat"), "title": "é" * 4096}
    with store.locked(tmp_path) as works:
        works.record(row("b", b""))
        works.record(long)
        works.record(row("c", b""))
        assert works.row("a") == long
        assert isinstance(works, Store)


def test_many_works_of_few_pictures_arrive_whole_and_once(tmp_path: Path) -> None:
    works = {f"w-{number}": bytes([number % 7]) * 5000 for number in range(60)}
    with store.locked(tmp_path) as works_kept:
        for name, data in works.items():
            works_kept.keep(row(name, data), data)
    assert sorted(names(tmp_path)) == sorted(works)
    assert len(list((tmp_path / "images").iterdir())) == 7
    assert all(image(tmp_path, data).read_bytes() == data for data in works.values())
