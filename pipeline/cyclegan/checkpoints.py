"""Checkpoints of unfinished trainings: outside DVC's outputs, keyed by all that decides the result.

    .state/train/<fingerprint>.lock            held by the process that trains
    .state/train/<fingerprint>/checkpoint.pt   the last state; plain data, `torch.load(..., weights_only=True)` reads it
    .state/train/<fingerprint>/previous.pt     the one before: what a power cut may leave of the last is not a state
    .state/train/<fingerprint>/samples/        pictures after every epoch
    .state/train/<fingerprint>/live/           DVCLive's curves while it runs

A finished training removes its folder. One that was given up stays until MOST_UNFINISHED others were begun after it, or
until `facetopix clean` empties the state.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import BadInput, Busy
from pipeline.runtime.locks import locked

logger = logging.getLogger(__name__)

PATIENCE = 30.0
MOST_UNFINISHED = 4  # trainings of other fingerprints


class Checkpoint:
    """The saved state of one training: a folder of `.state/train/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.previous = folder / "checkpoint.pt", folder / "previous.pt"
        self.samples, self.live = folder / "samples", folder / "live"
        self.lock = folder.with_suffix(".lock")

    @contextmanager
    def locked(self, patience: float = PATIENCE) -> Iterator[None]:
        """Keep other processes from the same training meanwhile.

        Args:
            patience: seconds to wait for a process that is about to end, such as one whose parent was killed.

        Raises:
            BadInput: another process holds the lock.
        """
        self.samples.mkdir(parents=True, exist_ok=True)
        message = f"{self.folder}: another process is training this very thing; wait for it to end"
        with locked(self.lock, message, patience):
            yield

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, durably before it replaces the last: a kill at any moment leaves an intact one."""
        partial = self.file.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        if self.file.exists():
            self.file.replace(self.previous)
        partial.replace(self.file)
        _sync(self.folder)

    def newest(self) -> bytes | None:
        """The bytes of the last checkpoint that is intact; None where there is no checkpoint.

        Raises:
            BadInput: there are some, and none is intact.
        """
        existing = [path for path in (self.file, self.previous) if path.is_file()]
        for path in existing:
            data = path.read_bytes()
            if _is_intact(data):
                return data
            logger.warning(f"{path}: damaged; going back to the checkpoint before it")
        if existing:
            names = ", ".join(map(str, existing))
            raise BadInput(f"{names}: damaged, not a whole checkpoint; remove {self.folder} to start afresh")
        return None

    def make_room(self, most: int = MOST_UNFINISHED) -> None:
        """Remove the oldest unfinished trainings of other fingerprints, but the `most` newest and those that run."""
        others = [folder for folder in self.folder.parent.iterdir() if folder.is_dir() and folder != self.folder]
        others.sort(key=lambda folder: (folder.stat().st_mtime_ns, folder.name), reverse=True)
        for folder in others[most:]:
            other = Checkpoint(folder)
            with suppress(Busy), locked(other.lock, "still running"):
                logger.info(f"{folder}: removed, a training that was given up")
                other.discard()

    def discard(self) -> None:
        """Remove the folder: the training is over and its results are in their place, or it was given up."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.unlink(missing_ok=True)


def read(data: bytes) -> dict[str, Any]:
    """Read the bytes of a checkpoint as a state on the CPU.

    Raises:
        BadInput: it holds more than plain data (a pickled object could run code).
    """
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:
        raise BadInput(
            "checkpoint refused: not a checkpoint of plain data, and a pickled object could run code; "
            "remove its folder below .state/train to start afresh"
        ) from error
    return state


def _is_intact(data: bytes) -> bool:
    """Whether every checksum in the file holds: torch checks none, a flipped bit would become a weight."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError):
        return False


def _sync(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
