"""Notices leave the rollout at once and are delivered by a workflow of their own: nothing waits."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.plan.notification import Notice
    from workflows.base import RolloutBase
    from workflows.models import NoticeDelivery


class NoticeDispatcher(RolloutBase):
    """Empties the outbox."""

    def dispatch_notices(self) -> None:
        """Start the delivery of every notice in the outbox."""
        notices, self.state.outbox = self.state.outbox, ()
        self.dispatches = [task for task in self.dispatches if not task.done()]
        self.dispatches += [asyncio.create_task(self._dispatch(notice)) for notice in notices]

    async def wait_for_dispatch(self) -> None:
        """Wait until each delivery has begun; from then on it needs the rollout no more."""
        self.dispatch_notices()
        await workflow.wait_condition(lambda: all(task.done() for task in self.dispatches))

    async def _dispatch(self, notice: Notice) -> None:
        routes = self.state.plan.notify
        channels = [one.channel for one in routes if notice.severity in one.severities]
        delivery = NoticeDelivery(notice=notice, channels=tuple(dict.fromkeys(channels)))
        try:
            await workflow.start_child_workflow(
                "NoticeWorkflow",
                delivery,
                id=f"notice-{notice.key}",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=notice.title,
                static_details=notice.text,
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("notice %s is under way already", notice.key)
