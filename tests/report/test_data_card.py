"""The data card, made from a small finished run with titles and names that no honest artist has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pages import CHROMIUM, Elements, probe, text_of

from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.report import data_card, duplicates, palettes_used, stage
from pipeline.runtime import manifest
from pipeline.runtime.files import sha256

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
MEBIBYTE = 2**20


def render(run, parameters) -> str:
    return data_card.render(run, parameters, stage.environment())


def rewrite(folder: Path, change) -> None:
    rows = [change(dict(row)) for row in manifest.read(folder)]
    (folder / "manifest.jsonl").write_text(manifest.dump(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def page(untouched_run, parameters):
    return render(untouched_run, parameters)


def test_the_card_is_one_small_file_that_needs_nothing_else(page):
    elements = Elements(page)
    assert all(a["src"].startswith("data:image/png;base64,") for _, a in elements.tags if "src" in a)
    assert [a["href"] for _, a in elements.tags if "href" in a] == ["data:,", "index.html"]
    assert not elements.all("script")
    assert not re.search(r"https?://|url\(|@import", page)
    assert len(page.encode()) < 2 * MEBIBYTE


def test_everything_shown_has_words_and_every_table_has_headers(page):
    elements = Elements(page)
    assert all(image["alt"] and int(image["width"]) > 0 for image in elements.all("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in elements.all("svg"))
    assert all("scope" in header for header in elements.all("th"))
    assert page.count("<table") == page.count("</table>") > 5


def test_titles_artists_licences_and_consents_cannot_inject_markup(finished_run, parameters):
    data = finished_run / "data"
    hostile = dict.fromkeys(("title", "artist", "licence", "consent", "source"), HOSTILE)
    for folder in (data / "split", data / "dedup", data / "resize", data / "raw" / "lospec"):
        rewrite(folder, lambda row: {**row, **hostile, "family": "f"})
    before, after = Elements(render(finished_run, parameters)), render(finished_run, parameters)
    assert "&lt;script&gt;alert(1)" in after
    assert "<script" not in after
    assert all("onerror" not in attributes for _, attributes in before.tags)


def test_the_counts_are_those_of_the_manifests(untouched_run, page):
    words = text_of(page)
    rows = manifest.read_kept(untouched_run / "data/split")
    art = [row for row in rows if row["domain"] == "pixel"]
    assert f"{len(art)} pixel-art pictures of {len(art)} works and 8 faces from 4 sources" in words
    assert f"CC0-1.0 {len(art)} 0 not told 0 8" in words
    generated = sum(row["ai_generated"] for row in art)
    assert f"artworks {generated} ({100 * generated / len(art):.0f} %)" in words
    assert "lospec 0 1 0" in words  # a robots refusal of every source
    assert f"{len(art)} + 8 test: art + faces" in words
    assert sha256(untouched_run / "data/split/manifest.jsonl") in page


def test_charts_say_their_numbers(page):
    labels = [svg["aria-label"] for svg in Elements(page).all("svg") if "aria-label" in svg]
    assert "Longest side as served: 128-255: 12" in labels
    assert "Longest side, native: 25-32: 11" in labels
    assert "Enlargement found: 4: 11" in labels
    assert any(label.startswith("Transparent share: none: 0, >0: 0, 10%: 0, 20%: 11") for label in labels)
    assert any(label.startswith("Colours of a work: ") for label in labels)


def test_a_dropped_work_is_shown_as_it_was_served_beside_the_kept_one(untouched_run, page):
    kinds = duplicates.kinds(untouched_run / "data", served_rows(untouched_run))
    assert [(kind.name, kind.number, len(kind.pairs)) for kind in kinds] == [
        ("Near duplicates", 1, 1), ("Alternates", 1, 1), ("Mirror images and recolours", 1, 1),
    ]  # fmt: skip
    assert "near, distance 7.2: Figure &lt;0&gt; by artist 0 | dropped: Figure &lt;11&gt; by artist 3" in page
    assert "alternate, distance 3.5: Figure &lt;0&gt; by artist 0 | kept too: Figure &lt;1&gt; by artist 1" in page
    assert "kin: Figure &lt;1&gt; by artist 1 | kept too: Figure &lt;11&gt; by artist 3" in page
    assert kinds[0].pairs[0].first.uri != kinds[0].pairs[0].second.uri


def served_rows(run):
    folders = sorted((run / "data/raw").iterdir())
    return [{"source": folder.name, **row} for folder in folders for row in manifest.read(folder)]


def test_the_most_doubtful_decisions_come_first_and_a_work_is_shown_once(finished_run):
    data = finished_run / "data"
    ids = [row["id"] for row in manifest.read_kept(data / "dedup")]
    far = [
        {"kept": ids[a], "dropped": ids[b], "in_favour_of": ids[a], "tier": "near", "distance": distance}
        for a, b, distance in ((0, 1, 2.0), (2, 3, 9.0), (3, 4, 8.0), (5, 6, 4.0))
    ]
    lines = "".join(json.dumps(line) + "\n" for line in far)
    (data / "dedup" / "decisions.jsonl").write_text(lines, encoding="utf-8")
    pairs = duplicates.kinds(data, served_rows(finished_run))[0].pairs
    assert [re.search(r"distance ([\d.]+)", pair.caption)[1] for pair in pairs] == ["9.0", "4.0", "2.0"]


def test_a_broken_decision_is_named(finished_run, parameters):
    (finished_run / "data/dedup/decisions.jsonl").write_text('{"tier": "near"}\n', encoding="utf-8")
    with pytest.raises(BadInput, match=r"decisions\.jsonl:1: expected a decision"):
        render(finished_run, parameters)


def test_the_seed_decides_the_sample_and_nothing_else_does(untouched_run, parameters, page):
    def alts(text):
        return re.findall(r'alt="([^"]*)"', text[text.index('id="looks"') : text.index('id="shapes"')])

    reseeded = render(untouched_run, parameters.model_copy(update={"seed": 8}))
    assert alts(page) == alts(render(untouched_run, parameters))
    assert len(alts(page)) == 11 + 8
    assert set(alts(reseeded)) == set(alts(page))  # all of them are shown: the order is that of the ids
    assert reseeded == page


def test_a_sample_of_many_is_drawn_by_the_seed(finished_run, parameters):
    data = finished_run / "data"
    rows = []
    for number in range(40):
        row = {"id": f"p-{number:03}", "title": f"work {number}"}
        files.write_png(data / "split/pixel/train" / f"{row['id']}.png", np.full((8, 8, 3), number, np.uint8))
        rows.append(manifest.kept(row, domain="pixel", split="train"))
    manifest.write(data / "split", rows, inputs=[row["id"] for row in rows])
    pages = [render(finished_run, parameters.model_copy(update={"seed": seed})) for seed in (1, 1, 2)]
    titles = [sorted(set(re.findall(r'alt="(work \d+)"', text))) for text in pages]
    assert [len(names) for names in titles] == [12, 12, 12]
    assert titles[0] == titles[1] != titles[2]


def test_the_ground_under_transparency_is_no_colour_of_the_work(tmp_path):
    pixels = np.array([[[9, 9, 9], [1, 2, 3]], [[9, 9, 9], [1, 2, 3]]], np.uint8)
    files.write_png(tmp_path / "grid/images/a.png", pixels)
    facts = {"id": "a", "background": "#090909"}
    clear = palettes_used.read(tmp_path, [{**facts, "transparent_share": 0.5}])
    assert [(swatch.colour, swatch.share) for swatch in clear.swatches] == [("#010203", 1.0)]
    opaque = palettes_used.read(tmp_path, [{**facts, "transparent_share": 0.0}])
    assert [(swatch.colour, swatch.share) for swatch in opaque.swatches] == [("#010203", 0.5), ("#090909", 0.5)]


def test_limits_follow_from_the_counts(finished_run, parameters, page):
    assert "come without a licence" not in page
    rewrite(finished_run / "data/split", lambda row: {**row, "licence": None, "artist": "one"})
    text = render(finished_run, parameters)
    assert "11 of 11 artworks come without a licence" in text
    assert "4 of 11 artworks are by one artist" in text


def test_the_card_tells_what_stands_in_which_split_and_what_is_missed_there(finished_run, parameters, page):
    assert "What stands in which split" not in page  # of a split that tells nothing
    stats = {
        "sources": {"pixel": {"train": {HOSTILE: 7, "lospec": 2}, "val": {}, "test": {"lospec": 1}}},
        "artists": {"pixel": {"train": 3, "val": 0, "test": 1}},
        "groups": {"pixel": [{"works": 6, "share": 0.6, "split": "train", "first": "a", "artists": 1}]},
        "warnings": [f"none of the 7 artworks of {HOSTILE} in test"],
    }
    (finished_run / "data/split/stats.json").write_text(json.dumps(stats), encoding="utf-8")
    text = render(finished_run, parameters)
    words = text_of(text)
    assert "artworks of lospec 2 0 1" in words
    assert "named artists of artworks 3 0 1" in words
    assert "The largest group of artworks that stay together: 6, 60.0% of all, in train." in words
    assert "none of the 7 artworks of " in words
    assert not Elements(text).all("script")


def test_only_a_run_on_the_sample_alone_says_so(finished_run, parameters, page):
    assert "drawn by a program" in page
    rewrite(finished_run / "data/split", lambda row: {**row, "origin": "live", "licence": None})
    text = render(finished_run, parameters)
    assert "drawn by a program" not in text
    assert "Of 11 works, 11 come without a licence." in text


def test_the_days_of_fetching_stand_with_the_sources(finished_run, parameters, page):
    assert "Fetched" not in page
    rewrite(finished_run / "data/raw/lospec", lambda row: {**row, "fetched_at": "2026-01-31T08:00:00Z"})
    assert "Fetched on 2026-01-31, by the sample's fixed clock." in text_of(render(finished_run, parameters))
    rewrite(finished_run / "data/raw/pixeljoint", lambda row: {**row, "fetched_at": "2026-02-01T08:00:00Z"})
    rewrite(finished_run / "data/split", lambda row: {**row, "origin": "live"})
    assert "Fetched from 2026-01-31 to 2026-02-01." in text_of(render(finished_run, parameters))


def test_a_folder_without_data_is_a_card_of_zeros(tmp_path, parameters):
    words = text_of(render(tmp_path, parameters))
    assert "0 pixel-art pictures of 0 works and 0 faces from 0 sources" in words


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_every_picture_at_whole_zoom_and_asks_for_nothing(page, tmp_path, width):
    facts = probe(page, tmp_path / "reports", width)
    assert facts["images"] > 20
    assert (facts["broken"], facts["requests"], facts["errors"]) == ([], [], [])
    assert not facts["wide"]
