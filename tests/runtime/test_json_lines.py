"""Lists that a person keeps: every wrong line is named with its file, its number and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from pipeline.errors import BadInput
from pipeline.runtime import lists


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    count: int = 0


def read(path: Path, data: bytes) -> list[tuple[str, Line]]:
    path.write_bytes(data)
    return list(lists.read(path, Line, topic="names", expected='expected {"name": NAME}'))


def test_blank_lines_a_byte_order_mark_and_separators_inside_of_a_text_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "names.jsonl"
    assert read(path, '\ufeff{"name": "a\u2028b"}\r\n\n{"name": "c", "count": 2}'.encode()) == [
        (f"{path}:1", Line(name="a\u2028b")), (f"{path}:3", Line(name="c", count=2)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON"), (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON"), (b"{}", "name: Field required"),
        (b'{"name": 7}', "name: .*string, found"), (b'{"name": "a", "x": 1}', "x: Extra inputs"),
        (b"[]", r"found \[\]"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=rf'names\.jsonl:2: .*{message}.*; expected {{"name": NAME}}$'):
        read(tmp_path / "names.jsonl", b'{"name": "a"}\n' + line + b"\n")


def test_only_an_optional_file_may_be_absent(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a file of names, it may be empty"):
        list(lists.read(tmp_path / "x", Line, topic="names", expected=""))
    assert list(lists.read(tmp_path / "x", Line, topic="names", expected="", optional=True)) == []
    with pytest.raises(BadInput, match="expected a file of names"):
        list(lists.read(tmp_path, Line, topic="names", expected="", optional=True))
