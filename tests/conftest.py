"""The order of the suite, and what tests of several rooms start from: real pictures, a finished run."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

if TYPE_CHECKING:
    from pipeline.params import Params

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of this process and all that tests start: two workers share the cores
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes that tests start would compile the package anew
settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

SHARED = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[2] / "shared")) / "data"
LONGEST = ("test_pipeline.py", "test_benchmarks.py", "test_goes_on.py", "test_train.py", "test_cli.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def shared_tar() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = SHARED / f"{name}.tar"
        if not path.is_file():
            pytest.skip(f"{path} is absent")
        return path

    return find


@pytest.fixture(scope="session")
def shared_files(shared_tar) -> Callable[[str, int], dict[str, bytes]]:
    """(tar, count) -> about `count` image files spread over its manifest, by path."""

    def read(name: str, count: int) -> dict[str, bytes]:
        with tarfile.open(shared_tar(name)) as tar:
            lines = list(csv.DictReader(io.TextIOWrapper(tar.extractfile("manifest.csv"), "utf-8")))
            chosen = {line["path"] for line in lines[:: max(1, len(lines) // count)][:count]}
            members = [member for member in tar if member.name in chosen]
            return {member.name: tar.extractfile(member).read() for member in members}

    return read


@pytest.fixture(scope="session")
def shared_images(shared_files) -> Callable[[str, int], list[np.ndarray]]:
    """The same as opaque RGB arrays: alpha thresholded onto a blue grey."""

    def read(name: str, count: int) -> list[np.ndarray]:
        return [opaque(data) for data in shared_files(name, count).values()]

    return read


def opaque(data: bytes) -> np.ndarray:
    rgba = np.array(Image.open(io.BytesIO(data)).convert("RGBA"))
    return np.where(rgba[..., 3:] >= 128, rgba[..., :3], np.array((143, 163, 184), np.uint8))


@pytest.fixture(scope="session")
def parameters() -> Params:
    from finished_run import EVALUATE

    from pipeline.params import load

    return load(Path(__file__).parents[1] / "params.yaml").model_copy(update={"evaluate": EVALUATE})


@pytest.fixture(scope="session")
def sprites() -> list[np.ndarray]:
    from drawings import draw_sprite

    return [draw_sprite(seed) for seed in range(20)]


@pytest.fixture(scope="session")
def art(sprites: list[np.ndarray]) -> list[np.ndarray]:
    """The sprites at 128 pixels, four to a cell."""
    return [sprite.repeat(4, axis=0).repeat(4, axis=1) for sprite in sprites]


@pytest.fixture(scope="session")
def smooth() -> list[np.ndarray]:
    from drawings import draw_smooth

    return [draw_smooth(seed) for seed in range(20)]


@pytest.fixture(scope="session")
def untouched_run(tmp_path_factory: pytest.TempPathFactory, art: list[np.ndarray], smooth: list[np.ndarray]) -> Path:
    """A finished run that no test may change."""
    from finished_run import build_run

    return build_run(tmp_path_factory.mktemp("finished"), art[:12], smooth[:8])


@pytest.fixture
def finished_run(untouched_run: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(untouched_run, tmp_path / "run"))
