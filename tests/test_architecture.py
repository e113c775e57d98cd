"""docs/architecture.md names every room, and its picture of imports is drawn from the code."""

from __future__ import annotations

import os
import re

import grimp
from wiring import ROOT

PAGE = ROOT / "docs" / "architecture.md"
ARROWS = ("<!-- arrows: written by tests/test_architecture.py -->\n", "<!-- end of arrows -->")


def between(text: str, begin: str, end: str) -> str:
    return text[text.index(begin) + len(begin) : text.index(end)]


def room_of(module: str) -> str:
    """The first two names: `pipeline.images.formats.png` -> `pipeline.images`."""
    return ".".join(module.split(".")[:2])


def arrows() -> dict[str, list[str]]:
    """Each room with those that it imports."""
    graph = grimp.build_graph("pipeline", "models", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        imports = {room_of(name) for name in graph.find_modules_directly_imported_by(module)}
        found.setdefault(room_of(module), set()).update(imports - {room_of(module)})
    return {room: sorted(imports) for room, imports in sorted(found.items()) if imports}


def picture() -> str:
    rooms = arrows()
    lines = [f"| `{room}` | {', '.join(f'`{name}`' for name in imports)} |" for room, imports in rooms.items()]
    names = set(rooms) | {name for imports in rooms.values() for name in imports}
    count = f"{len(names)} rooms and single modules, {sum(map(len, rooms.values()))} arrows."
    return "\n".join([count, "", "| room | imports |", "|---|---|", *lines]) + "\n"


def test_the_picture_of_imports_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    drawn = between(text, *ARROWS)
    if os.environ.get("FACETOPIX_WRITE"):
        PAGE.write_text(text.replace(ARROWS[0] + drawn, ARROWS[0] + picture()), encoding="utf-8")
    else:
        assert drawn == picture(), "draw it again: FACETOPIX_WRITE=1 uv run pytest -n 0 tests/test_architecture.py"


def folders(package: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_dir() and "__pycache__" not in path.parts
    }


def test_every_room_has_its_line_and_every_first_file_is_there() -> None:
    table = between(PAGE.read_text(encoding="utf-8"), "<!-- rooms: a test compares this table with the folders -->\n",
                    "<!-- end of rooms -->")  # fmt: skip
    rows = [line.split("|")[1:-1] for line in table.splitlines()[2:]]
    rooms = folders("pipeline") | folders("models")
    assert {row[0].strip(" `") for row in rows} == rooms - {"pipeline/convert/shipped"}  # weights, no code
    for room, _, files in rows:
        for name in re.findall(r"`([^`]+)`", files):
            assert (ROOT / room.strip(" `") / name).is_file(), (room, name)


def test_every_file_that_the_page_sends_a_reader_to_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:pipeline|models|tests|docs)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_every_name_that_the_page_gives_stands_in_its_file() -> None:
    named = re.findall(r"`([\w./-]+\.(?:py|html))` \(([^)]*)\)", PAGE.read_text(encoding="utf-8"))
    names = [(file, name) for file, words in named for name in re.findall(r"`(\w+)`", words)]
    assert len(names) > 20
    for file, name in names:
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")), (file, name)


def test_the_readme_names_every_room_of_the_pipeline() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {name for name in folders("pipeline") if name.count("/") == 1}
    assert not {name for name in rooms if f"`{name}`" not in text and f"`{name.removeprefix('pipeline/')}`" not in text}
