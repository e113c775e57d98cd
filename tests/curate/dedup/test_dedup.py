from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from PIL import Image
from sprites import FOE, HERO, SERIAL, art, encoded, load, noise_art, raw_folder, rows_of, scaled

from pipeline.curate.dedup import stage
from pipeline.curate.dedup.params import Dedup
from pipeline.errors import BadInput
from pipeline.images import canonical
from pipeline.images.files import read_rgba
from pipeline.runtime import manifest
from pipeline.runtime.settings import Executor
from pipeline.similarity import search

PARAMS = Dedup(max_distance=10, max_difference=8.0, overrides=os.devnull, frames="first", most_frames=4)


def deduplicate(tmp_path, works, **facts):
    src = raw_folder(tmp_path / "raw" / "gallery", works, **facts)
    stats = stage.run([src], tmp_path / "dedup", PARAMS, SERIAL)
    return stats, rows_of(tmp_path / "dedup")


def decisions(tmp_path):
    return [json.loads(line) for line in (tmp_path / "dedup" / "decisions.jsonl").read_text().splitlines()]


def big_face(shift: int = 0) -> np.ndarray:
    """40x40 with alpha, flat areas, eyes; `shift` moves the mouth: another expression."""
    y, x = np.mgrid[:40, :40] - 19.5
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[x**2 + y**2 < 330] = (40, 26, 50, 255)
    rgba[x**2 + (y - 2) ** 2 < 220] = (236, 188, 150, 255)
    rgba[(abs(abs(x) - 6) < 2) & (abs(y) < 2)] = (30, 60, 150, 255)
    rgba[(abs(x) < 5) & (abs(y - 8 - shift) < 1)] = (150, 40, 50, 255)
    rgba[(x + 2 * y < -22) & (rgba[..., 3] > 0)] = (120, 60, 160, 255)
    rgba[(x - 3) ** 2 + (y - 13) ** 2 < 6] = (90, 190, 90, 255)
    return rgba


def pad(rgba: np.ndarray, left: int, top: int) -> np.ndarray:
    return np.pad(rgba, ((top, 3), (left, 2), (0, 0)))


@pytest.mark.parametrize(
    "copy",
    [
        scaled(art(HERO), 3),
        pad(scaled(art(HERO), 4), 7, 7),
    ],
    ids=["enlarged", "both"],
)
def test_padded_and_enlarged_copies_are_duplicates_of_the_native(tmp_path, copy) -> None:
    stats, rows = deduplicate(tmp_path, {"g-b": encoded(art(HERO)), "g-a": encoded(copy), "g-c": encoded(art(FOE))})
    assert (rows["g-a"]["status"], rows["g-a"]["reason"]) == ("dropped", "duplicate")
    assert rows["g-a"]["in_favour_of"] == "g-b"
    assert stats["kept"] == 2
    assert decisions(tmp_path) == [
        {"kept": "g-b", "dropped": "g-a", "in_favour_of": "g-b", "tier": "exact", "distance": 0.0}
    ]


def test_padding_makes_no_other_work(tmp_path) -> None:
    _, rows = deduplicate(tmp_path, {"g-1": encoded(art(HERO)), "g-2": encoded(pad(art(HERO), 5, 1))})
    assert (rows["g-2"]["reason"], rows["g-2"]["in_favour_of"]) == ("duplicate", "g-1")


def test_hidden_colour_under_alpha_0_is_no_difference_and_is_gone_from_the_output(tmp_path) -> None:
    hidden = art(HERO).copy()
    hidden[hidden[..., 3] == 0, :3] = (255, 0, 255)
    _, rows = deduplicate(tmp_path, {"g-1": encoded(hidden), "g-2": encoded(art(HERO))})
    assert rows["g-2"]["reason"] == "duplicate"
    np.testing.assert_array_equal(load(tmp_path / "dedup", "g-1"), art(HERO))


def test_of_equal_copies_the_smallest_id_stays(tmp_path) -> None:
    _, rows = deduplicate(tmp_path, {name: encoded(noise_art(1)) for name in ("g-3", "g-1", "g-2")})
    assert [name for name, row in rows.items() if row["status"] == "kept"] == ["g-1"]


def test_a_jpeg_copy_is_dropped_in_favour_of_the_lossless_work(tmp_path) -> None:
    jpeg = encoded(np.array(search.on_ground(scaled(big_face(), 4), 255)), "JPEG", quality=90)
    _, rows = deduplicate(tmp_path, {"g-a": jpeg, "g-b": encoded(big_face())})
    assert (rows["g-a"]["reason"], rows["g-a"]["in_favour_of"]) == ("near_duplicate", "g-b")
    assert [line["tier"] for line in decisions(tmp_path)] == ["near"]


def test_a_jpeg_of_another_expression_is_not_a_copy(tmp_path) -> None:
    jpeg = encoded(np.array(search.on_ground(scaled(big_face(3), 4), 255)), "JPEG", quality=90)
    _, rows = deduplicate(tmp_path, {"g-a": jpeg, "g-b": encoded(big_face())})
    assert {row["status"] for row in rows.values()} == {"kept"}
    assert rows["g-a"]["family"] == rows["g-b"]["family"] == "g-a"
    assert [(line["tier"], line["dropped"]) for line in decisions(tmp_path)] == [("alternate", None)]


def test_a_stray_pixel_makes_a_near_duplicate_more_make_an_alternate(tmp_path) -> None:
    edited, edited_more = big_face(), big_face()
    edited[20, 20] = (255, 255, 255, 255)
    edited_more[20, 19:22] = (255, 255, 255, 255)
    works = {"g-1": encoded(big_face()), "g-2": encoded(edited), "g-3": encoded(edited_more)}
    _, rows = deduplicate(tmp_path, works)
    assert rows["g-2"]["reason"] == "near_duplicate"
    assert rows["g-3"]["status"] == "kept"
    assert rows["g-1"]["family"] == rows["g-3"]["family"] == "g-1"


@pytest.mark.parametrize(("shift", "reason"), [(4, "near_duplicate"), (5, None)])
def test_a_shift_of_colours_that_nobody_sees_makes_no_other_work(tmp_path, shift: int, reason: str | None) -> None:
    shifted = big_face()
    shifted[..., 0][shifted[..., 3] > 0] += np.uint8(shift)
    _, rows = deduplicate(tmp_path, {"g-1": encoded(big_face()), "g-2": encoded(shifted)})
    assert rows["g-2"]["reason"] == reason
    assert rows["g-1"]["family"] == (None if reason else "g-1")


def test_a_picture_moved_on_its_canvas_stays_as_a_frame_of_one_family(tmp_path) -> None:
    """Padding is no difference, since it changes the canvas; the artist's own placing is one."""
    works = {
        "g-1": np.pad(art(HERO), ((0, 4), (0, 4), (0, 0))),
        "g-2": np.pad(art(HERO), ((2, 2), (1, 3), (0, 0))),
        "g-3": scaled(np.pad(art(HERO), ((2, 2), (1, 3), (0, 0))), 3),
        "g-4": pad(art(HERO), 9, 9),
    }
    _, rows = deduplicate(tmp_path, {name: encoded(rgba) for name, rgba in works.items()})
    assert {name: row["status"] for name, row in rows.items()} == {
        "g-1": "kept", "g-2": "kept", "g-3": "dropped", "g-4": "dropped"
    }  # fmt: skip
    assert (rows["g-3"]["in_favour_of"], rows["g-4"]["in_favour_of"]) == ("g-2", "g-1")
    assert rows["g-1"]["family"] == rows["g-2"]["family"] == "g-1"
    assert [line["tier"] for line in decisions(tmp_path) if line["dropped"] is None] == ["moved"]


@pytest.mark.parametrize("kind", ["webp", "jpeg", "bicubic", "flattened on black"])
def test_a_copy_goes_in_favour_of_the_nearest_of_those_that_look_alike(tmp_path, kind: str) -> None:
    """The other expression comes first in every order, yet the copy is not its copy."""
    original = big_face(3)
    image = Image.fromarray(original)
    copy = {
        "webp": lambda: encoded(original, "WEBP", quality=80),
        "jpeg": lambda: encoded(np.array(search.on_ground(original, 255)), "JPEG", quality=85),
        "bicubic": lambda: encoded(np.array(image.resize((80, 80), Image.Resampling.BICUBIC))),
        "flattened on black": lambda: encoded(np.array(search.on_ground(original, 0).convert("RGBA"))),
    }[kind]()
    _, rows = deduplicate(tmp_path, {"g-1": encoded(big_face()), "g-2": encoded(original), "g-3": copy})
    assert (rows["g-3"]["reason"], rows["g-3"]["in_favour_of"]) == ("near_duplicate", "g-2")
    assert rows["g-1"]["status"] == rows["g-2"]["status"] == "kept"


def overridden(tmp_path, works, *verdicts: tuple[str, str, str]):
    lines = [json.dumps(dict(zip(("one", "other", "verdict"), verdict, strict=True))) for verdict in verdicts]
    (tmp_path / "overrides.jsonl").write_text("\n".join(lines))
    src = raw_folder(tmp_path / "raw", works)
    params = PARAMS.model_copy(update={"overrides": str(tmp_path / "overrides.jsonl")})
    return stage.run([src], tmp_path / "dedup", params, SERIAL), rows_of(tmp_path / "dedup")


def test_what_a_person_calls_the_same_is_dropped(tmp_path) -> None:
    works = {"g-1": encoded(scaled(art(FOE), 2)), "g-2": encoded(art(HERO))}
    stats, rows = overridden(tmp_path, works, ("g-1", "g-2", "same"))
    assert (rows["g-1"]["reason"], rows["g-1"]["in_favour_of"]) == ("duplicate", "g-2")
    assert (stats["overrides"], stats["overrides_unknown"], stats["kept"]) == (1, 0, 1)
    assert [line["tier"] for line in decisions(tmp_path)] == ["override"]


@pytest.mark.parametrize("copy", [art(HERO), art(HERO)[:, ::-1], big_face()], ids=["exact", "kin", "near"])
@pytest.mark.parametrize(("verdict", "family"), [("different", None), ("alternate", "g-1")])
def test_what_a_person_keeps_apart_no_rule_brings_together(tmp_path, copy, verdict: str, family) -> None:
    original = art(HERO) if copy.shape[0] == 8 else big_face(3)
    works = {"g-1": encoded(original), "g-2": encoded(copy)}
    _, rows = overridden(tmp_path, works, ("g-2", "g-1", verdict))
    assert {name: (row["status"], row["family"]) for name, row in rows.items()} == {
        "g-1": ("kept", family), "g-2": ("kept", family)
    }  # fmt: skip


def test_a_family_holds_together_around_a_pair_that_is_kept_apart(tmp_path) -> None:
    recoloured = art(HERO.replace("R", "G"))
    works = {"g-1": art(HERO), "g-2": art(HERO)[:, ::-1], "g-3": recoloured, "g-4": recoloured[:, ::-1]}
    _, rows = overridden(tmp_path, {name: encoded(rgba) for name, rgba in works.items()}, ("g-2", "g-3", "different"))
    assert {row["family"] for row in rows.values()} == {"g-1"}


def test_overrides_of_absent_works_are_counted_and_do_no_harm(tmp_path, caplog) -> None:
    stats, rows = overridden(tmp_path, {"g-1": encoded(art(HERO))}, ("g-1", "g-9", "same"), ("g-7", "g-8", "different"))
    assert stats["overrides_unknown"] == 3
    assert rows["g-1"]["status"] == "kept"
    assert "3 ids are not there, first g-7" in caplog.text


def test_the_closest_decisions_are_drawn_for_a_person(tmp_path) -> None:
    jpeg = encoded(np.array(search.on_ground(big_face(), 255)), "JPEG", quality=85)
    deduplicate(tmp_path, {"g-1": encoded(big_face()), "g-2": encoded(big_face(3)), "g-3": jpeg})
    sheet = np.asarray(Image.open(tmp_path / "dedup" / "closest.png").convert("RGB"))
    eye = (sheet == (30, 60, 150)).all(axis=2)
    assert eye.sum() >= 4 * 16 * 16  # both eyes of two originals, enlarged four times
    assert len(decisions(tmp_path)) == 2


def test_the_place_of_the_canonical_form_is_in_native_pixels() -> None:
    form = canonical.canonical_form(scaled(np.pad(art(FOE), ((2, 3), (5, 1), (0, 0))), 4))
    assert (form.factor, form.canvas, form.place) == (4, (14.0, 13.0), (5.0, 2.0))
    np.testing.assert_array_equal(form.core, art(FOE))


def test_mirror_images_and_recolours_stay_as_one_family(tmp_path) -> None:
    recoloured = art(HERO.replace("R", "G").replace("S", "W"))
    works = {"g-hero": art(HERO), "g-mirror": art(HERO)[:, ::-1], "g-recolour": recoloured, "g-foe": art(FOE)}
    stats, rows = deduplicate(tmp_path, {name: encoded(rgba) for name, rgba in works.items()})
    assert stats["kept"] == 4
    assert {name: row["family"] for name, row in rows.items()} == {
        "g-foe": None, "g-hero": "g-hero", "g-mirror": "g-hero", "g-recolour": "g-hero"
    }  # fmt: skip
    assert stats["families"] == 1


def test_blank_and_unreadable_files_become_rows(tmp_path) -> None:
    works = {
        "g-blank": encoded(np.zeros((9, 9, 4), np.uint8)),
        "g-plain": encoded(scaled(art("R"), 8)),
        "g-broken": encoded(art(HERO))[:60],
        "g-good": encoded(art(HERO)),
    }
    stats, rows = deduplicate(tmp_path, works)
    assert {name: row["reason"] for name, row in rows.items()} == {
        "g-blank": "blank", "g-plain": "blank", "g-broken": "truncated", "g-good": None
    }  # fmt: skip
    assert rows["g-broken"]["status"] == "failed"
    assert stats["inputs"] == 4
    assert [path.name for path in (tmp_path / "dedup" / "images").iterdir()] == ["g-good.png"]


def test_pictures_too_simple_to_identify_a_work_are_compared_pixel_by_pixel(tmp_path) -> None:
    works = {"g-1": art("RG/GR"), "g-2": scaled(art("RG/GR"), 8), "g-3": art("RG/GR")}
    _, rows = deduplicate(tmp_path, {name: encoded(rgba) for name, rgba in works.items()})
    assert {name: row["reason"] for name, row in rows.items()} == {"g-1": None, "g-2": None, "g-3": "duplicate"}


@pytest.mark.parametrize("text", ["RG/BY", "RGRGRGRG/GRGRGRGR"])
def test_small_pictures_with_something_in_them_are_known_when_enlarged(tmp_path, text: str) -> None:
    works = {"g-1": art(text), "g-2": scaled(art(text), 8), "g-3": pad(art(text), 9, 9)}
    _, rows = deduplicate(tmp_path, {name: encoded(rgba) for name, rgba in works.items()})
    assert {name: row["reason"] for name, row in rows.items()} == {
        "g-1": None, "g-2": "duplicate", "g-3": "duplicate"
    }  # fmt: skip


def test_only_the_first_frame_of_an_animation_is_taken_and_the_row_says_so(tmp_path) -> None:
    buffer = io.BytesIO()
    frames = [Image.fromarray(scaled(art(text), 2)) for text in (HERO, FOE)]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    _, rows = deduplicate(tmp_path, {"g-anim": buffer.getvalue()})
    assert (rows["g-anim"]["frames"], rows["g-anim"]["frame"]) == (2, 0)
    np.testing.assert_array_equal(load(tmp_path / "dedup", "g-anim"), scaled(art(HERO), 2))


def test_rows_that_the_source_did_not_keep_are_no_inputs(tmp_path) -> None:
    src = raw_folder(tmp_path / "raw", {"g-1": encoded(art(HERO))})
    manifest.write(src, [*manifest.read(src), manifest.failed({"id": "g-2"}, "gone")], inputs=["g-1", "g-2"])
    assert stage.run([src], tmp_path / "dedup", PARAMS, SERIAL)["inputs"] == 1


def test_sources_are_pooled_and_ids_must_differ(tmp_path) -> None:
    first = raw_folder(tmp_path / "raw" / "first", {"a-1": encoded(art(HERO))})
    second = raw_folder(tmp_path / "raw" / "second", {"b-1": encoded(scaled(art(HERO), 2)), "b-2": encoded(art(FOE))})
    stats = stage.run([first, second], tmp_path / "dedup", PARAMS, SERIAL)
    assert (stats["inputs"], stats["kept"], stats["reasons"]) == (3, 2, {"duplicate": 1})
    with pytest.raises(BadInput, match="two works with id a-1"):
        stage.run([first, first], tmp_path / "again", PARAMS, SERIAL)


def test_an_absent_image_file_is_a_clear_error(tmp_path) -> None:
    src = raw_folder(tmp_path / "raw", {"a-1": encoded(art(HERO))})
    next((src / "images").iterdir()).unlink()
    with pytest.raises(BadInput, match="no image file for a-1 "):
        stage.run([src], tmp_path / "dedup", PARAMS, SERIAL)


def test_two_workers_give_the_same_bytes_as_one(tmp_path) -> None:
    works = {f"g-{seed:03}": encoded(noise_art(seed % 150, 8, 8)) for seed in range(250)}
    src = raw_folder(tmp_path / "raw", works)
    stage.run([src], tmp_path / "one", PARAMS, SERIAL)
    stage.run([src], tmp_path / "two", PARAMS, Executor(backend="loky", n_jobs=2))
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(names) == 3 + 150
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_blank_hashes_match_nothing() -> None:
    white = np.full((16, 16, 4), 255, np.uint8)
    assert len(search.candidates([search.fingerprint(white)] * 2, 10)) == 0


def test_equal_hashes_are_all_paired() -> None:
    fingerprints = [search.fingerprint(big_face())] * 4
    pairs = search.candidates(fingerprints, 0)
    assert pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_kinship_does_not_confuse_different_sprites() -> None:
    assert canonical.kinship_digest(art(HERO)) != canonical.kinship_digest(art(FOE))
    assert canonical.kinship_digest(art("RG/GR")) != canonical.kinship_digest(art("RB/BR"))


@pytest.mark.shared
def test_distinct_real_tiles_are_hardly_ever_dropped(shared_files, tmp_path) -> None:
    works = {f"t-{number:04}": data for number, data in enumerate(shared_files("pixel_tiles", 500).values())}
    stats, rows = deduplicate(tmp_path, works)
    lost = [row for row in rows.values() if row["reason"] in ("duplicate", "near_duplicate")]
    assert stats["inputs"] == len(works) >= 450
    assert len(lost) <= 0.004 * len(works)


@pytest.mark.shared
def test_real_faces_keep_their_expressions_as_one_family(shared_files, tmp_path) -> None:
    works = {
        name.replace("/", "-"): data for name, data in shared_files("pixel_faces", 968).items() if "cabbit" in name
    }
    works = dict(list(works.items())[:80])
    stats, _rows = deduplicate(tmp_path, works)
    assert stats["kept"] >= 0.99 * len(works)
    assert stats["families"] >= 5


@pytest.mark.shared
def test_every_real_odd_file_decodes_or_says_why(shared_files, tmp_path) -> None:
    works = {name.replace("/", "-"): data for name, data in shared_files("decoders", 100).items()}
    stats, _rows = deduplicate(tmp_path, works)
    assert stats["inputs"] == 100
    assert set(stats["reasons"]) <= {"blank", "duplicate", "near_duplicate"}
    assert stats["kept"] >= 90


LOSSY = {
    "webp": lambda rgba: encoded(rgba, "WEBP", quality=80),
    "jpeg": lambda rgba: encoded(np.array(search.on_ground(rgba, 255)), "JPEG", quality=85),
    "bicubic": lambda rgba: encoded(
        np.array(Image.fromarray(rgba).resize((2 * rgba.shape[1], 2 * rgba.shape[0]), Image.Resampling.BICUBIC))
    ),
}
LOSSLESS = {
    "x2": lambda rgba: encoded(scaled(rgba, 2)),
    "x5": lambda rgba: encoded(scaled(rgba, 5)),
    "padded": lambda rgba: encoded(pad(rgba, 5, 9)),
    "webp": lambda rgba: encoded(rgba, "WEBP", lossless=True),
}


def rates(tmp_path, files: dict[str, bytes], copy) -> tuple[float, float]:
    """Shares of the copies that go in favour of their own picture, and of works that go in favour of another one."""
    sprites = {f"o-{number:04}": read_rgba(data) for number, data in enumerate(files.values())}
    sprites = {name: rgba for name, rgba in sprites.items() if canonical.canonical_form(rgba).core.shape[:2] > (1, 1)}
    works = {name: encoded(rgba) for name, rgba in sprites.items()}
    works |= {name.replace("o-", "p-"): copy(rgba) for name, rgba in sprites.items()}
    params = PARAMS.model_copy(update={"max_difference": 24.0})
    stage.run([raw_folder(tmp_path / "raw", works)], tmp_path / "dedup", params, SERIAL)
    cores = {name: canonical.digest(canonical.canonical_form(rgba).core) for name, rgba in sprites.items()}
    right = wrong = 0
    for name, row in rows_of(tmp_path / "dedup").items():
        if favoured := row.get("in_favour_of"):
            same = cores[name.replace("p-", "o-")] == cores[favoured.replace("p-", "o-")]
            right, wrong = right + (same and name.startswith("p-")), wrong + (not same)
    return right / len(sprites), wrong / len(sprites)


@pytest.mark.shared
@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("tar", ["pixel_tiles", "pixel_chars"])
def test_lossy_copies_of_real_sprites_are_found_and_hardly_anything_else(shared_files, tmp_path, tar, kind) -> None:
    recall, wrong = rates(tmp_path, shared_files(tar, 200), LOSSY[kind])
    assert recall >= 0.87  # of 200; the benchmark demands 90 % of all
    assert wrong <= 0.015


@pytest.mark.shared
@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_copies_of_real_sprites_are_all_found(shared_files, tmp_path, kind) -> None:
    recall, wrong = rates(tmp_path, shared_files("pixel_chars", 150), LOSSLESS[kind])
    assert recall == 1.0
    assert wrong <= 0.01
