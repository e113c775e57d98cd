"""What a stage's code imports, read from the source: for the tests that compare it with dvc.yaml."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def imports_of(module: Path) -> frozenset[Path]:
    """Files of ours that `module` imports anywhere in its text, package __init__ files included."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {path for alias in node.names for path in _files(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= _files(node.module)
            found |= {path for alias in node.names for path in _files(f"{node.module}.{alias.name}")}
    return frozenset(found - {module})


def _files(name: str) -> set[Path]:
    parts = name.split(".")
    if parts[0] not in ("pipeline", "models"):
        return set()
    stem = Path(*parts)
    own = {path for path in (stem.with_suffix(".py"), stem / "__init__.py") if (ROOT / path).is_file()}
    above = {Path(*parts[:depth]) / "__init__.py" for depth in range(1, len(parts))}
    return own | {path for path in above if (ROOT / path).is_file()}


def import_closure(module: Path) -> set[Path]:
    """`module` and every file of ours that it imports, directly or not."""
    closure, waiting = {module}, [module]
    while waiting:
        for path in imports_of(waiting.pop()):
            if path not in closure:
                closure.add(path)
                waiting.append(path)
    return {path for path in closure if (ROOT / path).read_text(encoding="utf-8").strip()}
