"""Deadlines that hold even if the work cannot be cancelled quickly.

Drivers clean up on cancellation: asyncpg asks the server to cancel the query, and a frozen server
does not answer that either. So the work is cancelled and ends in the background.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
CANCEL_RETRY_SECONDS = 0.25
_abandoned: set[asyncio.Task[Any]] = set()


async def wait_within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return the work's result or raise its exception. Raises TimeoutError after ``seconds``."""
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
    """Cancel the tasks and wait at most ``seconds``; a driver may ignore the first cancellation."""
    pending = set(tasks)
    deadline = time.monotonic() + seconds
    while pending and time.monotonic() < deadline:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=CANCEL_RETRY_SECONDS)
        for task in done:
            _discard(task)


def _abandon(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_discard)


def _discard(task: "asyncio.Task[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved, so asyncio logs no warning about it
