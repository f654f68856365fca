"""A deadline that holds even when the thing waited for can't be cancelled quickly.

Drivers clean up on cancellation: asyncpg asks the server to cancel the query, and a frozen server
does not answer that either. So the work is cancelled and left to end by itself.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_left: set[asyncio.Task[Any]] = set()


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The work's result or exception. Raises TimeoutError after ``seconds``, whatever the work does."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _leave(task)
        raise
    if not done:
        _leave(task)
        raise TimeoutError
    return task.result()


def _leave(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    _left.add(task)
    task.add_done_callback(_gone)


def _gone(task: "asyncio.Task[Any]") -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # seen: nobody waits for it, and asyncio shall not complain
