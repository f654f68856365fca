"""The delivery of one notice in a workflow of its own, so no channel holds a rollout up."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import NoticeRequest
    from activities.notify import NoticeActivities
    from sluice.rollout.plan.notification import Channel
    from workflows import activity_options
    from workflows.context import root_cause
    from workflows.models import NoticeDelivery


@workflow.defn
class NoticeWorkflow:
    """Delivers one notice to its channels (workflow id ``notice-<key>``); outlives its parent."""

    @workflow.run
    async def run(self, delivery: NoticeDelivery) -> dict[str, str]:
        """Try each channel until it accepts the notice; return the answer of each."""
        channels = delivery.channels
        answers = await asyncio.gather(*(self._deliver(name, delivery) for name in channels))
        return dict(zip(channels, answers, strict=True))

    async def _deliver(self, channel: Channel, delivery: NoticeDelivery) -> str:
        try:
            return await workflow.execute_activity_method(
                NoticeActivities.deliver,
                NoticeRequest(channel=channel, notice=delivery.notice),
                summary=channel,
                **activity_options.DELIVER,
            )
        except FailureError as error:
            workflow.logger.error(
                "notice %s: %s: %s", delivery.notice.key, channel, root_cause(error)
            )
            return f"not delivered: {root_cause(error)}"
