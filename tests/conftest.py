"""The order of the suite."""

from __future__ import annotations

import pytest

LONGEST = ("test_pipeline.py", "test_train.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
