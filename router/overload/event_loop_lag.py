"""How late the event loop is: what a process feels first when it is asked for more than it can do.

A timer that fires late tells that work lies ready and the core is busy, here or with others. The
time of a search would not tell: it is long as well when a store is slow and the core has nothing to
do, and then more searches at once are right. What counts is the median of the last ticks: a loop that
was held up once or twice is late once or twice, a loop with too much to do stays late.
"""

import asyncio
import random
import statistics
import time
from collections import deque
from collections.abc import Callable

TICK_SECONDS = 0.05
TICKS = 5
BUSY_SECONDS = 0.02
"""From here on fewer searches at once get as many done, each of them sooner."""
SHED_SECONDS = 0.05
"""From here on what comes in is refused unread, all of it at twice this. Even a cached answer needs
several turns of the loop. Let in at any lag, its lookup would run out of time (``cache_seconds``), and
a question that the cache can't answer asks for a search: the fewer the answers, the more the work."""


class EventLoopLag:
    """How late the median of the last ``TICKS`` ticks was."""

    def __init__(self) -> None:
        self._delays = deque([0.0] * TICKS, maxlen=TICKS)

    @property
    def seconds(self) -> float:
        return statistics.median(self._delays)

    @property
    def is_busy(self) -> bool:
        return self.seconds > BUSY_SECONDS

    def should_shed(self) -> bool:
        """Whether to turn this request away: ever more of them, so that the rest is answered."""
        beyond = self.seconds / SHED_SECONDS - 1
        return beyond > 0 and random.random() < beyond  # noqa: S311 - a share, no secret

    async def run(self, on_tick: Callable[[], None]) -> None:
        """For ever; calls ``ticked`` after each measurement."""
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self.record(time.monotonic() - due)
            on_tick()

    def record(self, delay_seconds: float) -> None:
        """Take in that a tick came ``late`` seconds after it was due."""
        self._delays.append(max(0.0, delay_seconds))
