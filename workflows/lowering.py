"""Taking traffic away: at once, and else for as long as it takes."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.flags import FlagActivities
    from activities.models import FlagReceipt, FlagTarget
    from rollout import target
    from rollout.target import Target
    from workflows import policies
    from workflows.base import Interrupted, RolloutBase, cause


class Lowering(RolloutBase):
    """The writes that nothing may stop but a newer one of their kind."""

    _zeroing: asyncio.Task[None] | None = None

    async def lower(self, wanted: Target, actor: str, reason: str) -> FlagReceipt:
        """Take traffic away: by a local activity, and when that fails until it is done.

        Raises:
            Interrupted: a newer write has replaced this one; the store refuses it from then on.
        """
        write = self.flag_target(wanted, actor, reason)
        try:
            return await workflow.execute_local_activity_method(
                FlagActivities.apply, write, **policies.APPLY_AT_ONCE
            )
        except FailureError:
            workflow.logger.warning("the fast write failed; going on until it is done")
        return await self._lower_until_done(write)

    async def zero(self, actor: str, reason: str) -> None:
        """Put the flag to 0 % for good and read it back: the end of an aborted rollout.

        An abort comes here twice, by its handler and by the main loop, at the same moment. Both wait
        for the same write: of two, the newer would have the older refused, and the handler that gave
        up on it would fail the workflow task, again and again.
        """
        if self._zeroing is None:
            self._zeroing = asyncio.create_task(self._zero(actor, reason))
        await asyncio.shield(self._zeroing)

    async def _zero(self, actor: str, reason: str) -> None:
        while True:
            try:
                receipt = await self.lower(target.to_zero(self.state, kill=False), actor, reason)
            except Interrupted:
                continue  # a rollback that was under way; the next write is newer than it
            self.state.percentage = receipt.percentage
            return

    async def _lower_until_done(self, write: FlagTarget) -> FlagReceipt:
        while write.sequence == self.state.sequence:
            try:
                return await workflow.execute_activity_method(
                    FlagActivities.apply,
                    write,
                    summary=write.reason[:200],
                    **policies.APPLY_UNTIL_DONE,
                )
            except FailureError as error:
                self.tell("problem", f"can't lower the flag, trying on: {cause(error)}")
                await workflow.sleep(policies.REFUSED_AGAIN_AFTER)
        raise Interrupted  # a newer write has replaced this one
