"""Whom a crawl may ask, and how often: one request in flight per host, spaced, parked when the host asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter


@dataclass(frozen=True)
class Access:
    """Whom a crawl may ask, and how often."""

    hosts: frozenset[str]  # host names; any port
    https: bool  # http addresses are asked by https; False: taken as they are (loopback only)
    delay: float  # seconds between two requests to one host, 0 = no pacing
    backoff: float  # seconds before the first retry; doubles


@dataclass
class Lane:
    """The way to one host. `sleep` and `monotonic` serve the parking only; spacing runs on the loop's clock."""

    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    delay: float = 0.0
    limiter: AsyncLimiter | None = None  # one request per `delay`: more capacity would let bursts through
    parked_until: float = float("-inf")

    async def slow_down(self, delay: float) -> None:
        """Space requests by at least `delay` seconds, counted from now."""
        if delay > self.delay:
            self.delay, self.limiter = delay, AsyncLimiter(1, delay)
            await self.limiter.acquire()

    def park(self, seconds: float) -> None:
        """No request before `seconds` have passed."""
        self.parked_until = max(self.parked_until, self.monotonic() + seconds)

    @asynccontextmanager
    async def turn(self, delay: float) -> AsyncIterator[Lane]:
        """Hold the lane, when it is free, rested for `delay` and no longer parked."""
        async with self.lock:
            while (left := self.parked_until - self.monotonic()) > 0:
                await self.sleep(left)
            if self.limiter is not None:
                await self.limiter.acquire()
            await self.slow_down(delay)
            yield self
