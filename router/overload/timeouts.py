"""A deadline that holds even when the thing waited for can't be cancelled quickly.

Drivers clean up on cancellation: asyncpg asks the server to cancel the query, and a frozen server
does not answer that either. So the work is cancelled and left to end by itself.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
CANCEL_RETRY_SECONDS = 0.25
_abandoned: set[asyncio.Task[Any]] = set()


async def wait_within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The work's result or exception. Raises TimeoutError after ``seconds``, whatever the work does."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise TimeoutError
    return task.result()


async def cancel_all(tasks: Iterable["asyncio.Task[Any]"], seconds: float = 3.0) -> None:
    """Cancel, again if need be (a driver may swallow the first one), and wait at most ``seconds``."""
    waiting = set(tasks)
    until = time.monotonic() + seconds
    while waiting and time.monotonic() < until:
        for task in waiting:
            task.cancel()
        done, waiting = await asyncio.wait(waiting, timeout=CANCEL_RETRY_SECONDS)
        for task in done:
            _discard(task)


def _abandon(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_discard)


def _discard(task: "asyncio.Task[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # seen: nobody waits for it, and asyncio shall not complain
