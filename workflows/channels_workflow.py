"""What a worker was configured for, asked through Temporal: only the worker itself knows."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.notify import NoticeActivities
    from rollout.notice import Channel

SECONDS = timedelta(seconds=20)


@workflow.defn
class ChannelsWorkflow:
    """Gives the channels of the worker that takes it (``sluice doctor``)."""

    @workflow.run
    async def run(self) -> list[Channel]:
        return await workflow.execute_local_activity_method(
            NoticeActivities.configured, start_to_close_timeout=SECONDS
        )
