"""After the write: every router process must say that it obeys, and a person hears when it takes long."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import Confirmation, ConfirmRequest, FlagReceipt
    from activities.flags import FlagActivities
    from sluice.rollout.engine import escalation, transitions
    from workflows import activity_options
    from workflows.flag_writer import FlagWriter
    from workflows.notice_dispatch import NoticeDispatcher


class PropagationMonitor(FlagWriter, NoticeDispatcher):
    """Runs beside the main loop, so that people can go on while a process is being waited for."""

    _confirmation: tuple[ConfirmRequest, asyncio.Task[None]] | None = None
    _page_timer: tuple[datetime, asyncio.Task[None]] | None = None

    def reconcile(self) -> None:
        """Send notices, ask the processes, and page when it takes too long."""
        self.dispatch_notices()
        self._sync_confirmation()
        self._sync_page()

    def cancel_confirmation(self) -> None:
        if self._confirmation is not None:
            self._confirmation[1].cancel()
            self._confirmation = None

    async def confirm_zero(self, receipt: FlagReceipt) -> None:
        """Ask until no process serves the treatment: only then an abort is done."""
        self.cancel_confirmation()
        confirmation = await self._read_back(
            self._confirm_request(receipt.percentage, receipt.version)
        )
        escalation.confirm_abort(self.state, workflow.now(), confirmation.text)

    def _sync_confirmation(self) -> None:
        wanted = self._pending_confirmation()
        if self._confirmation is not None and self._confirmation[0] != wanted:
            self.cancel_confirmation()
        if wanted is not None and self._confirmation is None:
            self._confirmation = wanted, asyncio.create_task(self._confirm(wanted))

    def _pending_confirmation(self) -> ConfirmRequest | None:
        rollback = self.state.rollback
        if rollback is None or rollback.completed_at is None or rollback.confirmed_at is not None:
            return None
        if self.state.aborted_by or self.state.has_ended:
            return None
        return self._confirm_request(self.state.percentage, rollback.version)

    def _confirm_request(self, percentage: float, version: int) -> ConfirmRequest:
        plan = self.state.plan
        return ConfirmRequest(
            environment=plan.environment, flag=plan.flag, percentage=percentage, version=version
        )

    async def _confirm(self, request: ConfirmRequest) -> None:
        try:
            confirmation = await self._read_back(request)
        except FailureError as error:
            if not is_cancelled_exception(error):
                raise
            return
        if self._pending_confirmation() == request:
            transitions.confirm_rollback(self.state, workflow.now(), confirmation.text)
            self.wake()

    async def _read_back(self, request: ConfirmRequest) -> Confirmation:
        return await workflow.execute_activity_method(
            FlagActivities.confirm, request, summary="read back", **activity_options.CONFIRM
        )

    def _sync_page(self) -> None:
        at = escalation.page_at(self.state)
        if self._page_timer is not None and self._page_timer[0] != at:
            self._page_timer[1].cancel()
            self._page_timer = None
        if at is not None and self._page_timer is None:
            self._page_timer = at, asyncio.create_task(self._page_when_due(at))

    async def _page_when_due(self, at: datetime) -> None:
        await workflow.sleep(max(0.0, (at - workflow.now()).total_seconds()))
        if escalation.page_at(self.state) == at:
            escalation.record_page(self.state, workflow.now())
            self.dispatch_notices()
