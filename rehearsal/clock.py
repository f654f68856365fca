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

LOOK_SECONDS = 0.25
IDLE_LOOKS = 12
STANDS_STILL = timedelta(seconds=20)


class Work(Interceptor):
    """Counts the activities that were begun and those under way."""

    begun = 0
    going = 0

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002  the SDK's name
    ) -> ActivityInboundInterceptor:
        return _Counted(next, self)


class _Counted(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, work: Work) -> None:  # noqa: A002
        super().__init__(next)
        self._work = work

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        self._work.begun += 1
        self._work.going += 1
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            if _asked_to_end():
                raise
            # Its rollout is over, or the rehearsal is: the SDK would print a traceback of it.
            raise ApplicationError(
                "nobody waits for it any more", category=ApplicationErrorCategory.BENIGN
            ) from None
        finally:
            self._work.going -= 1


def _asked_to_end() -> bool:
    """Whether the workflow cancelled the activity, and so hears of how it ended."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


async def keep_going(env: WorkflowEnvironment, work: Work, idle_looks: int = IDLE_LOOKS) -> None:
    """Let the clock go whenever it stands still though nothing works, until cancelled."""
    before, begun, idle = await env.get_current_time(), 0, 0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = await env.get_current_time()
        stands = now - before < STANDS_STILL  # it always goes on in real time
        idle = idle + 1 if stands and begun == work.begun and not work.going else 0
        before, begun = now, work.begun
        if idle >= idle_looks:
            idle = 0
            await env.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
