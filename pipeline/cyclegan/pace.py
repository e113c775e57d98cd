"""How fast a training is and when it will be over: for the eyes only, in no output."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

REMEMBERED = 50  # steps


class Pace:
    """Images a second over the last steps.

    Args:
        batch_size: images a step.
        clock: seconds.
    """

    def __init__(self, batch_size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.batch_size, self.clock = batch_size, clock
        self.times: deque[float] = deque([clock()], REMEMBERED + 1)

    def step(self, left: int) -> str:
        """One step more is done, `left` are to do: `12.3 images/s, 0:04:10 left`."""
        self.times.append(self.clock())
        seconds = (self.times[-1] - self.times[0]) / (len(self.times) - 1)
        rate = self.batch_size / seconds if seconds > 0 else float("inf")
        minutes, second = divmod(round(left * seconds), 60)
        hour, minute = divmod(minutes, 60)
        return f"{rate:.3g} images/s, {hour}:{minute:02}:{second:02} left"
