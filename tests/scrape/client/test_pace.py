"""Time itself is the subject: a clock that only sleeping moves, and for the spacing the real one."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest

from pipeline.errors import Interrupted
from pipeline.scrape.client.pace import MAX_SLOWNESS, Clock, HostThrottle, StopSignal
from pipeline.scrape.client.robots import MAX_AGE, OriginCache
from pipeline.scrape.sites.gallery import Rejection


class Frozen:
    """Seconds that pass when somebody sleeps, and what was told before."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, []  # type: float, list[tuple[float, str]]
        self.clock = Clock(sleep=self.sleep, monotonic=lambda: self.now, on_wait=self.note)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def note(self, seconds: float, why: str) -> None:
        self.waits.append((round(seconds, 3), why))


async def turns(throttle: HostThrottle, count: int, delay: float = 0.0) -> list[float]:
    started = []
    for _ in range(count):
        async with throttle.turn(delay):
            started.append(time.monotonic())
    return started


def test_spacing_has_jitter_but_is_never_below_the_delay() -> None:
    started = asyncio.run(turns(HostThrottle(Clock(), adaptive=False), 8, delay=0.05))
    gaps = [later - earlier for earlier, later in itertools.pairwise(started)]
    assert min(gaps) >= 0.0495
    assert len({round(gap, 6) for gap in gaps}) > 1


def test_parked_host_waits_and_says_why() -> None:
    frozen = Frozen()
    throttle = HostThrottle(frozen.clock, adaptive=False)
    throttle.park(30, "429")
    throttle.park(7, "503")
    asyncio.run(turns(throttle, 2))
    assert frozen.waits == [(30.0, "429")]


def test_struggling_host_is_asked_ever_more_slowly_and_a_recovered_one_as_before() -> None:
    throttle = HostThrottle(Frozen().clock, adaptive=True)
    asyncio.run(throttle.slow_down(0.01))
    slowness = []
    for _ in range(4):
        throttle.struggle()
        slowness.append(round(throttle.slowness, 3))
    assert slowness == [0.01, 0.02, 0.04, 0.08]
    for _ in range(40):
        throttle.struggle()
    assert throttle.slowness == MAX_SLOWNESS
    for _ in range(60):
        throttle.observe(0.005)
    assert throttle.slowness == 0


def test_host_that_takes_long_is_given_as_long_to_rest() -> None:
    frozen = Frozen()
    throttle = HostThrottle(frozen.clock, adaptive=True)

    async def slow_then_next() -> None:
        await turns(throttle, 1, delay=0.01)
        throttle.observe(5.01)
        await turns(throttle, 1, delay=0.01)

    asyncio.run(slow_then_next())
    assert frozen.waits == [(5.0, "the host is slow")]


def test_replica_on_loopback_is_not_paced_beyond_what_it_asks() -> None:
    frozen = Frozen()
    throttle = HostThrottle(frozen.clock, adaptive=False)
    throttle.struggle()
    throttle.observe(9.0)
    asyncio.run(turns(throttle, 3))
    assert frozen.waits == []


def test_wish_to_stop_wakes_whoever_sleeps() -> None:
    async def wished_while_asleep() -> float:
        stop, began = StopSignal(), time.monotonic()
        asyncio.get_running_loop().call_later(0.02, stop.set)
        with pytest.raises(Interrupted):
            await stop.sleep(60)
        with pytest.raises(Interrupted):
            stop.check()
        return time.monotonic() - began

    assert asyncio.run(wished_while_asleep()) < 30


def test_sleep_without_a_wish_lasts_as_long_as_it_should() -> None:
    began = time.monotonic()
    asyncio.run(StopSignal().sleep(0.05))
    assert time.monotonic() - began >= 0.049


def asked_at(ages: list[float], answer: Callable[[], str]) -> int:
    """How often robots.txt is fetched by somebody who looks at these times."""
    fetched, now = 0, 0.0

    async def fetch(_: str) -> str:
        nonlocal fetched
        fetched += 1
        return answer()

    async def look() -> None:
        nonlocal now
        book = OriginCache(fetch, lambda: now)
        for now in ages:  # noqa: B007
            try:
                await book.of("https://site.test")
            except Rejection:
                continue

    asyncio.run(look())
    return fetched


def test_robots_is_asked_for_once_a_day() -> None:
    assert asked_at([0, 1, MAX_AGE - 1], lambda: "rules") == 1
    assert asked_at([0, MAX_AGE + 1, MAX_AGE + 2], lambda: "rules") == 2


def test_host_that_gives_no_robots_is_not_pestered_for_it() -> None:
    def silence() -> str:
        raise Rejection("network", "no answer")

    assert asked_at([0, 1, 2], silence) == 1
