"""Watchdog that unlocks the time-skipping server's clock.

The server (1.40) skips time while no activity runs. It never unlocks its clock after an activity that
is cancelled between two attempts, or whose workflow ends then. Every timer would wait without end.
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
    """Interceptor that counts started and running activities."""

    started_count = 0
    running_count = 0

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002  the SDK's name
    ) -> ActivityInboundInterceptor:
        return _TrackingInterceptor(next, self)


class _TrackingInterceptor(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, tracker: ActivityTracker) -> None:  # noqa: A002
        super().__init__(next)
        self._tracker = tracker

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        self._tracker.started_count += 1
        self._tracker.running_count += 1
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            if _is_cancel_requested():
                raise
            # Its rollout or the rehearsal is over; the SDK would print a traceback.
            raise ApplicationError(
                "its result is not needed any more", category=ApplicationErrorCategory.BENIGN
            ) from None
        finally:
            self._tracker.running_count -= 1


def _is_cancel_requested() -> bool:
    """Return True when the workflow cancelled the activity and so receives its end."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


async def keep_clock_running(
    env: WorkflowEnvironment, tracker: ActivityTracker, idle_polls: int = IDLE_POLLS
) -> None:
    """Unlock the clock when it is frozen without a running activity, until cancelled."""
    before, begun, idle = await env.get_current_time(), 0, 0
    while True:
        await asyncio.sleep(POLL_SECONDS)
        now = await env.get_current_time()
        is_frozen = now - before < FROZEN_MAX  # real time always passes
        idle = (
            idle + 1
            if is_frozen and begun == tracker.started_count and not tracker.running_count
            else 0
        )
        before, begun = now, tracker.started_count
        if idle >= idle_polls:
            idle = 0
            await env.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
