"""One process at a time: lock files, with a message for whoever comes second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import Busy


@contextmanager
def locked(file: Path, message: str, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file during the block; it is made where it is absent, with its folder.

    Args:
        message: of the error.
        patience: seconds to wait for another process to end.

    Raises:
        Busy: another process holds the lock.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(file).acquire(timeout=patience)
    except Timeout as error:
        raise Busy(message) from error
    with lock:
        yield
