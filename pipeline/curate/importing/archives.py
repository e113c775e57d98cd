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


@dataclass(frozen=True)
class Member:
    """A regular file of an archive, or (`content` None) something without content of its own, as a folder."""

    name: str
    content: IO[bytes] | None


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BadInput(f"{archive}: {info.filename!r} is a link or a special file")
        if info.flag_bits & 1:
            raise BadInput(f"{archive}: {info.filename!r} is encrypted")
        content = None if info.is_dir() else opened.open(info)
        yield Member(info.orig_filename, content)


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        if not (info.isreg() or info.isdir()):
            raise BadInput(f"{archive}: {info.name!r} is a link or a special file")
        yield Member(info.name, tar.extractfile(info) if info.isreg() else None)


def _write_all(archive: Path, members: Iterator[Member], folder: Path, limits: Limits) -> int:
    packed = archive.stat().st_size
    total = limits.total(packed)
    rule = f"an archive of {packed} bytes may unpack to {total}, a file in it to {limits.member_bytes}"
    names: dict[str, str] = {}
    written = 0
    for number, member in enumerate(members, 1):
        relative = _safe(archive, member.name)
        if number > limits.members:
            raise BadInput(f"{archive}: more than {limits.members} members")
        if member.content is None:
            continue
        _require_new(archive, relative, names)
        with member.content as content:
            allowed = min(limits.member_bytes, total - written)
            try:
                written += _write(content, folder / relative, allowed)
            except _TooMuchError as error:
                what = f"{member.name!r} unpacks to more than is allowed ({allowed} bytes more)"
                raise BadInput(f"{archive}: {what}: {rule}") from error
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


class _TooMuchError(Exception):
    """More bytes than were allowed."""


def _write(content: IO[bytes], target: Path, allowed: int) -> int:
    """Counts what is really read: the size that an archive claims proves nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as file:
        while chunk := content.read(READ):
            written += len(chunk)
            if written > allowed:
                raise _TooMuchError
            file.write(chunk)
    return written
