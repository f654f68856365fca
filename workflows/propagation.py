"""The router processes' confirmation of a rollback or abort, and the page when it takes too long."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import Confirmation, ConfirmRequest
    from activities.flags import FlagActivities
    from sluice.rollout.engine import escalation, transitions
    from sluice.rollout.engine.flag_target import FlagReceipt
    from sluice.rollout.engine.state import Rollback, State
    from workflows import activity_options
    from workflows.context import RolloutContext


class PropagationMonitor:
    """Runs beside the main loop, so people can go on while a process is being waited for."""

    def __init__(self, context: RolloutContext) -> None:
        self._context = context
        self._confirmation: tuple[ConfirmRequest, asyncio.Task[None]] | None = None
        self._page_timer: tuple[datetime, asyncio.Task[None]] | None = None

    def sync(self, state: State) -> None:
        """Poll the processes after a rollback, and page when it takes too long."""
        self._sync_confirmation(state)
        self._sync_page(state)

    def cancel(self) -> None:
        """Stop polling; the next run of the workflow polls again."""
        if self._confirmation is not None:
            self._confirmation[1].cancel()
            self._confirmation = None

    async def confirm(self, receipt: FlagReceipt) -> str:
        """Poll until no process serves the treatment: only then an abort is done."""
        self.cancel()
        self._context.publish_status("asking every process")
        request = _confirm_request(self._context.state, receipt.percentage, receipt.version)
        return (await _read_back(request)).text

    def _sync_confirmation(self, state: State) -> None:
        rollback = escalation.unconfirmed_rollback(state)
        request = _confirm_request(state, state.percentage, rollback.version) if rollback else None
        if self._confirmation is not None and self._confirmation[0] != request:
            self.cancel()
        if request is not None and rollback is not None and self._confirmation is None:
            task = asyncio.create_task(self._confirm(rollback, request))
            self._confirmation = request, task

    async def _confirm(self, rollback: Rollback, request: ConfirmRequest) -> None:
        try:
            confirmation = await _read_back(request)
        except FailureError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the processes can't be polled", exc_info=error)
            return  # the page follows when its time comes
        state = self._context.state
        transitions.confirm_rollback(state, workflow.now(), rollback, confirmation.text)
        self._context.wake()

    def _sync_page(self, state: State) -> None:
        at = escalation.page_at(state)
        if self._page_timer is not None and self._page_timer[0] != at:
            self._page_timer[1].cancel()
            self._page_timer = None
        if at is not None and self._page_timer is None:
            self._page_timer = at, asyncio.create_task(self._page_when_due(at))

    async def _page_when_due(self, at: datetime) -> None:
        await workflow.sleep(max(0.0, (at - workflow.now()).total_seconds()))
        transitions.page_slow_rollback(self._context.state, workflow.now(), at)
        self._context.wake()  # the notice leaves at once


def _confirm_request(state: State, percentage: float, version: int) -> ConfirmRequest:
    plan = state.plan
    return ConfirmRequest(
        environment=plan.environment, flag=plan.flag, percentage=percentage, version=version
    )


async def _read_back(request: ConfirmRequest) -> Confirmation:
    return await workflow.execute_activity_method(
        FlagActivities.confirm, request, summary="read back", **activity_options.CONFIRM
    )
