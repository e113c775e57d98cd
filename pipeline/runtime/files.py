"""Files that are whole or absent: atomic writes, output folders, digests of contents."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import BadInput, Busy

LONGEST = 200  # bytes of a name that a partial file takes over; file systems hold 255
MARKS = (  # of what stages wrote: works, report, evaluation, its pictures, training, its curves
    "manifest.jsonl", "dataset.html", "methods.json", "majority_palette", "*/training.json", "*/plots/metrics/train",
)  # fmt: skip


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A new file for the block to write: `path` holds all of it or none, since it is renamed when it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    short = path.name.encode(errors="surrogateescape")[:LONGEST].decode(errors="ignore")
    partial = path.with_name(f".{short}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, data: bytes) -> None:
    """Write the bytes of a file at once; see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def output_dir(final: Path) -> Iterator[Path]:
    """Yield an empty `final.partial`; on success it becomes `final`, on an error it stays for inspection.

    Raises:
        BadInput: `final` is a file or a folder that no stage wrote, or no folder can be made there.
        Busy: another process is writing this folder.
    """
    _require_replaceable(final)
    partial = final.with_name(final.name + ".partial")
    with _claimed(partial, f"{final}: another process is writing this folder; wait for it to end"):
        yield partial
        replaced = final.with_name(final.name + ".replaced")
        shutil.rmtree(replaced, ignore_errors=True)
        if final.exists():
            final.rename(replaced)
        partial.rename(final)
        shutil.rmtree(replaced, ignore_errors=True)


def _require_replaceable(final: Path) -> None:
    if not os.path.lexists(final):
        return
    if not final.is_dir():
        raise BadInput(f"{final}: is no folder, and is not replaced; choose another one")
    if any(final.iterdir()) and not any(any(final.glob(mark)) for mark in MARKS):
        raise BadInput(f"{final}: holds files that no stage wrote, and is not replaced; choose another folder")


@contextmanager
def _claimed(folder: Path, message: str) -> Iterator[None]:
    """Make a folder anew and hold a lock on it; the system lets go of it however the process ends."""
    with ExitStack() as locks:
        with suppress(FileNotFoundError, NotADirectoryError):
            locks.enter_context(_locked(folder, message))
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
        except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
            raise BadInput(f"{folder}: no folder can be made here: {error.strerror}") from error
        locks.enter_context(_locked(folder, message))
        yield


@contextmanager
def _locked(folder: Path, message: str) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows, which removes nothing that is in use
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(message) from error
        yield
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """One hex sha256 of the names and bytes of every file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{path.relative_to(folder).as_posix()} {sha256(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
