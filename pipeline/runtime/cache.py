"""Results of earlier runs by content: one SQLite file a stage in `.state/cache/`, never part of an output.

    with cache.opened(state, "grid") as results:
        scope = cache.CacheScope.of("pipeline.curate.grid", params)
        keys = [scope.key(data, facts) for data, facts in items]
        values = results.get(keys)                                  # of those keys that have one
        results.put({key: cache.pack(facts, png), ...})             # when it returns, no kill can lose it

A key is the sha256 of all that a result depends on: the input's bytes, the facts of its row that are read, the
parameters, the source of the code, the versions of the libraries. So an entry is never out of date, only unused.

The cache may be lost at any time and is never the reason of an error: a file that is damaged or full is thrown away
and begun anew, every value carries a checksum, and a stage that runs twice at once has a cache only once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from pipeline.errors import Busy
from pipeline.runtime.fingerprint import fingerprint
from pipeline.runtime.locks import locked

logger = logging.getLogger(__name__)

Key = bytes  # 32
Result = TypeVar("Result")

LIBRARIES = ("imagehash", "numpy", "pillow", "scipy")  # those whose versions may move a pixel
KEEP_RUNS = 8  # an entry that so many finished runs did not ask for is removed
MAX_BYTES = 4 * 2**30  # of values; beyond, those unused for longest are removed
SCHEMA = 1
DAMAGED = (sqlite3.Error, ValueError, TypeError, OverflowError)  # what a torn file raises: not only what it should
BATCH = 500  # keys a query
TABLES = """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, checksum BLOB NOT NULL, value BLOB NOT NULL
    );
    CREATE TABLE used (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, bytes INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class CacheScope:
    """What all keys of a run have in common, as a digest."""

    digest: bytes

    @classmethod
    def of(cls, module: str, params: BaseModel | None = None) -> CacheScope:
        """The scope of a module (a dotted name): its code, its parameters if any, the libraries that it counts on."""
        facts = [SCHEMA, zlib.ZLIB_RUNTIME_VERSION, params and params.model_dump(mode="json")]
        return cls(bytes.fromhex(fingerprint(module, facts, LIBRARIES)))

    def key(self, data: bytes, facts: Mapping[str, Any]) -> Key:
        """The key of one input: of its bytes, and of the facts of its row (JSON values) that are read."""
        text = json.dumps(facts, sort_keys=True).encode()
        return hashlib.sha256(b"%b%d:%b%b" % (self.digest, len(text), text, data)).digest()


def pack(facts: Any, *blobs: bytes) -> bytes:
    """A JSON value and any number of byte strings as one value."""
    head = json.dumps([facts, [len(blob) for blob in blobs]]).encode()
    return b"%d:%b%b" % (len(head), head, b"".join(blobs))


def unpack(value: bytes) -> tuple[Any, list[bytes]]:
    """The inverse of `pack`."""
    length, _, rest = value.partition(b":")
    facts, lengths = json.loads(rest[: int(length)])
    blobs, start = [], int(length)
    for size in lengths:
        blobs.append(rest[start : start + size])
        start += size
    return facts, blobs


@contextmanager
def opened(
    state: Path | None, stage: str, *, keep_runs: int = KEEP_RUNS, max_bytes: int = MAX_BYTES
) -> Iterator[Cache]:
    """The cache of a stage below `state`; one that holds nothing without a state, or while another run has it.

    What no run used for long is removed when the block succeeds.
    """
    if state is None:
        yield Cache(None)
        return
    folder = state / "cache"
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / f"{stage}.lock", f"{stage}: another run has the cache"))
        except Busy as error:
            logger.warning("%s, this one goes without", error)
            yield Cache(None)
            return
        cache = stack.enter_context(closing(Cache(folder / f"{stage}.sqlite")))
        yield cache
        cache.prune(keep_runs, max_bytes)


class Cache:
    """Values by key, of one process and thread; use `opened`.

    Attributes:
        served: how many values were found.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._db: sqlite3.Connection | None = None
        self._run = 0
        self._losses = 0
        self.served = 0
        if file is not None:
            self._open()

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """The values of those `keys` that have a sound one."""
        values = self._safely(lambda db: self._get(db, keys), dict[Key, bytes]())
        self.served += len(values)
        return values

    def put(self, values: Mapping[Key, bytes]) -> None:
        """Store values; they survive a kill."""
        if values:
            self._safely(lambda db: self._put(db, values), None)

    def prune(self, keep_runs: int, max_bytes: int) -> None:
        """Remove what the last `keep_runs` runs did not use, then the longest unused beyond `max_bytes`."""
        self._safely(lambda db: self._prune(db, keep_runs, max_bytes), None)

    def close(self) -> None:
        """Close the file; the cache holds nothing from then on."""
        if self._db is not None:
            with suppress(*DAMAGED):
                self._db.close()
            self._db = None

    def _get(self, db: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, bytes]:
        values: dict[Key, bytes] = {}
        used, torn = [], []
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            marks = ",".join("?" * len(batch))
            rows = db.execute(f"SELECT id, key, checksum, value FROM entries WHERE key IN ({marks})", batch)
            for number, key, checksum, value in rows:
                if checksum == _checksum(key, value):
                    values[key] = value
                    used.append((self._run, number))
                else:
                    torn.append((number,))
        with db:
            db.executemany("UPDATE used SET run = ? WHERE id = ?", used)
            db.executemany("DELETE FROM entries WHERE id = ?", torn)
            db.executemany("DELETE FROM used WHERE id = ?", torn)
        return values

    def _put(self, db: sqlite3.Connection, values: Mapping[Key, bytes]) -> None:
        with db:
            for key, value in values.items():
                row = db.execute(
                    "INSERT OR REPLACE INTO entries (key, checksum, value) VALUES (?, ?, ?)",
                    (key, _checksum(key, value), value),
                )
                db.execute("INSERT OR REPLACE INTO used VALUES (?, ?, ?)", (row.lastrowid, self._run, len(value)))

    def _prune(self, db: sqlite3.Connection, keep_runs: int, max_bytes: int) -> None:
        with db:
            db.execute("DELETE FROM used WHERE id NOT IN (SELECT id FROM entries)")
            db.execute("DELETE FROM used WHERE run <= ?", (self._run - keep_runs,))
            ranked = "SELECT id, sum(bytes) OVER (ORDER BY run DESC, id) AS total FROM used"
            db.execute(f"DELETE FROM used WHERE id IN (SELECT id FROM ({ranked}) WHERE total > ?)", (max_bytes,))
            removed = db.execute("DELETE FROM entries WHERE id NOT IN (SELECT id FROM used)").rowcount
        if removed:
            db.executescript("PRAGMA incremental_vacuum")  # execute() would step once: one page

    def _open(self) -> None:
        assert self._file is not None
        try:
            db = self._db = sqlite3.connect(self._file)
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            (schema,) = db.execute("PRAGMA user_version").fetchone()
            if schema == 0:
                db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
            elif schema != SCHEMA:
                raise sqlite3.DatabaseError(f"made by another version ({schema})")
            (self._run,) = db.execute("SELECT coalesce(max(run), 0) + 1 FROM used").fetchone()
        except DAMAGED as error:
            self._discard(error)

    def _safely(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        for _ in range(2):  # again with the new file, if this one is lost
            if self._db is not None:
                try:
                    return work(self._db)
                except DAMAGED as error:
                    self._discard(error)
        return otherwise

    def _discard(self, error: Exception) -> None:
        """Throw the file away and begin anew; the second time go on without (a full disk, say)."""
        assert self._file is not None
        logger.warning("%s: %s: this cache is thrown away", self._file, error)
        self.close()
        self._losses += 1
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        except OSError:
            return
        if self._losses == 1:
            self._open()


def _checksum(key: Key, value: bytes) -> bytes:
    return hashlib.blake2b(key + value, digest_size=16).digest()
