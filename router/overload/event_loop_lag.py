"""Event loop lag: the first sign that a process has more work than its core can do.

A timer that fires late means that work is ready and the core is busy. The duration of a search
would not show that: it also grows when a store is slow, and then more searches at once are right.
The median of the last ticks decides, so one or two long callbacks change nothing.
"""

import asyncio
import random
import statistics
import time
from collections import deque
from collections.abc import Callable

TICK_SECONDS = 0.05
TICKS = 5
LATE_SECONDS = 0.005
"""Above this lag each question waits for others."""
BUSY_SECONDS = 0.02
"""Above this lag fewer concurrent searches complete as many, each of them sooner."""
SHED_SECONDS = 0.05
"""Above this lag a growing share of queries is refused unread, and all of them at twice this lag.
Even a cached answer needs several turns of the loop. Admitted at any lag, its lookup would exceed
``cache_seconds`` and become a search: fewer answers would cause more work."""


class EventLoopLag:
    """Median lag of the last ``TICKS`` ticks."""

    def __init__(self) -> None:
        self._delays = deque([0.0] * TICKS, maxlen=TICKS)

    @property
    def seconds(self) -> float:
        return statistics.median(self._delays)

    @property
    def is_late(self) -> bool:
        return self.seconds > LATE_SECONDS

    @property
    def is_busy(self) -> bool:
        return self.seconds > BUSY_SECONDS

    def should_shed(self, urgency: float = 1.0, start: float = 1.0) -> bool:
        """Return True with a probability that grows with the lag and with ``urgency``.

        It is 0 up to ``start`` times ``SHED_SECONDS``.
        """
        excess = (self.seconds / SHED_SECONDS - start) * urgency
        return excess > 0 and random.random() < excess  # noqa: S311 - a share, not a secret

    async def run(self, on_tick: Callable[[], None]) -> None:
        """Measure until cancelled, and call ``on_tick`` after each measurement."""
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self.record(time.monotonic() - due)
            on_tick()

    def record(self, delay_seconds: float) -> None:
        """Add the delay of one tick, in seconds after its due time."""
        self._delays.append(max(0.0, delay_seconds))
