"""Exports read back by the libraries that they are for: nothing lost, nothing told of what is blocked."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import BadInput
from pipeline.export import command, shards
from pipeline.export.columns import cell, kinds_of, record_of
from pipeline.images.files import encode_png
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest

FORMATS = ("parquet", "webdataset")


def picture(number: int) -> bytes:
    return encode_png(np.full((4, 4, 3), number, np.uint8))


def work(number: int, **facts: Any) -> manifest.Row:
    row = {
        "id": f"lospec-{number:016x}", "source": "lospec", "source_id": f"ann{number % 3}/work-{number}",
        "artist": f"Ann {number % 3}", "title": f"Wörk, “{number}”\u2028",
        "licence": ("CC0-1.0", "CC-BY-4.0", None)[number % 3], "tags": ["cat", "ねこ"][: number % 3],
        "ai_generated": (None, True, False)[number % 3], "cell": (1, 1.5)[number % 2], "native_width": 16,
        "crop": [0, 0, 4, 4] if number % 2 else None,
    }  # fmt: skip
    return manifest.kept(row, **{key: row[key] for key in ("cell", "native_width", "crop")} | facts)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """data/split with 9 works of pixel art and 3 faces, and one that a stage dropped."""
    src = tmp_path / "data" / "split"
    rows = [work(number, domain="pixel", split=("train", "train", "test")[number % 3]) for number in range(8)]
    rows.append(
        work(8, domain="pixel", split="test")
        | {"id": "lospec-" + f"{7:016x}" + "-t00x01", "parent": "lospec-" + f"{7:016x}"}
    )
    faces = [
        manifest.kept({"id": f"sample-{n}", "source": "sample", "licence": "MIT"}, domain="faces", split="val")
        for n in range(3)
    ]
    rows += faces
    for number, row in enumerate(rows):
        path = src / row["domain"] / row["split"] / f"{row['id']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    left_out = manifest.dropped({"id": "lospec-gone", "title": "never told"}, "licence", domain="pixel", split=None)
    manifest.write(src, [*rows, left_out], inputs=[row["id"] for row in [*rows, left_out]])
    return src


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(
        src: Path, format: str, *, out: Path | None = None, licences: Sequence[str] = (), size: int = 1000, force=False
    ):
        return command.run(
            src, out, format=format, licences=licences, shard_size=size, blocked=tmp_path / "blocklist.jsonl",
            exports=tmp_path / "exports", force=force,
        )  # fmt: skip

    return run


def block(tmp_path: Path, *entries: dict[str, Any]) -> None:
    (tmp_path / "blocklist.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


def read_back(stats: dict[str, Any]) -> dict[str, tuple[str, str, bytes, dict[str, Any]]]:
    """id -> group, file name, image, record, by pyarrow or tarfile, in the order of the shards."""
    items = {}
    for group, facts in stats["groups"].items():
        for shard in facts["shards"]:
            path = Path(stats["out"]) / shard["name"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"]
            entries = list(from_tar(path) if path.suffix == ".tar" else from_parquet(path))
            assert len(entries) == shard["works"]
            items |= {record["id"]: (group, name, data, record) for name, data, record in entries}
        assert sum(shard["works"] for shard in facts["shards"]) == facts["works"]
    return items


def from_tar(path: Path):
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        assert {(member.mtime, member.uid, member.gid, member.uname, member.isreg()) for member in members} == {
            (0, 0, 0, "", True)
        }
        for image, text in zip(members[::2], members[1::2], strict=True):
            assert image.name.partition(".")[0] == text.name.removesuffix(".json")
            yield image.name, tar.extractfile(image).read(), json.loads(tar.extractfile(text).read())


def from_parquet(path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for row in parquet.read_table(path).to_pylist():
        image = row.pop("image")
        yield image["path"], image["bytes"], row


@pytest.mark.parametrize("format", FORMATS)
def test_every_work_comes_back_with_its_bytes_and_all_that_is_known_of_it(split, export, format: str) -> None:
    stats = export(split, format)
    items = read_back(stats)
    rows = manifest.read_kept(split)
    assert list(items) == [
        row["id"] for group in stats["groups"] for row in rows if group == f"{row['domain']}/{row['split']}"
    ]
    for row in rows:
        group, name, data, record = items[row["id"]]
        assert (group, name) == (f"{row['domain']}/{row['split']}", f"{row['id']}.png")
        assert data == (split / group / name).read_bytes()
        assert {key: value for key, value in record.items() if value not in (None, [])} == {
            key: value for key, value in row.items() if value not in (None, []) and key != "status"
        }
        assert set(manifest.PROVENANCE) <= record.keys()
        assert not {"status", "reason"} & record.keys()


def test_a_table_has_typed_columns_and_an_image_that_hugging_face_knows(split, export) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    stats = export(split, "parquet")
    schema = parquet.read_schema(Path(stats["out"]) / "pixel/train-000000.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types["image"] == "struct<bytes: binary, path: string>"
    assert (types["ai_generated"], types["cell"], types["native_width"]) == ("bool", "double", "int64")
    assert re.fullmatch(r"list<.*string>", types["tags"])
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert list(features) == schema.names


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_is_the_same_bytes_again(split, export, tmp_path: Path, format: str) -> None:
    once, again = (export(split, format, out=tmp_path / name, size=2) for name in ("one", "two"))
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    export(split, format, out=tmp_path / "one", size=2, force=True)
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    assert {**once, "out": ""} == {**again, "out": ""}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_shards_are_full_but_for_the_last(split, export, format: str, size: int) -> None:
    stats = export(split, format, size=size)
    for group, facts in stats["groups"].items():
        assert all(shard["works"] == size for shard in facts["shards"][:-1])
        assert [shard["name"] for shard in facts["shards"]] == [
            f"{group}-{number:06d}.{'tar' if format == 'webdataset' else 'parquet'}"
            for number in range(len(facts["shards"]))
        ]
    assert len(read_back(stats)) == 12
    shards_of = {row["id"]: row["shard"] for row in manifest.read_kept(Path(stats["out"]))}
    assert len(set(shards_of.values())) == sum(len(facts["shards"]) for facts in stats["groups"].values())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("entry", "blocked"),
    [
        ({"artist": "ANN 1", "source": None}, {1, 4, 7}),
        ({"artist": "ann1", "source": "lospec"}, {1, 4, 7}),
        ({"artist": "ann1", "source": "pixeljoint"}, set()),
        ({"id": f"lospec-{2:016x}"}, {2}),
        ({"id": f"lospec-{7:016x}"}, {7, 8}),
    ],
)
def test_of_a_blocked_work_nothing_goes_out_but_that_it_was_left_out(
    split, export, tmp_path: Path, format: str, entry: dict[str, Any], blocked: set[int]
) -> None:
    """By artist, by the name in a gallery's address, by id, and with a work its tiles."""
    block(tmp_path, entry)
    stats = export(split, format)
    assert stats["reasons"] == ({"blocklist": len(blocked)} if blocked else {})
    assert (stats["inputs"], stats["kept"]) == (12, 12 - len(blocked))
    everything = b"".join(path.read_bytes() for path in Path(stats["out"]).rglob("*") if path.is_file())
    items = read_back(stats)
    text = json.dumps(list(items.values()), default=str, ensure_ascii=False)
    for number in range(9):
        assert (f"“{number}”" in text) == (number not in blocked)
        assert (f"“{number}”" in everything.decode(errors="replace")) == (number not in blocked) or format == "parquet"
        assert any(data == picture(number) for _, _, data, _ in items.values()) == (number not in blocked)
    rows = [row for row in manifest.read(Path(stats["out"])) if row["status"] == "dropped"]
    assert [set(row) for row in rows] == [{"id", "status", "reason"}] * len(blocked)


def test_only_the_licences_that_are_wanted(split, export) -> None:
    stats = export(split, "webdataset", licences=["CC0-1.0", "MIT"])
    assert stats["licences"] == {"CC0-1.0": 3, "MIT": 3}
    assert stats["reasons"] == {"licence": 6}
    assert {record["licence"] for _, _, _, record in read_back(stats).values()} == {"CC0-1.0", "MIT"}
    assert manifest.tally(manifest.read(Path(stats["out"])))["reasons"] == {"licence": 6}


def test_nothing_to_export_is_an_error_and_leaves_nothing(split, export, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to export"):
        export(split, "webdataset", licences=["GPL-2.0"])
    assert not (tmp_path / "exports").exists()
    with pytest.raises(BadInput, match="no manifest"):
        export(tmp_path / "nowhere", "webdataset")


def test_the_card_tells_sources_licences_counts_and_how_to_read(split, export, tmp_path: Path) -> None:
    block(tmp_path, {"id": f"lospec-{2:016x}"})
    card = (Path(export(split, "parquet")["out"]) / "README.md").read_text(encoding="utf-8")
    for words in (
        "11 works of", "| lospec | 8 |", "| CC0-1.0 | 3 |", "| (unknown) | 2 |", "| blocklist | 1 |",
        "path: faces/val-*.parquet",
        "config_name: pixel", 'load_dataset("path/of/this/folder", "faces")',
    ):  # fmt: skip
        assert words in card, words
    assert "faces/val-{000000..000000}.tar" in (Path(export(split, "webdataset")["out"]) / "README.md").read_text(
        "utf-8"
    )


# other folders


def as_served(src: Path) -> list[manifest.Row]:
    """A raw folder: a PNG and an animated GIF under the names of their hashes."""
    gif = io.BytesIO()
    Image.new("P", (3, 3)).save(gif, "GIF", save_all=True, append_images=[Image.new("P", (3, 3), 1)])
    rows = []
    (src / "images").mkdir(parents=True)
    for number, (data, kind, extension) in enumerate(((picture(1), "png", "png"), (gif.getvalue(), "GIF", "gif"))):
        digest = hashlib.sha256(data).hexdigest()
        (src / "images" / f"{digest}.{extension}").write_bytes(data)
        rows.append(work(number, sha256=digest, format=kind, bytes=len(data)))
    rows.append(manifest.failed({"id": "z"}, "not_found"))
    manifest.write(src, rows, inputs=[row["id"] for row in rows])
    return rows


@pytest.mark.parametrize("format", FORMATS)
def test_a_raw_folder_goes_out_as_it_was_served(tmp_path: Path, export, format: str) -> None:
    src = tmp_path / "data" / "raw" / "lospec"
    rows = as_served(src)
    stats = export(src, format)
    assert Path(stats["out"]).name == f"raw-lospec-{format}"
    items = read_back(stats)
    assert [name for _, name, _, _ in items.values()] == [f"{rows[0]['id']}.png", f"{rows[1]['id']}.gif"]
    assert {hashlib.sha256(data).hexdigest() for _, _, data, _ in items.values()} == {row["sha256"] for row in rows[:2]}
    assert list(stats["groups"]) == ["works"]


def test_a_stage_folder_goes_out_by_id(tmp_path: Path, export) -> None:
    src = tmp_path / "data" / "resize"
    (src / "images").mkdir(parents=True)
    row = work(1, sha256="0" * 64)
    (src / "images" / f"{row['id']}.png").write_bytes(picture(5))
    manifest.write(src, [row], inputs=[row["id"]])
    assert read_back(export(src, "webdataset"))[row["id"]][2] == picture(5)


def test_a_missing_or_damaged_image_is_named_and_nothing_is_exported(tmp_path: Path, export) -> None:
    src = tmp_path / "data" / "raw" / "lospec"
    rows = as_served(src)
    path = src / "images" / f"{rows[0]['sha256']}.png"
    path.write_bytes(picture(9))
    with pytest.raises(BadInput, match=rf"{rows[0]['sha256']}\.png.*{rows[0]['id']}: the file is damaged"):
        export(src, "webdataset")
    path.unlink()
    with pytest.raises(BadInput, match=r"the image of lospec-0+ is missing"):
        export(src, "webdataset")
    assert not (tmp_path / "exports" / "raw-lospec-webdataset").exists()


# what must not happen


def test_nothing_is_replaced_unless_forced_and_nothing_but_an_export(split, export, tmp_path: Path) -> None:
    first = export(split, "webdataset")
    before = folder_digest(Path(first["out"]))
    with pytest.raises(BadInput, match="--force replaces it"):
        export(split, "webdataset", size=1)
    assert folder_digest(Path(first["out"])) == before
    assert len(export(split, "webdataset", size=1, force=True)["groups"]["faces/val"]["shards"]) == 3
    (tmp_path / "precious").mkdir()
    with pytest.raises(BadInput, match="is no export"):
        export(split, "webdataset", out=tmp_path / "precious", force=True)
    for out in (split, split / "inside", split.parent):
        with pytest.raises(BadInput, match="is, holds or lies in"):
            export(split, "webdataset", out=out, force=True)
    assert len(manifest.read_kept(split)) == 12


def test_without_pyarrow_the_extra_is_named_before_anything_is_written(split, export, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"needs pyarrow.*extra `export`.*--format webdataset"):
        export(split, "parquet")
    assert not (tmp_path / "exports").exists()
    assert export(split, "webdataset")["kept"] == 12


def test_a_damaged_blocklist_stops_the_export(split, export, tmp_path: Path) -> None:
    (tmp_path / "blocklist.jsonl").write_text("{torn", encoding="utf-8")
    with pytest.raises(BadInput, match=r"blocklist\.jsonl:1"):
        export(split, "webdataset")


def test_images_are_not_held(tmp_path: Path, export) -> None:
    """120 images of 200 kB: 24 MB."""
    src = tmp_path / "data" / "resize"
    (src / "images").mkdir(parents=True)
    rows = [work(number) for number in range(120)]
    for row in rows:
        (src / "images" / f"{row['id']}.png").write_bytes(bytes(200_000))
    manifest.write(src, rows, inputs=[row["id"] for row in rows])
    tracemalloc.start()
    export(src, "webdataset")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000, peak


def test_a_table_is_written_in_groups_of_bounded_size(split, export, monkeypatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(shards, "BATCH", 2)
    stats = export(split, "parquet")
    file = parquet.ParquetFile(Path(stats["out"]) / "pixel/train-000000.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2, 2]
    monkeypatch.setattr(shards, "BATCH_BYTES", 1)
    again = export(split, "parquet", force=True)
    assert parquet.ParquetFile(Path(again["out"]) / "pixel/train-000000.parquet").num_row_groups == 6


@pytest.mark.usefixtures("split")
def test_the_command_exports_data_split_and_says_why_it_does_not(tmp_path: Path) -> None:
    def facetopix(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "pipeline", "export", *arguments]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = facetopix("--format", "webdataset", "--licence", "MIT", "--licence", "CC0-1.0", "--json")
    assert (done.returncode, json.loads(done.stdout)["kept"]) == (0, 6)
    assert (tmp_path / "exports/split-webdataset/pixel/train-000000.tar").is_file()
    again = facetopix("--format", "webdataset")
    assert (again.returncode, again.stdout) == (3, "")
    assert "exports/split-webdataset: exists; --force replaces it" in again.stderr
    assert facetopix("--format", "lmdb").returncode == 2


# columns

TEXT = st.text("aé“\u2028", max_size=3)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.just(2**63) | st.floats(-1, 1) | TEXT
VALUES = SCALARS | st.lists(TEXT | st.integers(0, 3), max_size=3)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=5))
def test_columns_hold_every_value_whatever_the_mixture(records: list[dict[str, Any]]) -> None:
    arrow = pytest.importorskip("pyarrow")
    kinds = kinds_of(records)
    types = {
        "string": arrow.string(), "json": arrow.string(), "bool": arrow.bool_(), "int64": arrow.int64(),
        "float64": arrow.float64(), "strings": arrow.list_(arrow.string()), "ints": arrow.list_(arrow.int64()),
    }  # fmt: skip
    for name, kind in kinds.items():
        values = [record.get(name) for record in records]
        back = arrow.array([cell(value, kind) for value in values], types[kind]).to_pylist()
        for value, got in zip(values, back, strict=True):
            if kind == "json" and value is not None:
                assert json.loads(got) == value
            else:
                assert got == value or (value == [] and got is None)


def test_provenance_columns_are_always_there_and_sorted() -> None:
    names = list(kinds_of([record_of({"id": "a", "status": "kept", "reason": None})]))
    assert names == ["id", *sorted(manifest.PROVENANCE)]


# the libraries that it is for


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_datasets_reads_an_export(split, export) -> None:
    datasets = pytest.importorskip("datasets")
    stats = export(split, "parquet", size=2)
    loaded = datasets.load_dataset(stats["out"], "pixel", cache_dir=str(Path(stats["out"]).parent / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 6, "test": 3}
    assert loaded["train"][0]["image"].size == (4, 4)


@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_an_export(split, export) -> None:
    webdataset = pytest.importorskip("webdataset")
    stats = export(split, "webdataset", size=2)
    urls = [str(Path(stats["out"]) / shard["name"]) for shard in stats["groups"]["pixel/train"]["shards"]]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert [sample["json"]["id"] for sample in samples] == [sample["__key__"].rpartition("/")[2] for sample in samples]
    assert len(samples) == 6
    gc.collect()  # the library leaves its files open
