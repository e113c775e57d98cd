"""Unpacks zip and tar archives from anywhere, without trusting a word in them."""

from __future__ import annotations

import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.errors import BadInput

Member = tuple[str, IO[bytes] | None]  # name and content of a regular file; None: without content, as a folder

READ = 1 << 20
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class Limits:
    """The most that an archive may unpack to."""

    members: int
    bytes: int  # in all
    member_bytes: int
    ratio: int  # bytes in all over those of the archive; beyond, only `any_bytes` are allowed
    any_bytes: int  # in all, however small the archive: flat BMPs of pixel art shrink to a hundredth

    def total(self, packed: int) -> int:
        """Bytes that an archive of `packed` bytes may unpack to."""
        return min(self.bytes, max(self.any_bytes, self.ratio * packed))


LIMITS = Limits(members=200_000, bytes=16 << 30, member_bytes=256 << 20, ratio=100, any_bytes=256 << 20)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or (compressed) tar archive, by its content."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except DAMAGE:
        return False


def unpack(archive: Path, folder: Path, limits: Limits = LIMITS) -> int:
    """Write the regular files of an archive below `folder`, which must not hold them yet; returns their number.

    Raises:
        BadInput: damaged or encrypted; an absolute or climbing name, a link, a device; two names that are one where
            file systems ignore case or composition; over a limit. What was written until then stays: unpack into a
            folder that can be thrown away.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _write_all(archive, _zip_members(archive, opened), folder, limits)
        with tarfile.open(archive, "r:*") as tar:
            return _write_all(archive, _tar_members(archive, tar), folder, limits)
    except DAMAGE as error:
        raise BadInput(f"{archive}: not a readable archive: {error}") from error


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BadInput(f"{archive}: {info.filename!r} is a link or a special file")
        if info.flag_bits & 1:
            raise BadInput(f"{archive}: {info.filename!r} is encrypted")
        yield info.orig_filename, None if info.is_dir() else opened.open(info)


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        if not (info.isreg() or info.isdir()):
            raise BadInput(f"{archive}: {info.name!r} is a link or a special file")
        yield info.name, tar.extractfile(info) if info.isreg() else None


def _write_all(archive: Path, members: Iterator[Member], folder: Path, limits: Limits) -> int:
    packed = archive.stat().st_size
    total = limits.total(packed)
    rule = f"an archive of {packed} bytes may unpack to {total}, a file in it to {limits.member_bytes}"
    names: dict[str, str] = {}
    written = 0
    for number, (name, content) in enumerate(members, 1):
        relative = _safe(archive, name)
        if number > limits.members:
            raise BadInput(f"{archive}: more than {limits.members} members")
        if content is None:
            continue
        _require_new(archive, relative, names)
        allowed = min(limits.member_bytes, total - written)
        with content:
            size = _write(content, folder / relative, allowed)
        if size > allowed:
            what = f"{name!r} unpacks to more than is allowed ({allowed} bytes more)"
            raise BadInput(f"{archive}: {what}: {rule}")
        written += size
    return len(names)


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    hostile = not name or path.is_absolute() or ".." in path.parts or any(mark in name for mark in "\\:\0")
    if hostile:
        raise BadInput(f"{archive}: refused the member name {name!r}: it could leave the folder")
    return path


def _require_new(archive: Path, path: PurePosixPath, names: dict[str, str]) -> None:
    """Some file systems ignore case or composition: there a second name would overwrite the first file."""
    key = unicodedata.normalize("NFC", str(path).casefold())
    if key in names:
        raise BadInput(f"{archive}: {names[key]!r} and {str(path)!r} would be one file, at least where case is ignored")
    names[key] = str(path)


def _write(content: IO[bytes], target: Path, allowed: int) -> int:
    """Counts what is really read, until it is too much: the size that an archive claims proves nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with target.open("xb") as file:
        while chunk := content.read(READ):
            size += len(chunk)
            if size > allowed:
                break
            file.write(chunk)
    return size
