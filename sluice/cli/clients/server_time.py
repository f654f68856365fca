"""The time of Temporal's server, which its API has no call for."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    PollActivityTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

SECONDS_MAX = 5.0
POLL_SECONDS_MAX = 25.0
"""Temporal logs a warning for polls of less than 20 s. This one ends with the answer."""
RETRY_SECONDS = 0.02


async def fetch_server_time(client: Client) -> datetime:
    """Return the server's time (UTC): when it saw a poll of a queue that nobody else knows.

    Raises:
        RPCError: Temporal refuses the poll, or the question for its pollers.
        TimeoutError: the poll was not listed within ``SECONDS_MAX``.
    """
    queue = TaskQueue(name=f"sluice-clock-{uuid4()}")
    request = PollActivityTaskQueueRequest(
        namespace=client.namespace, task_queue=queue, identity=client.identity
    )
    patience = timedelta(seconds=POLL_SECONDS_MAX)
    poll = asyncio.create_task(
        client.workflow_service.poll_activity_task_queue(request, timeout=patience)
    )
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while (seen_at := await _last_poll(client, queue)) is None:
                if poll.done():
                    poll.result()  # raises when it was refused
                await asyncio.sleep(RETRY_SECONDS)
            return seen_at
    finally:
        poll.cancel()
        with suppress(asyncio.CancelledError, RPCError):
            await poll


async def _last_poll(client: Client, queue: TaskQueue) -> datetime | None:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=queue,
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
    )
    return next((poller.last_access_time.ToDatetime(UTC) for poller in answer.pollers), None)
