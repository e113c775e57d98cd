"""State of a training that was not finished: outside DVC's outputs, keyed by all that decides its result."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from pipeline.errors import BadInput

PATIENCE = 30.0


def fingerprint(facts: Mapping[str, Any], code: list[Path]) -> str:
    """First 16 hex digits of a digest over facts, source files and the versions of what computes."""
    sources = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(code)]
    versions = {name: version(name) for name in ("numpy", "pillow", "torch")}
    text = json.dumps([facts, sources, versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoint:
    """One folder of `.state/train/`, with a checkpoint and the sample pictures made so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = folder / "samples"

    @property
    def file(self) -> Path:
        return self.folder / "checkpoint.pt"

    @contextmanager
    def locked(self, patience: float = PATIENCE) -> Iterator[None]:
        """Nobody else may train the same thing at the same time.

        Args:
            patience: seconds to wait for a process that is about to end, such as one whose parent was killed.

        Raises:
            BadInput: another process holds the lock.
        """
        self.samples.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_suffix(".lock"))
        try:
            with lock.acquire(timeout=patience):
                yield
        except Timeout as error:
            raise BadInput(f"{self.folder}: another process is training this very thing; wait for it to end") from error

    def save(self, state: dict[str, Any]) -> None:
        """Durable before it replaces the previous one: a kill at any moment leaves one whole checkpoint."""
        partial = self.file.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.file)

    def load(self) -> dict[str, Any] | None:
        """The state to go on from; None where there is none. Plain data only: a pickled object is refused.

        Raises:
            BadInput: the file is damaged or holds more than plain data.
        """
        if not self.file.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, weights_only=True, map_location="cpu")
        except Exception as error:
            raise BadInput(
                f"{self.file}: not a checkpoint of plain data; remove {self.folder} to start afresh"
            ) from error
        return state

    def discard(self) -> None:
        """The training is over and its results are in their place."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".lock").unlink(missing_ok=True)
