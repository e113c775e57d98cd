"""Takes in the user's own files: `add` copies them below inputs/, `run` gives inputs/art a crawled gallery's layout."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.curate.importing import archives
from pipeline.errors import BadInput
from pipeline.images import captions, files, folders
from pipeline.images.captions import Notes
from pipeline.images.formats import Undecodable
from pipeline.runtime import manifest
from pipeline.runtime.files import output_dir, sha256
from pipeline.runtime.manifest import Row
from pipeline.takedown.blocklist import Blocklist, load

SOURCE = "inputs"
TEXT_COLUMNS = ("title", "artist", "posted", "licence", "page_url", "image_url", "identity")
UNKNOWN = dict.fromkeys(("fetched_at", "format", "width", "height", "frames", "has_alpha"))  # what a crawl adds


def run(src: Path, dst: Path, blocklist: Path) -> dict[str, Any]:
    """Import every image below `src`: manifest and images/<sha256>.<ext>, as a scrape stage leaves them.

    Facts come from the nearest manifest.csv in or above the file's folder that lists it. An absent or empty `src`
    gives no rows. Reasons: those of `formats.REASONS`; blocklist, whose rows name the place of a file and nothing else.
    """
    blocked = load(blocklist)
    paths = folders.files_below(src) if src.is_dir() else []
    notes = captions.read(src) if paths else {}
    with output_dir(dst) as out:
        (out / "images").mkdir()
        rows = [_import(path, src, notes.get(path, {}), blocked, out / "images") for path in paths]
        return manifest.write(out, rows, inputs=[row["id"] for row in rows])


def _import(path: Path, src: Path, notes: Notes, blocked: Blocklist, images: Path) -> Row:
    row = _blank_row(captions.source_id(path.relative_to(src)), notes)
    if blocked.covers(id=row["id"], source=SOURCE, artists=[row["artist"]]):
        bare = _blank_row(row["source_id"], {})
        return manifest.dropped(bare, "blocklist", **UNKNOWN, sha256=None, bytes=None)
    digest = sha256(path)
    facts: dict[str, Any] = {"sha256": digest, "bytes": path.stat().st_size}
    try:
        image = folders.describe(path)
    except Undecodable as error:
        return manifest.failed(row, error.reason, **UNKNOWN, **facts)
    facts |= {"format": image.format, "width": image.width, "height": image.height}
    facts |= {"frames": image.frames, "has_alpha": image.has_alpha}
    shutil.copyfile(path, images / f"{digest}.{folders.EXTENSIONS[image.format]}")
    return manifest.kept(row, **{**UNKNOWN, **facts})


def _blank_row(source_id: str, notes: Notes) -> Row:
    tags = [tag.strip() for tag in notes.get("tags", "").replace(";", ",").split(",") if tag.strip()]
    texts = {column: notes.get(column) or None for column in TEXT_COLUMNS}
    generated = {"true": True, "1": True, "false": False, "0": False}.get(notes.get("ai_generated", "").lower())
    return {
        "id": f"{SOURCE}-{hashlib.sha256(source_id.encode()).hexdigest()[:16]}",
        "source": SOURCE,
        "source_id": source_id,
        "origin": "inputs",
        **texts,
        "tags": tags,
        "ai_generated": generated,
        "consent": None,
    }


def add(kind: Literal["art", "faces"], paths: Sequence[Path], inputs: Path) -> dict[str, Any]:
    """Copy folders, single images and zip or tar archives to inputs/<kind>/<stem of the path>/.

    All or nothing: on an error nothing is added. Hidden files and links inside folders are left out; files beside the
    images (manifest.csv, licences) come along.

    Returns:
        `added`: name -> {files, images}, and `images`, their sum.

    Raises:
        BadInput: a path that is none of these or holds no image, a name already taken, a hostile archive.
    """
    target = inputs / kind
    names = _names(paths, target)
    partials = {name: target / f".{name}.partial" for name in names}
    try:
        counts = {name: _bring(path, partials[name]) for name, path in names.items()}
        for name, partial in partials.items():
            partial.rename(target / name)
    finally:
        for partial in partials.values():
            shutil.rmtree(partial, ignore_errors=True)
    return {"added": counts, "images": sum(count["images"] for count in counts.values())}


def _names(paths: Sequence[Path], target: Path) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in paths:
        resolved = path.resolve()
        if not resolved.exists():
            raise BadInput(f"{path}: no such file or folder")
        if target.resolve().is_relative_to(resolved) or resolved.is_relative_to(target.resolve()):
            raise BadInput(f"{path}: is, holds or lies in {target}, where it would be copied to")
        name = _stem(resolved)
        if name in names or (target / name).exists():
            taken = names.get(name, target / name)
            raise BadInput(f"{path}: the name {name!r} is already taken by {taken}; rename one of them")
        names[name] = resolved
    return names


def _stem(path: Path) -> str:
    name = path.name if path.is_dir() else path.name.split(".tar.")[0] if ".tar." in path.name else path.stem
    if not (name := name.lstrip(".")):
        raise BadInput(f"{path}: cannot name a folder after it")
    return name


def _bring(path: Path, partial: Path) -> dict[str, int]:
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if path.is_dir():
        _copy_tree(path, partial)
    elif _is_image(path):
        shutil.copyfile(path, partial / path.name.lstrip("."))
    elif archives.is_archive(path):
        archives.unpack(path, partial)
    else:
        raise BadInput(f"{path}: expected a folder, a zip or tar archive, or an image ({'/'.join(files.FORMATS)})")
    brought = [file for file in partial.rglob("*") if file.is_file()]
    images = sum(_is_image(file) for file in folders.files_below(partial))
    if not images:
        raise BadInput(f"{path}: no {'/'.join(files.FORMATS)} image in it")
    return {"files": len(brought), "images": images}


def _copy_tree(folder: Path, partial: Path) -> None:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            (partial / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, partial / relative)


def _is_image(path: Path) -> bool:
    try:
        with files.open_image(path):
            return True
    except BadInput:
        return False
