from __future__ import annotations

from pathlib import PurePath

import pytest

from pipeline.images.folders import may_be_image


@pytest.mark.parametrize(
    ("path", "image"),
    [
        ("a/three", True),  # a picture may lack its ending
        ("four.1", True),
        ("hero.PNG", True),
        ("LICENSE", False),
        ("a/Copying", False),
        ("README", False),
        ("manifest.csv", False),
        (".hidden/a.png", False),
        ("__MACOSX/a.png", False),
        ("licences/logo.png", False),
    ],
)
def test_files_beside_the_art_are_told_by_their_names(path: str, image: bool) -> None:
    assert may_be_image(PurePath(path)) is image
