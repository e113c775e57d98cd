"""The strips of a training's epochs, also where a folder of samples is not what a training leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.images.files import write_png
from pipeline.report.stage import EPOCHS_SHOWN, epochs


def samples(folder: Path, *names: str) -> Path:
    (folder / "cell" / "samples").mkdir(parents=True)
    for name in names:
        write_png(folder / "cell" / "samples" / name, np.zeros((8, 8, 3), np.uint8))
    return folder


def test_no_epoch_yet_is_no_strip(tmp_path: Path) -> None:
    assert [len(strips) for _, strips in epochs(samples(tmp_path))] == [0]
    assert [len(strips) for _, strips in epochs(samples(tmp_path / "begun", "inputs.png"))] == [1]


def test_of_many_epochs_the_first_and_the_last_are_among_those_shown(tmp_path: Path) -> None:
    many = samples(tmp_path, "inputs.png", *(f"epoch-{number:03d}.png" for number in range(1, 31)))
    ((_, strips),) = epochs(many)
    assert len(strips) == 1 + EPOCHS_SHOWN
    assert "epoch 1" in str(strips[1])
    assert "epoch 30" in str(strips[-1])


def test_a_picture_that_is_of_no_epoch_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"epoch-best\.png: expected a name like epoch-003\.png"):
        epochs(samples(tmp_path, "epoch-001.png", "epoch-best.png"))
