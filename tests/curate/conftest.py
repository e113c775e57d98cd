from __future__ import annotations

import csv
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(os.environ.get("FACETOPIX_SHARED", Path(__file__).parents[3] / "shared")) / "data"


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
