"""Taking traffic away: at once, and else for as long as it takes."""

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.flags import FlagActivities
    from activities.models import FlagReceipt, FlagTarget
    from rollout import target
    from rollout.target import Target
    from workflows import policies
    from workflows.base import Interrupted, RolloutBase, cause, drop


class Lowering(RolloutBase):
    """The writes that nothing may stop but a newer one of their kind."""

    _zeroing: asyncio.Task[FlagReceipt] | None = None

    async def lower(
        self, wanted: Target, actor: str, reason: str, replaced: Callable[[], bool] = lambda: False
    ) -> FlagReceipt:
        """Take traffic away: by a local activity, and when that fails until it is done or replaced.

        Raises:
            Interrupted: a newer write has replaced this one; the store refuses it from then on.
        """
        write = self.flag_target(wanted, actor, reason)
        self.keep_up()  # people are told at once, not when it is done
        try:
            return await workflow.execute_local_activity_method(
                FlagActivities.apply, write, **policies.APPLY_AT_ONCE
            )
        except FailureError:
            workflow.logger.warning("the fast write failed; going on until it is done")
        return await self._lower_until_done(write, replaced)

    async def zero(self, actor: str, reason: str) -> FlagReceipt:
        """Put the flag to 0 % for good and read it back: the end of an aborted rollout.

        An abort comes here twice, by its handler and by the main loop, at the same moment. Both wait
        for the same write: of two, the newer would have the older refused, and the handler that gave
        up on it would fail the workflow task, again and again.
        """
        if self._zeroing is None:
            self._zeroing = asyncio.create_task(self._zero(actor, reason))
        return await asyncio.shield(self._zeroing)

    async def _zero(self, actor: str, reason: str) -> FlagReceipt:
        while True:
            try:
                receipt = await self.lower(target.to_zero(self.state, kill=False), actor, reason)
            except Interrupted:
                continue  # a rollback that was under way; the next write is newer than it
            self.state.percentage = receipt.percentage
            return receipt

    async def _lower_until_done(
        self, write: FlagTarget, replaced: Callable[[], bool]
    ) -> FlagReceipt:
        while write.sequence == self.state.sequence and not replaced():
            try:
                return await self._until_replaced(write, replaced)
            except FailureError as error:
                self.tell("problem", f"can't lower the flag, trying on: {cause(error)}")
                await workflow.sleep(policies.REFUSED_AGAIN_AFTER)
        raise Interrupted  # a newer write has replaced this one

    async def _until_replaced(self, write: FlagTarget, replaced: Callable[[], bool]) -> FlagReceipt:
        task: asyncio.Future[FlagReceipt] = workflow.start_activity_method(
            FlagActivities.apply, write, summary=write.reason[:200], **policies.APPLY_UNTIL_DONE
        )
        await workflow.wait_condition(lambda: task.done() or replaced())
        if not task.done():
            drop(task)
            raise Interrupted
        return await task
