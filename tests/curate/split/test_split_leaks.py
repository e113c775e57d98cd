"""Works that belong together never stand in two splits: the stage deals them together, another deal stops the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sprites import EVERYTHING, noise_art, stage_folder

from pipeline.curate.split import stage
from pipeline.curate.split.params import Split
from pipeline.errors import BadInput
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest

PARAMS = Split(val=0.0, test=0.5, licences=[], min_transparent=0.0, max_transparent=1.0, **EVERYTHING)
A, B = "lospec-0000000000000001", "pixeljoint-0000000000000002"
ART, SIMPLE = noise_art(1)[..., :3], noise_art(3, 6, 6)[..., :3]


def scatter(labels: np.ndarray, *_: object) -> np.ndarray:
    """A deal that ignores groups: every other work is tested on."""
    splits = stage.SPLITS.index("train"), stage.SPLITS.index("test")
    return np.array([splits[number % 2] for number in range(len(labels))], np.int8)


def big(art: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
    """On a 24 x 24 ground, four pixels to a cell, as the resize stage leaves it."""
    ground = np.zeros((24, 24, 3), np.uint8)
    ground[top : top + art.shape[0], left : left + art.shape[1]] = art
    return ground.repeat(4, 0).repeat(4, 1)


def recoloured(art: np.ndarray) -> np.ndarray:
    return (art.astype(np.int16) * 3 // 4 + 17).astype(np.uint8)


def folders(tmp_path: Path, domain: str, works: dict[str, tuple[np.ndarray, dict[str, Any]]]) -> tuple[Path, Path]:
    """Both domains' stage folders; `works` (id -> picture and facts) in one of them, eight unrelated ones in each."""
    stages = {}
    for number, name in enumerate(("pixel", "faces")):
        members = dict(works) if name == domain else {}
        seeds = range(1000 * number + 50, 1000 * number + 58)
        members |= {f"z{name}-{seed:04}": (big(noise_art(seed)[..., :3]), {}) for seed in seeds}
        pictures = {work: picture for work, (picture, _) in members.items()}
        facts = {work.replace("-", "_"): {"background": "#000000", **fact} for work, (_, fact) in members.items()}
        stages[name] = stage_folder(tmp_path / name, pictures, **facts)
    return stages["pixel"], stages["faces"]


def distinct(*facts: dict[str, Any]) -> list[tuple[np.ndarray, dict[str, Any]]]:
    return [(big(noise_art(10 + index)[..., :3]), fact) for index, fact in enumerate(facts)]


def pair(first: str, second: str, members: list[tuple[np.ndarray, dict[str, Any]]]) -> dict:
    return {first: members[0], second: members[1]}


SIBLINGS = {
    "equal pixels": ("pixel", pair(A, B, [(big(ART), {}), (big(ART), {})]), "pixels"),
    "mirror images": ("pixel", pair(A, B, [(big(ART), {}), (big(ART)[:, ::-1], {})]), "pixels"),
    "moved on the ground": ("pixel", pair(A, B, [(big(ART), {}), (big(ART, 4, 7), {})]), "kinship"),
    "recolours": ("pixel", pair(A, B, [(big(ART), {}), (big(recoloured(ART)), {})]), "kinship"),
    "mirrored recolours": ("pixel", pair(A, B, [(big(ART), {}), (big(recoloured(ART)[:, ::-1]), {})]), "kinship"),
    "near families": ("pixel", pair(A, B, distinct({"family": A}, {"family": A})), f"family {A}"),
    "one identity": ("pixel", pair(A, B, distinct({"identity": "elf"}, {"identity": "elf"})), "identity s elf"),
    "one artist": ("pixel", pair(A, B, distinct({"artist": "Ann"}, {"artist": "Ann"})), "artist s ann"),
    "one artist, spelt twice": (
        "pixel", pair(A, B, distinct({"artist": "Ann"}, {"artist": "ANN "})), "artist s ann",
    ),
    "frames": ("pixel", pair(f"{A}-f000", f"{A}-f003", distinct({"parent": A}, {"parent": A})), f"work {A}"),
    "a work and its frame": ("pixel", pair(A, f"{A}-f003", distinct({}, {"parent": A})), f"work {A}"),
    "tiles": (
        "pixel", pair(f"{A}-t00x00", f"{A}-t01x00", distinct({"parent": A}, {"parent": A})), f"work {A}",
    ),
    "tiles of two frames": (
        "pixel",
        pair(
            f"{A}-f000-t00x00", f"{A}-f003-t01x00", distinct({"parent": f"{A}-f000"}, {"parent": f"{A}-f003"})
        ),
        f"work {A}",
    ),
    "crops of one photograph": (
        "faces", pair(f"{A}-c01", f"{A}-c02", distinct({"parent": A}, {"parent": A})), f"work {A}",
    ),
    "mirrored faces": ("faces", pair(A, B, [(big(ART), {}), (big(ART)[:, ::-1], {})]), "pixels"),
    "alternates among faces": ("faces", pair(A, B, distinct({"family": A}, {"family": A})), f"family {A}"),
    "one person": ("faces", pair(A, B, distinct({"identity": "Bo"}, {"identity": "Bo"})), "identity s Bo"),
    "one photographer of unknown people": (
        "faces", pair(A, B, distinct({"artist": "Ann"}, {"artist": "Ann"})), "artist s ann",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SIBLINGS)
def test_a_leak_stops_the_run_and_names_what_is_shared(tmp_path, kind) -> None:
    domain, works, shared = SIBLINGS[kind]
    pixel, faces = folders(tmp_path, domain, works)
    first, second = sorted(works)
    with pytest.raises(BadInput, match=rf"leak: {second} \(test\) and {first} \(train\) share {shared}"):
        stage.run(pixel, faces, tmp_path / "split", PARAMS, 7, deal=scatter)
    assert not (tmp_path / "split").exists()


@pytest.mark.parametrize("kind", SIBLINGS)
def test_the_stage_itself_keeps_them_together(tmp_path, kind) -> None:
    domain, works, _ = SIBLINGS[kind]
    pixel, faces = folders(tmp_path, domain, works)
    for seed in range(4):
        stage.run(pixel, faces, tmp_path / "split", PARAMS, seed)
        rows = {row["id"]: row for row in manifest.read(tmp_path / "split")}
        assert len({rows[work]["split"] for work in works}) == 1


STRANGERS = {
    "no relation": ("pixel", pair(A, B, distinct({}, {}))),
    "one name in two sources": (
        "pixel", pair(A, B, distinct({"artist": "Ann", "source": "a"}, {"artist": "Ann", "source": "b"})),
    ),
    "two people of one photographer": (
        "faces",
        pair(A, B, distinct({"artist": "Ann", "identity": "Bo"}, {"artist": "Ann", "identity": "Cy"})),
    ),
    "simple pictures": (
        "pixel", pair(A, B, [(big(SIMPLE), {}), (big(recoloured(SIMPLE)), {})]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_not_surely_one_thing_may_be_split(tmp_path, kind) -> None:
    domain, works = STRANGERS[kind]
    stage.run(*folders(tmp_path, domain, works), tmp_path / "split", PARAMS, 7, deal=scatter)
    rows = {row["id"]: row["split"] for row in manifest.read(tmp_path / "split")}
    assert sorted(rows[work] for work in works) == ["test", "train"]


def dedup_folder(folder: Path, copy_artist: str) -> Path:
    """Ann shows one work at lospec and, as `copy_artist`, its copy at pixeljoint."""
    first = {"id": "lospec-00000000000000aa", "source": "lospec", "artist": "Ann"}
    copy = {"id": "pixeljoint-00000000000000bb", "source": "pixeljoint", "artist": copy_artist}
    rows = [manifest.kept(first), manifest.dropped(copy, "near_duplicate", in_favour_of=first["id"])]
    manifest.write(folder, rows, inputs=[first["id"], copy["id"]])
    return folder


CROSSPOSTED = pair(A, B, distinct({"artist": "Ann", "source": "lospec"}, {"artist": "ann", "source": "pixeljoint"}))


def test_one_name_in_two_sources_is_one_artist_where_both_show_one_work(tmp_path) -> None:
    """The common work itself need not have come this far."""
    pixel, faces = folders(tmp_path, "pixel", CROSSPOSTED)
    dedup = dedup_folder(tmp_path / "dedup", "Ann")
    with pytest.raises(BadInput, match="share artist lospec ann"):
        stage.run(pixel, faces, tmp_path / "split", PARAMS, 7, dedup, deal=scatter)
    stats = stage.run(pixel, faces, tmp_path / "split", PARAMS, 7, dedup)
    assert len({row["split"] for row in manifest.read(tmp_path / "split") if row["id"] in CROSSPOSTED}) == 1
    assert sum(stats["artists"]["pixel"].values()) == 1


def test_a_copy_under_another_name_makes_nobody_one_artist(tmp_path) -> None:
    pixel, faces = folders(tmp_path, "pixel", CROSSPOSTED)
    stage.run(pixel, faces, tmp_path / "split", PARAMS, 7, dedup_folder(tmp_path / "dedup", "Bob"), deal=scatter)
    assert stage.same_artists(dedup_folder(tmp_path / "other", "Bob")) == {}


def test_two_runs_write_the_same_bytes(tmp_path) -> None:
    domain, works, _ = SIBLINGS["tiles of two frames"]
    pixel, faces = folders(tmp_path, domain, works)
    for name in ("a", "b"):
        stage.run(pixel, faces, tmp_path / name, PARAMS, 7)
    assert folder_digest(tmp_path / "a") == folder_digest(tmp_path / "b")


def test_pictures_are_linked_not_copied_where_the_file_system_can(tmp_path) -> None:
    pixel, faces = folders(tmp_path, "pixel", {})
    stage.run(pixel, faces, tmp_path / "split", PARAMS, 7)
    for path in (tmp_path / "split").rglob("*.png"):
        origin = (pixel if "pixel" in path.parts[-3] else faces) / "images" / path.name
        assert path.stat().st_ino == origin.stat().st_ino
    stage.run(pixel, faces, tmp_path / "split", PARAMS, 8)
    assert len(list((pixel / "images").iterdir())) == 8


def transparent(tmp_path: Path, low: float, high: float, shares: list[float | None]) -> tuple[dict, dict]:
    facts = [{} if share is None else {"transparent_share": share} for share in shares]
    works = {f"p-{index:03}": member for index, member in enumerate(distinct(*facts))}
    params = PARAMS.model_copy(update={"min_transparent": low, "max_transparent": high})
    stats = stage.run(*folders(tmp_path, "pixel", works), tmp_path / "split", params, 7)
    return stats, {row["id"]: row for row in manifest.read(tmp_path / "split")}


def test_artworks_outside_the_wanted_share_of_transparency_are_dropped(tmp_path) -> None:
    stats, rows = transparent(tmp_path, 0.2, 0.6, [0.0, 0.2, 0.4, 0.6, 0.61, None])
    names = [name for name, row in rows.items() if name[0] == "p" and row["status"] == "kept"]
    assert names == ["p-001", "p-002", "p-003"]
    assert stats["reasons"] == {"transparency": 3 + 8}  # the eight others have no share; faces are let through
    assert (rows["p-000"]["split"], rows["p-002"]["transparent_share"]) == (None, 0.4)
    assert {row["domain"] for row in rows.values() if row["status"] == "dropped"} == {"pixel"}
    assert sorted(path.stem for path in (tmp_path / "split" / "pixel").rglob("*.png")) == names


def test_the_whole_range_lets_everything_through(tmp_path) -> None:
    stats, _ = transparent(tmp_path, 0.0, 1.0, [0.0, 1.0, None])
    assert stats["dropped"] == 0


def test_the_manifest_says_what_the_folders_hold(tmp_path) -> None:
    pixel, faces = folders(tmp_path, "pixel", SIBLINGS["frames"][1])
    stats = stage.run(pixel, faces, tmp_path / "split", PARAMS, 7)
    for line in (tmp_path / "split" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert (tmp_path / "split" / row["domain"] / row["split"] / f"{row['id']}.png").is_file()
    assert sum(sum(works.values()) for works in stats["works"].values()) == stats["kept"] == 18
