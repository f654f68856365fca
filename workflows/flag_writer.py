"""Taking traffic away: at once, and else for as long as it takes."""

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import FlagReceipt
    from activities.flags import FlagActivities
    from sluice.rollout.engine import flag_target
    from sluice.rollout.engine.flag_target import DesiredFlag, FlagWrite
    from workflows import activity_options
    from workflows.base import Preempted, RolloutBase, abandon, root_cause


class FlagWriter(RolloutBase):
    """The writes that nothing may stop but a newer one of their kind."""

    _abort_write: asyncio.Task[FlagReceipt] | None = None

    async def reduce(
        self,
        desired: DesiredFlag,
        actor: str,
        reason: str,
        is_replaced: Callable[[], bool] = lambda: False,
    ) -> FlagReceipt:
        """Take traffic away: by a local activity, and when that fails until it is done or replaced.

        Raises:
            Interrupted: a newer write has replaced this one; the store refuses it from then on.
        """
        write = self.next_write(desired, actor, reason)
        self.reconcile()  # people are told at once, not when it is done
        try:
            return await workflow.execute_local_activity_method(
                FlagActivities.apply, write, **activity_options.APPLY_AT_ONCE
            )
        except FailureError:
            workflow.logger.warning("the fast write failed; going on until it is done")
        return await self._reduce_until_done(write, is_replaced)

    async def abort_to_zero(self, actor: str, reason: str) -> FlagReceipt:
        """Put the flag to 0 % for good and read it back: the end of an aborted rollout.

        An abort comes here twice, by its handler and by the main loop, at the same moment. Both wait
        for the same write: of two, the newer would have the older refused, and the handler that gave
        up on it would fail the workflow task, again and again.
        """
        if self._abort_write is None:
            self._abort_write = asyncio.create_task(self._write_zero(actor, reason))
        return await asyncio.shield(self._abort_write)

    async def _write_zero(self, actor: str, reason: str) -> FlagReceipt:
        while True:
            try:
                receipt = await self.reduce(
                    flag_target.flag_at_zero(self.state, kill=False), actor, reason
                )
            except Preempted:
                continue  # a rollback that was under way; the next write is newer than it
            self.state.percentage = receipt.percentage
            return receipt

    async def _reduce_until_done(
        self, write: FlagWrite, is_replaced: Callable[[], bool]
    ) -> FlagReceipt:
        while write.sequence == self.state.sequence and not is_replaced():
            try:
                return await self._apply_until_replaced(write, is_replaced)
            except FailureError as error:
                self.add_event("problem", f"can't lower the flag, trying on: {root_cause(error)}")
                await workflow.sleep(activity_options.REFUSED_RETRY_INTERVAL)
        raise Preempted  # a newer write has replaced this one

    async def _apply_until_replaced(
        self, write: FlagWrite, is_replaced: Callable[[], bool]
    ) -> FlagReceipt:
        task: asyncio.Future[FlagReceipt] = workflow.start_activity_method(
            FlagActivities.apply,
            write,
            summary=write.reason[:200],
            **activity_options.APPLY_UNTIL_DONE,
        )
        await workflow.wait_condition(lambda: task.done() or is_replaced())
        if not task.done():
            abandon(task)
            raise Preempted
        return await task
