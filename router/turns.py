"""Turns for what the cache can't answer: refuse early rather than collapse late.

Beyond what the cores can do, every further search makes all the others late, until the stores'
deadlines pass and corrections ask for yet more. So few search at once, the next ones wait in line,
and whoever would wait too long is told at once to come back. Cached answers need no turn.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from router.errors import Overloaded
from router.trace import phase, remaining

_RECENT = 0.1
"""How much the newest search counts in the mean of their times."""
_FIRST_GUESS_SECONDS = 0.05


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
    """At most ``limit`` at once; nobody waits longer than ``wait_seconds``."""

    def __init__(self, limit: int, wait_seconds: float) -> None:
        self._limit = limit
        self._wait_seconds = wait_seconds
        self._free = asyncio.Semaphore(limit)
        self._waiting = 0
        self._mean_seconds = _FIRST_GUESS_SECONDS

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Gives whether one had to wait. Raises Overloaded: the line is too long."""
        waited = self._free.locked()
        if waited:
            await self._wait()
        else:
            await self._free.acquire()
        started = time.monotonic()
        try:
            yield waited
        finally:
            self._mean_seconds += _RECENT * (time.monotonic() - started - self._mean_seconds)
            self._free.release()

    def expected_seconds(self) -> float:
        """How long the next in line would wait."""
        return (self._waiting + 1) * self._mean_seconds / self._limit

    async def _wait(self) -> None:
        patience = min(self._wait_seconds, remaining())
        if self.expected_seconds() > patience:
            raise Overloaded(f"{self._waiting} queries wait for a turn already")
        self._waiting += 1
        try:
            with phase("wait"):
                async with asyncio.timeout(patience):
                    await self._free.acquire()
        except TimeoutError:
            raise Overloaded(f"no turn within {patience:.3g} s") from None
        finally:
            self._waiting -= 1
