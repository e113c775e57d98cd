"""Takes in the user's own files: `add` copies them below inputs/, `run` gives inputs/art a crawled gallery's layout."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.curate.importing import archives, left_out, own_files
from pipeline.errors import BadInput
from pipeline.images import captions, files, folders
from pipeline.images.captions import Captions, Notes
from pipeline.images.formats import Undecodable
from pipeline.runtime import manifest
from pipeline.runtime.files import output_dir, sha256
from pipeline.runtime.manifest import Row
from pipeline.takedown.blocklist import Blocklist, load

logger = logging.getLogger(__name__)

SOURCE = "inputs"
TEXT_COLUMNS = ("title", "artist", "posted", "licence", "page_url", "image_url", "identity")
UNKNOWN = dict.fromkeys(("fetched_at", "format", "width", "height", "frames", "has_alpha"))  # what a crawl adds


def run(src: Path, dst: Path, blocklist: Path) -> dict[str, Any]:
    """Import every image below `src`: manifest and images/<sha256>.<ext>, as a scrape stage leaves them.

    Facts come from the nearest manifest.csv in or above the file's folder that lists it. An absent or empty `src`
    gives no rows. Reasons: those of `formats.REASONS`; blocklist, whose rows name the place of a file and nothing else;
    no_file, of a line in a manifest.csv; not_unpacked, of a member that `add` could not take out of its archive.
    """
    blocked = load(blocklist)
    paths = folders.files_below(src) if src.is_dir() else []
    told = captions.read(src, paths) if src.is_dir() else Captions()
    for remark in told.remarks:
        logger.warning(remark)
    with output_dir(dst) as out:
        (out / "images").mkdir()
        rows = [_import(path, src, told.notes.get(path, {}), blocked, out / "images") for path in paths]
        absent = {place: (notes, {"reason": "no_file"}) for place, notes in told.missing.items()}
        absent |= {
            place: (told.missing.get(place, {}), {"reason": "not_unpacked", "detail": flaw})
            for place, flaw in left_out.read(src).items()
        }
        rows += [
            _absent(_blank_row(captions.source_id(Path(place)), notes), blocked, **why)
            for place, (notes, why) in absent.items()
        ]
        return manifest.write(out, rows, inputs=[row["id"] for row in rows])


def _import(path: Path, src: Path, notes: Notes, blocked: Blocklist, images: Path) -> Row:
    row = _blank_row(captions.source_id(path.relative_to(src)), notes)
    if _is_blocked(row, blocked):
        return _absent(row, blocked, reason="")
    try:
        facts: dict[str, Any] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    except OSError:
        return _absent(row, blocked, reason="unreadable")
    try:
        image = folders.describe(path)
    except Undecodable as error:
        return manifest.failed(row, error.reason, **UNKNOWN, **facts)
    shutil.copyfile(path, images / f"{facts['sha256']}.{folders.EXTENSIONS[image.format]}")
    facts |= {"format": image.format, "width": image.width, "height": image.height}
    facts |= {"frames": image.frames, "has_alpha": image.has_alpha}
    return manifest.kept(row, **{**UNKNOWN, **facts})


def _absent(row: Row, blocked: Blocklist, *, reason: str, **facts: str) -> Row:
    """The row of a work that there is no file of, or that is blocked."""
    if _is_blocked(row, blocked):
        return manifest.dropped(_blank_row(row["source_id"], {}), "blocklist", **UNKNOWN, sha256=None, bytes=None)
    return manifest.failed(row, reason, **UNKNOWN, sha256=None, bytes=None, **facts)


def _is_blocked(row: Row, blocked: Blocklist) -> bool:
    return blocked.covers(id=row["id"], source=SOURCE, artists=[row["artist"]])


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
    """Copy folders, single images and zip or tar archives to inputs/<kind>/<stem of the path>/, and let DVC track them.

    All or nothing: on an error nothing is added. Hidden files and links inside folders are left out; files beside the
    images (manifest.csv, licences) come along. What lies in inputs/<kind> already stays where it is and is tracked too.

    Returns:
        `added`: name -> {files, images}, `left_out` members of an archive if any; `images`, their sum; `tracked` where
        DVC has them.

    Raises:
        BadInput: a path that is none of these or holds no image, a name already taken, a hostile archive.
    """
    target = inputs / kind
    there = [
        path for path in paths if path.resolve().parent == target.resolve() and path.name in own_files.names(target)
    ]
    names = _names([path for path in paths if path not in there], target)
    partials = {name: target / f".{name}.partial" for name in names}
    brought: list[Path] = []
    try:
        counts = {path.name: _count(path) for path in there}
        counts |= {name: _bring(path, partials[name]) for name, path in names.items()}
        for name, partial in partials.items():
            brought.append(partial.rename(target / name))
        tracked = own_files.keep(target, list(counts))
    except BaseException:
        for folder in brought:
            shutil.rmtree(folder)
        raise
    finally:
        for partial in partials.values():
            shutil.rmtree(partial, ignore_errors=True)
    result = {"added": counts, "images": sum(count["images"] for count in counts.values())}
    return result | {"tracked": True} if tracked else result


def _names(paths: Sequence[Path], target: Path) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in paths:
        resolved = path.resolve()
        if not resolved.exists():
            raise BadInput(f"{path}: no such file or folder")
        if target.resolve().is_relative_to(resolved) or resolved.is_relative_to(target.resolve()):
            raise BadInput(f"{path}: is, holds or lies in {target}, where it would be copied to")
        name = _stem(resolved)
        pointer = own_files.pointer_of(target / name)  # of files that are not pulled yet
        if name in names or (target / name).exists() or pointer.exists():
            taken = names.get(name, pointer if pointer.exists() else target / name)
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
    flaws: dict[str, str] = {}
    if path.is_dir():
        _copy_tree(path, partial)
    elif _is_image(path):
        shutil.copyfile(path, partial / path.name.lstrip("."))
    elif archives.is_archive(path):
        flaws = archives.unpack(path, partial)
    else:
        raise BadInput(f"{path}: expected a folder, a zip or tar archive, or an image ({'/'.join(files.FORMATS)})")
    counts = _count(partial)
    why = "".join(f"; left out {member!r}: {flaw}" for member, flaw in list(flaws.items())[:1])
    if not counts["images"]:
        raise BadInput(f"{path}: no {'/'.join(files.FORMATS)} image in it{why}")
    if flaws:
        left_out.write(partial, flaws)
        counts["left_out"] = len(flaws)
        for member, flaw in flaws.items():
            logger.warning("%s: left out %r: %s", path, member, flaw)
    return counts


def _count(path: Path) -> dict[str, int]:
    """Files and images of a folder, or of a file alone."""
    brought = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    candidates = folders.files_below(path) if path.is_dir() else [path]
    return {"files": len(brought), "images": sum(map(_is_image, candidates))}


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
