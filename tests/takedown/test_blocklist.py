"""The list of works and artists that nobody may have: never read as shorter than it is, the same bytes every time."""

from __future__ import annotations

import json
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.takedown import blocklist
from pipeline.takedown.blocklist import Blocklist, Entry, blocklist_of

ID = "lospec-02a2998b2ce6ffd8"
ABSENT = Path("absent.jsonl")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
ids = st.from_regex(r"(lospec|pixiehaus)-[0-9a-f]{3}", fullmatch=True)
notes = st.fixed_dictionaries({}, optional={"note": texts, "date": texts})
id_entries = st.builds(lambda id, extra: {"id": id, **extra}, ids, notes)
artist_entries = st.builds(
    lambda name, source, extra: {"artist": name, "source": source, **extra},
    st.sampled_from(["Ann", "ann", "\uff21\uff4e\uff4e", "Bob  Ross", "Émile"]) | texts,
    st.sampled_from([None, *blocklist.SOURCES]),
    notes,
)
entry_lists = st.lists(id_entries | artist_entries, max_size=8)


@contextmanager
def listed(*entries: Entry) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blocklist.jsonl"
        blocklist.add(path, entries)
        yield path


def blocks_artist(entry: Entry, name: str, source: str = "lospec") -> bool:
    return blocklist_of([entry]).covers(id="lospec-1", source=source, artists=[None, name])


def test_an_absent_file_blocks_nothing() -> None:
    assert blocklist.load(ABSENT) == Blocklist()
    assert not Blocklist().covers(id=ID, source="lospec", artists=["Ann", None, ""])


@pytest.mark.parametrize("part", ["", "-f000", "-f1234", "-t02x01", "-f003-t00x10"])
def test_a_work_is_covered_with_its_frames_and_tiles(part: str) -> None:
    listed = blocklist_of([{"id": ID}])
    assert listed.covers(id=ID + part, source="lospec", artists=[])
    assert not listed.covers(id="lospec-02a2998b2ce6ffd9" + part, source="lospec", artists=[])


def test_a_wish_that_names_a_frame_covers_the_whole_work() -> None:
    assert blocklist_of([{"id": ID + "-f003"}]).covers(id=ID, source="lospec", artists=[])


@pytest.mark.parametrize("name", ["Bob Ross", "BOB ROSS", " bob\t\u3000ross ", "\uff22ob \uff32oss", "bob\u00a0ross"])
def test_an_artist_is_known_by_any_spelling_of_the_same_name(name: str) -> None:
    assert blocks_artist({"artist": "Bob  Ross", "source": None}, name)
    assert blocks_artist({"artist": name, "source": None}, "Bob Ross")


def test_composed_and_decomposed_letters_are_the_same_name() -> None:
    assert blocks_artist({"artist": "Émile Straße", "source": None}, unicodedata.normalize("NFD", "ÉMILE STRASSE"))


@pytest.mark.parametrize("name", ["Bob", "Bob Rossi", "BobRoss", ""])
def test_another_name_is_another_artist(name: str) -> None:
    assert not blocks_artist({"artist": "Bob Ross", "source": None}, name)


def test_an_entry_with_a_source_covers_the_name_there_only() -> None:
    assert blocks_artist({"artist": "Ann", "source": "lospec"}, "ann", "lospec")
    assert not blocks_artist({"artist": "Ann", "source": "lospec"}, "ann", "pixiehaus")
    assert blocks_artist({"artist": "Ann", "source": None}, "ann", "pixiehaus")
    assert blocks_artist({"artist": "Ann"}, "ann", "inputs")


def test_an_id_is_no_artist_and_an_artist_is_no_id() -> None:
    assert not blocks_artist({"id": "lospec-7"}, "lospec-7")
    assert not blocklist_of([{"artist": "lospec-7"}]).covers(id="lospec-7", source="lospec", artists=[])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "lospec-1"', "not JSON"), (b"\xff\xfe", "not JSON"), (b"[]", r"found \[\]"), (b"{}", "found {}"),
        (b'{"id": "x", "artist": "y"}', "unknown key 'artist'"), (b'{"id": "x", "sauce": "y"}', "unknown key 'sauce'"),
        (b'{"id": "x", "source": "lospec"}', "unknown key 'source'"), (b'{"id": 7}', "found"),
        (b'{"artist": "  ", "source": null}', "found"), (b'{"artist": null}', "found"), (b'{"id": ""}', "found"),
        (b'{"artist": "Ann", "source": "lopsec"}', "unknown source 'lopsec'"), (b'{"id": "x", "note": 1}', "found"),
        (b'{"artist": "\\ud800"}', "found"),
    ],
)  # fmt: skip
def test_a_damaged_list_is_refused_and_never_taken_for_a_shorter_one(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "blocklist.jsonl"
    path.write_bytes(b'{"id": "lospec-1"}\n\n' + line + b"\n")
    with pytest.raises(BadInput, match=rf'blocklist\.jsonl:3: .*{message}.*expected {{"id"'):
        blocklist.load(path)
    with pytest.raises(BadInput):
        blocklist.add(path, [{"id": "lospec-2"}])
    assert path.read_bytes().endswith(line + b"\n")


def test_a_list_edited_by_hand_may_have_blank_lines_no_last_newline_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "blocklist.jsonl"
    path.write_bytes('\ufeff{"artist": "B\u2028C"}\r\n\r\n{"id": "lospec-1"}'.encode())
    assert blocklist.load(path) == blocklist_of([{"id": "lospec-1"}, {"artist": "b c", "source": None}])


def test_the_file_is_sorted_json_lines_with_notes_kept(tmp_path: Path) -> None:
    path = tmp_path / "inputs" / "blocklist.jsonl"
    assert blocklist.add(path, [{"artist": "Zoë", "source": "lospec"}, {"id": "lospec-2"}]) == 2
    assert blocklist.add(path, [{"artist": "ann", "note": "mail of 7 May"}, {"id": "lospec-1", "date": "2026-05-07"}])
    assert path.read_text(encoding="utf-8") == (
        '{"date": "2026-05-07", "id": "lospec-1"}\n'
        '{"id": "lospec-2"}\n'
        '{"artist": "ann", "note": "mail of 7 May", "source": null}\n'
        '{"artist": "Zoë", "source": "lospec"}\n'
    )
    assert [file.name for file in path.parent.iterdir()] == ["blocklist.jsonl"]


def test_what_is_listed_already_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "blocklist.jsonl"
    path.write_text('{"artist":"Ann","source":null,"note":"first"}', encoding="utf-8")
    before = path.stat().st_mtime_ns
    assert blocklist.add(path, [{"artist": " ANN"}, {"artist": "ann", "source": None, "note": "again"}]) == 0
    assert path.read_text(encoding="utf-8") == '{"artist":"Ann","source":null,"note":"first"}'
    assert path.stat().st_mtime_ns == before
    assert blocklist.add(path, [{"artist": "ann", "source": "lospec"}]) == 1
    assert '"note": "first"' in path.read_text(encoding="utf-8")


@given(entry_lists, st.randoms())
def test_the_bytes_depend_on_what_is_listed_not_on_its_order(entries: list[Entry], random) -> None:
    shuffled = random.sample(entries, len(entries)) + entries[:2]
    with listed(*entries) as left, listed(*shuffled) as right:
        assert (left.read_bytes() if entries else b"") == (right.read_bytes() if entries else b"")


@given(entry_lists, entry_lists)
def test_a_list_only_grows_and_counts_what_is_new(first: list[Entry], second: list[Entry]) -> None:
    with listed(*first) as path:
        before = blocklist.load(path)
        assert blocklist.missing(path, second) == blocklist.missing(path, [*second, *first])
        new = blocklist.add(path, second)
        after = blocklist.load(path)
        assert after.keys == before.keys | blocklist_of(second).keys
        assert new == len(after.keys) - len(before.keys)
        assert blocklist.add(path, [*second, *first]) == 0
        lines = path.read_bytes().splitlines() if after.keys else []
        assert len(lines) == len(after.keys)
        assert all(isinstance(json.loads(line), dict) for line in lines)


@given(texts, st.sampled_from(["lospec", None]))
def test_every_name_that_is_listed_is_covered_however_it_is_composed(name: str, source: str | None) -> None:
    with listed({"artist": name, "source": source}) as path:
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            spelt = f" {unicodedata.normalize(form, name)}\n"  # type: ignore[arg-type]
            assert blocklist.load(path).covers(id="lospec-1", source="lospec", artists=[spelt, None])
