"""What a crawl keeps: what is on its way to the disk when a process is killed, or when the disk is full."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.scrape import landing, store
from pipeline.scrape.store import Store

SLOT = ".slot-2.partial"


def row(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    return {"source_id": name, "sha256": sha256, "bytes": len(data), "format": "png", "status": "kept", **more}


def image(folder: Path, data: bytes) -> Path:
    return folder / "images" / f"{hashlib.sha256(data).hexdigest()}.png"


def left_by_a_kill(folder: Path, slot: bytes) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / SLOT).write_bytes(slot)


def names(folder: Path) -> list[str]:
    """Of the works in the journal, in order."""
    return [json.loads(line)["source_id"] for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_a_work_in_the_slot_is_taken_up(tmp_path: Path) -> None:
    """With whatever an earlier, longer work left behind it."""
    left_by_a_kill(tmp_path, json.dumps(row("a", b"cat")).encode() + b"\ncat and more of an older work")
    with store.locked(tmp_path) as works:
        assert works.settled("a") == row("a", b"cat")
    assert image(tmp_path, b"cat").read_bytes() == b"cat"
    assert names(tmp_path) == ["a"]
    assert not (tmp_path / SLOT).exists()


@pytest.mark.parametrize(
    "slot",
    [
        b"",
        b"{",
        b"null\n",
        json.dumps(row("a", b"cat")).encode(),
        json.dumps(row("a", b"cat")).encode()[:-1] + b"\ncat",
        json.dumps(row("a", b"cat")).encode() + b"\nca",
        json.dumps(row("a", b"cat")).encode() + b"\ncow",
    ],
    ids=["empty", "torn row", "no row", "no image", "torn line", "torn image", "another image"],
)
def test_a_torn_slot_is_no_work(tmp_path: Path, slot: bytes) -> None:
    left_by_a_kill(tmp_path, slot)
    with store.locked(tmp_path) as works:
        assert works.settled("a") is None
    assert names(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "journal.jsonl", "lock"]


def test_a_work_that_is_in_slot_and_journal_is_told_once(tmp_path: Path) -> None:
    """Killed between the journal line and the next work."""
    with store.locked(tmp_path) as works:
        works.keep(row("a", b"cat"), b"cat")
    (tmp_path / SLOT).write_bytes(json.dumps(row("a", b"cat")).encode() + b"\ncat")
    with store.locked(tmp_path) as works:
        assert len(works) == 1
    assert names(tmp_path) == ["a"]


def test_a_later_result_of_a_work_that_failed_before_is_taken_up(tmp_path: Path) -> None:
    failed = {**row("a", b""), "status": "failed", "reason": "server"}
    with store.locked(tmp_path) as works:
        works.record(failed)
    (tmp_path / SLOT).write_bytes(json.dumps(row("a", b"cat")).encode() + b"\ncat")
    with store.locked(tmp_path) as works:
        assert works.settled("a") == row("a", b"cat")


def test_a_work_on_its_way_is_known(tmp_path: Path) -> None:
    with store.locked(tmp_path) as works:
        works.keep(row("a", b"cat"), b"cat")
        assert works.settled("a") == row("a", b"cat")
        works.keep(row("b", b"cat"), b"cat")  # the same picture
        assert works.settled("b") == row("b", b"cat")
    assert names(tmp_path) == ["a", "b"]


def test_a_full_disk_loses_no_work_that_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image cannot be written, the slot could: the next run has the work."""

    def full(path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space", str(path))

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"):  # noqa: SIM117
        with store.locked(tmp_path) as works:
            patched.setattr(landing, "write_atomic", full)
            works.keep(row("a", b"cat"), b"cat")
            works.flush()
    assert not image(tmp_path, b"cat").exists()
    with store.locked(tmp_path) as works:
        assert works.settled("a") == row("a", b"cat")


def test_a_line_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    long = {**row("a", b"cat"), "title": "é" * store.LINE}
    with store.locked(tmp_path) as works:
        works.record(row("b", b""))
        works.record(long)
        works.record(row("c", b""))
        assert works.row("a") == long
        assert isinstance(works, Store)


def test_many_works_of_few_pictures_arrive_whole_and_once(tmp_path: Path) -> None:
    """Several are on their way at once, some of them the same picture."""
    works = {f"w-{number}": bytes([number % 7]) * 5000 for number in range(60)}
    with store.locked(tmp_path) as kept:
        for name, data in works.items():
            kept.keep(row(name, data), data)
    assert sorted(names(tmp_path)) == sorted(works)
    assert len(list((tmp_path / "images").iterdir())) == 7
    assert all(image(tmp_path, data).read_bytes() == data for data in works.values())
