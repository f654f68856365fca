"""Heartbeats that go on while an activity waits for somebody else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from temporalio import activity

from sluice.rollout.analysis.gate import Model

INTERVAL_SECONDS = 0.5


@asynccontextmanager
async def heartbeating(
    details: Callable[[], Model | None] = lambda: None, interval_seconds: float = INTERVAL_SECONDS
) -> AsyncIterator[None]:
    """Heartbeat at once and then regularly, each time with the newest ``details``.

    The details go out as plain JSON, so that any version of a worker, and the Temporal UI, read
    them. A worker that dies is noticed by the missing beat; the body must bound its own waits,
    because a beating heart says nothing about those.
    """
    pump = asyncio.create_task(_send_repeatedly(details, interval_seconds))
    try:
        yield
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


async def _send_repeatedly(details: Callable[[], Model | None], every_seconds: float) -> None:
    last: Model | None = None
    payload: list[dict[str, Any]] = []
    while True:
        newest = details()
        if newest is not None and newest is not last:
            last, payload = newest, [newest.model_dump(mode="json")]
        activity.heartbeat(*payload)
        await asyncio.sleep(every_seconds)
