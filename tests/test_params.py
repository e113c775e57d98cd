"""params.yaml: the committed file is valid, and every way to get it wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.errors import BadParams
from pipeline.params import Params, load

ROOT = Path(__file__).parents[1]


def test_the_committed_files_are_valid() -> None:
    assert load(ROOT / "params.yaml").epochs >= 1
    assert load(ROOT / "tests" / "params.yaml").epochs >= 1


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    """params.yaml with one key set (or removed: value is None and key starts with '-')."""
    yaml = YAML(typ="safe", pure=True)
    raw = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    *sections, last = key.removeprefix("-").split(".")
    place = raw
    for section in sections:
        place = place[section]
    if key.startswith("-"):
        del place[last]
    else:
        place[last] = value
    file = tmp_path / "params.yaml"
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(raw, stream)
    return file


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("epochs", 0, ["epochs", ">= 1", "<= 10000", "got 0"]),
        ("epochs", "many", ["epochs", "got 'many'"]),
        ("epochs", True, ["epochs", "got True"]),
        ("grid.max_cell", 200, ["grid.max_cell", ">= 2 and <= 128", "got 200"]),
        ("train.cell.lr", 0.0, ["train.cell.lr", "> 0", "got 0.0"]),
        ("train.generators", ["unet"], ["train.generators.0", "'resnet', 'resize' or 'cell'", "got 'unet'"]),
        ("train.generators", [], ["train.generators", "at least 1"]),
        ("flatten.backgrounds", ["red"], ["flatten.backgrounds.0", "got 'red'"]),
        ("resize.cells", 30, ["size must be a multiple of cells", "128", "30"]),
        ("dedup.max_distnace", 3, ["dedup.max_distnace is unknown", "max_distance"]),
        ("colour", 1, ["colour is unknown", "epochs"]),
        ("-split.val", None, ["split.val is missing"]),
        ("split.min_transparent", 1.5, ["split.min_transparent", ">= 0 and <= 1", "got 1.5"]),
        ("split.max_transparent", -0.1, ["split.max_transparent", ">= 0 and <= 1", "got -0.1"]),
        ("split.sources", ["pixelhaus"], ["split.sources.0", "'lospec', 'pixiehaus' or 'inputs'", "got 'pixelhaus'"]),
        ("split.native", [24], ["split.native", "at least 2 items", "got [24]"]),
        ("split.native", [0, 24], ["split.native.0", "greater than or equal to 1", "got 0"]),
        ("split.native", [48, 24], ["split: native: expected the least side first, then the most, got [48, 24]"]),
        ("split.palette_near.distance", 1.5, ["split.palette_near.distance", ">= 0 and <= 1", "got 1.5"]),
        ("split.palette_near.palette", "", ["split.palette_near.palette", "got ''"]),
        ("split.palette_near", None, ["split.palette_near", "got None"]),
        ("faces.margin", 3.0, ["faces.margin", ">= 0 and <= 2", "got 3.0"]),
        ("faces.detector", "", ["faces.detector", "got ''"]),
        ("scrape.limit", 0, ["scrape.limit", ">= 1", "got 0"]),
        ("style.temperature.end", 0.0, ["style.temperature.end", "> 0", "got 0.0"]),
        ("style.plateau", 1.0, ["style.plateau", "< 1", "got 1.0"]),
        ("style.optimiser", "sgd", ["style.optimiser", "'adam' or 'lbfgs'", "got 'sgd'"]),
        ("scrape", 3, ["scrape", "got 3"]),
    ],
)
def test_a_wrong_value_is_named_with_its_key_its_value_and_what_was_expected(
    tmp_path: Path, key: str, value: Any, words: list[str]
) -> None:
    file = changed(tmp_path, key, value)
    with pytest.raises(BadParams) as caught:
        load(file)
    for word in [str(file), *words]:
        assert word in str(caught.value)


def test_an_empty_range_of_transparency_is_refused(tmp_path: Path) -> None:
    file = changed(tmp_path, "split.min_transparent", 0.5)
    text = file.read_text(encoding="utf-8").replace("max_transparent: 1.0", "max_transparent: 0.25")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadParams, match=r"split: min_transparent must not be above max_transparent, got 0.5 and 0.25$"):
        load(file)
    file.write_text(text.replace("max_transparent: 0.25", "max_transparent: 0.5"), encoding="utf-8")
    assert load(file).split.max_transparent == 0.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimiser": "lbfgs", "ema": 0.9}, r"style: ema is of optimiser adam: with lbfgs expected 0, got ema 0\.9$"),
        (
            {"optimiser": "lbfgs", "gumbel": 0.5},
            r"style: the line search of lbfgs needs a loss without noise: expected gumbel 0, got 0\.5$",
        ),
        (
            {"palette": None, "palette_from": "learned"},
            r"style: palette null is no palette: expected palette_from artwork, got learned$",
        ),
    ],
)
def test_values_of_the_style_section_that_do_not_go_together_are_refused(
    tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    yaml = YAML()
    raw = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["style"].update(values)
    file = tmp_path / "params.yaml"
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(raw, stream)
    with pytest.raises(BadParams, match=words):
        load(file)


def test_every_wrong_key_is_told_at_once(tmp_path: Path) -> None:
    file = changed(tmp_path, "epochs", 0)
    text = file.read_text(encoding="utf-8").replace("seed: 7", "seed: -1")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadParams, match=r"epochs.*; seed"):
        load(file)


@pytest.mark.parametrize("text", ["epochs: [", "\t- x", "epochs: 1\nepochs: 2\n", "", "just words"])
def test_a_file_that_is_no_mapping_of_parameters_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadParams, match=r"params\.yaml"):
        load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadParams, match=r"nowhere\.yaml: no such parameter file"):
        load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("written", ["2e-4", "0.0002", "2.0e-4"])
def test_numbers_are_read_as_dvc_writes_them(tmp_path: Path, written: str) -> None:
    """YAML 1.1 would read 2e-4 as a string."""
    file = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert "lr: 0.0002" in text
    file.write_text(text.replace("lr: 0.0002", f"lr: {written}"), encoding="utf-8")
    assert load(file).train.resnet.lr == 2e-4


def test_no_parameter_has_a_default() -> None:
    """A default would be a second place for a value, and one that DVC cannot see."""
    waiting = [Params]
    while waiting:
        model = waiting.pop()
        for name, field in model.model_fields.items():
            assert field.is_required(), name
            if isinstance(field.annotation, type) and issubclass(field.annotation, Params.__base__):  # type: ignore[arg-type]
                waiting.append(field.annotation)  # type: ignore[arg-type]
