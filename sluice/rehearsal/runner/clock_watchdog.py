"""Keeping the time-skipping server's clock going where the server itself would let it stand still.

The server (1.40) skips time while no activity works. It never lets its clock go again for an activity
that is cancelled between two attempts, or whose workflow ends then; every timer would wait for ever.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.testservice.v1 import UnlockTimeSkippingRequest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

POLL_SECONDS = 0.25
IDLE_POLLS = 12
FROZEN_MAX = timedelta(seconds=20)


class ActivityTracker(Interceptor):
    """Counts the activities that were begun and those under way."""

    started_count = 0
    running_count = 0

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002  the SDK's name
    ) -> ActivityInboundInterceptor:
        return _TrackingInterceptor(next, self)


class _TrackingInterceptor(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, work: ActivityTracker) -> None:  # noqa: A002
        super().__init__(next)
        self._tracker = work

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        self._tracker.started_count += 1
        self._tracker.running_count += 1
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            if _is_cancel_requested():
                raise
            # Its rollout is over, or the rehearsal is: the SDK would print a traceback of it.
            raise ApplicationError(
                "nobody waits for it any more", category=ApplicationErrorCategory.BENIGN
            ) from None
        finally:
            self._tracker.running_count -= 1


def _is_cancel_requested() -> bool:
    """Whether the workflow cancelled the activity, and so hears of how it ended."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


async def keep_clock_running(
    env: WorkflowEnvironment, tracker: ActivityTracker, idle_polls: int = IDLE_POLLS
) -> None:
    """Let the clock go whenever it stands still though nothing works, until cancelled."""
    before, begun, idle = await env.get_current_time(), 0, 0
    while True:
        await asyncio.sleep(POLL_SECONDS)
        now = await env.get_current_time()
        stands = now - before < FROZEN_MAX  # it always goes on in real time
        idle = (
            idle + 1
            if stands and begun == tracker.started_count and not tracker.running_count
            else 0
        )
        before, begun = now, tracker.started_count
        if idle >= idle_polls:
            idle = 0
            await env.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
