"""The report page, made from a small finished run whose pictures the real baselines drew."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pages import CHROMIUM, Elements, probe, text_of

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.report import stage
from pipeline.report.thumbnails import png_uri, thumbnail
from pipeline.runtime.files import folder_digest, sha256, write_atomic

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def written(untouched_run, parameters, tmp_path_factory):
    """The folder of both pages, and what the stage says of them."""
    folder = tmp_path_factory.mktemp("written") / "reports"
    return folder, stage.run(untouched_run, folder, parameters)


@pytest.fixture(scope="module")
def page(written):
    return (written[0] / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def changed_page(untouched_run, parameters, tmp_path_factory):
    """The page of a run with a missed target, a work from a real gallery, lost works, and alarms of a training."""
    run = Path(shutil.copytree(untouched_run, tmp_path_factory.mktemp("changed") / "run"))
    file = run / "plots/evaluate/methods.json"
    scores = json.loads(file.read_text())
    scores["targets"]["cell_on_grid"] |= {"met": False, "value": 0.4312}
    file.write_text(json.dumps(scores))
    rows = (run / "data/resize/manifest.jsonl").read_text()
    (run / "data/resize/manifest.jsonl").write_text(rows.replace('"sample"', '"live"', 1))
    for name in ("manifest.jsonl", "stats.json"):
        shutil.copy(run / "data/dedup" / name, run / "data/grid" / name)
    (run / "data/grid/manifest.jsonl").write_text(
        "".join((run / "data/dedup/manifest.jsonl").read_text().splitlines(keepends=True)[2:])
    )
    trained = run / "artifacts/cyclegan/resnet"
    history = [{"kind": "comb", "from": 2, "to": None}, {"kind": "collapse", "from": 3, "to": 3}]
    write_atomic(trained / "training.json", json.dumps({"alarms": history}).encode())
    layers = [{"comb_db": 5.5}, {"comb_db": None}, {"comb_db": 18.7}]
    write_atomic(trained / "activations.json", json.dumps({"layers": layers}).encode())
    files.write_png(trained / "activations.png", np.zeros((40, 60, 3), np.uint8))
    return stage.render(run, parameters)


def test_the_page_is_one_small_file_that_needs_nothing_else(page):
    elements = Elements(page)
    sources = [a["src"] for _, a in elements.tags if "src" in a]
    assert all(source.startswith("data:image/png;base64,") for source in sources if source != "../.state/runs.js")
    assert sources.count("../.state/runs.js") == 1
    assert [a["href"] for _, a in elements.tags if "href" in a] == ["data:,", "dataset.html"]
    assert not re.search(r"https?://|url\(|@import", page)
    assert len(page.encode()) < 6 * MEBIBYTE


def test_the_stage_writes_the_same_bytes_anywhere_and_with_any_number_of_workers(
    untouched_run, parameters, written, tmp_path
):
    folder, stats = written
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.html", "index.html"]
    assert stats["pictures"] > 50
    assert stats["card_pictures"] > 20
    moved = shutil.copytree(untouched_run, tmp_path / "elsewhere" / "run")
    parallel = parameters.model_copy(update={"executor": parameters.executor.model_copy(update={"n_jobs": 7})})
    assert stage.run(moved, tmp_path / "reports", parallel) == stats
    assert folder_digest(tmp_path / "reports") == folder_digest(folder)


def test_every_picture_says_what_it_shows_and_every_table_has_headers(page):
    elements = Elements(page)
    assert all(image["alt"] and int(image["width"]) > 0 for image in elements.all("img"))
    assert all("scope" in header for header in elements.all("th"))
    assert page.count("<table") == page.count("</table>") > 5


def test_the_hero_strip_shows_the_methods_that_the_reader_came_for(page):
    names = ["input", "nearest", "box + palette", "style, cell canvas", "CycleGAN resnet", "cell"]
    section = page[page.index('id="strip"') : page.index('id="figures"')]
    headers = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', section)
    assert headers == [*names, "real pixel art"]
    assert section.count("<img") == 3 * 7 - 1  # the style transfer drew two of the three faces
    assert "not drawn" in section


def test_met_and_missed_targets_are_sentences(page, changed_page):
    assert "cell draws on the grid: met. “on the grid” is 1.00; wanted: at least 0.95." in page
    assert "cell draws on the grid: MISSED. “on the grid” is 0.43; wanted: at least 0.95." in changed_page
    assert "7 of 8 targets are met" in changed_page
    assert '<li class="missed">cell draws on the grid' in changed_page


def test_the_figures_on_the_page_are_those_of_the_evaluation(untouched_run, page):
    scores = json.loads((untouched_run / "plots/evaluate/methods.json").read_text())["methods"]
    table = page[page.index('class="figures"') : page.index("</table>", page.index('class="figures"'))]
    names = [re.sub("<[^>]*>", "", name) for name in re.findall(r"<abbr[^>]*>([^<]*)</abbr>", table)]
    assert names[:6] == ["pairs", "error", "within", "lines", "accents", "lone"]
    assert names[-3:] == ["3x3 distance", "5x5 distance", "with colour"]
    assert "found" not in names  # no method has that figure without a cascade
    row = re.search(r">CycleGAN resnet</th>(.*?)</tr>", table, re.DOTALL)[1]
    n, *cells = re.findall(r"<td>([^<]*)</td>", row)
    resnet, shown = scores["cyclegan_resnet"], dict(zip(names, cells, strict=True))
    assert (n, shown["pairs"]) == ("8", "3")
    assert shown["error"] == f"{100 * resnet['cell_error']:.2f}"
    assert shown["tiles, dB"] == f"{resnet['comb_db']:.1f}"
    assert shown["3x3 distance"] == f"{1000 * resnet['sliced_wasserstein_3']:.1f}"


def test_the_outcome_is_told_by_what_was_recovered_and_no_verdict_by_patches(untouched_run, page):
    scores = json.loads((untouched_run / "plots/evaluate/methods.json").read_text())["methods"]
    errors = [f"{100 * scores[name]['cell_error']:.2f}" for name in ("cyclegan_cell", "majority_palette")]
    words = html.unescape(text_of(page))
    told = "of 3 smooth versions of unseen artworks is nearer to the artworks than what majority + palette draws"
    assert f"{told} (error {errors[0]} against {errors[1]})" in words
    assert f"cell comes nearer to the artist's cells than majority + palette: met. “error” is {errors[0]}" in words
    assert "distance" not in " ".join(re.findall(r'<li class="(?:met|missed)">([^<]*)', page))


def test_the_page_shows_the_pairs_of_a_training_and_no_empty_place_without_them(page, finished_run, parameters):
    section = page[page.index('id="pairs"') : page.index('id="curves"')]
    assert section.count("<img") == 1
    assert 'width="384" height="256"' in section
    assert 'alt="cell: smooth versions of artworks above the artworks"' in section
    (finished_run / "artifacts/cyclegan/cell/pairs.png").unlink()
    assert 'id="pairs"' not in stage.render(finished_run, parameters)


def test_titles_from_galleries_cannot_inject_markup(page):
    assert "Figure &lt;0&gt; by artist 0" in page
    assert "Figure <0>" not in page


def test_the_page_holds_the_funnel_the_curves_the_epochs_the_parameters_and_the_digests(untouched_run, page):
    words = text_of(page)
    assert "scrape lospec 5 4 0 1 robots 1 balance" in words
    assert "DO NOT BALANCE" not in words
    assert page.count("<polyline") == 4
    assert [f"epoch {n}" in words for n in range(1, 9)] == [True, True, True, False, True, True, False, True]
    assert "&#34;facetopix-32&#34;" in page
    assert sha256(untouched_run / "data/grid/manifest.jsonl") in page
    assert folder_digest(untouched_run / "data/split/faces/test") in page


def test_lost_works_unbalance_the_books_on_the_page(changed_page):
    assert "DO NOT BALANCE" in changed_page


def test_only_a_run_on_the_sample_alone_says_so(page, changed_page):
    assert "drawn by a program" in page
    assert "drawn by a program" not in changed_page


def test_a_run_without_trained_generators_still_has_a_page(finished_run, parameters):
    for folder in ("artifacts/translate", "artifacts/style", "artifacts/cyclegan", "plots/train"):
        shutil.rmtree(finished_run / folder)
    file = finished_run / "plots/evaluate/methods.json"
    scores = json.loads(file.read_text())
    scores["methods"] = {k: v for k, v in scores["methods"].items() if not k.startswith(("style", "cyclegan"))}
    file.write_text(json.dumps(scores | {"targets": {}}))
    page = stage.render(finished_run, parameters)
    assert "no cell generator was evaluated" in page
    assert 'id="curves"' not in page


def test_without_scores_the_error_names_the_stage_to_run(tmp_path, parameters):
    with pytest.raises(BadInput, match="run the evaluate stage first"):
        stage.run(tmp_path, tmp_path / "reports", parameters)
    assert not (tmp_path / "reports").exists()


def test_thumbnails_are_enlarged_by_integers_and_large_pictures_are_sampled(tmp_path):
    for size, shown in ((20, 120), (128, 128), (300, 100)):
        files.write_png(tmp_path / "x.png", np.zeros((size, size, 3), np.uint8))
        picture = thumbnail(tmp_path / "x.png", "x")
        assert (picture.width, picture.height) == (shown, shown)


def test_embedded_pictures_are_lossless(tmp_path):
    few = np.random.default_rng(0).integers(0, 6, (20, 30, 3), dtype=np.uint8) * 50
    many = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    clear = np.random.default_rng(2).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    for pixels in (few, many, clear):
        (tmp_path / "x.png").write_bytes(base64.b64decode(png_uri(pixels).split(",")[1]))
        again = files.read_rgba(tmp_path / "x.png")
        visible = pixels[..., 3] > 0 if pixels.shape[2] == 4 else np.ones(pixels.shape[:2], bool)
        assert (again[..., : pixels.shape[2]][visible] == pixels[visible]).all()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_every_picture_at_whole_zoom_and_asks_for_nothing_but_the_timings(page, tmp_path):
    facts = probe(page, tmp_path / "reports")
    assert facts["images"] > 50
    assert facts["broken"] == []
    assert [name for name in facts["requests"] if not name.endswith("/.state/runs.js")] == []
    assert [error for error in facts["errors"] if not error.endswith("/.state/runs.js")] == []
    assert not facts["timings"]
    assert not facts["wide"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_timings_appear_when_the_machine_has_them_and_a_phone_can_read_the_page(page, tmp_path):
    runs = [{"stage": "train", "seconds": 12.34, "peak_mib": 900.5, "finished": "2030-01-01T00:00:00Z"}]
    write_atomic(tmp_path / ".state/runs.js", f"window.facetopixRuns = {json.dumps(runs)};".encode())
    facts = probe(page, tmp_path / "reports", width=500)
    assert facts["timings"]
    assert facts["errors"] == []
    assert not facts["wide"]


def test_alarms_and_convolutions_of_the_training_are_on_the_page(changed_page):
    assert "CycleGAN resnet: the pictures had periodic tiles from epoch 2 to the end" in changed_page
    assert "CycleGAN resnet: the sample faces nearly became one picture in epoch 3" in changed_page
    assert "CycleGAN resnet from 5.5 to 18.7" in changed_page
    assert changed_page.count("maps of every convolution") == 2  # of the figure and of the region around it


def test_a_run_without_activations_has_no_empty_section(page):
    assert 'id="activations"' not in page
    assert 'id="alarms"' not in page
