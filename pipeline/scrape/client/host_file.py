"""What is remembered of a host from run to run, and shared by all crawls of this machine, whatever their folders."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
from pydantic import TypeAdapter, ValidationError

from pipeline.runtime.locks import locked

logger = logging.getLogger(__name__)


@dataclass
class Ban:
    """A time in which a host is not asked; `seconds` is its length, so that a clock that was set back is noticed."""

    until: float  # seconds since 1970
    seconds: float
    cause: str
    refused: bool = False  # the host turned us away; False = it asked to wait

    def left(self, now: float) -> float:
        """Seconds that it still lasts."""
        self.until = min(self.until, now + self.seconds)
        return self.until - now


@dataclass
class HostRecord:
    """What is known of a host; times in seconds since 1970."""

    started: float = 0.0  # the last request
    delay: float = 0.0  # seconds to the next, as the crawl knew that made it
    slowness: float = 0.0  # seconds on top of the delay, as the host struggled
    parked: Ban | None = None  # waited for
    closed: Ban | None = None  # ends a crawl at once
    refusals: int = 0  # crawls that the host turned away, one after the other

    def due(self, delay: float, now: float) -> tuple[float, str]:
        """Seconds until the host may be asked again, and why."""
        self.started = min(self.started, now)
        spaced = self.started + max(delay, self.delay) + self.slowness - now
        parked = self.parked.left(now) if self.parked else 0.0
        return (parked, self.parked.cause) if self.parked and parked > spaced else (spaced, "it was asked just now")


RECORD = TypeAdapter(HostRecord)


class HostFile:
    """The file with the record of one host. Each request is made under its lock.

    Args:
        now: seconds since 1970.
    """

    def __init__(self, folder: Path, host: str, now: Callable[[], float]) -> None:
        self.host, self.now = host, now
        self.path = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", host) + ".json")
        self._lock, self._complained = self.path.with_suffix(".lock"), False

    @contextmanager
    def held(self, patience: float = 0.0) -> Iterator[HostRecord]:
        """The record, for the block to change; what it holds in the end is written.

        Raises:
            Busy: another crawl is asking this host.
        """
        with locked(self._lock, f"{self.host}: another crawl is asking it", patience):
            record = self._read()
            before = asdict(record)
            try:
                yield record
            finally:
                if asdict(record) != before:
                    self.write(record)

    def _read(self) -> HostRecord:
        """The record as it was written; an empty one where there is none that can be read."""
        try:
            return RECORD.validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return HostRecord()

    def write(self, record: HostRecord) -> None:
        """Replace the file. Not forced to the disk: it must outlast this process, not this machine's power."""
        partial = self.path.with_suffix(".partial")
        try:
            partial.write_bytes(RECORD.dump_json(record))
            partial.replace(self.path)
        except OSError as error:
            if not self._complained:
                logger.warning("%s: its pace is not remembered: %s", self.host, error)
            self._complained = True


def folder() -> Path:
    """Where this user's records lie on this machine."""
    return Path(platformdirs.user_state_path("facetopix", appauthor=False)) / "hosts"
