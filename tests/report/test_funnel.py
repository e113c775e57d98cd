from __future__ import annotations

from pipeline.report import funnel, provenance
from pipeline.report.funnel import Stage
from pipeline.runtime import manifest


def counts(data):
    return {stage.name: funnel.count(stage) for stage in funnel.stages(data)}


def test_every_stage_that_ran_is_in_the_funnel_in_the_order_of_the_data(untouched_run):
    stages = counts(untouched_run / "data")
    scraped = ["scrape lospec", "scrape pixeljoint", "scrape pixiehaus"]
    assert list(stages) == [*scraped, "dedup", "flatten", "grid", "resize", "faces", "split"]
    assert all(stage.balanced for stage in stages.values())
    assert stages["scrape lospec"].reasons == {"robots": 1}
    dedup = stages["dedup"]
    assert (dedup.inputs, dedup.kept, dedup.dropped) == (12, 11, 1)
    assert stages["split"].inputs == 19


def test_a_work_that_vanishes_between_stages_unbalances_the_books(finished_run):
    """Each folder balances by itself; only the comparison with the stage before shows the loss."""
    folder = finished_run / "data" / "grid"
    rows = manifest.read(folder)[1:]
    manifest.write(folder, rows, inputs=[row["id"] for row in rows])
    stages = counts(finished_run / "data")
    assert [name for name, stage in stages.items() if not stage.balanced] == ["grid", "resize"]


def test_tiles_are_counted_under_their_parent(tmp_path):
    parent = {"id": "a-1"}
    manifest.write(tmp_path / "grid", [manifest.kept(parent)], inputs=["a-1"])
    tiles = [manifest.kept({"id": f"a-1-t00x0{n}", "parent": "a-1"}) for n in range(3)]
    manifest.write(tmp_path / "resize", tiles, inputs=["a-1"])
    count = funnel.count(Stage("resize", tmp_path / "resize", (tmp_path / "grid",)))
    assert (count.inputs, count.kept, count.balanced) == (1, 3, True)


def test_examples_show_what_a_stage_changed_and_what_it_removed(untouched_run):
    stages = {stage.name: stage for stage in funnel.stages(untouched_run / "data")}
    assert funnel.changed_examples(stages["dedup"]) == []
    ((removed, favoured),) = funnel.removed_examples(stages["dedup"])
    assert (removed.caption, favoured.alt) == ("duplicate", "lospec-00, kept in favour of pixiehaus-11")
    pairs = funnel.changed_examples(stages["grid"])
    assert len(pairs) == funnel.EXAMPLES
    assert pairs[0][1].caption.endswith("(CC0-1.0); 128x128 → 32x32")
    assert {(before.width, after.width) for before, after in pairs} == {(128, 128)}


def test_a_removed_work_that_cannot_be_read_is_counted_but_not_shown(finished_run):
    raw = finished_run / "data/raw/pixiehaus/images"
    for path in raw.iterdir():
        path.write_bytes(path.read_bytes()[:30])
    stages = {stage.name: stage for stage in funnel.stages(finished_run / "data")}
    assert funnel.removed_examples(stages["dedup"]) == []


def test_examples_of_removed_works_take_turns_over_the_reasons(tmp_path, untouched_run):
    source = untouched_run / "data/dedup"
    rows = manifest.read_kept(source)
    reasons = ["small"] * (len(rows) - 1) + ["wide"]
    dropped = [manifest.dropped(row, reason) for row, reason in zip(rows, reasons, strict=True)]
    manifest.write(tmp_path, dropped, inputs=[row["id"] for row in rows])
    captions = [picture.caption for picture, _ in funnel.removed_examples(Stage("resize", tmp_path, (source,)))]
    assert captions == ["small", "wide", "small", "small", "small", "small"]


def test_provenance_counts_works_artists_and_licences(untouched_run):
    origins = {origin.source: origin for origin in provenance.origins(provenance.kept_rows(untouched_run / "data"))}
    assert list(origins) == ["faces", "lospec", "pixeljoint", "pixiehaus"]
    assert (origins["lospec"].works, origins["lospec"].artists, origins["lospec"].ai_generated) == (4, 4, 0)
    assert origins["pixiehaus"].ai_generated == origins["pixiehaus"].works == 3
    assert origins["lospec"].licences == (("CC0-1.0", 4),)
    assert origins["faces"].licences == (("unknown", 8),)


def test_crops_of_one_picture_are_one_input(tmp_path):
    crops = [{"id": f"inputs-1-c{number:02}", "parent": "inputs-1"} for number in (1, 2, 3)]
    rows = [manifest.kept(crops[0]), manifest.kept(crops[1]), manifest.dropped(crops[2], "too_small")]
    folder = tmp_path / "data" / "faces"
    folder.mkdir(parents=True)
    manifest.write(folder, [*rows, manifest.dropped({"id": "inputs-2"}, "no_face")], inputs=["inputs-1", "inputs-2"])
    counted = funnel.count(funnel.stages(tmp_path / "data")[0])
    assert (counted.inputs, counted.kept, counted.dropped, counted.balanced) == (2, 2, 2, True)
