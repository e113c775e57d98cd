"""What methods keep of artworks and faces: the evaluation's figures on pictures small enough to count by hand."""

from __future__ import annotations

import importlib.util
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from finished_run import EVALUATE, RESIZE, evaluate
from PIL import Image

from pipeline.convert.baselines import box_palette
from pipeline.errors import BadParams
from pipeline.evaluate import stage
from pipeline.evaluate.stage import Bench
from pipeline.images.resample import box, enlarge
from pipeline.runtime.settings import Resize

CASCADE = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[3] / "shared")) / (
    "weights/lbpcascade_animeface.xml"
)
WHITE, GREY, BLACK, RED = (255, 255, 255), (128, 128, 128), (0, 0, 0), (220, 40, 60)
SMALL = RESIZE.model_copy(update={"size": 20, "cells": 10})
RECOVERED = {"pairs", "cell_error", "cells_within", "line_f1", "accents_chroma", "lone_cells"}


def picture(ground, cells=()):
    """Ten by ten cells of two pixels: a ground, and cells of other colours."""
    native = np.empty((10, 10, 3), np.uint8)
    native[:] = ground
    for place, colour in cells:
        native[place] = colour
    return enlarge(native, 2)


def bench(art=None, faces=None, resize: Resize = SMALL, **values):
    params = EVALUATE.model_copy(update={"patches": 100, "projections": 1, **values})
    art, faces = art or {"a": picture(WHITE)}, faces or {"f": picture(GREY)}
    return Bench(faces, art, resize, params, 7, dict.fromkeys(art, picture(GREY)))


def faces_measured(outputs, of):
    return stage.measure(outputs, stage.patterns(list(of.art.values()), "real", of), of)


ART = {"a": picture(WHITE, [((5, 2), BLACK), ((5, 7), BLACK)]), "b": picture(WHITE)}


def test_a_lost_line_cell_counts_among_the_cells_of_all_pictures():
    drawn = {"a": picture(WHITE, [((5, 2), BLACK)]), "b": picture(WHITE)}
    scores = stage.measure_recovery(drawn, bench(ART))
    assert scores == {
        "pairs": 2,
        "cell_error": pytest.approx(1 / 200, abs=1e-6),  # white for black in one cell of 200
        "cells_within": 199 / 200,
        "line_f1": pytest.approx(2 * 1 / (2 + 1)),
        "lone_cells": 1 / 200,
    }


def test_accents_count_by_their_chroma_and_are_absent_where_there_are_none():
    art = {"a": picture(GREY, [((5, 2), RED), ((5, 7), RED)])}
    kept = stage.measure_recovery({"a": picture(GREY, [((5, 7), RED)])}, bench(art))
    assert kept["accents_chroma"] == pytest.approx(0.5, abs=1e-6)
    assert "line_f1" not in stage.measure_recovery({"b": picture(WHITE)}, bench(ART))
    assert stage.measure_recovery({}, bench(ART)) == {}


def test_real_art_is_measured_on_the_artworks_of_the_pairs_and_on_as_many_as_there_are_faces():
    one_face = bench(ART)
    scores = stage.measure_real(one_face)
    assert (scores["n"], scores["pairs"]) == (1, 2)
    assert scores["lone_cells"] == 2 / 200
    assert scores["face_lone_cells"] == 2 / 100  # of the first artwork alone
    assert "cell_error" not in scores


def test_faces_are_measured_against_the_mean_colours_of_their_cells():
    face = picture(GREY, [((5, 2), RED), ((5, 7), RED)])
    face[10:12, 14:16] = [[RED, GREY], [GREY, RED]]  # the second iris is half red: the mean of its four pixels
    of = bench(faces={"f": face})
    assert faces_measured({"f": enlarge(box(face, (10, 10)), 2)}, of)["face_accents"] == pytest.approx(1)
    half = faces_measured({"f": picture(GREY, [((5, 2), RED)])}, of)
    assert 0.5 < half["face_accents"] < 0.9
    assert half["face_lone_cells"] == 1 / 100
    assert "face_accents" not in faces_measured({"f": picture(RED)}, bench())


def test_baselines_and_generators_have_figures_of_pairs_and_styles_have_none(untouched_run):
    table = json.loads((untouched_run / "plots/evaluate/methods.json").read_text())["methods"]
    drawing = {"nearest", "box_palette", "majority_palette", "fixed_palette", "cyclegan_cell", "cyclegan_resnet"}
    assert {name for name, row in table.items() if row.keys() >= RECOVERED} == drawing
    assert {name for name, row in table.items() if RECOVERED & row.keys()} == {*drawing, "real"}
    assert {table[name]["pairs"] for name in (*drawing, "real")} == {3}
    assert all({"face_accents", "face_lone_cells"} <= row.keys() for name, row in table.items() if name != "real")
    assert table["cyclegan_cell"]["cells_within"] > 31 / 32  # it draws one column of 32 like another
    assert table["cyclegan_cell"]["cell_error"] < table["majority_palette"]["cell_error"]


def test_without_smooth_artworks_no_method_has_figures_of_pairs(finished_run):
    pairs = finished_run / "artifacts/translate/pairs"
    for file in pairs.rglob("*.png"):
        file.unlink()
    result = evaluate(finished_run)
    assert not any(RECOVERED & row.keys() for row in result["methods"].values())
    assert not any(name.startswith("cell_recovers") for name in result["targets"])


def test_a_cascade_that_cannot_run_is_named_before_anything_is_written(finished_run, tmp_path, monkeypatch):
    values = EVALUATE.model_copy(update={"cascade": str(tmp_path / "x.xml")})
    monkeypatch.setattr("finished_run.EVALUATE", values)
    before = (finished_run / "artifacts/baselines").stat().st_mtime_ns
    with pytest.raises(BadParams, match=r"evaluate\.cascade"):
        evaluate(finished_run)
    assert (finished_run / "artifacts/baselines").stat().st_mtime_ns == before


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="the extra `faces` is not installed")
def test_faces_are_looked_for_in_drawings_where_there_is_a_cascade(shared_files):
    if not CASCADE.is_file():
        pytest.skip(f"{CASCADE} is absent")
    data = shared_files("anime_faces_256", 6)
    faces = {
        f"f{number}": np.array(Image.open(io.BytesIO(file)).convert("RGB").resize((96, 96)))
        for number, file in enumerate(data.values())
    }
    resize = RESIZE.model_copy(update={"size": 96, "cells": 48})
    of = bench({"a": enlarge(picture(WHITE), 5)[:96, :96]}, faces, resize, cascade=str(CASCADE))
    drawn = {key: enlarge(box_palette(face, (48, 48), colours=16, seed=1), 2) for key, face in faces.items()}
    assert faces_measured(drawn, of)["faces_found"] > 0.5
    flat = {key: np.full_like(face, 128) for key, face in faces.items()}
    assert faces_measured(flat, of)["faces_found"] == 0
