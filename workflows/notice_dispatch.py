"""Notices leave the rollout at once; a workflow of its own delivers each, so nothing waits."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine.state import State
    from sluice.rollout.engine.transitions import take_notices
    from sluice.rollout.plan.notification import Notice
    from sluice.rollout.printable import escape_markdown
    from workflows.models import NoticeDelivery


class NoticeDispatcher:
    """Empties the outbox."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def sync(self, state: State) -> None:
        """Start the delivery of every notice in the outbox."""
        if not state.outbox.notices:
            return
        running = [task for task in self._tasks if not task.done()]
        started = [asyncio.create_task(_dispatch(state, notice)) for notice in take_notices(state)]
        self._tasks = [*running, *started]

    async def drain(self, state: State) -> None:
        """Wait until each delivery has begun; from then on it needs the rollout no more."""
        self.sync(state)
        await workflow.wait_condition(lambda: all(task.done() for task in self._tasks))


async def _dispatch(state: State, notice: Notice) -> None:
    routes = [route for route in state.plan.notify if notice.severity in route.severities]
    channels = dict.fromkeys(route.channel for route in routes)
    try:
        await workflow.start_child_workflow(
            "NoticeWorkflow",
            NoticeDelivery(notice=notice, channels=tuple(channels)),
            id=f"notice-{notice.key}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=escape_markdown(notice.title),
            static_details=escape_markdown(notice.text),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("notice %s is under way already", notice.key)
