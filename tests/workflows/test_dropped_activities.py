"""A workflow goes on after an activity that it cancelled ends, however and whenever it ends."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from workflows import activity_options
from workflows.context import abandon

QUEUE = "dropped"
OPTIONS = {
    name: value
    for name, value in vars(activity_options).items()
    if isinstance(value, dict) and "start_to_close_timeout" in value and name != "APPLY_AT_ONCE"
} | {"watch": activity_options.watch_options(timedelta(seconds=1))}
ENDS = ("fails", "times out", "completes late")


@activity.defn
async def ends(how: str) -> str:
    # The cancellation of an activity that heartbeats is ignored here: it must not matter either.
    for _ in range(4):
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            continue
    if how == "times out":
        await asyncio.Event().wait()
    if how == "fails":
        raise ApplicationError("too late")
    return how


@workflow.defn
class DropsAnActivity:
    @workflow.run
    async def run(self, name: str, how: str) -> str:
        options: dict[str, Any] = dict(OPTIONS[name])
        options["start_to_close_timeout"] = timedelta(seconds=1)
        options["retry_policy"] = RetryPolicy(maximum_attempts=1)
        task = workflow.start_activity(ends, how, **options)
        await workflow.sleep(0.2)
        abandon(task)
        for _ in range(12):
            await workflow.sleep(0.15)
        return "went on"


@pytest.mark.parametrize("how", ENDS)
async def test_a_workflow_goes_on_after_a_dropped_activity_ends(
    env: WorkflowEnvironment, how: str
) -> None:
    async with Worker(
        env.client,
        task_queue=QUEUE,
        workflows=[DropsAnActivity],
        activities=[ends],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        runs = [
            await env.client.start_workflow(
                DropsAnActivity.run,
                args=[name, how],
                id=f"{name} {how}",
                task_queue=QUEUE,
            )
            for name in OPTIONS
        ]
        with env.auto_time_skipping_disabled():
            async with asyncio.timeout(60):
                results = await asyncio.gather(*(run.result() for run in runs))
    assert results == ["went on"] * len(OPTIONS)
