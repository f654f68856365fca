"""A rollout whose workflow tasks fail is found, with the cause, while its worker polls happily."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sluice.cli.clients.workflow_tasks import describe_task_failure

pytestmark = pytest.mark.integration
T = TypeVar("T")


@workflow.defn(name="Changing")
class OldCode:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(3600)

    @workflow.signal
    def nudge(self) -> None:
        """Start a workflow task."""


@workflow.defn(name="Changing")
class NewCode:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def nudge(self) -> None:
        """Start a workflow task."""


async def poll_until(question: Callable[[], Awaitable[T]]) -> T:
    """Return the first true answer, within 40 s."""
    for _ in range(200):
        if answer := await question():
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError("no answer within 40 s")


async def has_timer(handle: WorkflowHandle[Any, Any]) -> bool:
    return "TIMER_STARTED" in (await handle.fetch_history()).to_json()


def worker_of(client: Client, queue: str, code: type) -> Worker:
    runner = UnsandboxedWorkflowRunner()
    return Worker(client, task_queue=queue, workflows=[code], workflow_runner=runner)


async def test_tasks_of_code_that_does_not_fit_the_history_are_named(
    temporal_address: str,
) -> None:
    client = await Client.connect(temporal_address)
    queue = name = f"tasks-{uuid.uuid4().hex[:8]}"
    async with worker_of(client, queue, OldCode):
        handle = await client.start_workflow("Changing", id=name, task_queue=queue)
        await poll_until(lambda: has_timer(handle))
        assert await describe_task_failure(client, name) == ""
    async with worker_of(client, queue, NewCode):
        await handle.signal("nudge")
        cause = await poll_until(lambda: describe_task_failure(client, name))
    assert name in cause
    assert "ondeterminism" in cause, cause
    await handle.terminate()
