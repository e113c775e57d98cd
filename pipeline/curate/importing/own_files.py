"""Keeps a user's own files with the project: under DVC's care, and on a record, so that a run that lost them stops.

`inputs/art.jsonl` is the record of `inputs/art`, one line for each thing that was brought: {"name", "files"}; files
that lie in the folder itself are ".". Git tracks it from the start, so that it reaches every copy of the project. What
is under DVC's care has a pointer beside it, `inputs/art/<name>.dvc`: it is what `dvc push`, `dvc pull` and experiments
outside of the workspace carry.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import BadInput
from pipeline.runtime import lists
from pipeline.runtime.files import write_atomic

LOOSE = "."  # the name of what lies in the folder itself
POINTER = ".dvc"
EXPECTED = 'expected {"name": TEXT, "files": COUNT}'

logger = logging.getLogger(__name__)


class Entry(BaseModel):
    """A line of the record."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(min_length=1)]
    files: Annotated[int, Field(ge=1)]


@contextmanager
def accounted(folder: Path) -> Iterator[None]:
    """Run a stage that reads `folder`: not without what its record names; afterwards the record names all there is.

    Raises:
        BadInput: something that was there is gone, or was not carried into this copy of the project.
    """
    _require(folder)
    yield
    record(folder)
    if loose := _untracked(folder):
        some = ", ".join(loose[:3]) + (f" and {len(loose) - 3} more" if len(loose) > 3 else "")
        logger.warning(
            "%s: %s: not under DVC's care, `dvc exp run --temp`, `--queue` and clones would stop for want of it; "
            "`facetopix add %s %s` takes it in",
            folder, some, folder.name, folder / loose[0],
        )  # fmt: skip


def _require(folder: Path) -> None:
    require_carried(folder)
    present = _files_of(folder)
    for name, files in sorted(_recorded(folder).items()):
        if name not in present:
            raise BadInput(
                f"{folder / name}: {files} files were brought there, none is left; `dvc pull` brings them back where "
                f"git has their {POINTER} files, `facetopix add {folder.name}` elsewhere; if they are to be gone, take "
                f"their line out of {record_of(folder)}"
            )


def require_carried(folder: Path) -> None:
    """Stop in a copy of the project that DVC made for an experiment where it lacks own files of the project itself.

    Raises:
        BadInput: it does.
    """
    project = Path(os.environ.get("DVC_ROOT", "."))
    if project.resolve() == Path().resolve():
        return
    for name in sorted(names(project / folder) - names(folder)):
        raise BadInput(
            f"{folder / name}: is in {project}, but did not come into this copy of it for an experiment; "
            f"`facetopix add {folder.name} {folder / name}` there lets it come along, as does committing its pointer"
        )


def record_of(folder: Path) -> Path:
    """The file that names what was brought below `folder`."""
    return folder.with_suffix(".jsonl")


def record(folder: Path) -> None:
    """Bring the record up to what is below `folder`; names that are gone stay."""
    before = _recorded(folder)
    entries = before | _files_of(folder)
    if entries != before:
        lines = [json.dumps({"files": files, "name": name}, ensure_ascii=False) for name, files in entries.items()]
        write_atomic(record_of(folder), "".join(f"{line}\n" for line in sorted(lines)).encode())


def _recorded(folder: Path) -> dict[str, int]:
    lines = lists.read(record_of(folder), Entry, topic="own files", expected=EXPECTED, optional=True)
    return {entry.name: entry.files for _, entry in lines}


def _files_of(folder: Path) -> dict[str, int]:
    """Name -> number of files below it, of everything in `folder` that has any; hidden ones do not count."""
    return dict(Counter(parts[0] if len(parts) > 1 else LOOSE for parts in _parts(folder)))


def names(folder: Path) -> set[str]:
    """The files in `folder`, and the folders that have any."""
    return {parts[0] for parts in _parts(folder)}


def _parts(folder: Path) -> Iterator[tuple[str, ...]]:
    """The parts of the path of every file below `folder`, but for hidden ones and DVC's pointers."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        pointer = len(parts) == 1 and path.suffix == POINTER
        if path.is_file() and not pointer and not any(part.startswith(".") for part in parts):
            yield parts


def _untracked(folder: Path) -> list[str]:
    """Names in `folder` that are not under DVC's care; none where there is no DVC."""
    present = sorted(names(folder)) if _has_dvc(folder) else []
    return [name for name in present if not pointer_of(folder / name).exists()]


def pointer_of(path: Path) -> Path:
    """The file that tells DVC of `path`."""
    return path.with_name(path.name + POINTER)


def keep(folder: Path, brought: Sequence[str]) -> bool:
    """Put what lies in `folder` under DVC's care and on the record; False where there is no DVC.

    Pointers and record go into git's index: an experiment outside of the workspace carries what git knows.

    Raises:
        BadInput: DVC refused; no pointer is left that was not there before.
    """
    paths = [folder.resolve() / name for name in brought]
    pointers = [pointer_of(path) for path in paths]
    before = [pointer for pointer in pointers if pointer.exists()]
    has_dvc = _has_dvc(folder)
    done = _run(folder, sys.executable, "-m", "dvc", "add", "--", *paths) if has_dvc else None
    if done is not None and done.returncode:
        for pointer in pointers:
            if pointer not in before:
                pointer.unlink(missing_ok=True)
        reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BadInput(f"{folder}: DVC did not take {', '.join(brought)}: {reason[-1].removeprefix('ERROR: ')}")
    record(folder)
    if has_dvc and _run(folder, "git", "add", "--", *pointers, record_of(folder).resolve()).returncode:
        logger.warning("git did not take %s: add it by hand", ", ".join(pointer.name for pointer in pointers))
    return has_dvc


def _has_dvc(folder: Path) -> bool:
    """Whether DVC is installed, and looks after the project whose `inputs/art` or `inputs/faces` is `folder`."""
    return (folder.parent.parent / ".dvc").is_dir() and importlib.util.find_spec("dvc") is not None


def _run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
