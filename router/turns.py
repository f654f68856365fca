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
from router.trace import phase, remaining

_RECENT = 0.1
"""How much the newest search counts in the mean of their times."""
_FIRST_GUESS_SECONDS = 0.05
_FEWEST = 2
"""One that waits for a store and one that has the core."""
_FEWER = 0.9


class Gate:
    """At most ``limit`` queries at once; the next one is told to come back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Raises Overloaded when full."""
        if self._inside >= self._limit:
            raise Overloaded(f"{self._limit} queries are already in flight")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


class Turns:
    """At most ``limit`` at once, fewer while the process is busy; nobody waits longer than ``wait_seconds``."""

    def __init__(self, limit: int, wait_seconds: float) -> None:
        self._limit = limit
        self._wait_seconds = wait_seconds
        self._allowed = float(limit)
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._mean_seconds = _FIRST_GUESS_SECONDS

    @property
    def allowed(self) -> int:
        """How many may search at once now."""
        return int(self._allowed)

    def adapt(self, *, busy: bool) -> None:
        """Once a tick: a tenth fewer while ``busy``, else one more."""
        if busy:
            self._allowed = max(min(_FEWEST, self._limit), self._allowed * _FEWER)
        else:
            self._allowed = min(self._limit, self._allowed + 1)
        self._admit()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Gives whether one had to wait. Raises Overloaded: the line is too long."""
        waited = self._taken >= self.allowed
        if waited:
            await self._wait()
        else:
            self._taken += 1
        started = time.monotonic()
        try:
            yield waited
        finally:
            self._mean_seconds += _RECENT * (time.monotonic() - started - self._mean_seconds)
            self._taken -= 1
            self._admit()

    def _admit(self) -> None:
        """Whoever is first in line and still waits."""
        while self._line and self._taken < self.allowed:
            first = self._line.popleft()
            if not first.cancelled():
                self._taken += 1
                first.set_result(None)

    def expected_seconds(self) -> float:
        """How long the next in line would wait."""
        return (len(self._line) + 1) * self._mean_seconds / self.allowed

    async def _wait(self) -> None:
        patience = min(self._wait_seconds, remaining())
        if self.expected_seconds() > patience:
            raise Overloaded(f"{len(self._line)} queries wait for a turn already")
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            with phase("wait"):
                async with asyncio.timeout(patience):
                    await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            self._leave(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(f"no turn within {patience:.3g} s") from None
            raise

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Out of the line; the turn that came at the last moment is the next one's."""
        if turn in self._line:
            self._line.remove(turn)
        elif not turn.cancelled():
            self._taken -= 1
            self._admit()
