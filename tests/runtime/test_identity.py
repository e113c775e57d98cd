from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime import identity


@pytest.mark.parametrize("part", ["-f003", "-t02x01", "-c01", "-f003-t02x01", "-t00x00-c12", "-f10000"])
def test_parts_belong_to_their_work(part) -> None:
    assert identity.work_of(f"lospec-02a2998b2ce6ffd8{part}") == "lospec-02a2998b2ce6ffd8"


@given(st.text("0123456789abcdef", min_size=16, max_size=16))
def test_a_digest_is_never_taken_for_a_part(digest) -> None:
    assert identity.work_of(f"lospec-{digest}") == f"lospec-{digest}"


@pytest.mark.parametrize("digest", ["f123456789012345", "c123456789012345"])
def test_not_even_one_that_reads_like_a_frame(digest) -> None:
    assert identity.work_of(f"lospec-{digest}") == f"lospec-{digest}"
    assert identity.work_of(f"lospec-{digest}-f001") == f"lospec-{digest}"


def test_names_are_compared_without_case_width_and_white_space() -> None:
    assert identity.plain("  Ann \u3000LEE") == identity.plain("ann lee") == identity.plain("\uff21nn lee")
    assert identity.plain("Ann") != identity.plain("Anne")
