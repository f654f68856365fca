"""The worker's health over HTTP: ``/healthz`` (alive) and ``/readyz`` (polling).

A worker that does not poll moves no rollout and watches no red flag. Readiness therefore asks
Temporal for the pollers of the queue.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sluice.worker.settings import WorkerSettingsError

POLL_AGE_MAX = timedelta(seconds=90)
"""An idle worker polls once a minute."""
TEMPORAL_SECONDS_MAX = 3.0
REQUEST_SECONDS_MAX = 5.0
LINE_BYTES_MAX = 4096


class PollAge:
    """The age of the worker's last poll. The clocks of this machine and of Temporal may differ."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._polled_at: datetime | None = None
        self._changed_seconds = 0.0

    def is_recent(self, polled_at: datetime) -> bool:
        """Return True unless Temporal has named the same time for longer than an idle poll takes."""
        if polled_at != self._polled_at:
            self._polled_at, self._changed_seconds = polled_at, self._monotonic()
        return self._monotonic() - self._changed_seconds < POLL_AGE_MAX.total_seconds()


async def polling_problem(client: Client, task_queue: str, age: PollAge) -> str:
    """Return the reason that this client's worker is not polling ``task_queue``, or an empty string."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    try:
        answer = await client.workflow_service.describe_task_queue(
            request, timeout=timedelta(seconds=TEMPORAL_SECONDS_MAX)
        )
    except RPCError as error:
        return f"Temporal does not answer: {error}"
    for poller in answer.pollers:
        if poller.identity == client.identity:
            if age.is_recent(poller.last_access_time.ToDatetime(UTC)):
                return ""
            break
    return f"Temporal has not seen {client.identity} poll {task_queue} in the last 90 s"


@asynccontextmanager
async def serve_health(address: str, client: Client, task_queue: str) -> AsyncIterator[None]:
    """Answer ``GET /healthz`` and ``GET /readyz`` at ``host:port``; nothing for an empty address.

    Raises:
        WorkerSettingsError: nothing can listen there.
    """
    if not address:
        yield
        return

    age = PollAge()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                status, text = await _route(await _read_path(reader), client, task_queue, age)
                writer.write(_response(status, text))
                await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
            pass  # the client left or did not speak HTTP
        finally:
            writer.close()

    host, _, port = address.rpartition(":")
    try:
        server = await asyncio.start_server(
            answer, host.strip("[]"), int(port), limit=LINE_BYTES_MAX
        )
    except OSError as error:
        raise WorkerSettingsError(
            f"SLUICE_WORKER_HEALTH_ADDRESS={address!r} cannot be served: {error.strerror}"
        ) from None
    async with server:
        yield


async def _read_path(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    _, path, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ", 2)
    return path


async def _route(
    path: str, client: Client, task_queue: str, age: PollAge
) -> tuple[HTTPStatus, str]:
    if path == "/healthz":
        return HTTPStatus.OK, "alive"
    if path == "/readyz":
        problem = await polling_problem(client, task_queue, age)
        return (HTTPStatus.SERVICE_UNAVAILABLE, problem) if problem else (HTTPStatus.OK, "ready")
    return HTTPStatus.NOT_FOUND, "use /healthz or /readyz"


def _response(status: HTTPStatus, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
