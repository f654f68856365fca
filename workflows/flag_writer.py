"""The writes of the flag: a step's may be refused, a rollback's goes on until it is done."""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.flags import FlagActivities
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.decide import outranks_rollback
    from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
    from sluice.rollout.engine.world import WorldError
    from workflows import activity_options
    from workflows.context import RolloutContext, root_cause, unless
    from workflows.red_flag_watch import RedFlagWatcher


class FlagWriter:
    """Writes that nothing may stop but a newer one of their kind."""

    def __init__(self, context: RolloutContext, watcher: RedFlagWatcher) -> None:
        self._context = context
        self._watcher = watcher

    async def write(self, write: FlagWrite) -> FlagReceipt:
        """Write the flag, and return what the store holds then.

        No watch runs meanwhile: it would report the change as drift.

        Raises:
            WorldError: the store refuses the step's write for good.
            Preempted: something more urgent replaced the write.
        """
        self._watcher.cancel()
        if write.is_rollback:
            return await self._reduce(write, self._replacement_test())
        try:
            return await self._context.preemptible(_start(write))
        except FailureError as error:
            raise WorldError(root_cause(error)) from error

    def _replacement_test(self) -> Callable[[], bool]:
        """Return the test whether something more urgent has replaced the write that begins now."""
        context, state = self._context, self._context.state
        rollback = state.rollback
        if state.abort is not None or rollback is None:
            return lambda: False  # nothing is more urgent than an abort

        def is_replaced() -> bool:
            is_outranked = outranks_rollback(state.red_flags.finding, rollback.kind)
            is_stopped = state.abort is not None or context.stop_signalled()
            return state.rollback is not rollback or is_outranked or is_stopped

        return is_replaced

    async def _reduce(self, write: FlagWrite, is_replaced: Callable[[], bool]) -> FlagReceipt:
        """Take traffic away: by a local activity, and when that fails until it is done."""
        self._context.on_wake()  # notices leave at once, not when it is done
        fast = workflow.start_local_activity_method(
            FlagActivities.apply, write, **activity_options.APPLY_AT_ONCE
        )
        try:
            return await unless(is_replaced, fast)
        except FailureError:
            workflow.logger.warning("the fast write failed; going on until it is done")
        self._watcher.guard_rollback(self._context.state)
        intervals = activity_options.refused_retry_intervals()
        while True:
            try:
                return await unless(is_replaced, _start(write))
            except FailureError as error:
                self._record_refusal(root_cause(error))
            await unless(is_replaced, workflow.sleep(next(intervals)))

    def _record_refusal(self, reason: str) -> None:
        transitions.record_refused_rollback(self._context.state, workflow.now(), reason)
        self._context.on_wake()  # the page leaves at once


def _start(write: FlagWrite) -> workflow.ActivityHandle[FlagReceipt]:
    return workflow.start_activity_method(
        FlagActivities.apply,
        write,
        summary=write.reason[:200],
        **activity_options.APPLY_UNTIL_DONE,
    )
