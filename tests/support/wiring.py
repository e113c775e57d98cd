"""What a stage's code imports, by rooms: for the tests that compare it with dvc.yaml and the documents."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime import fingerprint

ROOT = Path(__file__).parents[2]
STAGES = {
    "import_art": "pipeline.curate.importing.stage",
    "faces": "pipeline.curate.faces.stage",
    "dedup": "pipeline.curate.dedup.stage",
    "flatten": "pipeline.curate.flatten",
    "grid": "pipeline.curate.grid",
    "resize": "pipeline.curate.resize",
    "split": "pipeline.curate.split.stage",
    "train": "pipeline.cyclegan.stage",
    "translate": "pipeline.cyclegan.translate",
    "stylize": "pipeline.style.stage",
    "evaluate": "pipeline.evaluate.stage",
    "report": "pipeline.report.stage",
}


def rooms_of(module: str) -> set[str]:
    """Folders of the rooms that `module` (a dotted name) consists of: its own, and those of all that it imports."""
    return {room.as_posix() for path in fingerprint.closure(module) if (room := room_of(path.relative_to(ROOT)))}


def room_of(path: Path) -> Path | None:
    """The folder that stands for a file in dvc.yaml: a package of `pipeline` or `models`, or a stage in `curate`.

    None for what lies above the rooms: errors, the layout, the assembly of the parameters, empty `__init__` files.
    """
    if path.name == "__init__.py" and not (ROOT / path).read_text(encoding="utf-8").strip():
        return None
    depth = 3 if path.parts[:2] == ("pipeline", "curate") and len(path.parts) > 3 else 2
    return Path(*path.parts[:depth]) if len(path.parts) > 2 else None
