"""Groups that would be most of a data set are taken apart without a leak, and what a split will miss is said."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sprites import EVERYTHING, noise_art, rows_of, stage_folder

from pipeline.curate.split import bridges, stage
from pipeline.curate.split.domains import Domain
from pipeline.curate.split.params import Split
from pipeline.errors import BadInput

PARAMS = Split(
    val=0.1, test=0.2, licences=[], min_transparent=0.0, max_transparent=1.0, **{**EVERYTHING, "max_group": 0.5}
)
Facts = dict[str, dict[str, Any]]


def run(
    tmp_path: Path, art: Facts, people: Facts | None = None, seed: int = 7, pictures: Any = None, **sets: Any
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Split artworks and faces, by id with their facts; every picture is another unless `pictures` has it."""
    people = {f"f-{number:03}": {} for number in range(20)} if people is None else people
    folders = []
    for name, works in (("resize", art), ("faces", people)):
        drawn = {id: noise_art(1000 * len(folders) + index)[..., :3] for index, id in enumerate(works)}
        facts = {id.replace("-", "_"): fact for id, fact in works.items()}
        folders.append(
            stage_folder(tmp_path / name, drawn | {k: v for k, v in (pictures or {}).items() if k in works}, **facts)
        )
    stats = stage.run(*folders, tmp_path / "split", PARAMS.model_copy(update=sets), seed)
    return stats, rows_of(tmp_path / "split")


def chained(fact: str, artists: int = 12, each: int = 8) -> Facts:
    """Artists of two galleries, each joined to the next by two works of theirs that are like one of the next one's."""
    works: Facts = {}
    for artist in range(artists):
        for number in range(each):
            works[f"p-{artist:02}{number}"] = {"artist": f"a{artist}", "source": ("lospec", "pixeljoint")[artist % 2]}
        for work in (f"p-{artist:02}0", f"p-{artist:02}1"):
            works[work][fact] = f"like {artist}"
        works[f"p-{artist:02}2"][fact] = f"like {(artist + 1) % artists}"
    if fact == "identity":
        for facts in works.values():
            facts["source"] = "lospec"
    return works | {f"p-x{number:02}": {"source": "pixiehaus"} for number in range(24)}


def sides(rows: dict[str, dict[str, Any]], *keys: str) -> dict[str, set[str]]:
    """The splits in which a value of a key is found."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows.values():
        if row["status"] == "kept":
            for key in keys:
                if row.get(key):
                    found[f"{key} {row[key]}"].add(row["split"])
    return found


@pytest.mark.parametrize("fact", ["family", "identity"])
@pytest.mark.parametrize("seed", range(3))
def test_artists_whom_likenesses_join_are_dealt_apart_and_no_likeness_is_on_two_sides(tmp_path, fact, seed) -> None:
    works = chained(fact)
    stats, rows = run(tmp_path, works, seed=seed)
    assert all(len(found) == 1 for found in sides(rows, fact, "artist").values())
    assert all(stats["artists"]["pixel"][split] for split in ("train", "test"))
    cut = {id: row for id, row in rows.items() if row["status"] == "dropped"}
    assert 0 < len(cut) <= 12
    assert all(row["reason"] == "bridge" and row["bridge"][0] == fact and row["split"] is None for row in cut.values())
    for row in cut.values():  # what it shares is kept, on one side
        assert sides(rows, fact)[f"{fact} {row[fact]}"]
    assert stats["reasons"] == {"bridge": len(cut)}
    assert sum(stats["works"]["pixel"].values()) == len(works) - len(cut)
    assert max(group["share"] for group in stats["groups"]["pixel"]) <= 0.5


def test_the_artist_with_most_of_a_family_keeps_it(tmp_path) -> None:
    """Two artists, one recolour by the second of the first one's three: they are on two sides, and that one leaves."""
    works: Facts = {f"p-{number:02}": {"artist": "Ann" if number < 10 else "Bob"} for number in range(20)}
    for work in ("p-00", "p-01", "p-02", "p-19"):
        works[work]["family"] = "p-00"
    stats, rows = run(tmp_path, works)
    assert {id: row["bridge"] for id, row in rows.items() if row["reason"]} == {"p-19": ["family", "p-00"]}
    assert stats["works"]["pixel"] == {"train": 10, "val": 0, "test": 9}


def test_what_recolours_and_equal_pixels_join_is_taken_apart_too(tmp_path) -> None:
    works: Facts = {f"p-{number:02}": {"artist": f"a{number // 5}", "background": "#000000"} for number in range(40)}
    pictures = {}
    for number in range(0, 40, 5):  # the first work of each artist is like the second of the next, every other exactly
        picture = noise_art(5000 + number)[..., :3]
        pictures[f"p-{number:02}"] = picture
        pictures[f"p-{(number + 6) % 40:02}"] = (
            picture if number % 10 else (picture.astype(int) * 3 // 4 + 17).astype(np.uint8)
        )
    stats, rows = run(tmp_path, works, pictures=pictures)
    assert 0 < stats["reasons"]["bridge"] <= 8
    assert {row["bridge"][0] for row in rows.values() if row["reason"]} <= {"pixels", "kinship"}
    for number in range(0, 40, 5):
        alike = [rows[f"p-{number:02}"], rows[f"p-{(number + 6) % 40:02}"]]
        assert len({row["split"] for row in alike if row["status"] == "kept"}) == 1


def test_works_that_nobody_is_named_of_stay_with_whom_they_are_like(tmp_path) -> None:
    """A bridge is between two persons: a family without, and one with a single artist, is never cut."""
    works = chained("family", artists=6)
    works |= {f"p-y{number:02}": {"family": "like 0" if number < 6 else "unsigned"} for number in range(12)}
    stats, rows = run(tmp_path, works)
    assert {row["bridge"][1] for row in rows.values() if row["reason"]}.isdisjoint({"unsigned"})
    assert len({row["split"] for row in rows.values() if row.get("family") == "unsigned"}) == 1
    assert stats["reasons"]["bridge"] <= 6


def test_a_family_that_is_most_of_all_is_no_bridge(tmp_path) -> None:
    works: Facts = {f"p-{number:02}": {"family": "p-00"} if number < 14 else {} for number in range(20)}
    stats, rows = run(tmp_path, works)
    assert stats["works"]["pixel"] == {"train": 14, "val": 2, "test": 4}
    assert {row["split"] for row in rows.values() if row.get("family")} == {"train"}
    assert stats["warnings"] == [
        "14 of 20 artworks are one group, more than split.max_group (0.5): one person's works are taken apart only "
        "with split.allow_shared_identity, one family's never"
    ]


@pytest.mark.parametrize(("max_group", "cut"), [(0.5, 0), (0.2, 1)])
def test_a_group_within_the_limit_is_not_taken_apart(tmp_path, max_group, cut) -> None:
    works: Facts = {f"p-{number:02}": {"artist": f"a{number // 4}"} for number in range(24)}
    works["p-00"]["family"] = works["p-04"]["family"] = works["p-08"]["family"] = "p-00"
    stats, rows = run(tmp_path, works, max_group=max_group)
    one_side = len({rows[f"p-{number:02}"]["split"] for number in range(12)}) == 1
    assert one_side is not bool(cut)
    assert bool(stats["dropped"]) is bool(cut)


def test_a_person_may_let_one_group_be_everything_and_hears_what_that_costs(tmp_path) -> None:
    with pytest.raises(BadInput, match=r"^no artworks for the test split: all 96 are one group; bring more, or set"):
        run(tmp_path, {id: facts for id, facts in chained("family").items() if "x" not in id}, max_group=1.0)
    assert not (tmp_path / "split").exists()
    stats, _ = run(tmp_path, chained("family"), max_group=1.0)
    assert stats["dropped"] == 0
    assert stats["groups"]["pixel"] == [
        {"works": 96, "share": 0.8, "split": "train", "first": "p-000", "artists": 12},
    ]
    assert stats["sources"]["pixel"]["train"] == {"lospec": 48, "pixeljoint": 48}
    assert stats["warnings"] == [
        "none of the 48 artworks of lospec in val, test",
        "none of the 48 artworks of pixeljoint in val, test",
        "none of the 24 artworks of pixiehaus in train",
        "no artworks of a named artist in val, test; a lower split.max_group deals them more evenly",
    ]


@pytest.mark.parametrize("domain", ["faces", "pixel"])
@pytest.mark.parametrize("fact", ["identity", "artist"])
def test_who_has_one_person_only_hears_so_and_may_share_it(tmp_path, domain, fact) -> None:
    prefix = domain[0]
    one: Facts = {f"{prefix}-{number:02}": {fact: "Bo"} for number in range(20)}
    one |= {f"{prefix}-2{number}": {fact: "Bo", "family": "versions"} for number in range(3)}
    other: Facts = {f"z-{number:02}": {fact: f"person {number // 3}"} for number in range(30)}
    art, people = (one, other) if domain == "pixel" else (other, one)
    noun = "artworks" if domain == "pixel" else "faces"
    told = rf"^no {noun} for the test split: all 23 are one person's \([Bb]o\); .*split\.allow_shared_identity"
    with pytest.raises(BadInput, match=told):
        run(tmp_path, art, people)
    stats, rows = run(tmp_path, art, people, allow_shared_identity=True)
    assert stats["works"][domain] == {"train": 16, "val": 2, "test": 5}
    assert len({rows[f"{prefix}-2{number}"]["split"] for number in range(3)}) == 1
    assert stats["dropped"] == 0
    assert all(len(found) == 1 for found in sides({i: r for i, r in rows.items() if i[0] == "z"}, fact).values())


def test_one_person_with_most_of_the_works_is_told_and_taken_apart_on_request(tmp_path) -> None:
    works: Facts = {f"p-{number:02}": {"artist": "Ann" if number < 18 else f"a{number}"} for number in range(24)}
    stats, _ = run(tmp_path, works)
    assert stats["warnings"][-1].startswith("18 of 24 artworks are one group, more than split.max_group (0.5)")
    stats, _ = run(tmp_path, works, allow_shared_identity=True)
    assert stats["works"]["pixel"] == {"train": 17, "val": 2, "test": 5}
    assert stats["warnings"] == []


def test_two_groups_are_one_to_train_and_one_to_test_on(tmp_path) -> None:
    works: Facts = {f"p-{number}": {"artist": "Ann" if number < 3 else "Bob"} for number in range(5)}
    stats, _ = run(tmp_path, works)
    assert stats["works"]["pixel"] == {"train": 3, "val": 0, "test": 2}
    assert stats["warnings"][:3] == ["only 3 artworks in train", "no artworks in val", "only 2 artworks in test"]


def test_no_test_pictures_on_request_are_no_error_but_told(tmp_path) -> None:
    stats, _ = run(tmp_path, {"p-1": {"artist": "Ann"}}, test=0.0, val=0.0)
    assert "no artworks in test: its share is 0" in stats["warnings"]
    with pytest.raises(BadInput, match=r"^split\.val and split\.test leave no artworks to train on"):
        run(tmp_path, {f"p-{number}": {} for number in range(4)}, test=0.5, val=0.5)


def test_a_leak_between_those_that_stayed_is_found_after_the_first_of_them_left() -> None:
    works = Domain("pixel", Path("unread"))
    for number in range(4):
        works.add(str(number), [("family", "f" if number != 1 else "g")], None)
    stage.check_leaks(works, np.array([bridges.OUT, 0, 2, 2], np.int8))
    with pytest.raises(BadInput, match=r"^leak: 3 \(test\) and 2 \(train\) share family f$"):
        stage.check_leaks(works, np.array([bridges.OUT, 0, 0, 2], np.int8))
