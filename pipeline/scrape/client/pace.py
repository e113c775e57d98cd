"""Whom a crawl may ask, and how often: one request in flight per host, spaced, slower when the host struggles."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import Busy, Interrupted, Refused, Unreachable
from pipeline.scrape.client.host_file import Ban, HostFile, HostRecord

logger = logging.getLogger(__name__)

JITTER = 0.02  # share of the delay; spacing is never below the delay, on average this much above
MAX_SLOWNESS = 60.0  # seconds that a struggling host is given on top of the delay
RECOVERY = 0.75  # what is left of that after each good answer
LOOK_AGAIN = 0.1  # seconds between two looks whether another crawl's request has ended
REFUSED_FOR, MAX_REFUSED_FOR = 3600.0, 24 * 3600.0  # seconds after a refusal; doubles with each that follows


class TurnedAway(Refused):
    """The site answers with a refusal: none of its pages is asked for any more."""


@dataclass(frozen=True)
class Access:
    """Whom a crawl may ask, and how often."""

    hosts: frozenset[str]  # host names; any port
    https: bool  # http addresses are asked by https; False: taken as they are (loopback only)
    delay: float  # seconds between two requests to one host, 0 = no pacing
    backoff: float  # seconds before the first retry; doubles
    public: bool = False  # hosts must resolve to public addresses
    timeout: float = 120.0  # seconds for one request with its whole body
    ignore_opt_outs: bool = False  # training opt-outs are logged and recorded, not obeyed
    memory: Path | None = None  # folder of what is remembered of hosts from run to run; None = nothing


@dataclass(frozen=True)
class Clock:
    """How time passes for the parking, the retries and the age of a robots.txt."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    on_wait: Callable[[float, str], None] | None = None  # called with seconds and cause before a wait for a host
    stop: StopSignal | None = None  # ends the spacing too

    async def wait(self, seconds: float, cause: str) -> None:
        """Sleep, and say so before."""
        if self.on_wait is not None:
            self.on_wait(seconds, cause)
        await self.sleep(seconds)

    async def finish(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Await what the event loop's own clock ends, unless the crawl is to stop."""
        await (self.stop.interrupt(waiting) if self.stop else waiting)


class StopSignal:
    """Tells a crawl to stop: it wakes who sleeps, and is checked between two works."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Tell the crawl to stop."""
        self._event.set()

    def check(self) -> None:
        """Raises Interrupted once the signal is set."""
        if self._event.is_set():
            raise Interrupted("interrupted")

    async def interrupt(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Await a coroutine; raises Interrupted when the signal comes before its end."""
        task, signal = asyncio.ensure_future(waiting), asyncio.ensure_future(self._event.wait())
        await asyncio.wait({task, signal}, return_when=asyncio.FIRST_COMPLETED)
        signal.cancel()
        if not task.done():
            task.cancel()
            self.check()

    async def sleep(self, seconds: float) -> None:
        """Sleep; raises Interrupted when the signal comes before the time."""
        await self.interrupt(asyncio.sleep(seconds))


class HostThrottle:
    """Spaces the requests to one host: one at a time, and none while the host is parked.

    Spacing runs on the event loop's clock, parking on the crawl's. With a `file` all crawls of this machine share the
    pace, also those before.
    """

    def __init__(self, clock: Clock, *, adaptive: bool, file: HostFile | None = None) -> None:
        self.slowness = 0.0  # seconds on top of the delay
        self._clock, self._adaptive, self._file = clock, adaptive, file
        self._lock = asyncio.Lock()
        self._delay = 0.0
        self._parked_until, self._cause = float("-inf"), ""
        self._started = float("-inf")  # of the last request, or when the delay became longer
        self._record = HostRecord()  # of the turn

    async def slow_down(self, delay: float) -> None:
        """Space requests by at least `delay` seconds, counted from now."""
        if delay > self._delay:
            self._delay, self._started = delay, asyncio.get_running_loop().time()

    def park(self, seconds: float, cause: str) -> None:
        """No request before `seconds` have passed."""
        until = self._clock.monotonic() + seconds
        if until > self._parked_until:
            self._parked_until, self._cause = until, cause
            self._record.parked = self._ban(seconds, cause)

    def close(self, seconds: float, cause: str) -> None:
        """Remember that the host asks for more time than a crawl waits."""
        self._record.closed = self._ban(seconds, cause)

    def _ban(self, seconds: float, cause: str, *, refused: bool = False) -> Ban:
        return Ban((self._file.now() if self._file else 0.0) + seconds, seconds, cause, refused)

    def observe(self, seconds: float) -> None:
        """Adapt to the seconds of a good answer: a slow host rests as long again, a quick one regains its pace."""
        if self._adaptive:
            slower = max(self.slowness * RECOVERY, seconds - self._delay)
            self.slowness = min(MAX_SLOWNESS, slower) if slower > self._delay / 20 else 0.0

    def struggle(self) -> None:
        """Ask half as often from here: the host asked for less, or gave no answer."""
        if self._adaptive:
            self.slowness = min(MAX_SLOWNESS, max(2 * self.slowness, self._delay))

    def end(self, refusal: TurnedAway | None) -> None:
        """Remember how a crawl ended: turned away, so that the next waits for a while, or well."""
        if self._file is None:
            return
        try:
            with self._file.held(patience=5.0) as record:
                record.refusals = record.refusals + 1 if refusal else 0
                if refusal:
                    seconds = min(MAX_REFUSED_FOR, REFUSED_FOR * 2 ** (record.refusals - 1))
                    record.closed = self._ban(seconds, str(refusal), refused=True)
        except (OSError, NotImplementedError, Busy) as error:
            logger.warning("%s: not remembered how this crawl ended: %s", self._file.host, error)

    @asynccontextmanager
    async def turn(self, delay: float) -> AsyncIterator[HostThrottle]:
        """The turn to ask the host, once no other request is in flight, `delay` has passed and it is not parked.

        Raises:
            Refused, Unreachable: an earlier crawl was turned away, or asked to wait, until a time that is still ahead.
        """
        loop = asyncio.get_running_loop()
        async with self._lock:
            while (seconds := self._parked_until - self._clock.monotonic()) > 0:
                await self._clock.wait(seconds, self._cause)
            due = self._started + self._delay * random.uniform(1, 1 + 2 * JITTER)
            while (seconds := due - loop.time()) > 0:
                await self._clock.finish(asyncio.sleep(seconds))
            if self.slowness:
                await self._clock.wait(self.slowness, "the host is slow")
            await self.slow_down(delay)
            with ExitStack() as stack:
                await self._join(stack)
                self._started = loop.time()
                try:
                    yield self
                finally:
                    self._record.slowness, self._record.delay = self.slowness, self._delay

    async def _join(self, stack: ExitStack) -> None:
        """Wait for the other crawls of this machine and for what an earlier one was told, then hold the host's file."""
        while self._file is not None:
            try:
                record = stack.enter_context(self._file.held())
            except Busy:
                await self._clock.finish(asyncio.sleep(LOOK_AGAIN))
                continue
            except (OSError, NotImplementedError) as error:
                logger.warning("%s: its pace is not shared with other crawls: %s", self._file.host, error)
                self._file = None
                return
            now = self._file.now()
            _check_open(self._file.host, record, now)
            seconds, why = record.due(self._delay, now)
            if seconds <= 0:
                self._record, self.slowness = record, record.slowness if self._adaptive else 0.0
                record.started = now
                self._file.write(record)  # also for those who come after a kill
                record.started = self._file.now()
                return
            stack.close()  # others may be quicker
            await self._clock.wait(seconds, why)


def _check_open(host: str, record: HostRecord, now: float) -> None:
    """Raises while a host is closed by what it answered an earlier crawl."""
    if record.closed is None or record.closed.left(now) <= 0:
        return
    until = datetime.fromtimestamp(record.closed.until, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
    if record.closed.refused:
        raise Refused(
            f"{host} turned an earlier crawl away, nothing is asked before {until} UTC: {record.closed.cause}"
        )
    raise Unreachable(f"{host} asked an earlier crawl to wait ({record.closed.cause}) until {until} UTC")
