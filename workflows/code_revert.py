"""The second half of a code rollback, once the flag is at 0 % and a person has confirmed it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.code_revert import CodeRevertActivities
    from activities.contract.models import RevertRequest
    from sluice.rollout.engine.rollback import record_revert
    from workflows import activity_options
    from workflows.base import root_cause
    from workflows.propagation import PropagationMonitor


class CodeRevertRunner(PropagationMonitor):
    """Runs the revert beside the main loop: people's commands never wait behind git."""

    _revert_task: asyncio.Task[None] | None = None

    def reconcile(self) -> None:
        """Begin a confirmed revert, and everything else that follows from the state."""
        super().reconcile()
        request = self._pending_revert()
        if request is not None and not self.is_reverting:
            self._revert_task = asyncio.create_task(self._revert(request))

    @property
    def is_reverting(self) -> bool:
        return self._revert_task is not None and not self._revert_task.done()

    async def wait_for_revert(self) -> None:
        """Wait for a revert that is under way: it was confirmed, and half of it is worse."""
        await workflow.wait_condition(lambda: not self.is_reverting)

    def _pending_revert(self) -> RevertRequest | None:
        state, code, rollback = self.state, self.state.code_revert, self.state.rollback
        if code is None or not code.confirmed_by or code.outcome or state.has_ended:
            return None
        if rollback is None or rollback.completed_at is None or state.plan.rollbacks.code is None:
            return None
        what = state.plan.rollbacks.code
        return RevertRequest(
            key=f"{state.rollout_id}/{code.requested_at.isoformat()}",
            rollout_id=state.rollout_id,
            flag=state.plan.flag,
            commit=what.commit,
            branch=what.branch,
            remote=what.remote,
            actor=code.confirmed_by,
            reason=code.reason or rollback.reason,
        )

    async def _revert(self, request: RevertRequest) -> None:
        try:
            receipt = await workflow.execute_activity_method(
                CodeRevertActivities.revert,
                request,
                summary=f"revert {request.commit}",
                **activity_options.REVERT,
            )
        except FailureError as error:
            refused = isinstance(error.cause, ApplicationError) and error.cause.type
            outcome = "conflict" if refused == activity_options.CODE_CONFLICT else "failed"
            record_revert(self.state, workflow.now(), outcome, root_cause(error))
        else:
            record_revert(self.state, workflow.now(), "reverted", receipt.text)
        self.wake()
