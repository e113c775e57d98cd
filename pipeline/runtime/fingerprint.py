"""Digests of what a result depends on: code, library versions, facts. Caches and trainings are named by them."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]  # what holds the packages
OURS = ("pipeline", "models")


def fingerprint(module: str, facts: Any, libraries: Iterable[str]) -> str:
    """Hex sha256 of the code that `module` consists of, the versions of Python and of `libraries`, and further facts.

    Args:
        module: dotted name; see `code_digest`.
        facts: JSON values, or what `str` tells apart: parameters, inputs, the kind of machine.
        libraries: distributions whose versions may change the result.
    """
    versions = [platform.python_version(), *map(version, libraries)]
    text = json.dumps([facts, code_digest(module), versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(module: str, root: Path = ROOT) -> str:
    """Hex sha256 of the source of `module` ('pipeline.curate.grid') and of every module of ours that it imports.

    Whatever edits one of them makes another digest: a comment too, since to tell a rule from a comment is not safe.
    """
    hashed = hashlib.sha256()
    for path in sorted(closure(module, root)):
        text = path.read_bytes()
        hashed.update(f"{path.relative_to(root).as_posix()} {len(text)}\n".encode() + text)
    return hashed.hexdigest()


def closure(module: str, root: Path = ROOT) -> set[Path]:
    """The files of `module` and of all it imports, directly or not, also inside functions."""
    files: set[Path] = set()
    names, waiting = {module}, [module]
    while waiting:
        for path in _files(waiting.pop(), root) - files:
            files.add(path)
            waiting += _imports(path.read_bytes()) - names
            names.update(waiting)
    return files


@cache  # by the text itself: a file that is edited meanwhile is parsed anew
def _imports(source: bytes) -> frozenset[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return frozenset(name for name in names if name.split(".")[0] in OURS)


def _files(name: str, root: Path) -> set[Path]:
    """The file of a module and those of the packages above it; none when `name` is something in a module."""
    parts = name.split(".")
    packages = [root.joinpath(*parts[:depth]) / "__init__.py" for depth in range(1, len(parts) + 1)]
    return {path for path in (root.joinpath(*parts).with_suffix(".py"), *packages) if path.is_file()}
