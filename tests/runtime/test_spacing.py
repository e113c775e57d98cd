from __future__ import annotations

import pytest

from pipeline.runtime.spacing import evenly_spaced


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, "a"), (2, "ad"), (3, "ace"), (6, "abcdef"), (9, "abcdef"), (None, "abcdef"), (0, "")]
)
def test_a_few_of_many_are_as_far_apart_as_they_can_be(count: int | None, chosen: str) -> None:
    assert evenly_spaced("abcdef", count) == list(chosen)
    assert evenly_spaced("", count) == []
