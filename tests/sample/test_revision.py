from __future__ import annotations

from pathlib import Path

from pipeline import params
from pipeline.sample.galleries import catalogue

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_sample_revision_is_the_digest_of_what_is_drawn() -> None:
    """DVC sees a changed drawing only through this parameter: write the digest there after changing one."""
    assert params.load(PARAMS).sample.revision == catalogue.digest()
