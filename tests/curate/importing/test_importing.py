from __future__ import annotations

import hashlib

import pytest
from packing import PNG, place, tarred, zipped
from sprites import FOE, HERO, art, encoded, rows_of, scaled

from pipeline.curate.importing import stage
from pipeline.errors import BadInput
from pipeline.takedown import blocklist

KEYS = {
    "id", "source", "source_id", "origin", "page_url", "image_url", "title", "artist", "posted", "tags", "licence",
    "ai_generated", "consent", "fetched_at", "sha256", "bytes", "format", "width", "height", "frames", "has_alpha",
    "status", "reason",
}  # fmt: skip


def test_no_art_is_no_error(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    place(tmp_path / "empty" / ".gitkeep", b"")
    for src in (tmp_path / "empty", tmp_path / "absent"):
        stats = stage.run(src, tmp_path / "out", tmp_path / "blocklist.jsonl")
        assert (stats["inputs"], stats["kept"]) == (0, 0)
        assert rows_of(tmp_path / "out") == {}


def test_a_folder_becomes_a_source_with_the_rows_of_a_crawl(tmp_path) -> None:
    place(tmp_path / "art" / "set" / "hero.png")
    place(tmp_path / "art" / "foe.PNG", encoded(scaled(art(FOE), 2), "GIF"))
    stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = {row["source_id"]: row for row in rows_of(tmp_path / "raw").values()}
    assert set(rows) == {"foe.PNG", "set/hero.png"}
    hero = rows["set/hero.png"]
    assert set(hero) >= KEYS
    assert (hero["source"], hero["origin"], hero["format"], hero["frames"]) == ("inputs", "inputs", "PNG", 1)
    assert (hero["width"], hero["height"], hero["has_alpha"], hero["bytes"]) == (8, 8, True, len(PNG))
    assert (tmp_path / "raw" / "images" / f"{hero['sha256']}.png").read_bytes() == PNG
    assert rows["foe.PNG"]["format"] == "GIF"
    assert (tmp_path / "raw" / "images" / f"{rows['foe.PNG']['sha256']}.gif").is_file()


def test_blocked_works_and_artists_are_left_out_and_their_rows_name_nobody(tmp_path) -> None:
    place(tmp_path / "art" / "x.png")
    place(tmp_path / "art" / "y.png", encoded(scaled(art(FOE), 2), "PNG"))
    (tmp_path / "art" / "manifest.csv").write_text("path,artist,title\ny.png,Ann,Foe\n", encoding="utf-8")
    stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    blocked = [{"artist": "ANN", "source": None}, {"id": f"inputs-{hashlib.sha256(b'x.png').hexdigest()[:16]}"}]
    for entries, kept in ((blocked[:1], 1), (blocked, 0)):
        blocklist.add(tmp_path / "blocklist.jsonl", entries)
        stats = stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
        assert (stats["kept"], stats["reasons"]) == (kept, {"blocklist": 2 - kept})
        assert len(list((tmp_path / "raw" / "images").iterdir())) == kept
        assert "Ann" not in (tmp_path / "raw" / "manifest.jsonl").read_text(encoding="utf-8")


def test_the_id_depends_on_the_path_alone(tmp_path) -> None:
    place(tmp_path / "art" / "a" / "x.png")
    stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert list(rows_of(tmp_path / "raw")) == [f"inputs-{hashlib.sha256(b'a/x.png').hexdigest()[:16]}"]


def test_manifest_csv_gives_licence_artist_and_identity(tmp_path) -> None:
    place(tmp_path / "art" / "pack" / "in" / "hero.png")
    place(tmp_path / "art" / "pack" / "foe.png", encoded(art(FOE)))
    table = "path,licence,artist,identity,title,tags,ai_generated\nin/hero.png,CC0-1.0,Ann,hero:1,Hero,a; b,false\n"
    place(tmp_path / "art" / "pack" / "manifest.csv", table.encode("utf-8-sig"))
    stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = {row["source_id"]: row for row in rows_of(tmp_path / "raw").values()}
    hero, foe = rows["pack/in/hero.png"], rows["pack/foe.png"]
    assert (hero["licence"], hero["artist"], hero["identity"], hero["title"]) == ("CC0-1.0", "Ann", "hero:1", "Hero")
    assert (hero["tags"], hero["ai_generated"]) == (["a", "b"], False)
    assert (foe["licence"], foe["artist"], foe["tags"], foe["ai_generated"]) == (None, None, [], None)


def test_the_nearest_manifest_wins(tmp_path) -> None:
    place(tmp_path / "art" / "pack" / "hero.png")
    place(tmp_path / "art" / "manifest.csv", b"path,artist\npack/hero.png,outer\n")
    place(tmp_path / "art" / "pack" / "manifest.csv", b"path,artist\nhero.png,inner\n")
    stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert [row["artist"] for row in rows_of(tmp_path / "raw").values()] == ["inner"]


@pytest.mark.parametrize("table", [b"file,artist\nx.png,a\n", b"\xff\xfe\x00broken"])
def test_a_manifest_that_is_none_is_a_clear_error(tmp_path, table) -> None:
    place(tmp_path / "art" / "x.png")
    place(tmp_path / "art" / "manifest.csv", table)
    with pytest.raises(BadInput, match=r"manifest\.csv"):
        stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("in/hero.png", "in\\hero.png"), ("in/hero.png", ".\\in\\hero.png"), ("in/hero.png", "./in//hero.png"),
        ("caf\u00e9.png", "cafe\u0301.png"), ("cafe\u0301.png", "caf\u00e9.png"), ("Hero.PNG", "hero.png"),
        ("hero.png", " hero.png "), ("in/hero.png", "in / hero.png"), ("my hero.png", "my  hero.png"),
        ("hero.png", "\u00a0hero.png"), ("CAF\u00c9/Hero.png", "cafe\u0301/hero.PNG"), (" hero.png", " hero.png"),
        ("a\\b.png", "a\\b.png"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("table", ["manifest.csv", "Manifest.CSV"])
def test_a_path_is_matched_however_it_is_spelt(tmp_path, file, path, table) -> None:
    place(tmp_path / "art" / "pack" / file)
    place(tmp_path / "art" / "pack" / table, f"Path, License ,artist\n{path}, CC0-1.0 ,Ann\n".encode())
    stats = stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    (row,) = rows_of(tmp_path / "raw").values()
    assert (row["artist"], row["licence"], stats["inputs"]) == ("Ann", "CC0-1.0", 1)


def test_an_exact_name_goes_before_one_that_only_resembles_it_and_two_of_these_are_none(tmp_path) -> None:
    for name, text in (("hero.png", HERO), ("Hero.png", FOE)):
        place(tmp_path / "art" / name, encoded(art(text)))
    place(tmp_path / "art" / "manifest.csv", b"path;artist\nHero.png;Ann\nHERO.png;Bob\n")
    stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = {row["source_id"]: (row["artist"], row["reason"]) for row in rows_of(tmp_path / "raw").values()}
    assert rows == {"Hero.png": ("Ann", None), "hero.png": (None, None), "HERO.png": ("Bob", "no_file")}


def test_lines_without_a_file_and_files_without_a_line_are_told(tmp_path, caplog) -> None:
    place(tmp_path / "art" / "pack" / "hero.png")
    place(tmp_path / "art" / "pack" / "bare.png", encoded(art(FOE)))
    place(tmp_path / "art" / "pack" / "README.md", b"texts may have lines")
    lines = "path,artist\nhero.png,Ann\ngone.png,Ann\nREADME.md,Ann\n,Ann\nhero.png,Bob,Cid\n../../out.png,Ann\n"
    place(tmp_path / "art" / "pack" / "manifest.csv", lines.encode())
    stats = stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert (stats["inputs"], stats["kept"], stats["reasons"]) == (4, 2, {"no_file": 2})
    rows = {row["source_id"]: row["artist"] for row in rows_of(tmp_path / "raw").values()}
    assert rows == {"pack/hero.png": "Bob", "pack/bare.png": None, "pack/gone.png": "Ann", "../out.png": "Ann"}
    told = "\n".join(record.getMessage() for record in caplog.records)
    for part in ("2 lines without a file, first 'gone.png'", "1 files without a line", "bare.png", "line 5 has no path",
                 "line 6 has more cells", "line 6 is another one about 'hero.png'"):  # fmt: skip
        assert part in told, part


def test_unreadable_files_fail_and_texts_are_no_art(tmp_path) -> None:
    place(tmp_path / "art" / "broken.png", PNG[:50])
    place(tmp_path / "art" / "fake.png", b"<html>")
    place(tmp_path / "art" / "README.txt", b"by Ann")
    place(tmp_path / "art" / "licences" / "CC0.png", b"not art")
    place(tmp_path / "art" / ".hidden" / "x.png")
    stats = stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    assert (stats["inputs"], stats["failed"], stats["reasons"]) == (2, 2, {"not_an_image": 1, "truncated": 1})


def test_two_files_of_equal_bytes_are_two_rows_and_one_image(tmp_path) -> None:
    place(tmp_path / "art" / "a.png")
    place(tmp_path / "art" / "b.png")
    assert stage.run(tmp_path / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")["kept"] == 2
    assert len(list((tmp_path / "raw" / "images").iterdir())) == 1


def test_add_brings_folders_archives_and_images_with_their_manifests(tmp_path) -> None:
    folder = tmp_path / "mine"
    place(folder / "a" / "hero.png")
    place(folder / "manifest.csv", b"path\na/hero.png\n")
    place(folder / ".git" / "x.png")
    members = {"in/hero.png": PNG, "manifest.csv": b"path\nin/hero.png\n", "licences/CC0.txt": b"CC0"}
    paths = [folder, zipped(tmp_path / "z.zip", members), tarred(tmp_path / "t.tar.gz", members)]
    result = stage.add("art", [*paths, place(tmp_path / "one.png")], tmp_path / "inputs")
    assert result == {
        "added": {
            "mine": {"files": 2, "images": 1}, "z": {"files": 3, "images": 1}, "t": {"files": 3, "images": 1},
            "one": {"files": 1, "images": 1},
        },
        "images": 4,
    }  # fmt: skip
    assert (tmp_path / "inputs" / "art" / "t" / "licences" / "CC0.txt").read_bytes() == b"CC0"
    assert (tmp_path / "inputs" / "art" / "one" / "one.png").read_bytes() == PNG
    assert stage.run(tmp_path / "inputs" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")["kept"] == 4


def test_a_taken_name_is_refused_before_anything_is_copied(tmp_path) -> None:
    stage.add("faces", [place(tmp_path / "one.png")], tmp_path / "inputs")
    with pytest.raises(BadInput, match="'one' is already taken"):
        stage.add("faces", [place(tmp_path / "two.png"), tmp_path / "one.png"], tmp_path / "inputs")
    with pytest.raises(BadInput, match="'two' is already taken by"):
        stage.add("faces", [tmp_path / "two.png", place(tmp_path / "x" / "two.gif")], tmp_path / "inputs")
    assert sorted(path.name for path in (tmp_path / "inputs" / "faces").iterdir()) == ["one"]


@pytest.mark.parametrize("data", [b"hello", b""])
def test_what_is_no_art_is_refused(tmp_path, data) -> None:
    with pytest.raises(BadInput, match="expected a folder, a zip or tar archive, or an image"):
        stage.add("art", [place(tmp_path / "x.png", data)], tmp_path / "inputs")


def test_paths_without_art_or_overlapping_inputs_are_refused(tmp_path) -> None:
    place(tmp_path / "texts" / "x.txt", b"hello")
    with pytest.raises(BadInput, match="no PNG"):
        stage.add("art", [tmp_path / "texts"], tmp_path / "inputs")
    with pytest.raises(BadInput, match="no such file"):
        stage.add("art", [tmp_path / "absent"], tmp_path / "inputs")
    with pytest.raises(BadInput, match="where it would be copied to"):
        stage.add("art", [tmp_path], tmp_path / "inputs")


@pytest.mark.shared
def test_a_real_archive_is_added_and_imported_whole(shared_tar, tmp_path) -> None:
    result = stage.add("art", [shared_tar("decoders")], tmp_path / "inputs")
    assert result["added"]["decoders"]["images"] == 201
    stats = stage.run(tmp_path / "inputs" / "art", tmp_path / "raw", tmp_path / "blocklist.jsonl")
    rows = list(rows_of(tmp_path / "raw").values())
    assert (stats["inputs"], stats["kept"]) == (201, 201)
    assert all(row["licence"] for row in rows)
    assert sum(row["frames"] > 1 for row in rows) == 39
