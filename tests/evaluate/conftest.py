from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from drawings import draw_smooth, draw_sprite
from finished_run import EVALUATE, build_run

from pipeline.params import Params, load


@pytest.fixture(scope="session")
def parameters() -> Params:
    return load(Path(__file__).parents[2] / "params.yaml").model_copy(update={"evaluate": EVALUATE})


@pytest.fixture(scope="session")
def sprites() -> list[np.ndarray]:
    return [draw_sprite(seed) for seed in range(20)]


@pytest.fixture(scope="session")
def art(sprites: list[np.ndarray]) -> list[np.ndarray]:
    """The sprites at 128 pixels, four to a cell."""
    return [sprite.repeat(4, axis=0).repeat(4, axis=1) for sprite in sprites]


@pytest.fixture(scope="session")
def smooth() -> list[np.ndarray]:
    return [draw_smooth(seed) for seed in range(20)]


@pytest.fixture(scope="session")
def untouched_run(tmp_path_factory: pytest.TempPathFactory, art: list[np.ndarray], smooth: list[np.ndarray]) -> Path:
    """A finished run that no test may change."""
    return build_run(tmp_path_factory.mktemp("finished"), art[:12], smooth[:8])


@pytest.fixture
def finished_run(untouched_run: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(untouched_run, tmp_path / "run"))
