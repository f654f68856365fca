"""After the write: every router process must say that it obeys, and a person hears when it takes long."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.flags import FlagActivities
    from activities.models import Confirmation, ConfirmRequest, FlagReceipt
    from rollout import escalation, moves
    from workflows import policies
    from workflows.lowering import Lowering
    from workflows.notifying import Notifying


class Confirming(Lowering, Notifying):
    """Runs beside the main loop, so that people can go on while a process is being waited for."""

    _confirming: tuple[ConfirmRequest, asyncio.Task[None]] | None = None
    _paging: tuple[datetime, asyncio.Task[None]] | None = None

    def keep_up(self) -> None:
        """Send notices, ask the processes, and page when it takes too long."""
        self.send_notices()
        self._sync_confirmation()
        self._sync_page()

    def stop_confirmation(self) -> None:
        if self._confirming is not None:
            self._confirming[1].cancel()
            self._confirming = None

    async def confirm_zero(self, receipt: FlagReceipt) -> None:
        """Ask until no process serves the treatment: only then an abort is done."""
        self.stop_confirmation()
        confirmation = await self._ask(self._request(receipt.percentage, receipt.version))
        escalation.zero_confirmed(self.state, workflow.now(), confirmation.text)

    def _sync_confirmation(self) -> None:
        wanted = self._to_confirm()
        if self._confirming is not None and self._confirming[0] != wanted:
            self.stop_confirmation()
        if wanted is not None and self._confirming is None:
            self._confirming = wanted, asyncio.create_task(self._confirm(wanted))

    def _to_confirm(self) -> ConfirmRequest | None:
        rollback = self.state.rollback
        if rollback is None or rollback.done_at is None or rollback.confirmed_at is not None:
            return None
        if self.state.aborted_by or self.state.ended:
            return None
        return self._request(self.state.percentage, rollback.version)

    def _request(self, percentage: float, version: int) -> ConfirmRequest:
        plan = self.state.plan
        return ConfirmRequest(
            environment=plan.environment, flag=plan.flag, percentage=percentage, version=version
        )

    async def _confirm(self, request: ConfirmRequest) -> None:
        try:
            confirmation = await self._ask(request)
        except FailureError as error:
            if not is_cancelled_exception(error):
                raise
            return
        if self._to_confirm() == request:
            moves.confirmed(self.state, workflow.now(), confirmation.text)
            self.changed()

    async def _ask(self, request: ConfirmRequest) -> Confirmation:
        return await workflow.execute_activity_method(
            FlagActivities.confirm, request, summary="read back", **policies.CONFIRM
        )

    def _sync_page(self) -> None:
        at = escalation.page_at(self.state)
        if self._paging is not None and self._paging[0] != at:
            self._paging[1].cancel()
            self._paging = None
        if at is not None and self._paging is None:
            self._paging = at, asyncio.create_task(self._page(at))

    async def _page(self, at: datetime) -> None:
        await workflow.sleep(max(0.0, (at - workflow.now()).total_seconds()))
        if escalation.page_at(self.state) == at:
            escalation.paged(self.state, workflow.now())
            self.send_notices()
