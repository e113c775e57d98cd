"""`facetopix forget` takes works out of the state of every crawl and puts them on the blocklist.

The blocklist comes first and is durable, so that a kill at any point loses no request; the same command
again finishes. Outputs below data/ and exports/ are reported, not touched. The former are DVC's: their hashes stand in
dvc.lock, their files share their bytes with DVC's cache (hard links), and `dvc checkout` would bring a removed picture
back. `dvc repro` rebuilds them without the works, models included, and `dvc gc --workspace` then purges the cache; a
remote needs `dvc gc --workspace --cloud` as well. Exports are made again by `facetopix export --force`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import layout
from pipeline.errors import BadInput
from pipeline.runtime.files import write_atomic
from pipeline.runtime.identity import work_of
from pipeline.runtime.locks import locked
from pipeline.takedown import blocklist as lists
from pipeline.takedown.blocklist import Entry

REBUILD = ("uv run dvc repro", "uv run dvc gc --workspace")

Record = Mapping[str, Any]  # a row of a journal or manifest, or an item of a listing


class Line(NamedTuple):
    """A line of a file: its bytes, newline included, and the JSON object that they are."""

    raw: bytes
    record: Record


def run(
    *,
    artists: Sequence[str],
    ids: Sequence[str],
    source: str | None,
    state: Path,
    blocklist: Path,
    outputs: Sequence[Path],
    dry_run: bool,
) -> dict[str, Any]:
    """Forget the works with these ids and those of these artists; a `dry_run` only says what would be done.

    Args:
        ids: row ids, as manifests give them; that of a frame or tile stands for its work.
        outputs: folders below which manifests may name the works. Nothing is removed there, but the caches of what
            stages computed go: nobody can tell whose pictures they hold.
        source: where the artists are meant; None = everywhere.

    Returns:
        `blocklisted`: entries that are new; `found`: name or id -> works found, also 0; `works`: their ids; `images`:
        files removed, with those that no journal names, since nobody can tell whose they are; `states`, `outputs`:
        path -> works there; `next`: the commands that rebuild the outputs and purge the old ones.

    Raises:
        BadInput: nothing is named, a file is damaged, or a crawl is at work; what can be removed is removed even so.
    """
    entries: list[Entry] = [{"id": id.strip()} for id in ids]
    entries += [{"artist": name, "source": source} for name in artists]
    if not entries:
        raise BadInput("nothing to forget: name an artist or an id")
    search = _Search(entries, dry_run)
    with nullcontext() if dry_run else _locked(state / "forget", "another take-down"):
        new = len(lists.missing(blocklist, entries)) if dry_run else lists.add(blocklist, entries)
        states = {folder: search.count(search.state, folder) for folder in _states(state, entries)}
    manifests = {
        path: search.count(search.output, path) for folder in outputs for path in sorted(folder.rglob("manifest.jsonl"))
    }
    if search.problems:
        raise BadInput("; ".join(search.problems))
    works = sorted(set[str]().union(*search.found.values()))
    if not dry_run:
        shutil.rmtree(state / "cache", ignore_errors=True)
    return {
        "blocklisted": new,
        "found": {name: len(ids) for name, ids in search.found.items()},
        "works": works,
        "images": search.images,
        "states": {str(path): count for path, count in states.items() if count},
        "outputs": {str(path): count for path, count in manifests.items() if count},
        "next": list(REBUILD) if works else [],
    }


def lines(outcome: Mapping[str, Any]) -> list[str]:
    """The result of `run` as lines for a person."""
    names = [f"{name}: {count} works" for name, count in outcome["found"].items()]
    states = [f"in {path}: {count} works" for path, count in outcome["states"].items()]
    outputs = [f"{path} tells of {count} works" for path, count in outcome["outputs"].items()]
    sums = f"{outcome['blocklisted']} new on the blocklist, {outcome['images']} images out of the state"
    commands = [f"to rebuild without them and to purge what was: {' && '.join(outcome['next'])}"]
    return [*names, sums, *states, *outputs, *(commands if outcome["next"] else [])]


def _states(state: Path, entries: Iterable[Entry]) -> list[Path]:
    """The crawl states that may hold what the entries cover; an id begins with its source."""
    sources = {(entry["id"] or "").partition("-")[0] if "id" in entry else entry["source"] for entry in entries}
    folders = sorted(path for path in (state / "crawl").glob("*/*") if path.is_dir())
    return [folder for folder in folders if None in sources or folder.parent.name in sources]


def _locked(folder: Path, other: str) -> AbstractContextManager[None]:
    return locked(folder / "lock", f"{folder}: {other} is at work there; run the same command again when it is done")


class _Search:
    """Finds works and, unless this is a dry run, removes them; collects what goes wrong on the way."""

    def __init__(self, entries: Iterable[Entry], dry_run: bool) -> None:
        self._blocklists = [
            (str(entry.get("id", entry.get("artist"))), lists.blocklist_of([entry])) for entry in entries
        ]
        self._dry_run = dry_run
        self.found: dict[str, set[str]] = {name: set() for name, _ in self._blocklists}
        self.images = 0
        self.problems: list[str] = []

    def count(self, search: Callable[[Path], set[str]], path: Path) -> int:
        """How many works a search finds; none where it fails."""
        try:
            return len(search(path))
        except BadInput as error:
            self.problems.append(str(error))
            return 0

    def state(self, folder: Path) -> set[str]:
        """Clean a crawl state; returns those of the works that it held.

        Images go first and the journal last: as long as something is left, something tells of it.
        """
        with nullcontext() if self._dry_run else _locked(folder, "another crawl"):
            source = folder.parent.name
            journal = list(_lines(folder / "journal.jsonl"))
            listings = {
                path: list(_lines(path)) for kind in ("pass", "last") for path in folder.glob(f"{kind}-*.jsonl")
            }
            items = (item for line in chain(*listings.values()) for item in _items(line))
            works = self._works(chain((line.record for line in journal), items), source)
            remaining = [line for line in journal if _id(line.record, source) not in works]
            spare = _spare_images(folder, remaining)
            self.images += len(spare)
            if not self._dry_run:
                for file in [*spare, *folder.rglob(".*.partial")]:
                    file.unlink(missing_ok=True)
                for path in sorted(listings):
                    _rewrite(path, _without(listings[path], works, source, complete=path.name.startswith("last")))
                _rewrite(folder / "journal.jsonl", remaining)
            return works

    def output(self, path: Path) -> set[str]:
        """Those of the works that a manifest still names."""
        return self._works((line.record for line in _lines(path)), path.parent.name)

    def _works(self, records: Iterable[Record], source: str) -> set[str]:
        """Ids of the works to forget among `records`, added to `found`; `source` is for records that name none."""
        works = set()
        for record in records:
            site = str(record.get("source") or source)
            id, artists = work_of(_id(record, site)), _artists(record, site)
            for name, blocklist in self._blocklists:
                if not _is_blank(record) and blocklist.covers(id=id, source=site, artists=artists):
                    self.found[name].add(id)
                    works.add(id)
        return works


def _id(record: Record, source: str) -> str:
    """A row's id; an item of a listing has only the `source_id` that it is made of."""
    return str(record.get("id") or f"{source}-{hashlib.sha256(str(record.get('source_id')).encode()).hexdigest()[:16]}")


def _artists(record: Record, source: str) -> list[str | None]:
    """The artists of a record; `artist/slug` is how a gallery names a work, `folder/file` how a user does."""
    owner, slash, _ = str(record.get("source_id") or "").partition("/")
    artwork = record.get("artwork") or {}
    return [record.get("artist"), artwork.get("artist"), owner if slash and source in layout.SOURCES else None]


def _is_blank(record: Record) -> bool:
    """Whether a record only says that a work was not taken, and nothing of it."""
    facts = (record.get(key) for key in ("title", "artist", "artwork"))
    return not any(facts) and record.get("reason", "blocklist") == "blocklist"


def _items(line: Line) -> list[Record]:
    items: list[Record] = (line.record.get("listing") or {}).get("items") or []
    return items


def _without(lines: list[Line], works: set[str], source: str, *, complete: bool) -> list[Line]:
    """The listing pages that name none of `works`; the next crawl asks for the others again, unconditionally.

    A page cannot only lose its entries: one that has none would end the pass. The pages of a pass in progress are its
    cursor, and are cut at the first that goes; those of a `complete` pass stand for themselves.
    """

    def stays(line: Line) -> bool:
        return works.isdisjoint(_id(item, source) for item in _items(line))

    return list(filter(stays, lines) if complete else takewhile(stays, lines))


def _spare_images(folder: Path, journal: Iterable[Line]) -> list[Path]:
    """Images that no line of the journal names: of forgotten works, or of a crawl killed between image and line."""
    named = {line.record.get("sha256") for line in journal}
    images = sorted(path for path in (folder / "images").glob("[!.]*") if path.is_file())
    return [path for path in images if path.stem not in named]


def _lines(path: Path) -> Iterator[Line]:
    """The complete lines of a file; a last one torn by a kill is passed over, as a crawl does.

    Raises:
        BadInput: a line that is no row and no listing page.
    """
    data = path.read_bytes() if path.is_file() else b""
    for number, raw in enumerate(data[: data.rfind(b"\n") + 1].splitlines(keepends=True), 1):
        try:
            record = json.loads(raw)
        except ValueError as error:
            raise BadInput(f"{path}:{number}: damaged line, a work may be left on it: {error}") from error
        if not isinstance(record, dict) or record.keys().isdisjoint({"id", "source_id", "listing"}):
            raise BadInput(f"{path}:{number}: expected a row or a listing page; a work may be left on it")
        yield Line(raw, record)


def _rewrite(path: Path, lines: Iterable[Line]) -> None:
    """Write a file anew, unless it holds these lines already."""
    data = b"".join(line.raw for line in lines)
    if path.is_file() and path.read_bytes() != data:
        write_atomic(path, data)
