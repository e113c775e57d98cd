from __future__ import annotations

import pytest

from pipeline.params import Sample, Scrape


@pytest.fixture(scope="session")
def small() -> Sample:
    """Two listing pages a gallery, each special work of the catalogue's first third."""
    return Sample(revision="test", pixeljoint=25, lospec=34, pixiehaus=31, faces=8)


@pytest.fixture(scope="session")
def scrape() -> Scrape:
    return Scrape(origin="sample", limit=None, contact=None, accept_terms=[], blocked_tags=["NSFW"])
