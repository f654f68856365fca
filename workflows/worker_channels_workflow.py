"""The notice channels of a worker, read through Temporal: only the worker has its settings."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.notify import NoticeActivities
    from sluice.rollout.plan.notification import Channel

ACTIVITY_TIMEOUT = timedelta(seconds=20)


@workflow.defn
class WorkerChannelsWorkflow:
    """Returns the channels of the worker that runs it (``sluice doctor``)."""

    @workflow.run
    async def run(self) -> list[Channel]:
        """Return the channels that the worker has addresses for."""
        return await workflow.execute_local_activity_method(
            NoticeActivities.list_channels, start_to_close_timeout=ACTIVITY_TIMEOUT
        )
