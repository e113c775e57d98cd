"""`facetopix clean` lists what is in the state folder and empties it."""

from __future__ import annotations

import shutil
from pathlib import Path


def contents(state: Path) -> list[tuple[str, int, int]]:
    """(name, files, bytes) of everything directly in `state`, sorted by name."""
    entries = sorted(state.iterdir()) if state.is_dir() else []
    return [(entry.name, *_size(entry)) for entry in entries]


def _size(entry: Path) -> tuple[int, int]:
    files = [entry] if entry.is_file() else [path for path in sorted(entry.rglob("*")) if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def empty(state: Path) -> None:
    """Remove everything in `state`; the folder itself stays."""
    for entry in sorted(state.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
