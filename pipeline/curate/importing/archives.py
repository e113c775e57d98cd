"""Unpacks zip and tar archives from anywhere, without trusting a word in them."""

from __future__ import annotations

import errno
import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.errors import BadInput

READ = 1 << 20
SPECIAL = "a link or a special file"
UTF8 = 0x800  # the flag of a name in a zip
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)
UNNAMEABLE = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ)


@dataclass(frozen=True)
class Member:
    """A member of an archive: `content` opens a regular file, None = a folder; `flaw` = why it cannot be unpacked."""

    name: str
    content: Callable[[], IO[bytes] | None] | None
    flaw: str | None = None


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


def unpack(archive: Path, folder: Path, limits: Limits = LIMITS) -> dict[str, str]:
    """Write the regular files of an archive below `folder`, which must not hold them yet.

    Returns:
        What was left out, path -> why: damaged or encrypted; a link, a device; a name that the file system cannot
        hold, or that is another's where file systems ignore case or composition.

    Raises:
        BadInput: the archive itself is damaged; an absolute or climbing name; over a limit. What was written until
            then stays: unpack into a folder that can be thrown away.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _write_all(archive, _zip_members(opened), folder, limits)
        with tarfile.open(archive, "r:*") as tar:
            return _write_all(archive, _tar_members(tar), folder, limits)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the archive's
        raise BadInput(f"{archive}: not a readable archive: {error}") from error


def _zip_members(opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        name = _zip_name(info)
        kind = stat.S_IFMT(info.external_attr >> 16)
        flaw = SPECIAL if kind not in (0, stat.S_IFREG, stat.S_IFDIR) else "encrypted" if info.flag_bits & 1 else None
        yield Member(name, None if name.endswith("/") else partial(opened.open, info), flaw)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name with `/`, whatever the program that packed it wrote; as UTF-8 if it is that, though nobody says so."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        flaw = None if info.isreg() or info.isdir() else SPECIAL
        name = info.name.replace("\\", "/")
        yield Member(name, None if info.isdir() else partial(tar.extractfile, info), flaw)


def _write_all(archive: Path, members: Iterator[Member], folder: Path, limits: Limits) -> dict[str, str]:
    packed = archive.stat().st_size
    total = limits.total(packed)
    rule = f"an archive of {packed} bytes may unpack to {total}, a file in it to {limits.member_bytes}"
    names: dict[str, str] = {}
    left_out: dict[str, str] = {}
    written = 0
    for number, member in enumerate(members, 1):
        relative = _safe(archive, member.name)
        if number > limits.members:
            raise BadInput(f"{archive}: more than {limits.members} members")
        if member.content is None:
            continue
        if flaw := member.flaw or _other_of(relative, names):
            left_out[_unlike(str(relative), names, left_out)] = flaw
            continue
        allowed = min(limits.member_bytes, total - written)
        try:
            size = _write(member.content, folder / relative, allowed)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno not in (None, *UNNAMEABLE):
                raise
            left_out[_unlike(str(relative), {}, left_out)] = f"damaged: {error}"
            continue
        if size > allowed:
            what = f"{member.name!r} unpacks to more than is allowed ({allowed} bytes more)"
            raise BadInput(f"{archive}: {what}: {rule}")
        names[_name_key(relative)] = str(relative)
        written += size
    return left_out


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    hostile = not name or path.is_absolute() or ".." in path.parts or any(mark in name for mark in ":\0")
    if hostile:
        raise BadInput(f"{archive}: refused the member name {name!r}: it could leave the folder")
    return path


def _name_key(path: PurePosixPath) -> str:
    """Some file systems ignore case or composition: there a second name would overwrite the first file."""
    return unicodedata.normalize("NFC", str(path).casefold())


def _other_of(path: PurePosixPath, names: Mapping[str, str]) -> str | None:
    other = names.get(_name_key(path))
    return None if other is None else f"would be one file with {other!r}, at least where case is ignored"


def _unlike(name: str, names: Mapping[str, str], left_out: Collection[str]) -> str:
    """A name that tells a member that was left out from the files and from others that were."""
    taken = {*names.values(), *left_out}
    return next(each for each in chain([name], (f"{name}#{number}" for number in count(2))) if each not in taken)


def _write(open: Callable[[], IO[bytes] | None], target: Path, allowed: int) -> int:
    """Counts what is really read, until it is too much: the size that an archive claims proves nothing."""
    size = 0
    content = open()
    assert content is not None  # of a regular file
    with content:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            try:
                while chunk := content.read(READ):
                    size += len(chunk)
                    if size > allowed:
                        break
                    file.write(chunk)
            except BaseException:
                target.unlink()
                raise
    return size
