"""Whom a crawl may ask, and how often: one request in flight per host, spaced, slower when the host struggles."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiolimiter import AsyncLimiter

from pipeline.errors import Interrupted

JITTER = 0.02  # share of the delay; spacing is never below the delay, on average this much above
MAX_SLOWNESS = 60.0  # seconds that a struggling host is given on top of the delay
RECOVERY = 0.75  # what is left of that after each good answer


@dataclass(frozen=True)
class Access:
    """Whom a crawl may ask, and how often."""

    hosts: frozenset[str]  # host names; any port
    https: bool  # http addresses are asked by https; False: taken as they are (loopback only)
    delay: float  # seconds between two requests to one host, 0 = no pacing
    backoff: float  # seconds before the first retry; doubles
    public: bool = False  # hosts must resolve to public addresses
    patience: float = 120.0  # seconds for one request with its whole body
    ignore_opt_outs: bool = False  # training opt-outs are logged and recorded, not obeyed


@dataclass(frozen=True)
class Clock:
    """How time passes for the parking, the retries and the age of a robots.txt."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    on_wait: Callable[[float, str], None] | None = None  # told seconds and cause before a wait for a host
    stop: StopSignal | None = None  # ends the spacing too

    async def wait(self, seconds: float, why: str) -> None:
        if self.on_wait is not None:
            self.on_wait(seconds, why)
        await self.sleep(seconds)

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for what the loop's clock ends."""
        await (self.stop.unless_wished(work) if self.stop else work)


class StopSignal:
    """A wish to stop: whoever sleeps is woken by it, whoever works asks for it between two works."""

    def __init__(self) -> None:
        self._wished = asyncio.Event()

    def wish(self) -> None:
        self._wished.set()

    def obey(self) -> None:
        """Raises Interrupted once stopping is wished for."""
        if self._wished.is_set():
            raise Interrupted("interrupted")

    async def unless_wished(self, work: Coroutine[Any, Any, None]) -> None:
        """Raises Interrupted when the wish comes before the work is done."""
        working, wished = asyncio.ensure_future(work), asyncio.ensure_future(self._wished.wait())
        await asyncio.wait({working, wished}, return_when=asyncio.FIRST_COMPLETED)
        wished.cancel()
        if not working.done():
            working.cancel()
            self.obey()

    async def sleep(self, seconds: float) -> None:
        """Raises Interrupted when woken before the time."""
        try:
            async with asyncio.timeout(seconds):
                await self._wished.wait()
        except TimeoutError:
            return
        self.obey()


class HostThrottle:
    """The way to one host. Spacing runs on the loop's clock, parking on the crawl's."""

    def __init__(self, clock: Clock, *, adaptive: bool) -> None:
        self.slowness = 0.0  # seconds on top of the delay
        self._clock, self._adaptive = clock, adaptive
        self._lock = asyncio.Lock()
        self._delay = 0.0
        self._limiter: AsyncLimiter | None = None  # one request per period: more capacity would let bursts through
        self._parked_until, self._why = float("-inf"), ""
        self._started = float("-inf")

    async def slow_down(self, delay: float) -> None:
        """Space requests by at least `delay` seconds, counted from now."""
        if delay > self._delay:
            self._delay, self._limiter = delay, AsyncLimiter(1, delay * (1 + JITTER))
            await self._clock.finish(self._limiter.acquire())

    def park(self, seconds: float, why: str) -> None:
        """No request before `seconds` have passed."""
        until = self._clock.monotonic() + seconds
        if until > self._parked_until:
            self._parked_until, self._why = until, why

    def observe(self, seconds: float) -> None:
        """A good answer took so long: a slow host is given as long to rest, a quick one its usual pace back."""
        if self._adaptive:
            slower = max(self.slowness * RECOVERY, seconds - self._delay)
            self.slowness = min(MAX_SLOWNESS, slower) if slower > self._delay / 20 else 0.0

    def struggle(self) -> None:
        """An answer that asks for less, or none: twice as slow from here."""
        if self._adaptive:
            self.slowness = min(MAX_SLOWNESS, max(2 * self.slowness, self._delay))

    @asynccontextmanager
    async def turn(self, delay: float) -> AsyncIterator[HostThrottle]:
        """Hold the lane, when it is free, rested for `delay` and no longer parked."""
        async with self._lock:
            while (left := self._parked_until - self._clock.monotonic()) > 0:
                await self._clock.wait(left, self._why)
            if self._limiter is not None:
                await self._clock.finish(self._limiter.acquire())
                await asyncio.sleep(random.uniform(0, JITTER * self._delay))
            if self.slowness:
                await self._clock.wait(self.slowness, "the host is slow")
            await self.slow_down(delay)
            await self._keep_distance()
            yield self

    async def _keep_distance(self) -> None:
        """A late start must not bring the next one nearer than the delay."""
        loop = asyncio.get_running_loop()
        while (left := self._started + self._delay - loop.time()) > 0:
            await asyncio.sleep(left)
        self._started = loop.time()
