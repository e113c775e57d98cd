"""The code that a result depends on, as a digest of its source."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]  # what holds the packages
OURS = ("pipeline", "models")


def digest(module: str, root: Path = ROOT) -> str:
    """Hex sha256 of the source of `module` ('pipeline.curate.grid') and of every module of ours that it imports.

    Whatever edits one of them makes another digest: a comment too, since to tell a rule from a comment is not safe.
    """
    hashed = hashlib.sha256()
    for path in sorted(closure(module, root)):
        text = path.read_bytes()
        hashed.update(f"{path.relative_to(root).as_posix()} {len(text)}\n".encode() + text)
    return hashed.hexdigest()


def closure(module: str, root: Path = ROOT) -> set[Path]:
    """Files of `module` and of all it imports, directly or not, also inside functions."""
    found: set[Path] = set()
    waiting = sorted(_files(module, root))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imports(path) for file in _files(name, root)]
    return found


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in OURS]


def _files(name: str, root: Path) -> set[Path]:
    """The file of a module and those of the packages above it; none when `name` is something in a module."""
    parts = name.split(".")
    stem = root.joinpath(*parts)
    files = {stem.with_suffix(".py"), stem / "__init__.py"}
    files |= {root.joinpath(*parts[:depth]) / "__init__.py" for depth in range(1, len(parts))}
    return {path for path in files if path.is_file()}
