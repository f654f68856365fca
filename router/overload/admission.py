"""Turns for what the cache can't answer: refuse early rather than collapse late.

Beyond what the cores can do, every further search makes all the others late, until the stores'
deadlines pass and corrections ask for yet more. So few search at once, the next ones wait in line,
and whoever would wait too long is told at once to come back. Cached answers need no turn.
How few, the event loop's lag tells (``lag.py``): additive increase, multiplicative decrease, as TCP
finds its window (Chiu and Jain 1989).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from router.errors import Overloaded
from router.observability.trace import remaining_seconds, time_phase

_MEAN_WEIGHT = 0.1
"""How much the newest search counts in the mean of their times."""
_INITIAL_MEAN_SECONDS = 0.05
_CAPACITY_MIN = 2
"""One that waits for a store and one that has the core."""
_DECREASE_FACTOR = 0.9


class InFlightLimit:
    """At most ``limit`` queries at once; the next one is told to come back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Raises Overloaded when full."""
        if self._in_flight >= self._limit:
            raise Overloaded(f"{self._limit} queries are already in flight")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1


class AdaptiveLimiter:
    """At most ``limit`` at once, fewer while the process is busy; nobody waits longer than ``wait_seconds``."""

    def __init__(self, limit: int, wait_seconds: float) -> None:
        self._limit = limit
        self._wait_seconds = wait_seconds
        self._capacity = float(limit)
        self._in_use = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._mean_seconds = _INITIAL_MEAN_SECONDS

    @property
    def capacity(self) -> int:
        """How many may search at once now."""
        return int(self._capacity)

    def adapt(self, *, busy: bool) -> None:
        """Once a tick: a tenth fewer while ``busy``, else one more."""
        if busy:
            self._capacity = max(min(_CAPACITY_MIN, self._limit), self._capacity * _DECREASE_FACTOR)
        else:
            self._capacity = min(self._limit, self._capacity + 1)
        self._wake_waiters()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[bool]:
        """Gives whether one had to wait. Raises Overloaded: the line is too long."""
        waited = self._in_use >= self.capacity
        if waited:
            await self._wait_for_capacity()
        else:
            self._in_use += 1
        started = time.monotonic()
        try:
            yield waited
        finally:
            self._mean_seconds += _MEAN_WEIGHT * (time.monotonic() - started - self._mean_seconds)
            self._in_use -= 1
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        """Whoever is first in line and still waits."""
        while self._waiters and self._in_use < self.capacity:
            first = self._waiters.popleft()
            if not first.cancelled():
                self._in_use += 1
                first.set_result(None)

    def expected_wait_seconds(self) -> float:
        """How long the next in line would wait."""
        return (len(self._waiters) + 1) * self._mean_seconds / self.capacity

    async def _wait_for_capacity(self) -> None:
        patience = min(self._wait_seconds, remaining_seconds())
        if self.expected_wait_seconds() > patience:
            raise Overloaded(f"{len(self._waiters)} queries wait for a turn already")
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            with time_phase("wait"):
                async with asyncio.timeout(patience):
                    await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            self._leave_queue(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(f"no turn within {patience:.3g} s") from None
            raise

    def _leave_queue(self, turn: asyncio.Future[None]) -> None:
        """Out of the line; the turn that came at the last moment is the next one's."""
        if turn in self._waiters:
            self._waiters.remove(turn)
        elif not turn.cancelled():
            self._in_use -= 1
            self._wake_waiters()
