"""What the user does not want, judged on rows and over real HTTP."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.runtime import manifest
from pipeline.runtime.files import folder_digest
from pipeline.sample.galleries import catalogue, pages_lospec, pages_pixeljoint, site
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample
from pipeline.scrape import crawl, policy
from pipeline.scrape.params import Lospec, Scrape
from pipeline.scrape.settle import FIELDS, row_id
from pipeline.takedown.blocklist import load


def make_policy(scrape: Scrape, tmp_path: Path, *entries: dict[str, Any], **changed: Any) -> policy.Policy:
    return policy.of("lospec", scrape.model_copy(update=changed), load(blocklist(tmp_path, *entries)))


def blocklist(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    path = tmp_path / "blocklist.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def row(**facts: Any) -> manifest.Row:
    defaults = {"id": "lospec-0123456789abcdef", "source": "lospec", "source_id": "ann/cat", "status": "kept"}
    return {**dict.fromkeys(FIELDS), **defaults, **facts}


@pytest.mark.parametrize(
    ("changed", "facts", "reason"),
    [
        ({}, {}, None),
        ({}, {"tags": ["cat", "#NSFW "]}, "blocklist"),
        ({"blocked_tags": []}, {"tags": ["nsfw"]}, None),
        ({"since": "2024-05-01"}, {"posted": "2024-04-30T23:59:00"}, "limit"),
        ({"since": "2024-05-01"}, {"posted": "2024-05-01T00:00:00"}, None),
        ({"since": "2024-05-01"}, {"posted": "April 3, 2024"}, "limit"),
        ({"since": "2024-05-01"}, {"posted": "some day"}, None),
        ({"since": "2024-05-01"}, {}, None),
        ({"since": "2024-05-01"}, {"posted": "30.04.2024"}, "limit"),
        ({"since": "2024-05-01"}, {"posted": "April 30th, 2024"}, "limit"),
        ({"since": "2024-05-01"}, {"posted": "3 days ago", "fetched_at": "2024-05-03T09:00:00Z"}, "limit"),
        ({"since": "2024-05-01"}, {"posted": "3 days ago", "fetched_at": "2024-05-04T09:00:00Z"}, None),
        ({"until": "2024-05-01"}, {"posted": "2nd May 2024"}, "limit"),
        ({"until": "2024-05-01"}, {"posted": "2024-05-01T23:59:00"}, None),
        ({"until": "2024-05-01"}, {"posted": "some day"}, None),
        ({"animation": "still"}, {"frames": 2}, "limit"),
        ({"animation": "still"}, {"frames": 1}, None),
        ({"animation": "animated"}, {"frames": 1}, "limit"),
        ({"animation": "animated"}, {}, None),
        ({"lospec": Lospec(listing="latest", medium="all", category="", tags=["Cat"])}, {"tags": ["dog"]}, "limit"),
        ({"lospec": Lospec(listing="latest", medium="all", category="", tags=["Cat"])}, {"tags": ["#cat", "x"]}, None),
        ({"lospec": Lospec(listing="latest", medium="all", category="", tags=["Cat"])}, {"tags": None}, None),
        ({}, {"opt_out": "X-Robots-Tag: noai"}, "noai"),
        ({"ignore_opt_outs": ["lospec"]}, {"opt_out": "X-Robots-Tag: noai"}, None),
        ({"ignore_opt_outs": ["pixeljoint"]}, {"opt_out": "X-Robots-Tag: noai"}, "noai"),
    ],
)
def test_verdict_names_the_first_wish_that_a_work_goes_against(
    scrape: Scrape, tmp_path: Path, changed: dict[str, Any], facts: dict[str, Any], reason: str | None
) -> None:
    assert make_policy(scrape, tmp_path, **changed).verdict(row(**facts)) == reason


@pytest.mark.parametrize(
    "entry",
    [{"id": "lospec-0123456789abcdef"}, {"artist": "ANN", "source": None}, {"artist": "ann", "source": "lospec"}],
)
def test_work_that_was_taken_down_tells_nothing_but_its_identity(
    scrape: Scrape, tmp_path: Path, entry: dict[str, Any]
) -> None:
    dropped = make_policy(scrape, tmp_path, entry).apply(row(title="Cat", artist="Ann", image_url="http://x/y.png"))
    assert (dropped["status"], dropped["reason"]) == ("dropped", "blocklist")
    assert dropped["title"] is dropped["artist"] is dropped["image_url"] is None
    assert dropped["source_id"] == "ann/cat"


class Replica:
    """A sample gallery, its log, and crawls of it into one state."""

    def __init__(self, url: str, hits: list[Hit], root: Path, scrape: Scrape, small: Sample, source: str) -> None:
        self.url, self.hits, self.root, self.scrape, self.small = url, hits, root, scrape, small
        self.source = source

    def crawl(self, *, limit: int | None = None, blocked: Path = Path("none"), **changed: Any) -> list[manifest.Row]:
        self.hits.clear()
        crawl.run(
            self.source, self.root / "out", self.scrape.model_copy(update=changed), self.small, base_url=self.url,
            state=self.root / "state", blocklist=blocked, limit=limit,
        )  # fmt: skip
        return manifest.read(self.root / "out")

    @property
    def works_asked(self) -> list[str]:
        return [hit.target for hit in self.hits if re.match(r"/pixelart/|/files/|/gallery/|/sprites|/anim", hit.target)]

    @property
    def listings_asked(self) -> int:
        return len(self.hits) - len(self.works_asked) - 2  # robots.txt and TDM reservations


@pytest.fixture(params=["pixeljoint"])
def replica(request: pytest.FixtureRequest, small: Sample, scrape: Scrape, tmp_path: Path) -> Any:
    hits: list[Hit] = []
    bigger = small.model_copy(update={"pixeljoint": 60, "lospec": 40})
    with site.serve(bigger, [request.param], faults=Faults(on_hit=hits.append)) as urls:
        yield Replica(urls[request.param], hits, tmp_path, scrape, bigger, request.param)


def test_limit_counts_works_of_the_wished_kind_and_the_others_are_rows_too(replica: Replica) -> None:
    listed = replica.crawl(limit=30, animation="still")
    counts = Counter(row["reason"] for row in listed)
    assert counts["limit"] > 0
    assert len(listed) - counts["limit"] == 30
    assert all(row["frames"] == 1 for row in listed if row["status"] == "kept")
    assert all(row["frames"] > 1 for row in listed if row["reason"] == "limit")


def test_other_wishes_and_back_ask_for_no_work_twice(replica: Replica) -> None:
    replica.crawl()
    digest = folder_digest(replica.root / "out")
    animated = replica.crawl(animation="animated")
    assert replica.works_asked == []
    assert {row["frames"] > 1 for row in animated if row["status"] == "kept"} == {True}
    replica.crawl()
    assert replica.works_asked == []
    assert folder_digest(replica.root / "out") == digest


def test_since_ends_the_listing_at_a_page_of_old_works_and_fetches_no_old_image(replica: Replica) -> None:
    newest = catalogue.work("pixeljoint", 0).posted
    since = catalogue.work("pixeljoint", 10).posted.date().isoformat()
    assert since < newest.date().isoformat()
    listed = replica.crawl(since=since)
    assert replica.listings_asked == 2, "the third page holds nothing younger"
    assert {row["reason"] for row in listed if row["posted"] and row["posted"][:10] < since} == {"limit"}
    old = [row["image_url"] for row in listed if row["reason"] == "limit"]
    assert not set(old) & {f"{replica.url}{target}" for target in replica.works_asked}
    later = replica.crawl()
    assert {row["reason"] for row in later} & {"limit"} == set()
    assert len(later) == 60


@pytest.mark.parametrize("replica", ["pixeljoint", "lospec"], indirect=True)
def test_blocked_work_is_not_even_opened(replica: Replica, tmp_path: Path) -> None:
    source_id = {
        "pixeljoint": str(pages_pixeljoint.work_id(3)),
        "lospec": "/".join(
            (
                pages_lospec.artist_slug(catalogue.work("lospec", 3)),
                pages_lospec.piece_slug(catalogue.work("lospec", 3)),
            )
        ),
    }[replica.source]
    entry = {"id": row_id(replica.source, source_id)}
    listed = replica.crawl(limit=6, blocked=blocklist(tmp_path, entry))
    assert [row["source_id"] for row in listed if row["reason"] == "blocklist"] == [source_id]
    assert not [target for target in replica.works_asked if source_id in target]


def test_image_of_a_blocked_artist_is_not_fetched_and_lifting_the_block_fetches_it(
    replica: Replica, tmp_path: Path
) -> None:
    artist = catalogue.work("pixeljoint", 2).artist_name
    listed = replica.crawl(limit=20, blocked=blocklist(tmp_path, {"artist": artist.upper(), "source": "pixeljoint"}))
    blocked_rows = [row for row in listed if row["reason"] == "blocklist"]
    indices = [index for index in range(20) if catalogue.work("pixeljoint", index).artist_name == artist]
    assert {row["source_id"] for row in blocked_rows} == {str(pages_pixeljoint.work_id(index)) for index in indices}
    assert {row["artist"] for row in blocked_rows} == {None}
    assert artist not in (replica.root / "out" / "manifest.jsonl").read_text(encoding="utf-8")
    names = {pages_pixeljoint.full_name(catalogue.work("pixeljoint", index)) for index in indices}
    assert not [target for target in replica.works_asked if target.rpartition("/")[2] in names]
    blocked_ids = {row["source_id"] for row in blocked_rows}
    later = replica.crawl(limit=20)
    assert "blocklist" not in {row["reason"] for row in later}
    assert {row["artist"] for row in later if row["source_id"] in blocked_ids} == {artist}


@pytest.mark.parametrize("replica", ["lospec"], indirect=True)
def test_opt_out_is_overridden_by_the_flag_only_and_the_record_says_so(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    refused = {row["source_id"]: row for row in replica.crawl() if row["reason"] == "noai"}
    assert len(refused) == 2
    assert all(row["consent"].startswith("refused: ") for row in refused.values())
    with caplog.at_level(logging.WARNING):
        overridden = {row["source_id"]: row for row in replica.crawl(ignore_opt_outs=["lospec"])}
    assert caplog.text.count("overridden at the user's word") >= 2
    for source_id in refused:
        assert overridden[source_id]["status"] == "kept"
        assert "overridden" in overridden[source_id]["consent"]
    later = {row["source_id"] for row in replica.crawl() if row["reason"] == "noai"}
    assert later == set(refused)
    assert replica.works_asked == []


def test_flag_for_another_site_overrides_nothing(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    params = scrape.model_copy(update={"ignore_opt_outs": ["pixeljoint"]})
    robots = "User-agent: *\nContent-Signal: ai-train=no\n"
    with site.serve(small, ["lospec"], faults=Faults(robots=robots)) as urls, pytest.raises(Refused):
        crawl.run("lospec", tmp_path / "out", params, small, state=tmp_path / "state", base_url=urls["lospec"])


def test_robots_opt_out_under_the_flag_is_in_every_row(small: Sample, scrape: Scrape, tmp_path: Path) -> None:
    params = scrape.model_copy(update={"ignore_opt_outs": ["lospec"], "limit": 4})
    with site.serve(small, ["lospec"], faults=Faults(robots="User-agent: *\nContent-Signal: ai-train=no\n")) as urls:
        crawl.run("lospec", tmp_path / "out", params, small, state=tmp_path / "state", base_url=urls["lospec"])
    assert all("overridden: robots.txt" in row["consent"] for row in manifest.read_kept(tmp_path / "out"))
