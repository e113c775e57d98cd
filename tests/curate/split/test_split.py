from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sprites import EVERYTHING, load, noise_art, stage_folder

from pipeline.curate.split import assign, stage
from pipeline.curate.split.params import Split
from pipeline.errors import BadInput
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.similarity import groups

PARAMS = Split(val=0.1, test=0.2, licences=[], min_transparent=0.0, max_transparent=1.0, **EVERYTHING)


def works(prefix: str, count: int) -> dict[str, np.ndarray]:
    start = sum(map(ord, prefix)) * 1000
    return {f"{prefix}-{number:03}": noise_art(start + number)[..., :3] for number in range(count)}


def run(tmp_path, pixel, faces, params=PARAMS, pixel_facts=None, faces_facts=None, seed=7):
    pixel_dir = stage_folder(tmp_path / "resize", pixel, **keyed(pixel_facts))
    faces_dir = stage_folder(tmp_path / "faces", faces, **keyed(faces_facts))
    stats = stage.run(pixel_dir, faces_dir, tmp_path / "split", params, seed)
    return stats, {row["id"]: row for row in manifest.read(tmp_path / "split")}


def keyed(facts):
    return {name.replace("-", "_"): value for name, value in (facts or {}).items()}


def test_shares_are_met_and_every_work_is_a_file_of_its_split(tmp_path) -> None:
    stats, rows = run(tmp_path, works("p", 60), works("f", 30))
    assert stats["works"] == {"pixel": {"train": 42, "val": 6, "test": 12}, "faces": {"train": 21, "val": 3, "test": 6}}
    for name, row in rows.items():
        path = tmp_path / "split" / row["domain"] / row["split"] / f"{name}.png"
        assert path.is_file()
    assert len(list((tmp_path / "split").rglob("*.png"))) == 90
    np.testing.assert_array_equal(load(tmp_path / "resize", "p-003"), works("p", 4)["p-003"])


def test_an_artist_stands_in_one_split_only(tmp_path) -> None:
    facts = {f"p-{number:03}": {"artist": f"artist {number % 9}"} for number in range(60)}
    stats, rows = run(tmp_path, works("p", 60), works("f", 6), pixel_facts=facts)
    splits = {(row["artist"], row["split"]) for row in rows.values() if row["artist"]}
    assert len(splits) == 9
    assert sum(stats["artists"]["pixel"].values()) == 9
    assert all(stats["works"]["pixel"].values())


def test_one_name_in_two_galleries_is_two_artists(tmp_path) -> None:
    facts = {f"p-{number:03}": {"artist": "anna", "source": f"g{number}"} for number in range(10)}
    stats, _ = run(tmp_path, works("p", 10), works("f", 6), pixel_facts=facts)
    assert stats["works"]["pixel"] == {"train": 7, "val": 1, "test": 2}


def test_families_identities_and_tiles_stay_together(tmp_path) -> None:
    facts = {
        f"p-{n:03}": {key: f"{key} {n // 3}"}
        for n in range(45)
        for key in [("family", "identity", "parent")[n // 3 % 3]]
    }
    _, rows = run(tmp_path, works("p", 45), works("f", 6), pixel_facts=facts)
    for start in range(0, 45, 3):
        assert len({rows[f"p-{start + offset:03}"]["split"] for offset in range(3)}) == 1
    assert len({row["split"] for row in rows.values()}) == 3


def domain(holding: list[list[int]]) -> stage.Domain:
    """Works by number, each with the addresses that it holds."""
    works = stage.Domain("pixel", Path("unread"))
    for number, addresses in enumerate(holding):
        works.add(str(number), [("address", str(address)) for address in addresses], None)
    return works


def test_groups_join_through_a_common_member() -> None:
    assert domain([[7], [9], [7, 5], [5], []]).labels().tolist() == [0, 1, 0, 0, 4]


@pytest.mark.parametrize("links", [0, 5, 60, 300])
def test_groups_are_the_connected_components(links: int) -> None:
    rng = np.random.default_rng(links)
    holders, shared = rng.integers(0, 100, links), rng.integers(0, 80, links)
    holding = [holders[shared == value].tolist() for value in np.unique(shared)]
    pairs = [pair for members in holding for pair in pairwise(members)]
    expected = groups.components(range(100), pairs)
    labels = domain([shared[holders == number].tolist() for number in range(100)]).labels()
    assert sorted(map(min, expected)) == sorted(set(labels.tolist()))
    assert all(set(labels[members].tolist()) == {min(members)} for members in expected)


def test_a_long_chain_is_one_group() -> None:
    members = np.random.default_rng(1).permutation(5000)
    assert set(domain([[place, place + 1] for place in members.tolist()]).labels().tolist()) == {0}


def test_equal_pixels_stand_in_one_split(tmp_path) -> None:
    same = {f"p-{number:03}": noise_art(1)[..., :3] for number in range(12)}
    _, rows = run(tmp_path, {**same, **works("q", 20)}, works("f", 6))
    assert len({rows[name]["split"] for name in same}) == 1


def test_faces_are_grouped_by_identity_before_artist(tmp_path) -> None:
    facts = {f"f-{n:03}": {"artist": "one photographer", "identity": f"person {n // 2}"} for n in range(40)}
    stats, rows = run(tmp_path, works("p", 9), works("f", 40), faces_facts=facts)
    assert stats["works"]["faces"] == {"train": 28, "val": 4, "test": 8}
    assert all(rows[f"f-{n:03}"]["split"] == rows[f"f-{n + 1:03}"]["split"] for n in range(0, 40, 2))


def test_faces_without_identity_are_grouped_by_artist(tmp_path) -> None:
    facts = {f"f-{n:03}": {"artist": f"painter {n // 5}"} for n in range(40)}
    _, rows = run(tmp_path, works("p", 9), works("f", 40), faces_facts=facts)
    assert all(len({rows[f"f-{n + k:03}"]["split"] for k in range(5)}) == 1 for n in range(0, 40, 5))


def test_three_groups_fill_three_splits(tmp_path) -> None:
    facts = {f"p-{n:03}": {"artist": "prolific" if n < 18 else f"artist {n}"} for n in range(20)}
    stats, _ = run(tmp_path, works("p", 20), works("f", 3), pixel_facts=facts)
    assert stats["works"]["pixel"] == {"train": 18, "val": 1, "test": 1}
    assert stats["works"]["faces"] == {"train": 1, "val": 1, "test": 1}


def test_a_share_of_nothing_gets_nothing(tmp_path) -> None:
    stats, _ = run(tmp_path, works("p", 10), works("f", 10), params=PARAMS.model_copy(update={"val": 0.0}))
    assert stats["works"]["pixel"] == {"train": 8, "val": 0, "test": 2}
    assert (tmp_path / "split" / "pixel" / "val").is_dir()


def test_an_empty_domain_is_no_error(tmp_path) -> None:
    stats, _ = run(tmp_path, {}, works("f", 10))
    assert stats["works"]["pixel"] == {"train": 0, "val": 0, "test": 0}


def test_the_seed_decides_and_only_the_seed(tmp_path) -> None:
    splits = []
    for number, seed in enumerate((7, 7, 8)):
        _, rows = run(tmp_path / str(number), works("p", 40), works("f", 20), seed=seed)
        splits.append({name: row["split"] for name, row in rows.items()})
    assert splits[0] == splits[1] != splits[2]


def test_more_faces_do_not_reshuffle_the_pixel_domain(tmp_path) -> None:
    _, few = run(tmp_path / "few", works("p", 40), works("f", 20))
    _, many = run(tmp_path / "many", works("p", 40), works("f", 30))
    assert {n: r["split"] for n, r in few.items() if n[0] == "p"} == {
        n: r["split"] for n, r in many.items() if n[0] == "p"
    }


def test_works_under_other_licences_are_dropped(tmp_path) -> None:
    facts = {f"p-{n:03}": {"licence": "CC0-1.0" if n % 2 else "CC-BY-4.0"} for n in range(20)}
    faces = {f"f-{n:03}": {"licence": "CC0-1.0"} for n in range(6)}
    params = PARAMS.model_copy(update={"licences": ["CC0-1.0"]})
    stats, rows = run(tmp_path, works("p", 20), works("f", 6), params=params, pixel_facts=facts, faces_facts=faces)
    assert stats["reasons"] == {"licence": 10}
    assert (rows["p-000"]["reason"], rows["p-000"]["split"]) == ("licence", None)
    assert len(list((tmp_path / "split" / "pixel").rglob("*.png"))) == 10


def test_an_id_in_both_domains_is_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match="1 ids are in the pixel and in the faces domain, first p-000"):
        run(tmp_path, works("p", 5), works("p", 1))


def test_equal_sized_groups_are_dealt_at_random_not_by_name() -> None:
    assigned = assign.assign(np.arange(50), {"train": 0.5, "val": 0.0, "test": 0.5}, 7, "pixel")
    assert np.bincount(assigned).tolist() == [25, 0, 25]
    assert 5 <= np.count_nonzero(assigned[:25] == 0) <= 20


def test_a_second_run_looks_at_no_picture_again_and_writes_the_same_bytes(tmp_path, caplog) -> None:
    pixel = stage_folder(tmp_path / "resize", works("p", 30))
    faces = stage_folder(tmp_path / "faces", works("f", 6))
    caplog.set_level("INFO")
    for name, state in (("one", "state"), ("two", "state"), ("plain", None)):
        stage.run(pixel, faces, tmp_path / name, PARAMS, 7, state=state and tmp_path / state)
    assert [record.getMessage() for record in caplog.records if "remembered" in record.getMessage()] == [
        f"split: 36 images, {count} of them remembered" for count in (0, 36, 0)
    ]
    assert len({folder_digest(tmp_path / name) for name in ("one", "two", "plain")}) == 1


def test_a_picture_that_is_none_is_named(tmp_path) -> None:
    pixel, faces = stage_folder(tmp_path / "resize", works("p", 3)), stage_folder(tmp_path / "faces", works("f", 3))
    (pixel / "images" / "p-001.png").write_bytes(b"no picture")
    for _ in range(2):  # the second time from the cache
        with pytest.raises(BadInput, match=r"p-001\.png: not a readable"):
            stage.run(pixel, faces, tmp_path / "split", PARAMS, 7, state=tmp_path / "state")
