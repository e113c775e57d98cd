from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape


@pytest.fixture(scope="session")
def small() -> Sample:
    """Two listing pages a gallery, each special work of the catalogue's first third."""
    return Sample(revision="test", pixeljoint=25, lospec=34, pixiehaus=31, faces=8)


@pytest.fixture(scope="session")
def scrape() -> Scrape:
    """Everything, from the sample."""
    return Scrape.model_validate(
        {
            "origin": "sample",
            "limit": None,
            "since": None,
            "until": None,
            "animation": "any",
            "contact": None,
            "accept_terms": [],
            "ignore_opt_outs": [],
            "blocked_tags": ["NSFW"],
            "pixeljoint": {"listing": "newest", "search": ""},
            "lospec": {"listing": "latest", "medium": "pixel-art", "category": "", "tags": []},
            "pixiehaus": {"page_parameter": "page", "first_page": 1},
        }
    )


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine remembers of hosts lies in the test's own folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
