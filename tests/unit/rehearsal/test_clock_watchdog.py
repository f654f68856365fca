"""Activities cut off at a rehearsal's end fail silently; activities cancelled by a workflow do not."""

import asyncio
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from sluice.rehearsal.runner.clock_watchdog import ActivityTracker

ACTIVITY_INPUT = ExecuteActivityInput(fn=print, args=(), executor=None, headers={})


class CancelledActivity(ActivityInboundInterceptor):
    """An activity that was cancelled while it worked."""

    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: Any) -> Any:  # noqa: A002, ANN401  the SDK's
        raise asyncio.CancelledError


async def test_an_activity_that_nobody_waits_for_fails_without_a_traceback() -> None:
    """The SDK logs a traceback of every failure that isn't benign: beside a good outcome."""
    work = ActivityTracker()
    with pytest.raises(ApplicationError) as failed:
        await ActivityEnvironment().run(
            work.intercept_activity(CancelledActivity()).execute_activity, ACTIVITY_INPUT
        )
    assert failed.value.category is ApplicationErrorCategory.BENIGN
    assert (work.started_count, work.running_count) == (1, 0)


async def test_an_activity_that_its_workflow_cancelled_stays_cancelled() -> None:
    environment = ActivityEnvironment()
    environment.cancel(ActivityCancellationDetails(cancel_requested=True))
    watched = ActivityTracker().intercept_activity(CancelledActivity())
    with pytest.raises(asyncio.CancelledError):
        await environment.run(watched.execute_activity, ACTIVITY_INPUT)
