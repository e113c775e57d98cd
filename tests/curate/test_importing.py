from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from sprites import FOE, HERO, art, encoded, rows_of, scaled

from pipeline import archives, blocklist
from pipeline.curate import importing
from pipeline.errors import BadInput

PNG = encoded(art(HERO))
KEYS = {
    "id", "source", "source_id", "origin", "page_url", "image_url", "title", "artist", "posted", "tags", "licence",
    "ai_generated", "consent", "fetched_at", "sha256", "bytes", "format", "width", "height", "frames", "has_alpha",
    "status", "reason",
}  # fmt: skip


def place(path: Path, data: bytes = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def zipped(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, members: dict[str, bytes], **changes) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in changes.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(data))
    return path


def test_no_art_is_no_error(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    place(tmp_path / "empty" / ".gitkeep", b"")
    for src in (tmp_path / "empty", tmp_path / "absent"):
        stats = importing.run(src, tmp_path / "out", tmp_path / "blocklist.jsonl")
        assert (stats["inputs"], stats["kept"]) == (0, 0)
        assert rows_of(tmp_path / "out") == {}


def test_a_folder_becomes_a_source_with_the_rows_of_a_crawl(tmp_path) -> None:
    place(tmp_path / "art" / "set" / "hero.png")
    place(tmp_path / "art" / "foe.PNG", encoded(scaled(art(FOE), 2), "GIF"))
    importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = {row["source_id"]: row for row in rows_of(tmp_path / "raw").values()}
    assert set(rows) == {"foe.PNG", "set/hero.png"}
    hero = rows["set/hero.png"]
    assert set(hero) >= KEYS
    assert (hero["source"], hero["origin"], hero["format"], hero["frames"]) == ("inputs", "inputs", "PNG", 1)
    assert (hero["width"], hero["height"], hero["has_alpha"], hero["bytes"]) == (8, 8, True, len(PNG))
    assert (tmp_path / "raw" / "images" / f"{hero['sha256']}.png").read_bytes() == PNG
    assert rows["foe.PNG"]["format"] == "GIF"
    assert (tmp_path / "raw" / "images" / f"{rows['foe.PNG']['sha256']}.gif").is_file()


def test_blocked_works_and_artists_are_left_out_and_nothing_is_told_of_them(tmp_path) -> None:
    place(tmp_path / "art" / "x.png")
    place(tmp_path / "art" / "y.png", encoded(scaled(art(FOE), 2), "PNG"))
    (tmp_path / "art" / "manifest.csv").write_text("path,artist,title\ny.png,Ann,Foe\n", encoding="utf-8")
    importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    wanted = [{"artist": "ANN", "source": None}, {"id": f"inputs-{hashlib.sha256(b'x.png').hexdigest()[:16]}"}]
    for entries, kept in ((wanted[:1], 1), (wanted, 0)):
        blocklist.add(tmp_path / "blocklist.jsonl", entries)
        stats = importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
        assert (stats["kept"], stats["reasons"]) == (kept, {"blocklist": 2 - kept})
        assert len(list((tmp_path / "raw" / "images").iterdir())) == kept
        assert "Ann" not in (tmp_path / "raw" / "manifest.jsonl").read_text(encoding="utf-8")


def test_the_id_depends_on_the_path_alone(tmp_path) -> None:
    place(tmp_path / "art" / "a" / "x.png")
    importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert list(rows_of(tmp_path / "raw")) == [f"inputs-{hashlib.sha256(b'a/x.png').hexdigest()[:16]}"]


def test_manifest_csv_gives_licence_artist_and_identity(tmp_path) -> None:
    place(tmp_path / "art" / "pack" / "in" / "hero.png")
    place(tmp_path / "art" / "pack" / "foe.png", encoded(art(FOE)))
    table = "path,licence,artist,identity,title,tags,ai_generated\nin/hero.png,CC0-1.0,Ann,hero:1,Hero,a; b,false\n"
    place(tmp_path / "art" / "pack" / "manifest.csv", table.encode("utf-8-sig"))
    importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = {row["source_id"]: row for row in rows_of(tmp_path / "raw").values()}
    hero, foe = rows["pack/in/hero.png"], rows["pack/foe.png"]
    assert (hero["licence"], hero["artist"], hero["identity"], hero["title"]) == ("CC0-1.0", "Ann", "hero:1", "Hero")
    assert (hero["tags"], hero["ai_generated"]) == (["a", "b"], False)
    assert (foe["licence"], foe["artist"], foe["tags"], foe["ai_generated"]) == (None, None, [], None)


def test_the_nearest_manifest_wins(tmp_path) -> None:
    place(tmp_path / "art" / "pack" / "hero.png")
    place(tmp_path / "art" / "manifest.csv", b"path,artist\npack/hero.png,outer\n")
    place(tmp_path / "art" / "pack" / "manifest.csv", b"path,artist\nhero.png,inner\n")
    importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert [row["artist"] for row in rows_of(tmp_path / "raw").values()] == ["inner"]


@pytest.mark.parametrize("table", [b"file,artist\nx.png,a\n", b"\xff\xfe\x00broken"])
def test_a_manifest_that_is_none_is_a_clear_error(tmp_path, table) -> None:
    place(tmp_path / "art" / "x.png")
    place(tmp_path / "art" / "manifest.csv", table)
    with pytest.raises(BadInput, match=r"manifest\.csv"):
        importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")


def test_unreadable_files_fail_and_texts_are_no_art(tmp_path) -> None:
    place(tmp_path / "art" / "broken.png", PNG[:50])
    place(tmp_path / "art" / "fake.png", b"<html>")
    place(tmp_path / "art" / "README.txt", b"by Ann")
    place(tmp_path / "art" / "licences" / "CC0.png", b"not art")
    place(tmp_path / "art" / ".hidden" / "x.png")
    stats = importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert (stats["inputs"], stats["failed"], stats["reasons"]) == (2, 2, {"not_an_image": 2})


def test_two_files_of_equal_bytes_are_two_rows_and_one_image(tmp_path) -> None:
    place(tmp_path / "art" / "a.png")
    place(tmp_path / "art" / "b.png")
    assert importing.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")["kept"] == 2
    assert len(list((tmp_path / "raw" / "images").iterdir())) == 1


def test_add_brings_folders_archives_and_images_with_their_manifests(tmp_path) -> None:
    folder = tmp_path / "mine"
    place(folder / "a" / "hero.png")
    place(folder / "manifest.csv", b"path\na/hero.png\n")
    place(folder / ".git" / "x.png")
    members = {"in/hero.png": PNG, "manifest.csv": b"path\nin/hero.png\n", "licences/CC0.txt": b"CC0"}
    paths = [folder, zipped(tmp_path / "z.zip", members), tarred(tmp_path / "t.tar.gz", members)]
    result = importing.add("art", [*paths, place(tmp_path / "one.png")], tmp_path / "inputs")
    assert result == {
        "added": {
            "mine": {"files": 2, "images": 1}, "z": {"files": 3, "images": 1}, "t": {"files": 3, "images": 1},
            "one": {"files": 1, "images": 1},
        },
        "images": 4,
    }  # fmt: skip
    assert (tmp_path / "inputs" / "art" / "t" / "licences" / "CC0.txt").read_bytes() == b"CC0"
    assert (tmp_path / "inputs" / "art" / "one" / "one.png").read_bytes() == PNG
    assert importing.run(tmp_path / "inputs" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")["kept"] == 4


def test_a_taken_name_is_refused_before_anything_is_copied(tmp_path) -> None:
    importing.add("faces", [place(tmp_path / "one.png")], tmp_path / "inputs")
    with pytest.raises(BadInput, match="'one' is already taken"):
        importing.add("faces", [place(tmp_path / "two.png"), tmp_path / "one.png"], tmp_path / "inputs")
    with pytest.raises(BadInput, match="'two' is already taken by"):
        importing.add("faces", [tmp_path / "two.png", place(tmp_path / "x" / "two.gif")], tmp_path / "inputs")
    assert sorted(path.name for path in (tmp_path / "inputs" / "faces").iterdir()) == ["one"]


@pytest.mark.parametrize("data", [b"hello", b""])
def test_what_is_no_art_is_refused(tmp_path, data) -> None:
    with pytest.raises(BadInput, match="expected a folder, a zip or tar archive, or an image"):
        importing.add("art", [place(tmp_path / "x.png", data)], tmp_path / "inputs")


def test_paths_without_art_or_overlapping_inputs_are_refused(tmp_path) -> None:
    place(tmp_path / "texts" / "x.txt", b"hello")
    with pytest.raises(BadInput, match="no PNG"):
        importing.add("art", [tmp_path / "texts"], tmp_path / "inputs")
    with pytest.raises(BadInput, match="no such file"):
        importing.add("art", [tmp_path / "absent"], tmp_path / "inputs")
    with pytest.raises(BadInput, match="where it would be copied to"):
        importing.add("art", [tmp_path], tmp_path / "inputs")


HOSTILE = ["/etc/x.png", "../x.png", "a/../../x.png", "a\\..\\x.png", "C:x.png", "..", "\\\\host\\x.png"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_leave_the_folder_are_refused_and_nothing_is_added(tmp_path, pack, name) -> None:
    archive = pack(tmp_path / "evil.bin", {"good.png": PNG, name: PNG})
    with pytest.raises(BadInput, match="could leave the folder"):
        importing.add("art", [archive], tmp_path / "inputs")
    assert not list((tmp_path / "inputs").rglob("*.png"))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".png"] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path, kind) -> None:
    archive = tarred(tmp_path / "evil.tar", {"x.png": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(BadInput, match="link or a special file"):
        archives.unpack(archive, tmp_path / "out")


def test_links_in_zips_are_refused(tmp_path) -> None:
    archive = zipped(tmp_path / "evil.zip", {"x.png": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(BadInput, match="link or a special file"):
        archives.unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (archives.Limits(members=2, bytes=10**6, member_bytes=10**6), "more than 2 members"),
        (archives.Limits(members=9, bytes=25_000, member_bytes=20_000), r"'c' unpacks to more than is allowed \(5000"),
        (archives.Limits(members=9, bytes=10**6, member_bytes=9_999), r"'a' unpacks to more than is allowed \(9999"),
    ],
)
def test_bombs_are_stopped_while_they_unpack(tmp_path, pack, limits, message) -> None:
    archive = pack(tmp_path / "bomb", {name: bytes(10_000) for name in "abc"})
    with pytest.raises(BadInput, match=message):
        archives.unpack(archive, tmp_path / "out", limits)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 20_000


def test_a_zip_that_lies_about_its_sizes_is_stopped_too(tmp_path) -> None:
    archive = zipped(tmp_path / "bomb.zip", {"a": bytes(50_000)})
    honest = (50_000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(honest, (10).to_bytes(4, "little")))
    with pytest.raises(BadInput):
        archives.unpack(archive, tmp_path / "out", archives.Limits(members=9, bytes=20, member_bytes=20))


def test_damaged_archives_are_bad_input(tmp_path) -> None:
    whole = tarred(tmp_path / "t.tgz", {f"{n}.png": encoded(art(HERO)) + bytes(range(256)) * n for n in range(60)})
    place(tmp_path / "half.tgz", whole.read_bytes()[:700])
    with pytest.raises(BadInput, match=r"half\.tgz"):
        importing.add("art", [tmp_path / "half.tgz"], tmp_path / "inputs")
    assert not list((tmp_path / "inputs").rglob("*.png"))


def test_a_member_named_twice_is_refused(tmp_path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as file:
        for data in (PNG, encoded(art(FOE))):
            info = tarfile.TarInfo("x.png")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    with pytest.raises(BadInput, match="exists"):
        archives.unpack(tmp_path / "t.tar", tmp_path / "out")


@pytest.mark.shared
def test_a_real_archive_is_added_and_imported_whole(shared_tar, tmp_path) -> None:
    result = importing.add("art", [shared_tar("decoders")], tmp_path / "inputs")
    assert result["added"]["decoders"]["images"] == 201
    stats = importing.run(tmp_path / "inputs" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = list(rows_of(tmp_path / "raw").values())
    assert (stats["inputs"], stats["kept"]) == (201, 201)
    assert all(row["licence"] for row in rows)
    assert sum(row["frames"] > 1 for row in rows) == 39
