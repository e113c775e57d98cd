"""Archives from anywhere: hostile names, bombs, damage, a kill half way. Nothing half is ever left."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from packing import PNG, pairs, place, tarred, zipped
from sprites import FOE, HERO, art, encoded, rows_of

from pipeline.curate.importing import archives, stage
from pipeline.errors import BadInput

ROOMY = archives.Limits(members=9, bytes=10**6, member_bytes=10**6, ratio=1000, any_bytes=10**6)
HOSTILE = ["/etc/x.png", "../x.png", "a/../../x.png", "a\\..\\x.png", "C:x.png", "..", "\\\\host\\x.png"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_leave_the_folder_are_refused_and_nothing_is_added(tmp_path, pack, name) -> None:
    archive = pack(tmp_path / "evil.bin", {"good.png": PNG, name: PNG})
    with pytest.raises(BadInput, match="could leave the folder"):
        stage.add("art", [archive], tmp_path / "inputs")
    assert not list((tmp_path / "inputs").rglob("*.png"))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".png"] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars_are_left_out(tmp_path, kind) -> None:
    archive = tarred(tmp_path / "evil.tar", {"x.png": b""}, type=kind, linkname="/etc/passwd")
    assert archives.unpack(archive, tmp_path / "out") == {"x.png": archives.SPECIAL}
    assert not (tmp_path / "out").exists()


def test_links_in_zips_are_left_out(tmp_path) -> None:
    archive = zipped(tmp_path / "evil.zip", {"x.png": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    assert archives.unpack(archive, tmp_path / "out") == {"x.png": archives.SPECIAL}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"members": 2}, "more than 2 members"),
        ({"bytes": 25_000}, r"'c' unpacks to more than is allowed \(5000"),
        ({"member_bytes": 9_999}, r"'a' unpacks to more than is allowed \(9999"),
        ({"ratio": 1, "any_bytes": 12_000}, r"'b' unpacks to more than is allowed \(2000"),
    ],
)
def test_bombs_are_stopped_while_they_unpack(tmp_path, pack, limits, message) -> None:
    archive = pack(tmp_path / "bomb", {name: bytes(10_000) for name in "abc"})
    with pytest.raises(BadInput, match=message):
        archives.unpack(archive, tmp_path / "out", replace(ROOMY, **limits))
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 20_000


def test_a_zip_that_lies_about_its_sizes_is_stopped_too(tmp_path) -> None:
    archive = zipped(tmp_path / "bomb.zip", {"a": bytes(50_000)})
    honest = (50_000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(honest, (10).to_bytes(4, "little")))
    assert archives.unpack(archive, tmp_path / "out", replace(ROOMY, bytes=20)).keys() == {"a"}
    assert not any((tmp_path / "out").iterdir())


def test_damaged_archives_are_bad_input(tmp_path) -> None:
    archive = tarred(tmp_path / "t.tgz", {f"{n}.png": encoded(art(HERO)) + bytes(range(256)) * n for n in range(60)})
    place(tmp_path / "half.tgz", archive.read_bytes()[:700])
    with pytest.raises(BadInput, match=r"half\.tgz"):
        stage.add("art", [tmp_path / "half.tgz"], tmp_path / "inputs")
    assert not list((tmp_path / "inputs").rglob("*.png"))


@pytest.mark.parametrize(
    "names",
    [
        ("x.png", "x.png"), ("x.png", "./x.png"), ("art/Hero.png", "art/hero.PNG"), ("é.png", "e\u0301.png"),
        ("a/x.png", "a\\x.png"), ("x.png", "x.png/y.png"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_two_names_of_one_file_the_second_is_left_out_and_told(tmp_path, kind, names) -> None:
    pictures = [encoded(art(text)) for text in (HERO, FOE)]
    archive = pairs(tmp_path / f"twice.{kind}", list(zip(names, pictures, strict=True)))
    assert stage.add("art", [archive], tmp_path / "inputs")["added"]["twice"] == {
        "files": 1,
        "images": 1,
        "left_out": 1,
    }
    (file,) = (tmp_path / "inputs" / "art").rglob("*.[pP][nN][gG]")
    assert file.read_bytes() == pictures[0]
    stats = stage.run(tmp_path / "inputs" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert (stats["inputs"], stats["kept"], stats["reasons"]) == (2, 1, {"not_unpacked": 1})


def damaged(data: bytes) -> bytes:
    """The zip with other bytes in the picture of its second member."""
    at = data.index(b"b.png") + len(b"b.png") + 20
    return data[:at] + bytes(8) + data[at + 8 :]


def encrypted(data: bytes) -> bytes:
    """The zip with the flag of its second member set, here and in the directory."""
    flagged = bytearray(data)
    for at in (data.index(b"b.png") - 30 + 6, data.rindex(b"b.png") - 46 + 8):
        flagged[at] |= 1
    return bytes(flagged)


def of_another_method(data: bytes) -> bytes:
    """The zip whose second member is compressed as no program does."""
    changed = bytearray(data)
    for at in (data.index(b"b.png") - 30 + 8, data.rindex(b"b.png") - 46 + 10):
        changed[at] = 77
    return bytes(changed)


@pytest.mark.parametrize("spoil", [damaged, encrypted, of_another_method])
def test_one_bad_member_of_a_zip_is_a_row_and_the_others_are_kept(tmp_path, spoil) -> None:
    whole = zipped(tmp_path / "pack.zip", {"a.png": PNG, "b.png": encoded(art(FOE)), "c.png": encoded(art(FOE)[::-1])})
    whole.write_bytes(spoil(whole.read_bytes()))
    assert stage.add("art", [whole], tmp_path / "in")["added"]["pack"] == {"files": 2, "images": 2, "left_out": 1}
    stats = stage.run(tmp_path / "in" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert (stats["inputs"], stats["kept"], stats["reasons"]) == (3, 2, {"not_unpacked": 1})
    row = next(row for row in rows_of(tmp_path / "raw").values() if row["status"] == "failed")
    assert (row["source_id"], bool(row["detail"])) == ("pack/b.png", True)


def test_zips_of_windows_and_of_macs_are_unpacked_under_the_names_that_are_meant(tmp_path) -> None:
    """Backslashes; UTF-8 that no flag tells of, with accents apart; folders of their own."""
    members = {"set\\": b"", "set\\hero.png": PNG, "set\\deep\\foe.png": encoded(art(FOE))}
    zipped(tmp_path / "windows.zip", members)
    mac = zipped(tmp_path / "mac.zip", {"cafe__.png": PNG})
    mac.write_bytes(mac.read_bytes().replace(b"cafe__", "cafe\u0301".encode()))
    stage.add("art", [tmp_path / "windows.zip", mac], tmp_path / "in")
    found = {path.relative_to(tmp_path / "in" / "art").as_posix() for path in (tmp_path / "in").rglob("*.png")}
    assert found == {"windows/set/hero.png", "windows/set/deep/foe.png", "mac/cafe\u0301.png"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_the_file_system_cannot_hold_are_refused(tmp_path, kind) -> None:
    archive = pairs(tmp_path / f"long.{kind}", [("a" * 300 + ".png", PNG)])
    with pytest.raises(BadInput, match=f"long.{kind}"):
        stage.add("art", [archive], tmp_path / "inputs")


def test_names_that_are_no_utf8_are_imported_under_an_escaped_id(tmp_path) -> None:
    archive = tmp_path / "latin.tar"
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as file:
        info = tarfile.TarInfo("caf\xe9.png")
        info.size = len(PNG)
        file.addfile(info, io.BytesIO(PNG))
    stage.add("art", [archive], tmp_path / "inputs")
    stage.run(tmp_path / "inputs" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert [row["source_id"] for row in rows_of(tmp_path / "raw").values()] == ["latin/caf\\udce9.png"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_without_members_is_refused(tmp_path, kind) -> None:
    archive = tmp_path / f"empty.{kind}"
    if kind == "zip":
        zipfile.ZipFile(archive, "w").close()
    else:
        tarfile.open(archive, "w:gz" if kind == "tar.gz" else "w").close()
    with pytest.raises(BadInput, match="no PNG"):
        stage.add("art", [archive], tmp_path / "inputs")
    assert not any((tmp_path / "inputs" / "art").iterdir())


def test_an_archive_in_an_archive_stays_packed_and_is_a_failed_row(tmp_path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"secret.png": PNG})
    stage.add("art", [zipped(tmp_path / "z.zip", {"a.png": PNG, "more.zip": inner.read_bytes()})], tmp_path / "in")
    assert (tmp_path / "in" / "art" / "z" / "more.zip").read_bytes() == inner.read_bytes()
    stage.run(tmp_path / "in" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = {row["source_id"]: row["reason"] for row in rows_of(tmp_path / "raw").values()}
    assert rows == {"z/a.png": None, "z/more.zip": "not_an_image"}


def test_links_in_a_folder_are_left_out(tmp_path) -> None:
    outside = place(tmp_path / "outside" / "secret.png")
    place(tmp_path / "mine" / "hero.png")
    (tmp_path / "mine" / "link.png").symlink_to(outside)
    (tmp_path / "mine" / "folder").symlink_to(outside.parent)
    (tmp_path / "mine" / "round").symlink_to(tmp_path / "mine")
    assert stage.add("art", [tmp_path / "mine"], tmp_path / "inputs")["added"]["mine"] == {"files": 1, "images": 1}


def test_a_killed_add_leaves_nothing_under_a_final_name_and_can_be_repeated(tmp_path) -> None:
    noise = np.random.default_rng(0).bytes(3 << 20)
    archive = pairs(tmp_path / "big.tar", [(f"{n:03}.png", PNG + noise) for n in range(40)])
    code = "import sys; from pathlib import Path; from pipeline.curate.importing import stage as importing; "
    code += "importing.add('art', [Path(sys.argv[1])], Path(sys.argv[2]))"
    adding = subprocess.Popen([sys.executable, "-c", code, archive, tmp_path / "inputs"])
    while len(list((tmp_path / "inputs").rglob("*.png"))) < 3:
        assert adding.poll() is None, "it was done before it could be killed"
    adding.kill()
    assert adding.wait() == -9
    target = tmp_path / "inputs" / "art"
    assert [path.name for path in target.iterdir()] == [".big.partial"]
    assert stage.run(target, tmp_path / "raw", tmp_path / "blocklist.jsonl")["inputs"] == 0
    assert stage.add("art", [archive], tmp_path / "inputs")["images"] == 40
    assert [path.name for path in target.iterdir()] == ["big"]
