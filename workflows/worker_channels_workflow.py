"""What a worker was configured for, asked through Temporal: only the worker itself knows."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.notify import NoticeActivities
    from sluice.rollout.plan.notification import Channel

ACTIVITY_TIMEOUT = timedelta(seconds=20)


@workflow.defn
class WorkerChannelsWorkflow:
    """Gives the channels of the worker that takes it (``sluice doctor``)."""

    @workflow.run
    async def run(self) -> list[Channel]:
        return await workflow.execute_local_activity_method(
            NoticeActivities.list_channels, start_to_close_timeout=ACTIVITY_TIMEOUT
        )
