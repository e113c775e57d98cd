"""Sets of artworks by source, native size and palette: who takes part, why the others do not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides
from sprites import EVERYTHING, SERIAL, load, noise_art, rows_of, scaled, stage_folder

from pipeline.curate import grid, resize
from pipeline.curate.params import Grid
from pipeline.curate.split import nearness, stage
from pipeline.curate.split.params import PaletteNear, Split
from pipeline.errors import BadInput
from pipeline.images.colour import to_oklab
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.runtime.settings import Resize

ROOT = Path(__file__).parents[3]
PARAMS = Split(val=0.0, test=0.5, licences=[], min_transparent=0.0, max_transparent=1.0, **EVERYTHING)
SEA = np.array([[10, 20, 60], [20, 60, 120], [60, 130, 190], [180, 220, 240]], np.uint8)
FIRE = np.array([[60, 10, 0], [160, 40, 10], [230, 120, 20], [255, 220, 90]], np.uint8)

WORKS = {  # source, native sides, colours
    "lospec-1": ("lospec", (16, 20), SEA),
    "lospec-2": ("lospec", (48, 12), SEA),
    "lospec-3": ("lospec", (24, 24), FIRE),
    "pixiehaus-1": ("pixiehaus", (24, 23), SEA),
    "pixiehaus-2": ("pixiehaus", (25, 10), FIRE),
    "pixiehaus-3": ("pixiehaus", (16, 8), SEA),
    "inputs-1": ("inputs", (24, 16), SEA),
}
BY_SOURCE = {"sources": ["pixiehaus", "inputs"]}
BY_NATIVE = {"native": [20, 24]}
NOT_OF_SOURCE = dict.fromkeys(["lospec-1", "lospec-2", "lospec-3"], "source")
NOT_OF_SIZE = dict.fromkeys(["lospec-2", "pixiehaus-2", "pixiehaus-3"], "native")
NOT_AT_SEA = dict.fromkeys(["lospec-3", "pixiehaus-2"], "palette")


def drawn(number: int, sides: tuple[int, int], colours: np.ndarray) -> np.ndarray:
    """(height, width, 3): every colour, at random."""
    picked = np.random.default_rng(number).integers(0, len(colours), sides[::-1])
    picked.flat[: len(colours)] = range(len(colours))
    return colours[picked]


@pytest.fixture
def sea(tmp_path: Path) -> str:
    file = tmp_path / "sea.hex"
    file.write_text("\n".join(bytes(colour).hex() for colour in SEA), encoding="utf-8")
    return str(file)


def resized(root: Path) -> Path:
    """WORKS as artists draw them, every second one enlarged by three, through the stages `grid` and `resize`."""
    pictures = {
        work: scaled(drawn(number, sides, colours), 1 + 2 * (number % 2))
        for number, (work, (_, sides, colours)) in enumerate(WORKS.items())
    }
    facts = {work.replace("-", "_"): {"source": source} for work, (source, *_) in WORKS.items()}
    stage_folder(root / "flatten", pictures, **facts)
    grid.run(root / "flatten", root / "grid", Grid(max_cell=16, min_confidence=0.55), SERIAL)
    sizes = Resize(size=64, cells=32, min_cells=8, max_aspect=4.0, larger="crop", crop="saliency")
    assert resize.run(root / "grid", root / "resize", sizes, SERIAL)["kept"] == len(WORKS)
    return root / "resize"


def faces(root: Path) -> Path:
    return stage_folder(root / "faces", {f"f-{number}": noise_art(number)[..., :3] for number in range(4)})


def run(tmp_path: Path, **sets: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    params = PARAMS.model_copy(update=sets)
    stats = stage.run(resized(tmp_path), faces(tmp_path), tmp_path / "split", params, 7)
    return stats, rows_of(tmp_path / "split")


def reasons(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["reason"] for name, row in rows.items() if row["reason"]}


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ({}, {}),
        (BY_SOURCE, NOT_OF_SOURCE),
        (BY_NATIVE, NOT_OF_SIZE),
        ("sea", NOT_AT_SEA),
        ({**BY_SOURCE, **BY_NATIVE}, {**NOT_OF_SIZE, **NOT_OF_SOURCE}),
    ],
)
def test_each_set_drops_what_is_not_in_it_with_its_reason(tmp_path, sea, sets, expected) -> None:
    sets = {"palette_near": PaletteNear(palette=sea, distance=0.01)} if sets == "sea" else sets
    stats, rows = run(tmp_path, **sets)
    assert reasons(rows) == expected
    assert {row["domain"] for row in rows.values() if row["reason"]} <= {"pixel"}
    assert (stats["inputs"], stats["kept"], stats["dropped"]) == (11, 11 - len(expected), len(expected))
    assert stats["reasons"] == Counter(expected.values())
    pictures = {path.stem for path in (tmp_path / "split" / "pixel").rglob("*.png")}
    assert pictures == WORKS.keys() - expected.keys()


def test_all_sets_together_name_the_first_reason_and_measure_the_rest(tmp_path, sea) -> None:
    near = PaletteNear(palette=sea, distance=0.01)
    _, rows = run(tmp_path, **{**BY_SOURCE, "native": [16, 25]}, palette_near=near)
    assert reasons(rows) == {**NOT_OF_SOURCE, "pixiehaus-2": "palette"}
    measured = {name: row["palette_distance"] for name, row in rows.items() if "palette_distance" in row}
    assert measured.keys() == {"inputs-1", "pixiehaus-1", "pixiehaus-2", "pixiehaus-3"}
    assert [measured.pop("pixiehaus-2") > 0.2, *measured.values()] == [True, 0, 0, 0]


def test_a_side_at_either_end_of_the_range_is_inside_and_an_unknown_one_is_not(tmp_path) -> None:
    works = {f"p-{side}": noise_art(side)[..., :3] for side in (9, 10, 20, 21)} | {"p-x": noise_art(1)[..., :3]}
    facts = {f"p_{side}": {"native_width": 3, "native_height": side} for side in (9, 10, 20, 21)}
    params = PARAMS.model_copy(update={"native": [10, 20]})
    stage.run(stage_folder(tmp_path / "resize", works, **facts), faces(tmp_path), tmp_path / "split", params, 7)
    assert reasons(rows_of(tmp_path / "split")) == dict.fromkeys(["p-9", "p-21", "p-x"], "native")


def test_the_default_adds_nothing_to_a_row(tmp_path) -> None:
    """A palette without a distance is not even read."""
    _, rows = run(tmp_path / "a", palette_near=PaletteNear(palette="nowhere.hex", distance=None))
    assert not any("palette_distance" in row for row in rows.values())
    run(tmp_path / "b")
    assert folder_digest(tmp_path / "a" / "split") == folder_digest(tmp_path / "b" / "split")


def test_a_distance_is_the_mean_over_the_area() -> None:
    """Three quarters white and a quarter black, against white: a quarter of OKLab's whole lightness."""
    pixels = np.full((8, 8, 3), 255, np.uint8)
    pixels[:4, :4] = 0
    assert nearness.mean_distance(pixels, np.array([[255, 255, 255]], np.uint8)) == 0.25
    grey, white = np.array([[[119, 119, 119]]], np.uint8), np.array([[[255, 255, 255]]], np.uint8)
    expected = float(np.linalg.norm(to_oklab(grey) - to_oklab(white)))
    assert nearness.mean_distance(grey, white[0]) == round(expected, 4)


def measure(rgb: np.ndarray, palette: str, tmp_path: Path, **facts: Any) -> float:
    folder = stage_folder(tmp_path / "resize", {"p-1": rgb}, p_1=facts)
    params = PARAMS.model_copy(update={"palette_near": PaletteNear(palette=palette, distance=1.0), "test": 0.0})
    stage.run(folder, faces(tmp_path), tmp_path / "split", params, 7)
    return rows_of(tmp_path / "split")["p-1"]["palette_distance"]


def test_padding_and_the_ground_behind_a_work_do_not_count(tmp_path, sea) -> None:
    """The work lies in the palette, the ground does not: counted where it is the work's own."""
    fire, ground = FIRE[1], {"background": "#{:02x}{:02x}{:02x}".format(*FIRE[1])}
    far = nearness.mean_distance(fire[None, None], SEA)
    picture = np.empty((16, 16, 3), np.uint8)
    picture[:] = fire
    picture[4:12, 2:14] = SEA[0]
    picture[6:8, 4:8] = fire  # 8 of 96 pixels within
    assert measure(picture, sea, tmp_path, **ground, transparent_share=0.5, pad=[2, 4, 12, 8]) == 0
    within = measure(picture, sea, tmp_path, **ground, transparent_share=0.0, pad=[2, 4, 12, 8])
    assert within == pytest.approx(far * 8 / 96, abs=1e-4)
    own = measure(picture, sea, tmp_path, **ground, transparent_share=0.0, pad=None)
    assert own == pytest.approx(far * (256 - 96 + 8) / 256, abs=1e-4)


def test_a_work_of_nothing_but_its_ground_is_measured_by_it(tmp_path, sea) -> None:
    picture = np.empty((16, 16, 3), np.uint8)
    picture[:] = FIRE[1]
    colour = "#{:02x}{:02x}{:02x}".format(*FIRE[1])
    assert measure(picture, sea, tmp_path, background=colour, transparent_share=0.9) == nearness.mean_distance(
        picture, SEA
    )


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ({"sources": ["pixeljoint"]}, r"^no artwork is left of 7: split\.sources left out 7$"),
        (
            {**BY_SOURCE, "native": [90, 99]},
            r"^no artwork is left of 7: split\.sources .* 3, split\.native left out 4$",
        ),
        (
            {"licences": ["CC0-1.0"], **BY_NATIVE},
            None,  # licences alone left nothing before there were sets, and that is a manifest as any other
        ),
    ],
)
def test_a_set_without_an_artwork_is_an_error_that_names_the_parameters(tmp_path, sets, words) -> None:
    if words is None:
        assert run(tmp_path, **sets)[0]["reasons"] == {"licence": 11}
        return
    with pytest.raises(BadInput, match=words):
        run(tmp_path, **sets)
    assert not (tmp_path / "split").exists()


def test_no_artwork_near_the_palette_is_an_error_that_names_the_parameter(tmp_path) -> None:
    (tmp_path / "green.hex").write_text("00ff00", encoding="utf-8")
    near = PaletteNear(palette=str(tmp_path / "green.hex"), distance=0.01)
    with pytest.raises(BadInput, match=r"^no artwork is left of 7: split\.palette_near left out 7$"):
        run(tmp_path, palette_near=near)


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "no such file, nor one of the shipped palettes"), ("red\n", "expected colours as six hex digits")],
)
def test_a_palette_that_cannot_be_read_is_an_error_that_names_the_parameter(tmp_path, text, words) -> None:
    file = tmp_path / "mine.hex"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=rf"^split\.palette_near: palette .*mine\.hex: {words}"):
        run(tmp_path, palette_near=PaletteNear(palette=str(file), distance=0.1))


def test_a_picture_that_is_none_is_named(tmp_path, sea) -> None:
    folder = stage_folder(tmp_path / "resize", {"p-1": noise_art(1)[..., :3]})
    (folder / "images" / "p-1.png").write_bytes(b"no picture")
    params = PARAMS.model_copy(update={"palette_near": PaletteNear(palette=sea, distance=0.1)})
    with pytest.raises(BadInput, match=r"p-1\.png: not a readable"):
        stage.run(folder, faces(tmp_path), tmp_path / "split", params, 7)


def test_another_palette_under_the_same_name_is_measured_anew(tmp_path, sea) -> None:
    """What is remembered goes by the palette's colours, and by what a picture's row says of its ground."""
    pixel, people, state = resized(tmp_path), faces(tmp_path), tmp_path / "state"
    params = PARAMS.model_copy(update={"palette_near": PaletteNear(palette=sea, distance=0.01)})

    def dropped(params: Split) -> set[str]:
        stage.run(pixel, people, tmp_path / "split", params, 7, state=state)
        return reasons(rows_of(tmp_path / "split")).keys()

    assert dropped(params) == NOT_AT_SEA.keys()
    first = folder_digest(tmp_path / "split")
    assert dropped(params) == NOT_AT_SEA.keys()
    assert folder_digest(tmp_path / "split") == first  # from the cache
    Path(sea).write_text("\n".join(bytes(colour).hex() for colour in FIRE), encoding="utf-8")
    assert dropped(params) == WORKS.keys() - NOT_AT_SEA.keys()
    assert not dropped(params.model_copy(update={"palette_near": PaletteNear(palette=sea, distance=1.0)}))


def test_the_splits_of_a_set_are_those_of_its_works_alone(tmp_path) -> None:
    """What is left out fills no split."""
    pixel = resized(tmp_path)
    works = {name: load(pixel, name) for name in WORKS if name.startswith("pixiehaus")}
    facts = {name.replace("-", "_"): row for name, row in rows_of(pixel).items() if name in works}
    alone = stage_folder(tmp_path / "alone", works, **facts)
    params = PARAMS.model_copy(update={"sources": ["pixiehaus"]})
    stage.run(pixel, faces(tmp_path), tmp_path / "of-all", params, 7)
    stage.run(alone, tmp_path / "faces", tmp_path / "of-few", PARAMS, 7)
    few = {row["id"]: row["split"] for row in manifest.read_kept(tmp_path / "of-few")}
    assert {row["id"]: row["split"] for row in manifest.read_kept(tmp_path / "of-all")} == few


def facetopix_split(root: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """The command, with the committed parameters as `dvc exp run -S OVERRIDE ...` edits them."""
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    apply_overrides(root / "params.yaml", list(overrides))
    command = [sys.executable, "-m", "pipeline", "split"]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_sets_are_made_from_the_command_line(tmp_path, sea) -> None:
    resized(tmp_path / "data"), faces(tmp_path / "data")
    manifest.write(tmp_path / "data" / "dedup", [], inputs=[])
    done = facetopix_split(
        tmp_path, "split.sources=[pixiehaus,inputs]", "split.native=[20,24]", "split.palette_near.distance=0.01",
        f"split.palette_near.palette={Path(sea).name}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stats = json.loads((tmp_path / "data" / "split" / "stats.json").read_text(encoding="utf-8"))
    assert stats["reasons"] == {"native": 2, "source": 3}
    assert sum(stats["works"]["pixel"].values()) == 2
    done = facetopix_split(tmp_path, "split.sources=[pixelhaus]")
    assert (done.returncode, done.stderr.strip()) == (
        3,
        "facetopix: params.yaml: split.sources.0: Input should be 'pixeljoint', 'lospec', 'pixiehaus' or 'inputs', "
        "got 'pixelhaus'",
    )
    done = facetopix_split(tmp_path, "split.sources=[pixeljoint]")
    assert (done.returncode, done.stderr.strip()) == (
        3, "facetopix: no artwork is left of 7: split.sources left out 7",
    )  # fmt: skip
