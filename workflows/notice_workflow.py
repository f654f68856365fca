"""The delivery of one notice: on its own, so that no channel can hold a rollout up, nor its end."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import NoticeRequest
    from activities.notify import NoticeActivities
    from sluice.rollout.plan.notification import Channel
    from workflows import activity_options
    from workflows.base import root_cause
    from workflows.models import NoticeDelivery


@workflow.defn
class NoticeWorkflow:
    """Delivers one notice to its channels (workflow id ``notice-<key>``); abandoned by its parent."""

    @workflow.run
    async def run(self, delivery: NoticeDelivery) -> dict[str, str]:
        """Try each channel until it took the notice, and tell what each answered."""
        told = await asyncio.gather(*(self._deliver(one, delivery) for one in delivery.channels))
        return dict(zip(delivery.channels, told, strict=True))

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
